//go:build linux && (amd64 || arm64)

package ostler

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ostler-proxy/ostler/bindings/go/internal/socket"
	"github.com/ostler-proxy/ostler/bindings/go/internal/wire"
)

var errOver = errors.New("ostler: the exchange is over")

// Write takes what net/http writes: heads and bodies of responses, and what an application says after Hijack.
func (c *conn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	r := &c.x.response
	for rest := p; len(rest) > 0; {
		if err := c.mayWrite(); err != nil {
			return 0, err
		}
		if r.final {
			if err := c.writeBody(rest); err != nil {
				return 0, err
			}
			break
		}
		head, taken := r.takeHead(rest)
		rest = rest[taken:]
		if head == nil {
			break
		}
		var err error
		if rest, err = c.writeHead(head, rest); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// mayWrite says why nothing can be written any more.
func (c *conn) mayWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return net.ErrClosed
	case c.phase == idle, c.phase == over:
		return errOver
	case c.gone && c.phase != detached:
		return unix.EPIPE
	case c.x.failed && !c.x.response.begun:
		// What stood in a buffer when the handler panicked is not what is answered.
		return errOver
	}
	return nil
}

// writeHead writes a head, and what of a body came with it; what it has not written is returned.
func (c *conn) writeHead(head, rest []byte) ([]byte, error) {
	r := &c.x.response
	status, err := statusOf(head)
	if err != nil {
		return nil, err
	}
	if isInterim(status) {
		return rest, c.writeInterim(head, status)
	}
	c.mu.Lock()
	if c.phase == over {
		c.mu.Unlock()
		return nil, errOver
	}
	r.begun = true
	closes := c.mustClose()
	request := &c.x.request
	c.mu.Unlock()
	r.begin(head, status, request.Flags)
	c.channel.setState(c.x.key, stateResponding, 0)
	if c.stream != nil {
		rest, err = c.stream.writeHead(c, head, status, rest)
	} else {
		rest, err = c.sendHead(head, status, closes && !r.switched, rest)
	}
	if err == nil && r.switched {
		c.mu.Lock()
		if c.phase == hijacked {
			c.detach()
		} else {
			c.mu.Unlock()
		}
	}
	return rest, err
}

func (c *conn) sendHead(head []byte, status int, closes bool, rest []byte) ([]byte, error) {
	r := &c.x.response
	r.recode = r.chunks != nil && c.x.request.Transforms.OfTrailers()
	out := c.changed(head, status, closes)
	if r.recode {
		return rest, c.sendAll(out, true)
	}
	r.bodySent += int64(len(rest))
	switch {
	case len(rest) == 0:
		return nil, c.sendAll(out, false)
	case len(out) == len(head) && &out[0] == &head[0] && cap(head) >= len(head)+len(rest) && adjoin(head, rest):
		// They stand one behind the other in what net/http has written.
		return nil, c.sendAll(head[:len(head)+len(rest)], false)
	case len(rest) <= 16<<10:
		return nil, c.sendAll(append(out[:len(out):len(out)], rest...), false)
	}
	if err := c.sendAll(out, true); err != nil {
		return nil, err
	}
	return nil, c.sendAll(rest, false)
}

// adjoin says whether b follows a in one array, of which a has room for both.
func adjoin(a, b []byte) bool { return &a[:len(a)+1][len(a)] == &b[0] }

func (c *conn) writeInterim(head []byte, status int) error {
	if status == http.StatusContinue {
		c.mu.Lock()
		c.x.readsBody, c.x.isAwaited = true, true
		c.mu.Unlock()
		c.channel.setState(c.x.key, stateBody|stateAwaited, 0)
	} else if c.stream == nil {
		c.channel.setState(c.x.key, stateResponding, 0)
	}
	if c.stream != nil {
		return c.stream.writeInterim(c, head, status)
	}
	return c.sendAll(head, false)
}

// mustClose says whether the connection cannot be kept behind the response, whatever it is. The mutex is held.
func (c *conn) mustClose() bool {
	x := &c.x
	return x.request.Flags&wire.MayKeep == 0 || c.orphaned || c.let || c.gone || x.bodyErr != nil ||
		len(x.leftover) > wire.MaxLeftover || x.closes
}

