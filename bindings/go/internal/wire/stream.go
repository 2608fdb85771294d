package wire

import (
	"encoding/binary"
	"strings"
)

// UnknownLength is the length of a response's body that is not known.
const UnknownLength = ^uint64(0)

// DataOverhead is how many bytes stand before the data in a Data entry.
const DataOverhead = 16

func (c *cursor) fields() ([]Field, error) {
	count := c.u32()
	var fields []Field
	for ; count > 0 && !c.short; count-- {
		name := int(c.u16())
		c.skip(2)
		value := c.u32()
		field := Field{string(c.bytes(name)), string(c.bytes(int(value)))}
		if c.short {
			break
		}
		if !isToken(field.Name) || field.Name != strings.ToLower(field.Name) || !isValue(field.Value) {
			return nil, malformed("a field that is none")
		}
		fields = append(fields, field)
	}
	return fields, nil
}

func appendFields(out []byte, fields []Field) []byte {
	out = binary.LittleEndian.AppendUint32(out, uint32(len(fields)))
	for _, field := range fields {
		out = binary.LittleEndian.AppendUint16(out, uint16(len(field.Name)))
		out = append(out, 0, 0)
		out = binary.LittleEndian.AppendUint32(out, uint32(len(field.Value)))
		out = append(append(out, field.Name...), field.Value...)
	}
	return out
}

// AppendHead writes the head of a response; the start of its body follows it in the entry.
func AppendHead(out []byte, key Key, status uint16, length uint64, fields []Field, last bool) []byte {
	out = append(out, 8, bit(last))
	out = binary.LittleEndian.AppendUint16(out, status)
	out = appendKey(out, key)
	out = binary.LittleEndian.AppendUint64(out, length)
	return appendFields(out, fields)
}

// AppendData writes what stands before a piece of a body.
func AppendData(out []byte, key Key, last bool) []byte {
	return appendKey(append(out, byte(DataEntry), bit(last), 0, 0), key)
}

// AppendTrailers writes the trailers that end a body.
func AppendTrailers(out []byte, key Key, fields []Field) []byte {
	return appendFields(appendKey(append(out, byte(TrailersEntry), 0, 0, 0), key), fields)
}

// AppendCredit says how many more bytes may come.
func AppendCredit(out []byte, key Key, more uint32) []byte {
	out = appendKey(append(out, byte(CreditEntry), 0, 0, 0), key)
	return binary.LittleEndian.AppendUint32(out, more)
}

// AppendStop says that no more of a request's body is read.
func AppendStop(out []byte, key Key) []byte {
	return appendKey(append(out, 9, 0, 0, 0), key)
}

func bit(is bool) byte {
	if is {
		return 1
	}
	return 0
}
