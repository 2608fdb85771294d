//go:build linux && (amd64 || arm64)

package ostler

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ostler-proxy/ostler/bindings/go/internal/queue"
	"github.com/ostler-proxy/ostler/bindings/go/internal/socket"
	"github.com/ostler-proxy/ostler/bindings/go/internal/wire"
)

// Server serves a request queue. Its fields are set before it serves and not changed afterwards.
type Server struct {
	// Queue is the queue's name: 1 to 260 characters, compared without case.
	Queue string
	// Handler answers; http.DefaultServeMux where it is nil.
	Handler http.Handler
	// URLPrefixes are what the process registers on the queue, by which destinations of the front's
	// configuration name it; `http://*:80/` if there are none.
	URLPrefixes []string
	// Mode says what to do about a queue of the same name.
	Mode Mode
	// Label is a text for people; the program's name if it is empty.
	Label string

	// Limit is how many requests may wait in a queue that is made, 1000 if it is 0; Verbosity, what clients
	// beyond it see, VerbosityBasic if it is empty; WaitTimeout, how long a request may wait, two minutes if it
	// is 0; Permissions, the mode of the queue's folder, 0750 if it is 0: who may write there may attach, and who
	// may pass through may send requests.
	Limit       int
	Verbosity   Verbosity
	WaitTimeout time.Duration
	Permissions fs.FileMode
	// KeepQueue leaves the queue in place when its last process stops, so that requests wait for the next one
	// for as long as the queue says.
	KeepQueue bool

	// MaxConnections is how many clients' sockets a front may leave with this process; half of the descriptors
	// that it may have if it is 0.
	MaxConnections int
	// FrontUsers are further users whose fronts are served. Root's, those of the own user and of the runtime
	// folder's owner always are.
	FrontUsers []uint32
	// RuntimeDir is where queues are; $OSTLER_RUNTIME_DIR, /run/ostler or $XDG_RUNTIME_DIR/ostler if it is
	// empty.
	RuntimeDir string

	// HTTP says by ReadTimeout, WriteTimeout, MaxHeaderBytes, ErrorLog, BaseContext, ConnContext and
	// DisableGeneralOptionsHandler what they say of a server that listens. Its other fields mean nothing here:
	// what they bound is the front's business.
	HTTP *http.Server

	mu       sync.Mutex
	instance *queue.Instance
	prefixes []string
	poller   *socket.Poller
	// delegated serves clients' sockets and streams, relayed what a front relays.
	delegated, relayed *http.Server
	arrivals, relays   *handover
	channels           map[*channel]struct{}
	// relayChannels are control sockets over which connections come that are relayed.
	relayChannels map[*net.UnixConn]struct{}
	completed     uint64
	state         serverState
	// stopping: the state is a later one than open.
	stopping atomic.Bool
	// over is closed once Serve may return.
	over chan struct{}
}

type serverState int

const (
	notOpen serverState = iota
	open
	draining
	closed
)

// Open takes the process' place in the queue: from here on requests wait for it. Serve does it where it was not
// done; doing it before tells apart that it fails.
func (s *Server) Open() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.state {
	case notOpen:
	case open:
		return nil
	default:
		return http.ErrServerClosed
	}
	options, err := s.options()
	if err != nil {
		return err
	}
	poller, err := socket.NewPoller()
	if err != nil {
		return err
	}
	instance, err := queue.Open(options)
	if err != nil {
		poller.Close()
		return err
	}
	s.instance, s.prefixes, s.poller = instance, options.URLPrefixes, poller
	s.channels = make(map[*channel]struct{})
	s.relayChannels = make(map[*net.UnixConn]struct{})
	s.over = make(chan struct{})
	s.arrivals, s.relays = newHandover(), newHandover()
	s.delegated = s.httpServer(http.HandlerFunc(s.serveDelegated))
	s.delegated.ConnState = connectionState
	s.relayed = s.httpServer(http.HandlerFunc(s.serveRelayed))
	s.state = open
	return nil
}

