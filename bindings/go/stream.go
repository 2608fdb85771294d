//go:build linux && (amd64 || arm64)

package ostler

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/ostler-proxy/ostler/bindings/go/internal/wire"
)

// stream is an exchange of a client that has no socket which could be handed over: its bytes travel in the two
// rings (section 18). net/http sees it as a connection all the same, with one exchange. Its fields are guarded by
// the connection's mutex.
type stream struct {
	// pieces of the request's body that nobody has read. ended: no more come, but for the trailers.
	pieces   [][]byte
	ended    bool
	trailers []wire.Field
	endTold  bool
	// window is what the front may still send; taken, what was read since it was last told.
	window, taken int
	// credit is what may be sent to the front.
	credit int
	// small are the bytes of the ring that small entries have taken since there were none in it, and smallEnd
	// is the number of the last of them. Both are guarded by channel.sending.
	small    int
	smallEnd uint64
}

// takeStream begins a stream.
func (c *channel) takeStream(entry *wire.FrontEntry) error {
	key := entry.Key
	if !c.begin(key) || c.giveBackIf(key, c.server.stopping.Load()) {
		return nil
	}
	made := newConn(c, key.Slot, key.Generation, entry.Request.Facts, entry.Request.TLS)
	made.stream = &stream{credit: c.window(), window: c.window()}
	c.mu.Lock()
	old := c.conns[key.Slot]
	c.conns[key.Slot] = made
	c.mu.Unlock()
	if old != nil {
		old.letGo()
	}
	return made.begin(entry)
}

// window is how much of a body may be under way.
func (c *channel) window() int { return int(min(65536, c.own.Capacity()/2)) }

// takeOfStream takes in what is said of a stream.
func (c *channel) takeOfStream(entry *wire.FrontEntry) error {
	conn := c.find(entry.Key.Slot, entry.Key.Generation)
	if conn == nil {
		// It may have ended here while this was on its way.
		return nil
	}
	conn.mu.Lock()
	defer conn.mu.Unlock()
	s := conn.stream
	switch {
	case s == nil:
		return fmt.Errorf("%w: an entry of a stream for a connection", wire.ErrMalformed)
	case conn.x.key != entry.Key || conn.phase == over:
		return nil
	case entry.Kind == wire.CreditEntry:
		if entry.Credit > uint32(c.own.Capacity()/2) || s.credit+int(entry.Credit) > int(c.own.Capacity()/2) {
			return fmt.Errorf("%w: credit for more than half of the ring", wire.ErrMalformed)
		}
		s.credit += int(entry.Credit)
		conn.output.Broadcast()
		return nil
	case s.ended:
		return fmt.Errorf("%w: more of a body that has ended", wire.ErrMalformed)
	case entry.Kind == wire.TrailersEntry:
		s.trailers, s.ended = entry.Fields, true
	default:
		if err := s.arrive(entry.Data); err != nil {
			return err
		}
		s.ended = entry.Last
	}
	conn.input.Broadcast()
	return nil
}

func (s *stream) arrive(data []byte) error {
	if len(data) > s.window {
		return fmt.Errorf("%w: more of a body than there was credit for", wire.ErrMalformed)
	}
	s.window -= len(data)
	if len(data) > 0 {
		s.pieces = append(s.pieces, append([]byte(nil), data...))
	}
	return nil
}

// begin takes in what came of the body with the head. The mutex is held.
func (s *stream) begin(c *conn, prefix []byte) {
	_ = s.arrive(prefix[:min(len(prefix), s.window)])
	s.ended = c.x.request.PrefixIsAll || (c.x.request.Framing == 0 && c.x.request.Flags&(wire.WantsUpgrade|wire.IsConnect) == 0)
}

// fill puts what net/http is to read next in its place; false if there is nothing now. The mutex is held.
func (s *stream) fill(c *conn) (bool, error) {
	isBody := c.phase == running
	switch {
	case c.gone:
		return false, io.EOF
	case c.phase != running && c.phase != hijacked:
		return false, nil
	case isBody && (c.x.request.Framing == 0 || c.x.request.Flags&(wire.WantsUpgrade|wire.IsConnect) != 0):
		return false, nil
	case len(s.pieces) > 0:
		piece := s.pieces[0]
		s.pieces = s.pieces[1:]
		c.in = c.in[:0]
		if isBody && c.x.request.Framing == wire.Chunked {
			c.in = append(strconv.AppendInt(c.in, int64(len(piece)), 16), "\r\n"...)
			c.in = append(append(c.in, piece...), "\r\n"...)
		} else {
			c.in = append(c.in, piece...)
		}
		c.x.received += uint64(len(piece))
		s.giveCredit(c, len(piece))
		return true, nil
	case !s.ended:
		return false, nil
	case !isBody:
		return false, io.EOF
	case s.endTold:
		return false, nil
	}
	s.endTold = true
	if c.x.request.Framing != wire.Chunked {
		if c.x.received < c.x.request.Framing {
			return false, io.ErrUnexpectedEOF
		}
		return false, nil
	}
	c.in = append(c.in[:0], joinHead([]byte("0"), s.trailers)...)
	return true, nil
}

