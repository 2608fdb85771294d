package wire

import "net/netip"

// FactsSize is the length of connection facts.
const FactsSize = 56

// Facts are what is known of a client's connection (section 3.1).
type Facts struct {
	// AcceptedNS is when the front accepted it, by CLOCK_MONOTONIC.
	AcceptedNS uint64
	// Client and Local are the two ends; not valid where they have no address.
	Client, Local netip.AddrPort
}

// TLS is what a client has said in its handshake.
type TLS struct {
	// Version is as on the wire of TLS: 0x0304 is 1.3.
	Version    uint16
	ServerName string
}

func (c *cursor) facts() Facts {
	return Facts{AcceptedNS: c.u64(), Client: c.address(), Local: c.address()}
}

func (c *cursor) tls() *TLS {
	return &TLS{Version: c.u16(), ServerName: c.text()}
}

func (c *cursor) address() netip.AddrPort {
	family := c.u8()
	c.skip(1)
	port, scope := c.u16(), c.u32()
	raw := c.bytes(16)
	if raw == nil {
		return netip.AddrPort{}
	}
	switch family {
	case 4:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(raw[:4])), port)
	case 6:
		address := netip.AddrFrom16([16]byte(raw))
		if scope != 0 {
			address = address.WithZone(decimal(scope))
		}
		return netip.AddrPortFrom(address, port)
	}
	return netip.AddrPort{}
}

func decimal(number uint32) string {
	var digits [10]byte
	at := len(digits)
	for ok := true; ok; ok = number > 0 {
		at--
		digits[at] = byte('0' + number%10)
		number /= 10
	}
	return string(digits[at:])
}