func (s *Server) options() (queue.Options, error) {
	options := queue.Options{
		RuntimeDir:    s.RuntimeDir,
		Name:          s.Queue,
		MayCreate:     s.Mode != Attach,
		MayAttach:     s.Mode != Create,
		Label:         s.Label,
		Limit:         int64(s.Limit),
		Verbosity:     string(s.Verbosity),
		WaitTimeoutMS: s.WaitTimeout.Milliseconds(),
		Permissions:   uint32(s.Permissions.Perm()),
		Keep:          s.KeepQueue,
	}
	if s.Permissions&fs.ModeSetgid != 0 {
		options.Permissions |= unix.S_ISGID
	}
	if options.Label == "" {
		options.Label = filepath.Base(os.Args[0])
	}
	if options.Limit == 0 {
		options.Limit = 1000
	}
	if options.Limit < 1 || options.Limit > 0x7FFF_FFFF {
		return options, fmt.Errorf("ostler: the queue limit %d is not from 1 to 2147483647", s.Limit)
	}
	switch s.Verbosity {
	case "":
		options.Verbosity = string(VerbosityBasic)
	case VerbosityBasic, VerbosityLimited, VerbosityFull:
	default:
		return options, fmt.Errorf("ostler: the verbosity %q is none of basic, limited, full", s.Verbosity)
	}
	if options.WaitTimeoutMS == 0 {
		options.WaitTimeoutMS = 120_000
	}
	if options.WaitTimeoutMS < 0 {
		return options, fmt.Errorf("ostler: a request cannot wait for %v", s.WaitTimeout)
	}
	if options.Permissions == 0 {
		options.Permissions = 0o750
	}
	given := s.URLPrefixes
	if len(given) == 0 {
		given = []string{"http://*:80/"}
	}
	var err error
	options.URLPrefixes, err = normalPrefixes(given)
	return options, err
}

func normalPrefixes(given []string) ([]string, error) {
	normal := make([]string, 0, len(given))
	for _, prefix := range given {
		prefix, err := queue.NormalPrefix(prefix)
		if err != nil {
			return nil, err
		}
		for _, other := range normal {
			if other == prefix {
				return nil, fmt.Errorf("ostler: the URL prefix %s is there twice", prefix)
			}
		}
		normal = append(normal, prefix)
	}
	return normal, nil
}

func (s *Server) httpServer(handler http.Handler) *http.Server {
	given := s.HTTP
	if given == nil {
		given = &http.Server{}
	}
	return &http.Server{
		Handler:                      handler,
		ReadTimeout:                  given.ReadTimeout,
		WriteTimeout:                 given.WriteTimeout,
		MaxHeaderBytes:               given.MaxHeaderBytes,
		ErrorLog:                     given.ErrorLog,
		BaseContext:                  given.BaseContext,
		DisableGeneralOptionsHandler: given.DisableGeneralOptionsHandler,
		// Idle connections, and how long a head may take, are the front's business.
		IdleTimeout:       -1,
		ReadHeaderTimeout: -1,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if given.ConnContext != nil {
				ctx = given.ConnContext(ctx, c)
			}
			if client, ok := c.(interface {
				context(context.Context) context.Context
			}); ok {
				ctx = client.context(ctx)
			}
			return ctx
		},
	}
}

func (s *Server) handler() http.Handler {
	if s.Handler == nil {
		return http.DefaultServeMux
	}
	return s.Handler
}

func (s *Server) logf(format string, values ...any) {
	if s.HTTP != nil && s.HTTP.ErrorLog != nil {
		s.HTTP.ErrorLog.Printf(format, values...)
	} else {
		log.Printf(format, values...)
	}
}

// Serve serves the queue until the context is done: then it takes no new request, waits until everything that it
// has begun is answered, and returns nil. After Shutdown and Close it returns http.ErrServerClosed.
func (s *Server) Serve(ctx context.Context) error {
	if err := s.Open(); err != nil {
		return err
	}
	go s.delegated.Serve(s.arrivals)
	go s.relayed.Serve(s.relays)
	accepting := make(chan error, 1)
	go func() { accepting <- s.accept() }()
	select {
	case <-ctx.Done():
		return s.Shutdown(context.WithoutCancel(ctx))
	case <-s.over:
		return http.ErrServerClosed
	case err := <-accepting:
		if errors.Is(err, net.ErrClosed) {
			<-s.over
			return http.ErrServerClosed
		}
		s.Close()
		return fmt.Errorf("ostler: fronts cannot be accepted: %w", err)
	}
}

