package wire

import "encoding/binary"

// Disposition is what becomes of a connection (section 9).
type Disposition byte

// The dispositions.
const (
	Keep Disposition = iota
	Close
	Detached
	Returned
)

// Ending is how an exchange ended.
type Ending byte

// The endings.
const (
	Answered Ending = iota
	ClientGone
	HandlerFailed
	BadBody
	NotBegun
	TimedOut
)

// MaxLeftover is how much a completion may give back.
const MaxLeftover = 16384

// Completed is the end of an exchange.
type Completed struct {
	Disposition  Disposition
	Status       uint16
	Key          Key
	BytesSent    uint64
	BodyReceived uint64
	ReceivedNS   uint64
	FirstByteNS  uint64
	CompletedNS  uint64
	Ending       Ending
	Leftover     []byte
}

// AppendCompleted writes a completion, whose leftover is not longer than MaxLeftover.
func AppendCompleted(out []byte, done *Completed) []byte {
	out = append(out, 1, byte(done.Disposition))
	out = binary.LittleEndian.AppendUint16(out, done.Status)
	out = appendKey(out, done.Key)
	for _, number := range [...]uint64{
		done.BytesSent, done.BodyReceived, done.ReceivedNS, done.FirstByteNS, done.CompletedNS,
	} {
		out = binary.LittleEndian.AppendUint64(out, number)
	}
	out = append(out, byte(done.Ending), 0, 0, 0)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(done.Leftover)))
	return append(out, done.Leftover...)
}

func appendKey(out []byte, key Key) []byte {
	out = binary.LittleEndian.AppendUint32(out, key.Slot)
	out = binary.LittleEndian.AppendUint32(out, key.Generation)
	return binary.LittleEndian.AppendUint32(out, key.Exchange)
}
