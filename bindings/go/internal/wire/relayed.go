package wire

import (
	"encoding/base64"
	"errors"
)

// ClientField is the field by which a front says whose a relayed request is, in the canonical form of
// net/http.
const ClientField = "Ostler-Client"

// RelayedClient is whose a relayed request is (section 3.1).
type RelayedClient struct {
	Facts Facts
	TLS   *TLS
	// SentTrailers: the client has itself sent TE: trailers.
	SentTrailers bool
	// ByHTTPS: it was asked for so.
	ByHTTPS bool
}

// DecodeClient reads the value of ClientField.
func DecodeClient(value string) (RelayedClient, error) {
	raw, err := base64.RawStdEncoding.DecodeString(value)
	if err != nil {
		return RelayedClient{}, errors.Join(malformed("a relayed client"), err)
	}
	c := &cursor{rest: raw}
	flags := c.u8()
	client := RelayedClient{Facts: c.facts(), SentTrailers: flags&2 != 0}
	if flags&1 != 0 {
		client.TLS = c.tls()
	}
	client.ByHTTPS = (flags&1 != 0) != (flags&4 != 0)
	return client, c.end("a relayed client")
}
