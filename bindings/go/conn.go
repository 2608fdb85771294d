//go:build linux && (amd64 || arm64)

package ostler

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ostler-proxy/ostler/bindings/go/internal/chunked"
	"github.com/ostler-proxy/ostler/bindings/go/internal/socket"
	"github.com/ostler-proxy/ostler/bindings/go/internal/wire"
)

// conn is a client's connection as http.Server sees it. The head of each request that the front hands over is read
// from it, then the request's body, from the client's own socket, and not a byte more: net/http finds nothing
// behind the body until the next request is handed over. What http.Server writes is a response's head, which may be
// changed on its way, and its body.
//
// It ends an exchange by going idle, or by closing: both tell the front.
type conn struct {
	channel          *channel
	slot, generation uint32
	facts            wire.Facts
	tls              *wire.TLS
	sock             *socket.Socket
	// stream is what a connection without a socket has instead.
	stream *stream

	// cancelContext ends the context of all its requests, when the client is gone.
	cancelContext context.CancelFunc

	// writing is held by whoever sends.
	writing sync.Mutex

	mu sync.Mutex
	// input is waited on by who reads, output by who writes.
	input, output sync.Cond
	phase         phase
	// accepted: http.Server has it.
	accepted bool
	// gone: nobody is there to be answered. orphaned: the front is gone. let: the front has let go of it.
	gone, orphaned, let bool
	// closed: http.Server, or the application after Hijack, has closed it.
	closed bool
	// in stands before what is read from the socket.
	in []byte
	// awaitsInput and awaitsRoom: the poller was asked, and has not answered.
	awaitsInput, awaitsRoom     bool
	readDeadline, writeDeadline deadline
	x                           exchange
}

type phase int

const (
	idle phase = iota
	running
	// hijacked: the application has the connection, and the front still waits for the exchange's end.
	hijacked
	// detached: the front has nothing to do with it any more.
	detached
	// over: the exchange has ended, and the connection with it.
	over
)

// exchange is a request with its response.
type exchange struct {
	key        wire.Key
	request    wire.Request
	receivedNS uint64
	firstNS    uint64
	timer      *time.Timer

	// body of the request: what is left of a known length, or the decoder of chunks. err is why it is no more.
	left     uint64
	chunks   *chunked.Decoder
	received uint64
	bodyErr  error
	// leftover was read behind the body; afterwards stands behind the head of a request that asks for an
	// upgrade.
	leftover, afterwards []byte
	readsBody, isAwaited bool

	response response
	// failed: the handler has panicked; aborted likewise, and wants no answer.
	failed, aborted bool
	// closes: response transforms have said that the connection closes.
	closes bool
	// ending is what went wrong first.
	ending wire.Ending
}

func newConn(channel *channel, slot, generation uint32, facts wire.Facts, tls *wire.TLS) *conn {
	c := &conn{channel: channel, slot: slot, generation: generation, facts: facts, tls: tls}
	c.input.L, c.output.L = &c.mu, &c.mu
	c.readDeadline.wake, c.writeDeadline.wake = c.wake, c.wake
	return c
}

func (c *conn) useSocket(fd int) {
	c.sock = socket.New(fd, c.tls != nil, c.channel.server.poller, func() {
		c.mu.Lock()
		c.awaitsInput = false
		c.mu.Unlock()
		c.input.Broadcast()
	}, func() {
		c.mu.Lock()
		c.awaitsRoom = false
		c.mu.Unlock()
		c.output.Broadcast()
	})
}

func (c *conn) wake() {
	c.mu.Lock()
	//lint:ignore SA2001 whoever is about to wait holds it
	c.mu.Unlock()
	c.input.Broadcast()
	c.output.Broadcast()
}

// context is that of all requests of the connection.
func (c *conn) context(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	c.mu.Lock()
	c.cancelContext = cancel
	gone := c.gone
	c.mu.Unlock()
	if gone {
		cancel()
	}
	return context.WithValue(context.WithValue(ctx, connKey{}, c), infoKey{}, c)
}

type connKey struct{}

func (c *conn) info() Info {
	c.mu.Lock()
	defer c.mu.Unlock()
	arrival, byHTTPS := Delegated, c.tls != nil
	if c.stream != nil {
		arrival = Streamed
	}
	if c.stream != nil || c.x.request.IsForwarded {
		byHTTPS = c.x.request.ByHTTPS
	}
	return Info{
		Arrival:      arrival,
		Scheme:       scheme(byHTTPS),
		Accepted:     timeOf(c.facts.AcceptedNS),
		HeadReceived: timeOf(c.x.request.HeadReceivedNS),
		Queued:       timeOf(c.x.request.QueuedNS),
		Received:     timeOf(c.x.receivedNS),
	}
}

