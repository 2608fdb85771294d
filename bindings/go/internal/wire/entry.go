package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Key is what an exchange is known by.
type Key struct{ Slot, Generation, Exchange uint32 }

// EntryKind tells the entries of both rings apart.
type EntryKind byte

// The entries of the front's ring, and of both.
const (
	RequestEntry    EntryKind = 1
	ClientGoneEntry EntryKind = 2
	ClosedEntry     EntryKind = 3
	StreamEntry     EntryKind = 4
	DataEntry       EntryKind = 5
	TrailersEntry   EntryKind = 6
	CreditEntry     EntryKind = 7
	// ForwardedEntry is a request of a client whose connection is not its own; once read it is a RequestEntry.
	ForwardedEntry EntryKind = 10
)

// Flags of a request (section 8.1).
type Flags byte

// What they say.
const (
	IsHTTP11 Flags = 1 << iota
	MayKeep
	IsHead
	IsConnect
	ExpectsContinue
	WantsUpgrade
	hasLimits
	hasTransforms
)

// Chunked is the framing of a body that comes in chunks; any other number is its length.
const Chunked = ^uint64(0)

// Never is a deadline that there is none of, and a limit likewise.
const Never = ^uint64(0)

// Limits are what the front's configuration bounds an exchange by.
type Limits struct {
	DeadlineNS uint64
	MostBody   uint64
	// Status of the answer if the deadline passes first.
	Status uint16
}

// Request is a request, of a connection or of a stream. Its slices lie in what was decoded.
type Request struct {
	Flags                 Flags
	Framing               uint64
	HeadReceivedNS        uint64
	QueuedNS              uint64
	Limits                Limits
	Transforms            Transforms
	Directives            []Field
	Head, Prefix          []byte
	IsStream, PrefixIsAll bool
	ClientVersion         byte
	Facts                 Facts
	TLS                   *TLS
	// IsForwarded: Client and ByHTTPS are the request's own, in place of what its connection says.
	IsForwarded            bool
	Client                 netip.AddrPort
	ByHTTPS                bool
	methodEnd, targetBegin uint16
}

// FrontEntry is an entry of a front's ring; which fields mean something depends on its kind.
type FrontEntry struct {
	Kind EntryKind
	Key  Key
	// Of Request and Stream.
	Request Request
	// Of Data.
	Data []byte
	Last bool
	// Of Trailers.
	Fields []Field
	// Of Credit.
	Credit uint32
}

// Field is a field of a head or a trailer section.
type Field struct{ Name, Value string }

// DecodeEntry reads an entry of a front's ring. Head, prefix and data are slices of it.
func DecodeEntry(payload []byte, entry *FrontEntry) error {
	c := &cursor{rest: payload}
	*entry = FrontEntry{Kind: EntryKind(c.u8())}
	switch entry.Kind {
	case RequestEntry, StreamEntry, ForwardedEntry:
		return decodeRequest(c, entry)
	case ClientGoneEntry:
		c.skip(3)
		entry.Key = c.key()
		return c.end("ClientGone")
	case ClosedEntry:
		c.skip(3)
		entry.Key = Key{Slot: c.u32(), Generation: c.u32()}
		return c.end("Closed")
	case DataEntry:
		entry.Last = c.u8()&1 != 0
		c.skip(2)
		entry.Key = c.key()
		entry.Data = c.rest
		if len(c.rest) == 0 && !entry.Last && !c.short {
			return malformed("data without any")
		}
		c.rest = nil
		return c.end("Data")
	case TrailersEntry:
		c.skip(3)
		entry.Key = c.key()
		var err error
		if entry.Fields, err = c.fields(); err != nil {
			return err
		}
		return c.end("Trailers")
	case CreditEntry:
		c.skip(3)
		entry.Key = c.key()
		entry.Credit = c.u32()
		return c.end("Credit")
	}
	if len(payload) == 0 {
		return malformed("an empty entry")
	}
	return malformed(fmt.Sprintf("an entry of kind %d", entry.Kind))
}

func (c *cursor) key() Key { return Key{c.u32(), c.u32(), c.u32()} }

