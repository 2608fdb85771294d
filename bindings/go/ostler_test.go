//go:build linux && (amd64 || arm64)

package ostler_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	ostler "github.com/ostler-proxy/ostler/bindings/go"
)

const configuration = `{
  "Urls": "http://127.0.0.1:0",
  "ReverseProxy": {
    "Pipeline": ["HttpSysDelegation"],
    "Routes": {
      "quick": { "ClusterId": "q", "Match": { "Path": "/quick/{**rest}" }, "Timeout": "00:00:00.200" },
      "small": { "ClusterId": "q", "Match": { "Path": "/small/{**rest}" }, "MaxRequestBodySize": 10 },
      "changed": { "ClusterId": "q", "Match": { "Path": "/changed/{**rest}" }, "Transforms": [
        { "ResponseHeader": "X-Route", "Set": "changed" }, { "ResponseHeaderRemove": "X-Secret" },
        { "ResponseTrailer": "X-Last", "Append": "said", "When": "Always" } ] },
      "all": { "ClusterId": "q", "Match": { "Path": "{**rest}" } }
    },
    "Clusters": { "q": { "Destinations": { "d": {
      "Address": "http://*:80/", "Metadata": { "HttpSysDelegationQueue": "q" } } } } }
  }
}`

// front is a front before the server, and the server.
type front struct {
	address string
	server  *ostler.Server
	process *os.Process
	log     *lines
}

type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// start starts a front and serves the handler behind it.
func start(t *testing.T, handler http.HandlerFunc) *front {
	t.Helper()
	program := os.Getenv("OSTLER_FRONT_PROGRAM")
	if program == "" {
		t.Skip("OSTLER_FRONT_PROGRAM names no program of a front: .ci/step go does")
	}
	folder := t.TempDir()
	config := filepath.Join(folder, "config.json")
	if err := os.WriteFile(config, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	f := &front{log: &lines{}}
	runtime := filepath.Join(folder, "runtime")
	f.server = &ostler.Server{
		Queue: "q", Handler: handler, RuntimeDir: runtime, HTTP: &http.Server{ErrorLog: log.New(f.log, "", 0)},
	}
	if err := f.server.Open(); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	go func() { served <- f.server.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil && !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	command := exec.Command(program, "run", "--config", config)
	command.Env = append(os.Environ(), "OSTLER_RUNTIME_DIR="+runtime)
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stderr = command.Stdout
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	f.process = command.Process
	t.Cleanup(func() { command.Process.Kill(); command.Wait() })
	listening := regexp.MustCompile(`127\.0\.0\.1:[1-9][0-9]*`)
	for scanner := bufio.NewScanner(output); scanner.Scan(); {
		if f.address = listening.FindString(scanner.Text()); f.address != "" {
			go io.Copy(io.Discard, output)
			return f
		}
	}
	t.Fatal("the front does not say where it listens")
	return nil
}

// client is a connection that bytes are written to.
type client struct {
	net.Conn
	*bufio.Reader
	t *testing.T
}

func (f *front) connect(t *testing.T) *client {
	t.Helper()
	connection, err := net.Dial("tcp", f.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	connection.SetDeadline(time.Now().Add(time.Minute))
	return &client{connection, bufio.NewReader(connection), t}
}

func (c *client) Read(p []byte) (int, error) { return c.Reader.Read(p) }

func (c *client) send(text string) *client {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, text); err != nil {
		c.t.Fatal(err)
	}
	return c
}

// response is the next response and its body.
func (c *client) response(method string) (*http.Response, string) {
	c.t.Helper()
	response, err := http.ReadResponse(c.Reader, &http.Request{Method: method})
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return response, string(body)
}

func (c *client) isClosed() {
	c.t.Helper()
	if rest, err := io.ReadAll(c); err != nil && !strings.Contains(err.Error(), "reset") || len(rest) > 0 {
		c.t.Errorf("it is not closed: %q, %v", rest, err)
	}
}

func is(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s is %v, not %v", what, got, want)
	}
}

func TestARequestIsWhatItIsBehindNetHTTP(t *testing.T) {
	f := start(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		info, ok := ostler.RequestInfo(r.Context())
		fmt.Fprintln(w, r.Method, r.RequestURI, r.Proto, r.Host, r.ContentLength, r.TransferEncoding, string(body),
			r.Trailer, r.TLS == nil, ok, info.Arrival, info.Scheme, r.RemoteAddr,
			r.Context().Value(http.LocalAddrContextKey), !info.Accepted.After(info.HeadReceived),
			!info.HeadReceived.After(info.Queued), !info.Queued.After(info.Received), time.Since(info.Accepted) < time.Minute)
	})
	c := f.connect(t)
	end := fmt.Sprintf("delegated http %v %v true true true true\n", c.LocalAddr(), f.address)
	_, body := c.send("GET /a?b HTTP/1.1\r\nHost: x.y\r\n\r\n").response("GET")
	is(t, "GET", body, "GET /a?b HTTP/1.1 x.y 0 []  map[] true true "+end)
	_, body = c.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello").response("PUT")
	is(t, "PUT", body, "PUT / HTTP/1.1 x 5 [] hello map[] true true "+end)
	_, body = c.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n").response("POST")
	is(t, "POST", body, "POST / HTTP/1.1 x -1 [chunked] hello map[A:[b]] true true "+end)
	response, body := c.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").response("GET")
	is(t, "HTTP/1.0", body, "GET / HTTP/1.0  0 []  map[] true true "+end)
	is(t, "Connection", response.Header.Get("Connection"), "keep-alive")
}