// begin begins an exchange that this process has taken.
func (c *conn) begin(entry *wire.FrontEntry) error {
	c.mu.Lock()
	if c.phase != idle || c.closed || c.let || c.gone {
		was := c.phase
		c.mu.Unlock()
		if was != idle && was != over {
			return errors.Join(wire.ErrMalformed, errors.New("a second request of a connection before the end of the first"))
		}
		c.channel.complete(&wire.Completed{Key: entry.Key, Disposition: wire.Returned, Ending: wire.NotBegun})
		return nil
	}
	c.phase = running
	c.x = exchange{key: entry.Key, request: entry.Request, receivedNS: monotonicNS()}
	c.x.response.length = -1
	request := &c.x.request
	c.in = append(c.in[:0], request.Head...)
	if c.stream != nil {
		c.stream.begin(c, request.Prefix)
	} else {
		c.beginBody(request.Prefix)
	}
	// They lie in what the next entry is read into.
	request.Head, request.Prefix = nil, nil
	first := !c.accepted
	c.accepted = true
	if at := request.Limits.DeadlineNS; at != wire.Never {
		key := entry.Key
		left := time.Duration(int64(at - min(at, c.x.receivedNS)))
		c.x.timer = time.AfterFunc(left, func() { c.timeOut(key) })
	}
	c.mu.Unlock()
	if !first {
		c.input.Broadcast()
	} else if !c.channel.server.arrivals.push(c) {
		c.Close()
	}
	return nil
}

// beginBody takes in what came of the body with the head. The mutex is held.
func (c *conn) beginBody(prefix []byte) {
	x := &c.x
	switch {
	case x.request.Framing == wire.Chunked:
		x.chunks = &chunked.Decoder{}
		taken := c.ofBody(prefix)
		c.in = append(c.in, prefix[:taken]...)
	case x.request.Framing == 0 || x.request.Flags&(wire.WantsUpgrade|wire.IsConnect) != 0:
		x.afterwards = append([]byte(nil), prefix...)
	default:
		x.left = x.request.Framing - uint64(len(prefix))
		x.received = uint64(len(prefix))
		c.in = append(c.in, prefix...)
	}
}

var errTooLarge = errors.New("the body is larger than the front allows")

// ofBody says how many of some bytes are the body's; what stands behind it is the leftover.
func (c *conn) ofBody(some []byte) int {
	x := &c.x
	if x.chunks == nil {
		x.left -= uint64(len(some))
		x.received += uint64(len(some))
		return len(some)
	}
	taken := 0
	for taken < len(some) && !x.chunks.Ended() && x.bodyErr == nil {
		_, count, err := x.chunks.Next(some[taken:])
		switch {
		case err != nil:
			x.bodyErr = err
		case x.chunks.Length > x.request.Limits.MostBody:
			x.bodyErr = errTooLarge
		default:
			taken += count
		}
	}
	x.received = x.chunks.Length
	if x.bodyErr == nil {
		x.leftover = append(x.leftover, some[taken:]...)
	}
	return taken
}

// bodyEnded says whether all of the request has been read.
func (x *exchange) bodyEnded() bool {
	if x.chunks != nil {
		return x.chunks.Ended()
	}
	return x.left == 0
}

// Read gives net/http what it is to see.
func (c *conn) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, net.ErrClosed
		case c.readDeadline.isOver():
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case len(c.in) > 0:
			count := copy(p, c.in)
			c.in = c.in[count:]
			return count, nil
		case c.phase == hijacked || c.phase == detached:
			if len(c.x.afterwards) > 0 {
				c.in, c.x.afterwards = c.x.afterwards, nil
				continue
			}
		case c.gone, c.phase == over, c.phase == idle && c.let:
			return 0, io.EOF
		}
		if c.stream != nil {
			some, err := c.stream.fill(c)
			if err != nil {
				return 0, err
			}
			if !some {
				c.input.Wait()
			}
			continue
		}
		limit, err := c.wanted(len(p))
		if err != nil {
			return 0, err
		}
		if limit == 0 || c.awaitsInput {
			c.input.Wait()
			continue
		}
		count, err := c.receive(p[:limit])
		if count > 0 || err != nil {
			return count, err
		}
	}
}

// wanted is how many bytes may be read from the socket now. The mutex is held.
func (c *conn) wanted(most int) (int, error) {
	x := &c.x
	switch {
	case c.phase == hijacked, c.phase == detached:
		return most, nil
	case c.phase != running || x.bodyEnded():
		return 0, nil
	case x.bodyErr != nil:
		err := x.bodyErr
		if err == errTooLarge {
			c.answerInstead(413, wire.BadBody)
		} else if x.ending == wire.Answered {
			x.ending = wire.BadBody
		}
		return 0, err
	case x.chunks != nil:
		return min(most, max(x.chunks.Certain(), 4096)), nil
	}
	return int(min(uint64(most), x.left)), nil
}