func (c *conn) writeBody(some []byte) error {
	r := &c.x.response
	if r.switched {
		if c.stream != nil {
			return c.stream.writeData(c, some, false)
		}
		return c.sendAll(some, false)
	}
	if c.stream != nil {
		return c.stream.writeBody(c, some)
	}
	r.bodySent += int64(len(some))
	if r.recode {
		var err error
		if some, err = c.recoded(some); err != nil {
			return err
		}
	}
	return c.sendAll(some, false)
}

// sendAll gives bytes to the socket, and waits where it takes none.
func (c *conn) sendAll(some []byte, more bool) error {
	for len(some) > 0 {
		count, err := c.sock.Send(some, more)
		some = some[max(count, 0):]
		if err := c.sent(count, err); err != nil {
			return err
		}
	}
	return nil
}

// sent notes what a call has sent, or waits for room.
func (c *conn) sent(count int, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if count > 0 {
		if c.x.firstNS == 0 {
			c.x.firstNS = monotonicNS()
		}
		c.x.response.bytes += uint64(count)
		return nil
	}
	if err == unix.EAGAIN {
		err = c.awaitRoom()
	}
	if err != nil && c.x.ending == wire.Answered {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.x.ending = wire.TimedOut
		} else {
			c.x.ending = wire.ClientGone
		}
	}
	return err
}

// awaitRoom waits until the socket takes bytes. The mutex is held, and given up meanwhile.
func (c *conn) awaitRoom() error {
	c.awaitsRoom = true
	if err := c.sock.AwaitWritable(); err != nil {
		return err
	}
	for c.awaitsRoom {
		if err := c.whyNotWait(); err != nil {
			return err
		}
		c.output.Wait()
	}
	return nil
}

// whyNotWait says why nobody waits to write any longer. The mutex is held.
func (c *conn) whyNotWait() error {
	switch {
	case c.closed:
		return net.ErrClosed
	case c.writeDeadline.isOver():
		return os.ErrDeadlineExceeded
	case c.phase == over:
		return errOver
	case c.gone && c.phase != detached:
		return unix.EPIPE
	}
	return nil
}

// ReadFrom has the kernel send a file; anything else is copied.
func (c *conn) ReadFrom(source io.Reader) (int64, error) {
	file, most := fileOf(source)
	c.writing.Lock()
	direct := file != nil && c.sock != nil && c.x.response.final && !c.x.response.recode && c.mayWrite() == nil
	if !direct {
		c.writing.Unlock()
		return io.Copy(struct{ io.Writer }{c}, source)
	}
	defer c.writing.Unlock()
	limited, _ := source.(*io.LimitedReader)
	total := int64(0)
	for most > 0 {
		count, err := c.sock.SendFile(file, min(most, socket.MaxSendFile))
		if err == io.EOF {
			break
		}
		if err == unix.EINVAL || err == unix.ENOSYS {
			// Not every file system can.
			copied, err := io.Copy(struct{ io.Writer }{unlocked{c}}, source)
			return total + copied, err
		}
		if count > 0 {
			most -= int64(count)
			total += int64(count)
			c.x.response.bodySent += int64(count)
			if limited != nil {
				limited.N -= int64(count)
			}
		}
		if err := c.sent(count, err); err != nil {
			return total, err
		}
	}
	return total, nil
}

// unlocked writes while the writing mutex is held.
type unlocked struct{ c *conn }