func (s *Server) accept() error {
	for {
		control, err := s.instance.Listener.AcceptUnix()
		if err != nil {
			if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ECONNABORTED) {
				// There are descriptors again some time.
				time.Sleep(50 * time.Millisecond)
				continue
			}
			return err
		}
		go s.greet(control)
	}
}

// SetURLPrefixes registers other URL prefixes in the place of all that there are. Fronts are told.
func (s *Server) SetURLPrefixes(given ...string) error {
	prefixes, err := normalPrefixes(given)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != open {
		return errors.New("ostler: the queue is not open")
	}
	if err := s.instance.SetURLPrefixes(prefixes); err != nil {
		return err
	}
	s.prefixes = prefixes
	s.tell(wire.AppendPrefixes(nil, prefixes))
	return nil
}

// tell says something on every channel. The mutex is held.
func (s *Server) tell(message []byte) {
	say := func(control *net.UnixConn) {
		// A front that does not read does not hold this process up.
		_ = control.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		_, _ = control.Write(message)
	}
	for channel := range s.channels {
		say(channel.control)
	}
	for control := range s.relayChannels {
		say(control)
	}
}

// Shutdown takes no new request, waits until everything that was begun is answered, and returns. What was not
// begun goes to another process that serves the queue, or waits for the next one. Connections that were switched
// to another protocol are not waited for. When the context is done before, what is left is as after Close, and the
// context's error is returned.
func (s *Server) Shutdown(ctx context.Context) error {
	if !s.drain() {
		return nil
	}
	defer s.Close()
	relayed := make(chan error, 1)
	go func() { relayed <- s.relayed.Shutdown(ctx) }()
	looks := time.NewTicker(5 * time.Millisecond)
	defer looks.Stop()
	for !s.isDrained() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-looks.C:
		}
	}
	return <-relayed
}

// drain leaves the queue and says so; false if it was left already.
func (s *Server) drain() bool {
	s.mu.Lock()
	if s.state != open {
		s.mu.Unlock()
		return false
	}
	s.state = draining
	s.stopping.Store(true)
	instance := s.instance
	s.mu.Unlock()
	// Nobody finds this process any more, and then nobody is accepted.
	instance.Leave()
	instance.Listener.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tell(wire.AppendDraining(nil))
	return true
}

func (s *Server) isDrained() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for channel := range s.channels {
		if !channel.isDrained() {
			return false
		}
	}
	return true
}

// Close ends everything at once: what was begun is cut off, as if the process had died.
func (s *Server) Close() error {
	s.drain()
	s.mu.Lock()
	if s.state == closed || s.state == notOpen {
		s.state = closed
		s.mu.Unlock()
		return nil
	}
	s.state = closed
	var channels []*channel
	for channel := range s.channels {
		channels = append(channels, channel)
	}
	for control := range s.relayChannels {
		control.Close()
	}
	s.mu.Unlock()
	for _, channel := range channels {
		channel.end()
	}
	s.delegated.Close()
	s.relayed.Close()
	s.arrivals.Close()
	s.relays.Close()
	s.poller.Close()
	close(s.over)
	return nil
}

// descriptors is how many this process may have.
func descriptors() uint64 {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 1024
	}
	return limit.Cur
}

func (s *Server) maxConnections() uint32 {
	if s.MaxConnections > 0 {
		return uint32(min(s.MaxConnections, 1<<20))
	}
	return uint32(min(max(descriptors()/2, 1), 1<<20))
}

// handover is a listener whose connections are accepted elsewhere.
type handover struct {
	mu     sync.Mutex
	some   sync.Cond
	queue  []net.Conn
	closed bool
}

func newHandover() *handover {
	h := &handover{}
	h.some.L = &h.mu
	return h
}

func (h *handover) push(c net.Conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.queue = append(h.queue, c)
	h.some.Signal()
	return true
}

// Accept is the next connection.
func (h *handover) Accept() (net.Conn, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.queue) == 0 && !h.closed {
		h.some.Wait()
	}
	if len(h.queue) == 0 {
		return nil, net.ErrClosed
	}
	next := h.queue[0]
	h.queue = h.queue[1:]
	return next, nil
}

// Close ends accepting.
func (h *handover) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.some.Broadcast()
	return nil
}

// Addr is none.
func (h *handover) Addr() net.Addr { return queueAddress{} }

type queueAddress struct{}

func (queueAddress) Network() string { return "ostler" }
func (queueAddress) String() string  { return "request queue" }