// receive reads from the socket; nothing without an error is to be tried again. The mutex is held, and given up
// meanwhile.
func (c *conn) receive(p []byte) (int, error) {
	key := c.x.key
	if c.phase == running && !c.x.readsBody {
		c.x.readsBody = true
		c.channel.setState(key, stateBody, 0)
	}
	c.mu.Unlock()
	count, err := c.sock.Recv(p)
	c.mu.Lock()
	if c.x.key != key || c.phase == over {
		return 0, net.ErrClosed
	}
	isBody := c.phase == running
	switch {
	case err == unix.EAGAIN:
		if isBody && !c.x.isAwaited {
			c.x.isAwaited = true
			c.channel.setState(key, stateAwaited, 0)
		}
		c.awaitsInput = true
		if err := c.sock.AwaitReadable(); err != nil {
			c.awaitsInput = false
			return 0, err
		}
		return 0, nil
	case isBody && c.x.isAwaited:
		c.x.isAwaited = false
		c.channel.setState(key, 0, stateAwaited)
	}
	if err == nil && isBody {
		count = c.ofBody(p[:count])
	}
	if err != nil && isBody {
		switch {
		case c.channel.isTooSlow(key):
			c.answerInstead(408, wire.TimedOut)
		case err == io.EOF:
			err = io.ErrUnexpectedEOF
		}
		if c.x.ending == wire.Answered {
			c.x.ending = wire.ClientGone
		}
	}
	return count, err
}

// cancel tells the handler that the client is gone.
func (c *conn) cancel(key wire.Key) {
	c.mu.Lock()
	if c.x.key != key || (c.phase != running && c.phase != hijacked) {
		c.mu.Unlock()
		return
	}
	c.lose()
	c.mu.Unlock()
}

// lose: nobody is there to be answered. The mutex is held.
func (c *conn) lose() {
	c.gone = true
	if c.x.ending == wire.Answered {
		c.x.ending = wire.ClientGone
	}
	if c.cancelContext != nil {
		c.cancelContext()
	}
	c.input.Broadcast()
	c.output.Broadcast()
}

// letGo is the end of the connection, since the front says so. An exchange that runs on it is cancelled.
func (c *conn) letGo() {
	c.mu.Lock()
	c.let = true
	isUnderWay := c.phase == running || c.phase == hijacked
	if isUnderWay {
		c.lose()
	}
	c.input.Broadcast()
	c.mu.Unlock()
	if !isUnderWay {
		c.release()
	}
}

// orphan: the front is gone. What is under way is finished; an idle connection ends.
func (c *conn) orphan() {
	c.mu.Lock()
	c.orphaned = true
	isIdle := c.phase == idle
	if isIdle {
		c.phase = over
	}
	if c.stream != nil {
		c.lose()
	}
	c.input.Broadcast()
	c.mu.Unlock()
	if isIdle {
		if c.sock != nil {
			_ = c.sock.CloseNotify()
		}
		c.release()
	}
}

// release lets go of the socket, unless it is the application's.
func (c *conn) release() {
	c.mu.Lock()
	keeps := c.phase == detached && !c.closed
	if c.phase == idle {
		c.phase = over
	}
	cancel := c.cancelContext
	c.mu.Unlock()
	if keeps {
		return
	}
	if c.sock != nil {
		c.sock.Close()
	}
	if cancel != nil {
		cancel()
	}
	c.input.Broadcast()
}

// LocalAddr is what the client has connected to.
func (c *conn) LocalAddr() net.Addr { return addressOf(c.facts.Local) }

// RemoteAddr is the client's.
func (c *conn) RemoteAddr() net.Addr { return addressOf(c.facts.Client) }

// SetDeadline is as of any connection.
func (c *conn) SetDeadline(at time.Time) error {
	_ = c.SetReadDeadline(at)
	return c.SetWriteDeadline(at)
}

// SetReadDeadline is as of any connection.
func (c *conn) SetReadDeadline(at time.Time) error {
	c.mu.Lock()
	c.readDeadline.set(at)
	c.mu.Unlock()
	c.input.Broadcast()
	return nil
}

// SetWriteDeadline is as of any connection.
func (c *conn) SetWriteDeadline(at time.Time) error {
	c.mu.Lock()
	c.writeDeadline.set(at)
	c.mu.Unlock()
	c.output.Broadcast()
	return nil
}

// deadline is a time after which calls fail.
type deadline struct {
	at    time.Time
	timer *time.Timer
	wake  func()
}

func (d *deadline) set(at time.Time) {
	d.at = at
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if left := time.Until(at); !at.IsZero() && left > 0 {
		d.timer = time.AfterFunc(left, d.wake)
	}
}

func (d *deadline) isOver() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// tlsState is what a client has said in its handshake, as net/http says it.
func tlsState(client *wire.TLS) *tls.ConnectionState {
	if client == nil {
		return nil
	}
	return &tls.ConnectionState{
		Version:           client.Version,
		HandshakeComplete: true,
		ServerName:        client.ServerName,
	}
}
