//go:build linux && (amd64 || arm64)

// Package ostler serves a request queue with an http.Handler.
//
// A front, `ostler run`, accepts clients' connections and reads the heads of their requests. What its
// configuration gives to a request queue is handed to a process that serves the queue, with the client's own
// socket: this package reads the body from that socket and answers on it, by way of net/http. So a handler sees
// what it sees behind http.Server: the client's address, its TLS, its disconnect, its back-pressure.
//
//	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello\n") })
//	log.Fatal(ostler.Serve("shop", nil))
//
// Several processes may serve one queue; each request goes to one that is free. One that is to stop drains:
//
//	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
//	defer stop()
//	server := &ostler.Server{Queue: "shop", Handler: handler}
//	err := server.Serve(ctx)
package ostler

import (
	"context"
	"net/http"
	"time"

	"github.com/ostler-proxy/ostler/bindings/go/internal/queue"
)

// Mode says what to do about a queue of the same name.
type Mode int

const (
	// CreateOrAttach joins the queue where another process serves it, and makes it where none does.
	CreateOrAttach Mode = iota
	// Create makes the queue; that another process serves it is an error.
	Create
	// Attach joins the queue; that no other process serves it is an error.
	Attach
)

// Verbosity is what a client sees when a queue's limit is reached.
type Verbosity string

const (
	// VerbosityBasic resets the connection.
	VerbosityBasic Verbosity = "basic"
	// VerbosityLimited answers 503.
	VerbosityLimited Verbosity = "limited"
	// VerbosityFull answers 503 and says why.
	VerbosityFull Verbosity = "full"
)

var (
	// ErrQueueExists is why Create fails where the queue is served already.
	ErrQueueExists = queue.ErrExists
	// ErrQueueNotFound is why Attach fails where no process serves the queue.
	ErrQueueNotFound = queue.ErrNotFound
)

// Serve serves the queue with the handler, or with http.DefaultServeMux where it is nil, and returns when that fails. Options may
// set any field of the server.
func Serve(queueName string, handler http.Handler, options ...func(*Server)) error {
	server := &Server{Queue: queueName, Handler: handler}
	for _, option := range options {
		option(server)
	}
	return server.Serve(context.Background())
}

// Arrival is how a request has come.
type Arrival int

const (
	// Delegated: with the client's own socket.
	Delegated Arrival = iota + 1
	// Relayed: over a socket from the front, which passes on what it is told.
	Relayed
	// Streamed: in memory that is shared with the front, which passes on what stands there.
	Streamed
)

// String is the arrival in lower case.
func (a Arrival) String() string {
	switch a {
	case Delegated:
		return "delegated"
	case Relayed:
		return "relayed"
	case Streamed:
		return "streamed"
	}
	return "unknown"
}

// Info is what is known of a request beyond what http.Request says.
type Info struct {
	Arrival Arrival
	// Scheme is what the client has asked by, `http` or `https`. It is another than Request.TLS says where the
	// front believes a load balancer before it.
	Scheme string
	// Accepted is when the front accepted the client's connection; HeadReceived, when the request's head was
	// complete; Queued, when it was put into the queue; Received, when this process took it. Of relayed requests
	// only the first and the last are known.
	Accepted, HeadReceived, Queued, Received time.Time
}

// RequestInfo is what is known of the request whose context this is; false if it is none of a queue's.
func RequestInfo(ctx context.Context) (Info, bool) {
	source, ok := ctx.Value(infoKey{}).(interface{ info() Info })
	if !ok {
		return Info{}, false
	}
	return source.info(), true
}

type infoKey struct{}

func scheme(byHTTPS bool) string {
	if byHTTPS {
		return "https"
	}
	return "http"
}