// What stands behind a chunked body is the next request's, however it comes.
func TestWhatStandsBehindABodyIsTheNextRequest(t *testing.T) {
	f := start(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprint(w, r.URL.Path, " ", len(body), " ", err)
	})
	const two = "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" +
		"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nde" + "GET /c HTTP/1.1\r\nHost: x\r\n\r\n"
	for at := 1; at < len(two); at += 7 {
		c := f.connect(t)
		c.send(two[:at])
		time.Sleep(time.Millisecond)
		c.send(two[at:])
		for _, want := range []string{"/a 3 <nil>", "/b 2 <nil>", "/c 0 <nil>"} {
			_, body := c.response("POST")
			is(t, fmt.Sprint("split at ", at), body, want)
		}
	}
}

func TestHowAResponseEnds(t *testing.T) {
	f := start(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(204)
		case "/304":
			w.Header().Set("ETag", `"x"`)
			w.WriteHeader(304)
		case "/close":
			w.Header().Set("Connection", "close")
			io.WriteString(w, "bye")
		case "/trailers":
			w.Header().Set("Trailer", "X-One")
			io.WriteString(w, "with")
			http.NewResponseController(w).Flush()
			w.Header().Set("X-One", "1")
			w.Header().Set(http.TrailerPrefix+"X-Two", "2")
		case "/short":
			w.Header().Set("Content-Length", "10")
			io.WriteString(w, "short")
		case "/panic":
			panic("asked for")
		case "/late-panic":
			io.WriteString(w, strings.Repeat("x", 10000))
			http.NewResponseController(w).Flush()
			panic("asked for late")
		case "/abort":
			panic(http.ErrAbortHandler)
		default:
			io.WriteString(w, "hello")
		}
	})
	c := f.connect(t)
	ask := func(method, path string) (*http.Response, string) {
		t.Helper()
		return c.send(method + " " + path + " HTTP/1.1\r\nHost: x\r\n\r\n").response(method)
	}
	response, body := ask("GET", "/")
	is(t, "GET", body, "hello")
	is(t, "its type", response.Header.Get("Content-Type"), "text/plain; charset=utf-8")
	is(t, "its date", len(response.Header.Get("Date")) > 0, true)
	response, _ = ask("HEAD", "/")
	is(t, "HEAD", response.Header.Get("Content-Length"), "5")
	response, _ = ask("GET", "/204")
	is(t, "204", response.Status, "204 No Content")
	response, _ = ask("GET", "/304")
	is(t, "304", response.Header.Get("ETag"), `"x"`)
	response, body = ask("GET", "/trailers")
	is(t, "trailers", fmt.Sprint(body, response.Trailer), "withmap[X-One:[1] X-Two:[2]]")
	_, body = ask("GET", "/")
	is(t, "behind all that", body, "hello")
	response, body = ask("GET", "/close")
	is(t, "close", fmt.Sprint(body, response.Close), "byetrue")
	c.isClosed()
	c = f.connect(t)
	response, _ = ask("GET", "/panic")
	is(t, "panic", response.StatusCode, 500)
	c.isClosed()
	is(t, "the log", strings.Contains(f.log.String(), "asked for"), true)
	for _, path := range []string{"/short", "/late-panic"} {
		c = f.connect(t)
		c.send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")
		response, err := http.ReadResponse(c.Reader, nil)
		if err != nil {
			t.Fatal(path, err)
		}
		if _, err := io.ReadAll(response.Body); err == nil {
			t.Error(path, "seems to be whole")
		}
	}
	c = f.connect(t)
	c.send("GET /abort HTTP/1.1\r\nHost: x\r\n\r\n").isClosed()
}

