// Package wire is what front and target say to each other, as bytes: messages of the control socket and
// entries of the rings. It is drawn in docs/delegation-protocol.md; sections in comments are that page's.
//
// Nothing here trusts a length, and decoders keep no reference to what they are given unless they say so.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Version is that of the protocol.
const Version = 3

// Minor is the highest minor version spoken here.
const Minor = 4

// ErrMalformed is what everything that no correct peer sends wraps.
var ErrMalformed = errors.New("malformed")

func malformed(what string) error {
	return fmt.Errorf("%w: %s", ErrMalformed, what)
}

// cursor takes fields off the front of some bytes. Once they have run out it gives zeros, and says so at
// the end.
type cursor struct {
	rest  []byte
	short bool
}

func (c *cursor) bytes(count int) []byte {
	if count < 0 || count > len(c.rest) {
		c.short = true
		c.rest = nil
		return nil
	}
	taken := c.rest[:count:count]
	c.rest = c.rest[count:]
	return taken
}

func (c *cursor) skip(count int) { c.bytes(count) }

func (c *cursor) u8() byte {
	if taken := c.bytes(1); taken != nil {
		return taken[0]
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if taken := c.bytes(2); taken != nil {
		return binary.LittleEndian.Uint16(taken)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if taken := c.bytes(4); taken != nil {
		return binary.LittleEndian.Uint32(taken)
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if taken := c.bytes(8); taken != nil {
		return binary.LittleEndian.Uint64(taken)
	}
	return 0
}

// text is a string as the protocol writes it: a length of 16 bits and UTF-8.
func (c *cursor) text() string {
	return string(c.bytes(int(c.u16())))
}

// end says whether everything was there and nothing was left over.
func (c *cursor) end(what string) error {
	switch {
	case c.short:
		return malformed(what + " is cut short")
	case len(c.rest) > 0:
		return malformed(fmt.Sprintf("%d bytes follow %s", len(c.rest), what))
	}
	return nil
}

func appendText(out []byte, text string) []byte {
	if len(text) > 0xFFFF {
		text = text[:0xFFFF]
	}
	out = binary.LittleEndian.AppendUint16(out, uint16(len(text)))
	return append(out, text...)
}
