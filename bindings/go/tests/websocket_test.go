//go:build linux && (amd64 || arm64)

// Package tests is what takes packages that the module itself does without: real WebSocket libraries as servers
// behind a queue.
package tests

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	xwebsocket "golang.org/x/net/websocket"

	ostler "github.com/ostler-proxy/ostler/bindings/go"
)

const configuration = `{
  "Urls": "http://127.0.0.1:0",
  "ReverseProxy": {
    "Pipeline": ["HttpSysDelegation"],
    "Routes": { "all": { "ClusterId": "q", "Match": { "Path": "{**rest}" } } },
    "Clusters": { "q": { "Destinations": { "d": {
      "Address": "http://*:80/", "Metadata": { "HttpSysDelegationQueue": "q" } } } } }
  }
}`

// start is the address of a front before the handler, and the front's process.
func start(t *testing.T, handler http.Handler) (string, *os.Process) {
	t.Helper()
	program := os.Getenv("OSTLER_FRONT_PROGRAM")
	if program == "" {
		t.Skip("OSTLER_FRONT_PROGRAM names no program of a front: .ci/step go does")
	}
	folder := t.TempDir()
	config, runtime := filepath.Join(folder, "config.json"), filepath.Join(folder, "runtime")
	if err := os.WriteFile(config, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	server := &ostler.Server{Queue: "q", Handler: handler, RuntimeDir: runtime}
	if err := server.Open(); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background()) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	command := exec.Command(program, "run", "--config", config)
	command.Env = append(os.Environ(), "OSTLER_RUNTIME_DIR="+runtime)
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { command.Process.Kill(); command.Wait() })
	listening := regexp.MustCompile(`127\.0\.0\.1:[1-9][0-9]*`)
	for scanner := bufio.NewScanner(output); scanner.Scan(); {
		if address := listening.FindString(scanner.Text()); address != "" {
			go io.Copy(io.Discard, output)
			return address, command.Process
		}
	}
	t.Fatal("the front does not say where it listens")
	return "", nil
}

// talk says texts of all sizes and hears them back, before and after the front is gone.
func talk(t *testing.T, address string, front *os.Process) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	socket, _, err := websocket.Dial(ctx, "ws://"+address+"/", &websocket.DialOptions{
		HTTPHeader: http.Header{"Origin": {"http://" + address}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.CloseNow()
	socket.SetReadLimit(1 << 22)
	for _, size := range []int{0, 1, 125, 126, 70000, 1 << 20} {
		text := strings.Repeat("x", size)
		if err := socket.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
		_, back, err := socket.Read(ctx)
		if err != nil || string(back) != text {
			t.Fatalf("%d bytes came back of %d: %v", len(back), size, err)
		}
		if size == 126 {
			front.Kill()
		}
	}
	// Not every library answers this in words.
	_ = socket.Close(websocket.StatusNormalClosure, "done")
}

func TestCoderWebSocket(t *testing.T) {
	address, front := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		socket, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer socket.CloseNow()
		socket.SetReadLimit(1 << 22)
		for {
			kind, text, err := socket.Read(r.Context())
			if err != nil {
				return
			}
			if err := socket.Write(r.Context(), kind, text); err != nil {
				t.Error(err)
				return
			}
		}
	}))
	talk(t, address, front)
}

func TestXNetWebSocket(t *testing.T) {
	address, front := start(t, xwebsocket.Handler(func(socket *xwebsocket.Conn) {
		socket.MaxPayloadBytes = 1 << 22
		for {
			var text string
			if xwebsocket.Message.Receive(socket, &text) != nil {
				return
			}
			if err := xwebsocket.Message.Send(socket, text); err != nil {
				t.Error(err)
				return
			}
		}
	}))
	talk(t, address, front)
}
