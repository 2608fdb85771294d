package wire

import (
	"encoding/binary"
	"fmt"
)

// MaxPacket and MaxDescriptors bound a message of the control socket.
const (
	MaxPacket      = 65536
	MaxDescriptors = 8
)

// FrontKind tells the messages of a front apart.
type FrontKind byte

// The messages of a front.
const (
	HelloRings            FrontKind = 1
	HelloRelay            FrontKind = 2
	Connection            FrontKind = 3
	RelayConnection       FrontKind = 4
	Goodbye               FrontKind = 5
	Query                 FrontKind = 6
	RelayTLSConnection    FrontKind = 7
	TLSConnection         FrontKind = 8
	SharedRelayConnection FrontKind = 9
)

// FrontMessage is a message of a front; which fields mean something depends on its kind.
type FrontMessage struct {
	Kind FrontKind
	// Of hellos.
	Minor          byte
	Version        uint16
	PID            uint32
	Capacity       uint64
	Slots          uint64
	Slot           uint32
	Generation     uint32
	Facts          Facts
	TLS            *TLS
	HasDescriptors int
}

// DecodeFront reads a message of a front.
func DecodeFront(packet []byte) (FrontMessage, error) {
	c := &cursor{rest: packet}
	m := FrontMessage{Kind: FrontKind(c.u8())}
	what := "a message of the front"
	switch m.Kind {
	case HelloRings, HelloRelay:
		what = "a hello"
		m.Minor, m.Version, m.PID = c.u8(), c.u16(), c.u32()
		if m.Version != Version && !c.short {
			// Of another version nothing else is known.
			return m, nil
		}
		if m.Kind == HelloRings {
			m.Capacity, m.Slots = c.u64(), c.u64()
			m.HasDescriptors = 4
		}
	case Connection, TLSConnection:
		what = "a connection"
		c.skip(3)
		m.Slot, m.Generation, m.Facts = c.u32(), c.u32(), c.facts()
		if m.Kind == TLSConnection {
			m.TLS = c.tls()
		}
		m.HasDescriptors = 1
		if m.Generation == 0 && !c.short {
			return m, malformed("a connection of generation 0")
		}
	case RelayConnection, RelayTLSConnection:
		what = "a relayed connection"
		m.Facts = c.facts()
		if m.Kind == RelayTLSConnection {
			m.TLS = c.tls()
		}
		m.HasDescriptors = 1
	case SharedRelayConnection:
		m.HasDescriptors = 1
	case Goodbye, Query:
	default:
		return m, malformed(fmt.Sprintf("a message of kind %d", m.Kind))
	}
	return m, c.end(what)
}

// AppendWelcome writes the answer to a hello.
func AppendWelcome(out []byte, minor byte, pid, connections uint32, label string, prefixes []string) []byte {
	out = append(out, 1, minor)
	out = binary.LittleEndian.AppendUint16(out, Version)
	out = binary.LittleEndian.AppendUint32(out, pid)
	out = binary.LittleEndian.AppendUint32(out, connections)
	out = appendText(out, label)
	return appendTexts(out, prefixes)
}

// AppendRefused writes why a channel is not opened.
func AppendRefused(out []byte, why string) []byte {
	return appendText(append(out, 2), why)
}

// AppendDraining says that no further request is taken.
func AppendDraining(out []byte) []byte { return append(out, 3) }

// AppendPrefixes writes all URL prefixes from now on.
func AppendPrefixes(out []byte, prefixes []string) []byte {
	return appendTexts(append(out, 4), prefixes)
}

// Info is what an instance answers to a query.
type Info struct {
	Waiting, Active, Completed uint64
	Channels                   uint32
}

// AppendInfo writes the answer to a query.
func AppendInfo(out []byte, info Info) []byte {
	out = append(out, 5)
	out = binary.LittleEndian.AppendUint64(out, info.Waiting)
	out = binary.LittleEndian.AppendUint64(out, info.Active)
	out = binary.LittleEndian.AppendUint64(out, info.Completed)
	return binary.LittleEndian.AppendUint32(out, info.Channels)
}

func appendTexts(out []byte, texts []string) []byte {
	out = binary.LittleEndian.AppendUint16(out, uint16(len(texts)))
	for _, text := range texts {
		out = appendText(out, text)
	}
	return out
}