// giveCredit has the front send more once it is worth an entry.
func (s *stream) giveCredit(c *conn, read int) {
	s.taken += read
	if s.ended || s.taken < c.channel.window()/4 {
		return
	}
	if !c.x.readsBody {
		// Up to here the front has a copy of all that it has sent.
		c.x.readsBody = true
		c.channel.setState(c.x.key, stateBody, 0)
	}
	s.window += s.taken
	entry := wire.AppendCredit(nil, c.x.key, uint32(s.taken))
	s.taken = 0
	c.channel.sending.Lock()
	c.channel.pushOrDefer(entry)
	c.channel.sending.Unlock()
}

// describe says of a request what its head, which is in the form of HTTP/1.1, does not. One that asks for another
// protocol keeps that form, since its fields mean what they mean there.
func (s *stream) describe(c *conn, w http.ResponseWriter, r *http.Request) {
	if c.x.request.ClientVersion == 20 && c.x.request.Flags&wire.WantsUpgrade == 0 {
		r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
		// Handlers may go on reading once they have begun to answer, which over HTTP/1.1 they have to ask for.
		_ = http.NewResponseController(w).EnableFullDuplex()
	}
}

// push puts an entry into the ring, and waits for room.
func (c *channel) push(parts ...[]byte) error { return c.pushSmall(nil, 0, parts...) }

// pushSmall puts an entry into the ring that takes `size` bytes of it, once not too many small ones of its stream are
// there.
func (c *channel) pushSmall(s *stream, size int, parts ...[]byte) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	for !c.dead.Load() {
		if len(c.deferred) == 0 && (s == nil || s.hasRoomFor(size, c)) {
			sent, err := c.producer.Push(parts...)
			if sent && s != nil {
				s.small += size
				s.smallEnd = c.producer.Pushed()
			}
			if err != nil || sent {
				c.waker.Wake()
				return err
			}
		}
		c.askForRoom()
		c.room.Wait()
	}
	return errOver
}

// hasRoomFor says whether another small entry may stand in the ring: no more of a stream's wait there than a quarter
// of it has room for, for credit counts the bytes of a body and not what stands around each piece.
func (s *stream) hasRoomFor(size int, c *channel) bool {
	if s.small > 0 && c.producer.AllTaken(s.smallEnd) {
		s.small = 0
	}
	return s.small+size <= int(c.own.Capacity()/4)
}

// streamFields are a response's fields as the front is told of them: those that are about the connection are the
// front's to say.
func (r *response) streamFields(given []wire.Field) []wire.Field {
	fields := make([]wire.Field, 0, len(given))
	for _, field := range given {
		field.Name = strings.ToLower(field.Name)
		switch field.Name {
		case "transfer-encoding", "keep-alive":
			continue
		case "connection", "upgrade":
			if !r.switched {
				continue
			}
		case "content-length":
			if r.hasBody {
				continue
			}
		}
		fields = append(fields, field)
	}
	return fields
}

func (s *stream) writeInterim(c *conn, head []byte, status int) error {
	_, given := splitHead(head)
	fields := (&response{}).streamFields(given)
	return c.channel.push(wire.AppendHead(nil, c.x.key, uint16(status), wire.UnknownLength, fields, false))
}

// writeHead writes a final head, and as much of the body as stands behind it; the rest is returned.
func (s *stream) writeHead(c *conn, head []byte, status int, rest []byte) ([]byte, error) {
	r := &c.x.response
	_, given := splitHead(head)
	length := wire.UnknownLength
	if r.length >= 0 {
		length = uint64(r.length)
	}
	last := false
	if !r.switched && (!r.hasBody || r.length == 0) {
		length, last = 0, true
	}
	var data []byte
	if r.hasBody && r.length > 0 {
		data = rest[:s.take(c, min(len(rest), int(r.length)))]
		last = int64(len(data)) == r.length
	}
	entry := wire.AppendHead(nil, c.x.key, uint16(status), length, r.streamFields(given), last)
	if len(entry)+len(data) > c.channel.own.MaxPayload() {
		s.giveBack(c, len(data))
		data, last = nil, last && r.length <= 0
		entry = wire.AppendHead(nil, c.x.key, uint16(status), length, r.streamFields(given), last)
	}
	r.ended = last
	if err := c.channel.push(entry, data); err != nil {
		s.breakOff(c)
		return nil, err
	}
	s.count(c, len(data))
	return rest[len(data):], nil
}

// breakOff: the response cannot be told whole.
func (s *stream) breakOff(c *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.x.failed, c.x.aborted = true, true
}

// take takes credit for bytes that are to be sent, as much as there is.
func (s *stream) take(c *conn, most int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := min(most, s.credit)
	s.credit -= taken
	return taken
}

func (s *stream) giveBack(c *conn, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.credit += bytes
}

func (s *stream) count(c *conn, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.x.firstNS == 0 {
		c.x.firstNS = monotonicNS()
	}
	c.x.response.bytes += uint64(bytes)
	c.x.response.bodySent += int64(bytes)
}

