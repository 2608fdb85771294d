// Package chunked finds where a body in chunks ends (RFC 9112 section 7.1), strictly: what it takes for the end
// is the end for everybody.
package chunked

import "errors"

// ErrMalformed is what chunks that are none are.
var ErrMalformed = errors.New("malformed chunks")

const (
	maxExtension = 4 << 10
	maxTrailers  = 16 << 10
)

type state byte

const (
	inSize state = iota
	inExtension
	atSizeLF
	inData
	atDataCR
	atDataLF
	atLine
	inLine
	atLineLF
	atEndLF
	ended
)

// Decoder reads chunks. Its zero value stands before the first one.
type Decoder struct {
	state  state
	digits int
	left   uint64
	// Length of the body so far.
	Length    uint64
	extension int
	trailers  []byte
}

// Ended says whether the whole body, with its trailers, has been read.
func (d *Decoder) Ended() bool { return d.state == ended }

// Trailers are the lines of the trailer section, each with its CRLF.
func (d *Decoder) Trailers() []byte { return d.trailers }

// Certain is how many bytes are still to come at least.
func (d *Decoder) Certain() int {
	switch d.state {
	case inData:
		return int(min(d.left, 1<<30)) + len("\r\n0\r\n\r\n")
	case ended:
		return 0
	case inSize:
		return len("0\r\n\r\n") - min(d.digits, 1)
	}
	return 1
}

// Next reads from the front of b: `data` is a piece of the body, which lies in b, and `count` how many bytes were
// taken. Where the body has ended nothing is.
func (d *Decoder) Next(b []byte) (data []byte, count int, err error) {
	for count < len(b) && d.state != ended {
		if d.state == inData {
			take := int(min(d.left, uint64(len(b)-count)))
			data = b[count : count+take]
			d.left -= uint64(take)
			d.Length += uint64(take)
			if d.left == 0 {
				d.state = atDataCR
			}
			return data, count + take, nil
		}
		if !d.step(b[count]) {
			return nil, count, ErrMalformed
		}
		count++
	}
	return nil, count, nil
}

func (d *Decoder) step(b byte) bool {
	switch d.state {
	case inSize:
		return d.size(b)
	case inExtension:
		d.extension++
		if b == '\r' {
			d.state = atSizeLF
			return true
		}
		return d.extension <= maxExtension && (b >= ' ' || b == '\t') && b != 0x7F
	case atSizeLF:
		d.digits = 0
		d.state = inData
		if d.left == 0 {
			d.state = atLine
		}
		return b == '\n'
	case atDataCR:
		d.state = atDataLF
		return b == '\r'
	case atDataLF:
		d.state = inSize
		return b == '\n'
	case atLine:
		d.state = atEndLF
		return b == '\r' || d.line(b)
	case inLine:
		return d.line(b)
	case atLineLF:
		d.state = atLine
		d.trailers = append(d.trailers, "\r\n"...)
		return b == '\n'
	case atEndLF:
		d.state = ended
		return b == '\n'
	}
	return false
}

func (d *Decoder) size(b byte) bool {
	digit := uint64(0)
	switch {
	case '0' <= b && b <= '9':
		digit = uint64(b - '0')
	case 'a' <= b && b <= 'f':
		digit = uint64(b-'a') + 10
	case 'A' <= b && b <= 'F':
		digit = uint64(b-'A') + 10
	case d.digits == 0:
		return false
	case b == '\r':
		d.state = atSizeLF
		return true
	case b == ';', b == ' ', b == '\t':
		d.state = inExtension
		return true
	default:
		return false
	}
	d.digits++
	d.left = d.left<<4 | digit
	return d.digits <= 15
}

func (d *Decoder) line(b byte) bool {
	d.state = inLine
	if b == '\r' {
		d.state = atLineLF
		return true
	}
	d.trailers = append(d.trailers, b)
	return len(d.trailers) <= maxTrailers && b != '\n' && b != 0
}