func (u unlocked) Write(p []byte) (int, error) {
	if err := u.c.writeBody(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// fileOf is the regular file behind a reader, and how much of it is wanted.
func fileOf(source io.Reader) (*os.File, int64) {
	most := int64(1<<63 - 1)
	if limited, ok := source.(*io.LimitedReader); ok {
		source, most = limited.R, limited.N
	}
	file, ok := source.(*os.File)
	if !ok {
		return nil, 0
	}
	if about, err := file.Stat(); err != nil || !about.Mode().IsRegular() {
		return nil, 0
	}
	return file, most
}

// connectionState follows what http.Server makes of a connection.
func connectionState(connection net.Conn, state http.ConnState) {
	c, ok := connection.(*conn)
	if !ok {
		return
	}
	switch state {
	case http.StateIdle:
		c.finish()
	case http.StateHijacked:
		c.hijack()
	}
}

// finish is the end of an exchange after which net/http would read the next request.
func (c *conn) finish() {
	c.mu.Lock()
	if c.phase != running {
		c.mu.Unlock()
		return
	}
	if c.stream != nil {
		c.mu.Unlock()
		c.stream.finish(c)
		return
	}
	if c.mustClose() || !c.x.bodyEnded() || !c.x.response.isWhole() {
		c.endByClosing()
		return
	}
	done := c.completion(wire.Keep)
	done.Leftover = c.x.leftover
	c.phase = idle
	rests := c.awaitsInput
	c.awaitsInput = false
	c.mu.Unlock()
	if rests {
		c.sock.Rest()
	}
	c.channel.complete(&done)
}

// hijack gives the connection to the application.
func (c *conn) hijack() {
	c.mu.Lock()
	if c.phase != running {
		c.mu.Unlock()
		return
	}
	c.phase = hijacked
	c.input.Broadcast()
	// What was said over the connection besides the exchange is the application's, too.
	c.x.afterwards = append(c.x.afterwards, c.x.leftover...)
	c.x.leftover = nil
	if c.x.response.switched {
		c.detach()
	} else {
		c.mu.Unlock()
	}
}

// detach is the exchange's end where another protocol is spoken from now on. The mutex is held, and given up. What
// is a stream goes on being one.
func (c *conn) detach() {
	c.stopTimer()
	if c.stream != nil {
		c.mu.Unlock()
		return
	}
	done := c.completion(wire.Detached)
	done.Ending = wire.Answered
	c.phase = detached
	c.mu.Unlock()
	c.channel.remove(c)
	c.channel.complete(&done)
}

func (c *conn) stopTimer() {
	if c.x.timer != nil {
		c.x.timer.Stop()
		c.x.timer = nil
	}
}

// completion is what the front is told of the exchange. The mutex is held.
func (c *conn) completion(disposition wire.Disposition) wire.Completed {
	c.stopTimer()
	x := &c.x
	return wire.Completed{
		Disposition:  disposition,
		Status:       uint16(x.response.status),
		Key:          x.key,
		BytesSent:    x.response.bytes,
		BodyReceived: x.received,
		ReceivedNS:   x.receivedNS,
		FirstByteNS:  x.firstNS,
		CompletedNS:  monotonicNS(),
		Ending:       x.ending,
	}
}

// Close ends the exchange, if there is one, and the connection.
func (c *conn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return net.ErrClosed
	}
	c.closed = true
	c.input.Broadcast()
	c.output.Broadcast()
	switch c.phase {
	case running, hijacked:
		switch {
		case c.stream != nil:
			c.mu.Unlock()
			c.stream.close(c)
		case c.x.failed && !c.x.aborted && !c.x.response.begun && !c.gone:
			c.answerInstead(http.StatusInternalServerError, wire.Answered)
			c.mu.Unlock()
		default:
			c.endByClosing()
		}
	case detached:
		c.mu.Unlock()
		c.closeSocket(true, false)
	case idle:
		c.mu.Unlock()
		c.channel.remove(c)
		c.release()
	default:
		c.mu.Unlock()
	}
	return nil
}

// CloseWrite ends this direction, for net/http that closes while the client still sends, and for applications
// after Hijack.
func (c *conn) CloseWrite() error {
	if c.sock == nil {
		return errors.ErrUnsupported
	}
	if err := c.awaitNotified(); err != nil {
		return err
	}
	c.sock.ShutdownWrite()
	return nil
}

// endByClosing ends an exchange whose connection cannot be kept. The mutex is held, and given up.
func (c *conn) endByClosing() {
	x := &c.x
	isWhole := !x.failed && !c.gone && x.response.isWhole() && (x.ending == wire.Answered || x.ending == wire.BadBody)
	if !isWhole && x.ending == wire.Answered {
		x.ending = wire.HandlerFailed
	}
	c.finishClosing(isWhole)
}

// finishClosing: the mutex is held, and given up.
func (c *conn) finishClosing(isWhole bool) {
	done := c.completion(wire.Close)
	// What is unread when the descriptor is closed has the kernel destroy the response on its way.
	listens := isWhole && (!c.x.bodyEnded() || c.x.bodyErr != nil)
	c.phase = over
	c.awaitsInput, c.awaitsRoom = false, false
	c.input.Broadcast()
	c.output.Broadcast()
	c.mu.Unlock()
	end := func() {
		c.closeSocket(isWhole, listens)
		c.channel.remove(c)
		c.channel.complete(&done)
	}
	if listens || c.tls != nil {
		go end()
	} else {
		end()
	}
}

const (
	// silence is how long a client that is listened to may say nothing, and patience how long it is listened to.
	silence  = 2 * time.Second
	patience = 30 * time.Second
)

// closeSocket ends the connection; one whose response is not whole at once, in both directions.
func (c *conn) closeSocket(isWhole, listens bool) {
	defer c.sock.Close()
	if !isWhole {
		c.sock.ShutdownBoth()
		return
	}
	if c.awaitNotified() != nil {
		return
	}
	c.sock.ShutdownWrite()
	if !listens {
		return
	}
	sink := make([]byte, 16<<10)
	last := time.Now().Add(patience)
	for {
		_, err := c.sock.Recv(sink)
		if err == unix.EAGAIN {
			err = c.awaitUntil(last, &c.awaitsInput, c.sock.AwaitReadable)
		}
		if err != nil {
			return
		}
	}
}

// awaitUntil waits for the poller, for `silence` at most and not beyond a time.
func (c *conn) awaitUntil(last time.Time, awaits *bool, ask func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	*awaits = true
	if err := ask(); err != nil {
		return err
	}
	until := time.Now().Add(silence)
	if until.After(last) {
		until = last
	}
	timer := time.AfterFunc(time.Until(until), c.wake)
	defer timer.Stop()
	for *awaits {
		if !time.Now().Before(until) {
			return os.ErrDeadlineExceeded
		}
		if awaits == &c.awaitsInput {
			c.input.Wait()
		} else {
			c.output.Wait()
		}
	}
	return nil
}

// awaitNotified says to a client over TLS that all has been sent, once there is room to say it.
func (c *conn) awaitNotified() error {
	if c.tls == nil {
		return nil
	}
	last := time.Now().Add(patience)
	for {
		err := c.sock.CloseNotify()
		if err == unix.EAGAIN {
			err = c.awaitUntil(last, &c.awaitsRoom, c.sock.AwaitWritable)
			if err == nil {
				continue
			}
		}
		return err
	}
}

// timeOut is the end of an exchange whose time is over.
func (c *conn) timeOut(key wire.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.x.key != key || (c.phase != running && c.phase != hijacked) || c.x.response.switched {
		return
	}
	status := int(c.x.request.Limits.Status)
	if status < 200 || status > 999 {
		status = http.StatusGatewayTimeout
	}
	c.answerInstead(status, wire.TimedOut)
}

// answerInstead answers in the place of the handler, whose response has not begun, or else breaks it off. The mutex
// is held.
func (c *conn) answerInstead(status int, ending wire.Ending) {
	if c.phase == over {
		return
	}
	isAnswer := !c.x.response.begun && !c.gone && c.writing.TryLock()
	c.x.ending = ending
	if isAnswer {
		c.x.response.begun = true
		c.x.response.status = status
		c.channel.setState(c.x.key, stateResponding, 0)
		// It is short, and nothing stands before it in the socket.
		c.x.response.final, c.x.response.hasBody = true, false
		if count, err := c.sock.Send(c.changed(bare(status), status, true), false); err == nil {
			c.x.firstNS = monotonicNS()
			c.x.response.bytes = uint64(count)
		}
		c.writing.Unlock()
	}
	if c.cancelContext != nil {
		c.cancelContext()
	}
	c.finishClosing(isAnswer)
	c.mu.Lock()
}
