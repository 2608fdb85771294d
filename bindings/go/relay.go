//go:build linux && (amd64 || arm64)

package ostler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ostler-proxy/ostler/bindings/go/internal/wire"
)

// relayed is a connection over which a front speaks HTTP/1.1 for its clients.
type relayed struct {
	net.Conn
	// client is whose it is; nil where each request says so.
	client *wire.RelayedClient
}

type relayedKey struct{}

func (r *relayed) context(ctx context.Context) context.Context {
	return context.WithValue(ctx, relayedKey{}, r)
}

// RemoteAddr is the client's, where there is one.
func (r *relayed) RemoteAddr() net.Addr {
	if r.client == nil {
		return queueAddress{}
	}
	return addressOf(r.client.Facts.Client)
}

// LocalAddr is what the client has connected to.
func (r *relayed) LocalAddr() net.Addr {
	if r.client == nil {
		return queueAddress{}
	}
	return addressOf(r.client.Facts.Local)
}

func addressOf(address netip.AddrPort) net.Addr {
	if !address.IsValid() {
		return queueAddress{}
	}
	return net.TCPAddrFromAddrPort(address)
}

// openRelay answers a front that sends connections over which it speaks HTTP/1.1.
func (s *Server) openRelay(control *net.UnixConn, raw syscall.RawConn, receiver *receiver, hello wire.FrontMessage) error {
	minor := min(hello.Minor, wire.Minor)
	s.mu.Lock()
	if s.state != open {
		s.mu.Unlock()
		return errors.New("this instance stops")
	}
	welcome := wire.AppendWelcome(nil, minor, uint32(os.Getpid()), s.maxConnections(), s.label(), s.prefixes)
	_, err := control.Write(welcome)
	if err == nil {
		s.relayChannels[control] = struct{}{}
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	go func() {
		err := s.takeRelayed(raw, receiver, minor)
		if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, unix.ECONNRESET) {
			s.logf("ostler: a front misbehaves; its channel ends: %v", err)
		}
		control.Close()
		s.mu.Lock()
		delete(s.relayChannels, control)
		s.mu.Unlock()
	}()
	return nil
}

// takeRelayed takes connections in until the control socket ends.
func (s *Server) takeRelayed(raw syscall.RawConn, receiver *receiver, minor byte) error {
	for {
		p, err := receiver.wait(raw)
		if err != nil {
			return err
		}
		made := &relayed{}
		switch p.message.Kind {
		case wire.Goodbye:
			continue
		case wire.RelayConnection, wire.RelayTLSConnection:
			made.client = &wire.RelayedClient{Facts: p.message.Facts, TLS: p.message.TLS, SentTrailers: true, ByHTTPS: p.message.TLS != nil}
		case wire.SharedRelayConnection:
			if minor < 2 {
				err = fmt.Errorf("%w: a shared connection below minor version 2", wire.ErrMalformed)
			}
		default:
			err = fmt.Errorf("%w: a message of kind %d on a channel without rings", wire.ErrMalformed, p.message.Kind)
		}
		if err != nil {
			p.closeDescriptors()
			return err
		}
		if p.isCut {
			// The front sees it closed, and tries elsewhere.
			p.closeDescriptors()
			continue
		}
		file := os.NewFile(uintptr(p.descriptors[0]), "relayed")
		made.Conn, err = net.FileConn(file)
		file.Close()
		if err != nil {
			s.logf("ostler: a relayed connection cannot be taken: %v", err)
			continue
		}
		if !s.relays.push(made) {
			made.Close()
		}
	}
}

// serveRelayed hands a request that a front has relayed to the application, as that of its client.
func (s *Server) serveRelayed(w http.ResponseWriter, r *http.Request) {
	connection, ok := r.Context().Value(relayedKey{}).(*relayed)
	if !ok {
		http.Error(w, "400 Bad Request", http.StatusBadRequest)
		return
	}
	client := connection.client
	if client == nil {
		values := r.Header[wire.ClientField]
		delete(r.Header, wire.ClientField)
		if len(values) != 1 {
			http.Error(w, "400 Bad Request", http.StatusBadRequest)
			return
		}
		said, err := wire.DecodeClient(values[0])
		if err != nil {
			http.Error(w, "400 Bad Request", http.StatusBadRequest)
			return
		}
		if !said.SentTrailers {
			r.Header.Del("Te")
		}
		client = &said
		r.RemoteAddr = addressOf(client.Facts.Client).String()
	}
	r.TLS = tlsState(client.TLS)
	info := &relayedInfo{client.Facts.AcceptedNS, time.Now(), client.ByHTTPS}
	ctx := context.WithValue(r.Context(), infoKey{}, info)
	ctx = context.WithValue(ctx, http.LocalAddrContextKey, addressOf(client.Facts.Local))
	s.handler().ServeHTTP(w, r.WithContext(ctx))
}

type relayedInfo struct {
	accepted uint64
	received time.Time
	byHTTPS  bool
}

func (i *relayedInfo) info() Info {
	return Info{Arrival: Relayed, Scheme: scheme(i.byHTTPS), Accepted: timeOf(i.accepted), Received: i.received}
}