// writeBody writes what net/http makes of a body, whose chunks are undone.
func (s *stream) writeBody(c *conn, some []byte) error {
	r := &c.x.response
	if !r.hasBody {
		return nil
	}
	if r.chunks == nil {
		last := r.length >= 0 && r.bodySent+int64(len(some)) == r.length
		return s.writeData(c, some, last)
	}
	for len(some) > 0 && !r.chunks.Ended() {
		data, taken, err := r.chunks.Next(some)
		if err != nil {
			return err
		}
		some = some[taken:]
		if err := s.writeData(c, data, false); err != nil {
			return err
		}
	}
	if !r.chunks.Ended() || r.ended {
		return nil
	}
	r.ended = true
	var trailers []wire.Field
	for _, field := range fieldsOf(r.chunks.Trailers()) {
		trailers = append(trailers, wire.Field{Name: strings.ToLower(field.Name), Value: field.Value})
	}
	if len(trailers) > 0 {
		err := c.channel.push(wire.AppendTrailers(nil, c.x.key, trailers))
		if err != nil {
			s.breakOff(c)
		}
		return err
	}
	return c.channel.push(wire.AppendData(nil, c.x.key, true))
}

// writeData writes pieces of a body as there is credit for them.
func (s *stream) writeData(c *conn, data []byte, last bool) error {
	longest := c.channel.own.MaxPayload() - wire.DataOverhead
	for len(data) > 0 {
		count := s.take(c, min(len(data), longest))
		if count == 0 {
			c.mu.Lock()
			err := s.awaitCredit(c)
			c.mu.Unlock()
			if err != nil {
				return err
			}
			continue
		}
		ends := last && count == len(data)
		c.x.response.ended = c.x.response.ended || ends
		if err := s.pushData(c, wire.AppendData(nil, c.x.key, ends), data[:count]); err != nil {
			return err
		}
		s.count(c, count)
		data = data[count:]
	}
	return nil
}

// pushData puts a piece of a body into the ring.
func (s *stream) pushData(c *conn, entry, data []byte) error {
	if len(data) >= int(min(1024, c.channel.own.Capacity()/16)) {
		return c.channel.push(entry, data)
	}
	const lengthWord, rounding = 8, 7
	return c.channel.pushSmall(s, lengthWord+len(entry)+len(data)+rounding, entry, data)
}

// awaitCredit waits until something may be sent. The mutex is held, and given up meanwhile.
func (s *stream) awaitCredit(c *conn) error {
	for s.credit == 0 {
		if err := c.whyNotWait(); err != nil {
			return err
		}
		c.output.Wait()
	}
	return nil
}

// finish is the end of a response that net/http has written whole.
func (s *stream) finish(c *conn) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.x.response.final && !c.x.response.ended {
		c.x.response.ended = true
		_ = c.channel.push(wire.AppendData(nil, c.x.key, true))
	}
	c.mu.Lock()
	disposition := wire.Keep
	if !c.x.response.isWhole() || c.gone || c.x.failed {
		disposition = wire.Close
		if c.x.ending == wire.Answered {
			c.x.ending = wire.HandlerFailed
		}
	} else {
		c.x.ending = wire.Answered
	}
	s.end(c, disposition)
}

// end: the mutex is held, and given up.
func (s *stream) end(c *conn, disposition wire.Disposition) {
	done := c.completion(disposition)
	c.phase = over
	s.pieces = nil
	cancel := c.cancelContext
	c.input.Broadcast()
	c.output.Broadcast()
	c.mu.Unlock()
	c.channel.remove(c)
	c.channel.complete(&done)
	if cancel != nil {
		cancel()
	}
}

// close is the end of a stream whose connection net/http, or the application, closes.
func (s *stream) close(c *conn) {
	// Whoever writes is told that the connection is closed, and lets go of this.
	c.writing.Lock()
	defer c.writing.Unlock()
	r := &c.x.response
	c.mu.Lock()
	answers := c.x.failed && !c.x.aborted && !r.begun && !c.gone
	isWhole := !c.x.failed && !c.gone && (r.switched || r.isWhole()) && (r.chunks == nil || r.chunks.Ended())
	c.mu.Unlock()
	switch {
	case answers:
		status := http.StatusInternalServerError
		c.channel.setState(c.x.key, stateResponding, 0)
		_, fields := splitHead(bare(status))
		r.status = status
		isWhole = c.channel.push(wire.AppendHead(nil, c.x.key, uint16(status), 0, r.streamFields(fields), true)) == nil
	case isWhole && !r.ended:
		isWhole = c.channel.push(wire.AppendData(nil, c.x.key, true)) == nil
	}
	c.mu.Lock()
	if c.phase == over {
		c.mu.Unlock()
		return
	}
	if isWhole {
		c.x.ending = wire.Answered
		s.end(c, wire.Keep)
		return
	}
	if c.x.ending == wire.Answered {
		c.x.ending = wire.HandlerFailed
	}
	s.end(c, wire.Close)
}