func TestInterimResponsesAndExpectations(t *testing.T) {
	f := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hints" {
			w.Header().Set("Link", "</a.css>")
			w.WriteHeader(http.StatusEarlyHints)
		}
		if r.URL.Path != "/unread" {
			body, _ := io.ReadAll(r.Body)
			fmt.Fprint(w, len(body))
		}
	})
	var hints textproto.MIMEHeader
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
		hints = header
		return nil
	}}
	request, _ := http.NewRequestWithContext(httptrace.WithClientTrace(context.Background(), trace), "GET", "http://"+f.address+"/hints", nil)
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	is(t, "hints", hints.Get("Link"), "</a.css>")
	c := f.connect(t)
	const head = "POST %s HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
	c.send(fmt.Sprintf(head, "/"))
	line, _ := c.ReadString('\n')
	is(t, "interim", line, "HTTP/1.1 100 Continue\r\n")
	c.ReadString('\n')
	_, body := c.send("abc").response("POST")
	is(t, "body", body, "3")
	// Whether a body that was not asked for comes is the client's guess.
	response, _ = c.send(fmt.Sprintf(head, "/unread")).response("POST")
	is(t, "unread", fmt.Sprint(response.StatusCode, response.Close), "200 true")
}

func TestTheContextEndsWithTheClient(t *testing.T) {
	gone := make(chan string)
	here := make(chan bool)
	f := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			return
		}
		io.Copy(io.Discard, r.Body)
		here <- true
		<-r.Context().Done()
		gone <- r.URL.Path
	})
	for path, request := range map[string]string{
		"/waits": "GET /waits HTTP/1.1\r\nHost: x\r\n\r\n",
		"/read":  "POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
	} {
		c := f.connect(t)
		c.send(request)
		<-here
		c.Close()
		is(t, "gone", <-gone, path)
	}
	c := f.connect(t)
	c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").response("GET")
}

func TestWhatTheFrontBounds(t *testing.T) {
	late := make(chan error, 1)
	f := start(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/quick/") {
			if r.URL.Path == "/quick/begun" {
				io.WriteString(w, "some")
				http.NewResponseController(w).Flush()
			}
			<-r.Context().Done()
			_, err := io.WriteString(w, strings.Repeat("late", 10000))
			late <- err
			return
		}
		_, err := io.Copy(io.Discard, r.Body)
		http.Error(w, fmt.Sprint(err), 400)
	})
	c := f.connect(t)
	response, _ := c.send("GET /quick/ HTTP/1.1\r\nHost: x\r\n\r\n").response("GET")
	is(t, "deadline", response.StatusCode, 504)
	c.isClosed()
	if err := <-late; err == nil {
		t.Error("what came too late went out")
	}
	c = f.connect(t)
	c.send("GET /quick/begun HTTP/1.1\r\nHost: x\r\n\r\n")
	if response, err := http.ReadResponse(c.Reader, nil); err != nil {
		t.Error(err)
	} else if _, err := io.ReadAll(response.Body); err == nil {
		t.Error("a response that was broken off seems to be whole")
	}
	<-late
	c = f.connect(t)
	c.send("POST /small/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	response, _ = c.send("8\r\n12345678\r\n8\r\n12345678\r\n0\r\n\r\n").response("POST")
	is(t, "too large", fmt.Sprint(response.StatusCode, response.Close), "413 true")
}

func TestResponsesAreTransformed(t *testing.T) {
	f := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Secret", "x")
		w.Header().Set("X-Kept", "x")
		w.Header().Set("Trailer", "X-First")
		io.WriteString(w, "one")
		http.NewResponseController(w).Flush()
		io.WriteString(w, strings.Repeat("two", 10000))
		w.Header().Set("X-First", "1")
	})
	c := f.connect(t)
	for range 2 {
		response, body := c.send("GET /changed/ HTTP/1.1\r\nHost: x\r\n\r\n").response("GET")
		h := response.Header
		is(t, "fields", fmt.Sprint(h["X-Route"], h["X-Secret"], h["X-Kept"]), "[changed] [] [x]")
		is(t, "body", len(body), 30003)
		is(t, "trailers", fmt.Sprint(response.Trailer), "map[X-First:[1] X-Last:[said]]")
	}
}

