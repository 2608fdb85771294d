//go:build linux && (amd64 || arm64)

// Program is what Ostler's end-to-end tests ask of a program in any language; the paths are those of
// crates/target-c/examples/c/server.c.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"path"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	ostler "github.com/ostler-proxy/ostler/bindings/go"
)

var (
	queueName = flag.String("queue", "", "the queue to serve")
	label     = flag.String("label", "go", "a text for people")
	file      = flag.String("file", "", "what /file is answered with")
	listen    = flag.String("listen", "", "an address that is listened to, in place of a queue")
)

func main() {
	flag.Parse()
	if *listen != "" {
		log.Fatal(http.ListenAndServe(*listen, http.HandlerFunc(answer)))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	server := &ostler.Server{Queue: *queueName, Label: *label, Handler: http.HandlerFunc(answer)}
	if err := server.Open(); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("queue %s ready\n", *queueName)
	if err := server.Serve(ctx); err != nil {
		log.Fatal(err)
	}
}

// Any prefix may stand before a path, so paths are told by their end.
func answer(w http.ResponseWriter, r *http.Request) {
	before, last := path.Split(strings.TrimSuffix(r.URL.Path, "/"))
	number, err := strconv.ParseInt(last, 10, 64)
	isNumber := err == nil && number >= 0
	switch what := path.Base(before); {
	case what == "bytes" && isNumber:
		w.Header().Set("Content-Length", last)
		generate(w, number)
	case what == "stream" && isNumber:
		w.Header().Set("Trailer", "X-Sum")
		w.WriteHeader(http.StatusOK)
		generate(w, number)
		w.Header().Set("X-Sum", "none")
	case what == "break" && isNumber:
		w.Header().Set("Content-Length", strconv.FormatInt(number+1, 10))
		generate(w, number)
		panic(http.ErrAbortHandler)
	case what == "delay" && isNumber:
		select {
		case <-time.After(time.Duration(number) * time.Millisecond):
			greet(w)
		case <-r.Context().Done():
			fmt.Println("gone")
		}
	case what == "status" && isNumber:
		w.WriteHeader(int(number))
	case last == "about":
		about(w, r)
	case last == "echo":
		echo(w, r)
	case last == "upload":
		upload(w, r)
	case last == "describe":
		describe(w, r)
	case last == "file":
		http.ServeFile(w, r, *file)
	case last == "line":
		line(w, r)
	case last == "panic":
		panic("asked to by " + r.URL.Path)
	default:
		greet(w)
	}
}

func greet(w io.Writer) { fmt.Fprintf(w, "%s %d\n", *label, os.Getpid()) }

// generate writes so many bytes, each being its number modulo 256.
func generate(w io.Writer, count int64) {
	var pattern [64 << 10]byte
	for at := range pattern {
		pattern[at] = byte(at)
	}
	for count > 0 {
		written, err := w.Write(pattern[:min(count, int64(len(pattern)))])
		if err != nil {
			fmt.Println("gone")
			return
		}
		count -= int64(written)
	}
}

func about(w http.ResponseWriter, r *http.Request) {
	info, _ := ostler.RequestInfo(r.Context())
	fmt.Fprintf(w, "%s %s %d way %d length %d\n",
		r.Method, r.RequestURI, 10*r.ProtoMajor+r.ProtoMinor, info.Arrival, r.ContentLength)
	fmt.Fprintf(w, "client %s\nhost: %s\n", r.RemoteAddr, r.Host)
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		for _, value := range r.Header[name] {
			fmt.Fprintf(w, "%s: %s\n", strings.ToLower(name), value)
		}
	}
}

func echo(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	if err := control.EnableFullDuplex(); err != nil {
		log.Print(err)
	}
	buffer := make([]byte, 64<<10)
	for {
		count, err := r.Body.Read(buffer)
		if count > 0 {
			w.Write(buffer[:count])
			control.Flush()
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			fmt.Println("gone")
			panic(http.ErrAbortHandler)
		}
	}
}

func upload(w http.ResponseWriter, r *http.Request) {
	sum := fnv.New64a()
	length, err := io.Copy(sum, r.Body)
	if err != nil {
		fmt.Println("gone")
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "{\"length\":%d,\"sum\":\"%016x\",\"trailers\":%d}\n", length, sum.Sum64(), len(r.Trailer))
}

// describe is everything about a request, in the form of `ostler sample-target`.
func describe(w http.ResponseWriter, r *http.Request) {
	sum := sha256.New()
	length, err := io.Copy(sum, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	info, _ := ostler.RequestInfo(r.Context())
	about := map[string]any{
		"method": r.Method, "target": r.RequestURI, "proto": r.Proto, "host": r.Host, "fields": r.Header,
		"client": r.RemoteAddr, "length": length, "sha256": fmt.Sprintf("%x", sum.Sum(nil)),
		"pid": os.Getpid(), "arrival": info.Arrival.String(), "trailers": r.Trailer, "tls": r.TLS != nil,
	}
	json.NewEncoder(w).Encode(about)
}

// line switches to a protocol in which what is heard is said back.
func line(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "line" {
		w.WriteHeader(http.StatusUpgradeRequired)
		return
	}
	connection, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		log.Print(err)
		return
	}
	defer connection.Close()
	io.WriteString(connection, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: line\r\n\r\n")
	io.Copy(connection, buffered)
}