func decodeRequest(c *cursor, entry *FrontEntry) error {
	r := &entry.Request
	r.IsStream = entry.Kind == StreamEntry
	r.Flags = Flags(c.u8())
	fields := int(c.u16())
	entry.Key = c.key()
	r.Framing = c.u64()
	r.methodEnd = c.u16()
	r.targetBegin = c.u16()
	targetLength := c.u16()
	directives := int(c.u16())
	head, prefix := c.u32(), c.u32()
	r.HeadReceivedNS, r.QueuedNS = c.u64(), c.u64()
	r.Limits = Limits{DeadlineNS: Never, MostBody: Never}
	if r.Flags&hasLimits != 0 {
		r.Limits = Limits{c.u64(), c.u64(), c.u16()}
		c.skip(6)
	}
	if r.IsStream {
		c.streamFacts(r)
	}
	if entry.Kind == ForwardedEntry {
		entry.Kind = RequestEntry
		r.ByHTTPS = c.u8()&1 != 0
		c.skip(7)
		r.Client = c.address()
		r.IsForwarded = true
	}
	index := c.bytes(8 * fields)
	if r.Flags&hasTransforms != 0 {
		var err error
		if r.Transforms, err = c.transforms(); err != nil {
			return err
		}
	}
	var err error
	if r.Directives, err = decodeDirectives(c.bytes(directives)); err != nil {
		return err
	}
	r.Head, r.Prefix = c.bytes(int(head)), c.bytes(int(prefix))
	if err := c.end("a request"); err != nil {
		return err
	}
	return r.check(index, int(r.targetBegin)+int(targetLength))
}

func (c *cursor) streamFacts(r *Request) {
	flags := c.u8()
	r.ClientVersion = c.u8()
	c.skip(6)
	r.Facts = c.facts()
	r.PrefixIsAll = flags&2 != 0
	if flags&1 != 0 {
		r.TLS = c.tls()
	}
	r.ByHTTPS = (flags&1 != 0) != (flags&4 != 0)
}

// check compares what the entry says of the head with the head's length, though nobody here reads the index:
// a front that is wrong about it is wrong about more.
func (r *Request) check(index []byte, targetEnd int) error {
	if len(r.Head) > 0xFFFF || int(r.methodEnd) > len(r.Head) || targetEnd > len(r.Head) {
		return malformed("a request line beyond its head")
	}
	for ; len(index) >= 8; index = index[8:] {
		name := int(binary.LittleEndian.Uint16(index)) + int(binary.LittleEndian.Uint16(index[2:]))
		length := int(binary.LittleEndian.Uint16(index[6:]))
		value := int(binary.LittleEndian.Uint16(index[4:])) + length
		if name > len(r.Head) || (length > 0 && value > len(r.Head)) {
			return malformed("a field beyond its head")
		}
	}
	if r.Framing != Chunked && uint64(len(r.Prefix)) > r.Framing && r.Flags&(WantsUpgrade|IsConnect) == 0 {
		return malformed("a prefix longer than its body")
	}
	return nil
}

func decodeDirectives(raw []byte) ([]Field, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	var fields []Field
	c := &cursor{rest: raw}
	for len(c.rest) > 0 {
		name, value := int(c.u16()), int(c.u16())
		field := Field{string(c.bytes(name)), string(c.bytes(value))}
		if c.short {
			return nil, malformed("a response directive is cut short")
		}
		if !isToken(field.Name) || !isValue(field.Value) {
			return nil, malformed("a response directive that is no field")
		}
		fields = append(fields, field)
	}
	return fields, nil
}

func isToken(name string) bool {
	for i := 0; i < len(name); i++ {
		b := name[i]
		switch {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		case b == '!', b == '#', b == '$', b == '%', b == '&', b == '\'', b == '*', b == '+', b == '-',
			b == '.', b == '^', b == '_', b == '`', b == '|', b == '~':
		default:
			return false
		}
	}
	return len(name) > 0
}

func isValue(value string) bool {
	for i := 0; i < len(value); i++ {
		if b := value[i]; (b < ' ' && b != '\t') || b == 0x7F {
			return false
		}
	}
	return true
}