func TestAHijackedConnectionIsTheApplications(t *testing.T) {
	f := start(t, func(w http.ResponseWriter, r *http.Request) {
		connection, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer connection.Close()
		if r.Header.Get("Upgrade") == "" {
			io.WriteString(connection, "HTTP/1.1 299 Raw\r\nConnection: close\r\n\r\nraw")
			return
		}
		io.WriteString(connection, "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
		for {
			line, err := buffered.ReadString('\n')
			if err != nil {
				return
			}
			io.WriteString(connection, "heard "+line)
		}
	})
	c := f.connect(t)
	response, body := c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").response("GET")
	is(t, "raw", fmt.Sprint(response.Status, body), "299 Rawraw")
	c.isClosed()
	c = f.connect(t)
	c.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nearly\n")
	response, _ = c.response("GET")
	is(t, "status", response.StatusCode, 101)
	f.process.Kill()
	for _, want := range []string{"heard early\n", "heard late\n"} {
		line, err := c.ReadString('\n')
		is(t, "line", fmt.Sprint(line, err), want+"<nil>")
		c.send("late\n")
	}
}

func TestDeadlinesOfAController(t *testing.T) {
	errs := make(chan error, 2)
	f := start(t, func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		control.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		_, err := io.ReadAll(r.Body)
		errs <- err
		control.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		for err = nil; err == nil; {
			_, err = w.Write(make([]byte, 1<<20))
		}
		errs <- err
	})
	c := f.connect(t)
	c.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
	for range 2 {
		if err := <-errs; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	}
}

func TestHTTP2IsHTTP2(t *testing.T) {
	f := start(t, func(w http.ResponseWriter, r *http.Request) {
		info, _ := ostler.RequestInfo(r.Context())
		w.Header().Set("X-About", fmt.Sprint(r.Proto, r.ProtoMajor, info.Arrival, r.Host, r.ContentLength))
		w.Header().Set("Trailer", "X-Sum")
		count, err := io.Copy(w, r.Body)
		w.Header().Set("X-Sum", fmt.Sprint(count, err, r.Trailer))
	})
	protocols := &http.Protocols{}
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols, TLSClientConfig: &tls.Config{}}
	defer transport.CloseIdleConnections()
	body := strings.Repeat("0123456789abcdef", 40000)
	var all sync.WaitGroup
	for range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			request, _ := http.NewRequest("POST", "http://"+f.address+"/", struct{ io.Reader }{strings.NewReader(body)})
			request.Trailer = http.Header{"X-Tail": {"t"}}
			response, err := transport.RoundTrip(request)
			if err != nil {
				t.Error(err)
				return
			}
			defer response.Body.Close()
			back, err := io.ReadAll(response.Body)
			is(t, "body", fmt.Sprint(string(back) == body, err), "true <nil>")
			is(t, "about", response.Header.Get("X-About"), "HTTP/2.02 streamed"+f.address+"-1")
			is(t, "trailer", response.Trailer.Get("X-Sum"), "640000 <nil> map[X-Tail:[t]]")
		}()
	}
	all.Wait()
}

// Small pieces, each of which takes more of the ring than of the body, neither stand in the way nor get lost.
func TestSmallPiecesOfAStream(t *testing.T) {
	f := start(t, func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		for range 20000 {
			io.WriteString(w, "x")
			control.Flush()
		}
	})
	protocols := &http.Protocols{}
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	request, _ := http.NewRequest("GET", "http://"+f.address+"/", nil)
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	back, err := io.ReadAll(response.Body)
	is(t, "body", fmt.Sprint(len(back), err), "20000 <nil>")
}

func TestManyAtOnce(t *testing.T) {
	f := start(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
	})
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	defer transport.CloseIdleConnections()
	var all sync.WaitGroup
	for worker := range 32 {
		all.Add(1)
		go func() {
			defer all.Done()
			for at := range 50 {
				want := strings.Repeat(fmt.Sprint(worker, ":", at, ";"), 1+at*at)
				request, _ := http.NewRequest("POST", "http://"+f.address+"/", struct{ io.Reader }{strings.NewReader(want)})
				response, err := transport.RoundTrip(request)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(response.Body)
				response.Body.Close()
				if string(got) != want || err != nil {
					t.Errorf("%d bytes came back of %d, %v", len(got), len(want), err)
				}
			}
		}()
	}
	all.Wait()
}

func TestWhatCannotBeServed(t *testing.T) {
	for _, server := range []*ostler.Server{
		{}, {Queue: strings.Repeat("x", 261)}, {Queue: "q", URLPrefixes: []string{"x"}}, {Queue: "q", Limit: -1},
		{Queue: "q", URLPrefixes: []string{"http://*/", "http://*:80"}}, {Queue: "q", Verbosity: "loud"},
	} {
		server.RuntimeDir = t.TempDir()
		if err := server.Serve(context.Background()); err == nil || !strings.HasPrefix(err.Error(), "ostler: ") {
			t.Errorf("%+v: %v", server.Queue, err)
		}
	}
	server := &ostler.Server{Queue: "q", RuntimeDir: t.TempDir(), Mode: ostler.Attach}
	if err := server.Open(); !errors.Is(err, ostler.ErrQueueNotFound) {
		t.Error(err)
	}
}
