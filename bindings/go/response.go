//go:build linux && (amd64 || arm64)

package ostler

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ostler-proxy/ostler/bindings/go/internal/chunked"
	"github.com/ostler-proxy/ostler/bindings/go/internal/wire"
)

// response is what is known of a response while net/http writes it. But for `begun` and the counts it is
// whoever's holds conn.writing.
type response struct {
	// head that is not whole yet.
	head []byte
	// begun: bytes of it may have been sent. final: its head, no interim one, was written.
	begun, final bool
	status       int
	// length of the body, or -1; bodySent of it were written.
	length, bodySent int64
	// hasBody is false of responses to HEAD, and of those whose status says so.
	hasBody bool
	// chunks are undone where they do not leave as they are; recode says that they are made again.
	chunks *chunked.Decoder
	recode bool
	// switched: what follows the head is another protocol.
	switched bool
	// ended: a stream's body has been ended.
	ended bool
	// bytes that the client's socket, or the ring, was given.
	bytes uint64
}

// takeHead takes bytes of a head; it is returned once it is whole.
func (r *response) takeHead(some []byte) (head []byte, taken int) {
	if len(r.head) == 0 {
		if end := bytes.Index(some, []byte("\r\n\r\n")); end >= 0 {
			return some[:end+4], end + 4
		}
		r.head = append(r.head, some...)
		return nil, len(some)
	}
	before := len(r.head)
	r.head = append(r.head, some...)
	end := bytes.Index(r.head[max(before-3, 0):], []byte("\r\n\r\n"))
	if end < 0 {
		return nil, len(some)
	}
	whole := max(before-3, 0) + end + 4
	head = r.head[:whole]
	r.head = nil
	return head, whole - before
}

// statusOf is the status of a head.
func statusOf(head []byte) (int, error) {
	if len(head) > 12 && bytes.HasPrefix(head, []byte("HTTP/1.")) && head[8] == ' ' {
		if status, err := strconv.Atoi(string(head[9:12])); err == nil && status >= 100 {
			return status, nil
		}
	}
	line, _, _ := bytes.Cut(head, []byte("\r\n"))
	return 0, fmt.Errorf("ostler: a response does not begin with %q", line)
}

func isInterim(status int) bool { return status < 200 && status != http.StatusSwitchingProtocols }

// fieldsOf are the fields of a head or of trailers, line by line.
func fieldsOf(lines []byte) []wire.Field {
	var fields []wire.Field
	for len(lines) > 0 {
		var line []byte
		line, lines, _ = bytes.Cut(lines, []byte("\r\n"))
		name, value, ok := strings.Cut(string(line), ":")
		if ok {
			fields = append(fields, wire.Field{Name: name, Value: strings.Trim(value, " \t")})
		}
	}
	return fields
}

// splitHead is a head's first line, and its fields.
func splitHead(head []byte) (line []byte, fields []wire.Field) {
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	return line, fieldsOf(rest)
}

func joinHead(line []byte, fields []wire.Field) []byte {
	out := append(append(make([]byte, 0, 512), line...), "\r\n"...)
	for _, field := range fields {
		out = append(append(append(append(out, field.Name...), ": "...), field.Value...), "\r\n"...)
	}
	return append(out, "\r\n"...)
}

// begin notes of a final head how the body is framed.
func (r *response) begin(head []byte, status int, flags wire.Flags) {
	r.final = true
	r.status = status
	r.hasBody = flags&wire.IsHead == 0 && status >= 200 && status != 204 && status != 304
	r.length = -1
	for lines := head; len(lines) > 0; {
		var line []byte
		line, lines, _ = bytes.Cut(lines, []byte("\r\n"))
		switch {
		case hasName(line, "content-length"):
			value := strings.TrimSpace(string(line[len("content-length:"):]))
			if length, err := strconv.ParseInt(value, 10, 64); err == nil && length >= 0 {
				r.length = length
			}
		case hasName(line, "transfer-encoding"):
			r.chunks = &chunked.Decoder{}
		}
	}
	if r.chunks != nil {
		r.length = -1
	}
	if !r.hasBody {
		r.chunks = nil
	}
	r.switched = status == http.StatusSwitchingProtocols || (flags&wire.IsConnect != 0 && status/100 == 2)
}

