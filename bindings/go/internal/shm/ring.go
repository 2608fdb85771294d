//go:build linux && (amd64 || arm64)

package shm

import (
	"encoding/binary"
	"fmt"
)

// Consumer takes entries out of the peer's ring.
type Consumer struct {
	own, peer *Region
	// position and count are what the own region says; kept here since nobody else writes them.
	position, count uint64
	// produced is how far the peer was when it was last looked at.
	produced uint64
}

// NewConsumer takes from the ring in peer; both regions are of one size.
func NewConsumer(own, peer *Region) *Consumer { return &Consumer{own: own, peer: peer} }

// IsEmpty looks whether there is nothing to be taken.
func (c *Consumer) IsEmpty() bool {
	return c.produced == c.position && c.peer.load(atProducerPosition) == c.position
}

// Taken is how many entries have been taken; Waiting how many have not, as the peer counts.
func (c *Consumer) Taken() uint64 { return c.count }

// Waiting is how many entries are in the ring.
func (c *Consumer) Waiting() uint64 {
	return c.peer.load(atEntriesProduced) - c.own.load(atEntriesConsumed)
}

// Pop appends the next entry to buffer; false when there is none.
func (c *Consumer) Pop(buffer []byte) ([]byte, bool, error) {
	if c.produced == c.position {
		produced := c.peer.load(atProducerPosition)
		if produced%8 != 0 || produced-c.position > c.peer.capacity {
			return buffer, false, broken(fmt.Sprintf("a producer at %d where the consumer is at %d", produced, c.position))
		}
		c.produced = produced
		if produced == c.position {
			return buffer, false, nil
		}
	}
	available := c.produced - c.position
	var word [8]byte
	c.copyOut(word[:], c.position)
	length := binary.NativeEndian.Uint64(word[:])
	if available < 8 || length > uint64(c.peer.MaxPayload()) || 8+round(length, 8) > available {
		return buffer, false, broken(fmt.Sprintf("an entry of %d bytes where there are %d", length, available))
	}
	begin := len(buffer)
	buffer = append(buffer, make([]byte, length)...)
	c.copyOut(buffer[begin:], c.position+8)
	c.position += 8 + round(length, 8)
	c.count++
	c.own.store(atEntriesConsumed, c.count)
	c.own.store(atConsumerPosition, c.position)
	return buffer, true, nil
}

func (c *Consumer) copyOut(out []byte, position uint64) {
	ring := c.peer.memory[c.peer.data:]
	at := position & (c.peer.capacity - 1)
	copied := copy(out, ring[at:])
	copy(out[copied:], ring)
}

// Producer puts entries into the own ring. It is for one goroutine at a time.
type Producer struct {
	own, peer       *Region
	position, count uint64
	// consumed is how far the peer was when it was last looked at.
	consumed uint64
}

// NewProducer puts into the ring in own.
func NewProducer(own, peer *Region) *Producer { return &Producer{own: own, peer: peer} }

// Push puts an entry of some parts into the ring; false when there is no room now.
func (p *Producer) Push(parts ...[]byte) (bool, error) {
	length := uint64(0)
	for _, part := range parts {
		length += uint64(len(part))
	}
	if length > uint64(p.own.MaxPayload()) {
		return false, fmt.Errorf("an entry of %d bytes is longer than the ring takes", length)
	}
	needed := 8 + round(length, 8)
	if p.position+needed-p.consumed > p.own.capacity {
		consumed := p.peer.load(atConsumerPosition)
		if consumed%8 != 0 || consumed-p.consumed > p.position-p.consumed {
			return false, broken(fmt.Sprintf("a consumer at %d where the producer is at %d", consumed, p.position))
		}
		p.consumed = consumed
		if p.position+needed-p.consumed > p.own.capacity {
			return false, nil
		}
	}
	var word [8]byte
	binary.NativeEndian.PutUint64(word[:], length)
	at := p.copyIn(word[:], p.position)
	for _, part := range parts {
		at = p.copyIn(part, at)
	}
	clear(word[:])
	p.copyIn(word[:p.position+needed-at], at)
	p.position += needed
	p.count++
	p.own.store(atEntriesProduced, p.count)
	p.own.store(atProducerPosition, p.position)
	return true, nil
}

func (p *Producer) copyIn(from []byte, position uint64) uint64 {
	ring := p.own.memory[p.own.data : p.own.data+int(p.own.capacity)]
	at := position & (p.own.capacity - 1)
	copied := copy(ring[at:], from)
	copy(ring, from[copied:])
	return position + uint64(len(from))
}

// AskForRoom sets the own pace mark, so that the peer tells once it has taken half of what is in the ring. Try
// once more behind it.
func (p *Producer) AskForRoom() {
	taken := p.peer.load(atEntriesConsumed)
	waiting := p.count - taken
	if waiting > p.count {
		waiting = 1
	}
	p.own.store(atPaceMark, taken+max(1, waiting/2))
}

// ForgetRoom takes the mark away.
func (p *Producer) ForgetRoom() { p.own.store(atPaceMark, 0) }

// Pushed is how many entries were put into the ring.
func (p *Producer) Pushed() uint64 { return p.count }

// AllTaken says whether the peer has taken the first so many of them.
func (p *Producer) AllTaken(count uint64) bool {
	return int64(p.peer.load(atEntriesConsumed)-count) >= 0
}