func hasName(line []byte, name string) bool {
	return len(line) > len(name) && line[len(name)] == ':' && strings.EqualFold(string(line[:len(name)]), name)
}

// isWhole says whether as much of the body was written as its head says.
func (r *response) isWhole() bool {
	return r.final && (!r.hasBody || r.length < 0 || r.bodySent == r.length)
}

// changed is a final head as the front wants it: its fields transformed, those that it has asked for added, and
// what becomes of the connection said.
func (c *conn) changed(head []byte, status int, closes bool) []byte {
	request := &c.x.request
	if request.Transforms.None() && len(request.Directives) == 0 && (!closes || saysClose(head)) {
		return head
	}
	line, given := splitHead(head)
	return joinHead(line, c.changedFields(given, status, closes))
}

func saysClose(head []byte) bool {
	for lines := head; len(lines) > 0; {
		var line []byte
		line, lines, _ = bytes.Cut(lines, []byte("\r\n"))
		if hasName(line, "connection") && strings.Contains(strings.ToLower(string(line)), "close") {
			return true
		}
	}
	return false
}

func (c *conn) changedFields(given []wire.Field, status int, closes bool) []wire.Field {
	request := &c.x.request
	isSwitch := status == http.StatusSwitchingProtocols
	// How the body ends, and what becomes of the connection, is nobody's but the one's who writes it.
	var framing, fields []wire.Field
	for _, field := range given {
		switch strings.ToLower(field.Name) {
		case "content-length", "transfer-encoding", "connection":
			framing = append(framing, field)
		case "upgrade":
			if isSwitch {
				framing = append(framing, field)
			} else {
				fields = append(fields, field)
			}
		default:
			fields = append(fields, field)
		}
	}
	if !request.Transforms.None() {
		fields = request.Transforms.Apply(status, fields, false)
		kept := fields[:0]
		for _, field := range fields {
			switch strings.ToLower(field.Name) {
			case "content-length", "transfer-encoding":
			case "connection":
				// One that transforms have set is obeyed.
				closes = closes || strings.Contains(strings.ToLower(field.Value), "close")
				c.x.closes = c.x.closes || closes
			default:
				kept = append(kept, field)
			}
		}
		fields = kept
	}
	for _, directive := range request.Directives {
		const once = "access-control-"
		if len(directive.Name) > len(once) && strings.EqualFold(directive.Name[:len(once)], once) {
			fields = wire.Without(fields, directive.Name)
		}
		fields = append(fields, directive)
	}
	if closes && !isSwitch {
		framing = append(wire.Without(framing, "connection"), wire.Field{Name: "Connection", Value: "close"})
	}
	return append(fields, framing...)
}

// recoded makes chunks again, since their trailers are to be changed.
func (c *conn) recoded(some []byte) ([]byte, error) {
	r := &c.x.response
	var out []byte
	for len(some) > 0 && !r.chunks.Ended() {
		data, taken, err := r.chunks.Next(some)
		if err != nil {
			return nil, err
		}
		some = some[taken:]
		if len(data) > 0 {
			out = append(strconv.AppendInt(out, int64(len(data)), 16), "\r\n"...)
			out = append(append(out, data...), "\r\n"...)
		}
	}
	if r.chunks.Ended() {
		trailers := c.x.request.Transforms.Apply(r.status, fieldsOf(r.chunks.Trailers()), true)
		out = append(out, joinHead([]byte("0"), trailers)...)
	}
	return out, nil
}

// bare is a response without a body.
func bare(status int) []byte {
	text := http.StatusText(status)
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		status, text, time.Now().UTC().Format(http.TimeFormat))
}
