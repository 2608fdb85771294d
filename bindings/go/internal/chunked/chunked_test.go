package chunked

import (
	"bytes"
	"io"
	"net/http/httputil"
	"strings"
	"testing"
)

// read decodes pieces of one size; what it has not taken is the rest.
func read(whole string, size int) (body, rest string, trailers string, err error) {
	var d Decoder
	for len(whole) > 0 && !d.Ended() {
		piece := whole[:min(size, len(whole))]
		data, taken, failed := d.Next([]byte(piece))
		if failed != nil {
			return body, whole, "", failed
		}
		body += string(data)
		whole = whole[taken:]
	}
	if !d.Ended() {
		return body, whole, "", io.ErrUnexpectedEOF
	}
	return body, whole, string(d.Trailers()), nil
}

func TestEverySplitSaysTheSame(t *testing.T) {
	const whole = "5\r\nhello\r\n00a;x=\"y\"\r\n 0123\r\n89 \r\n0\r\nA: 1\r\nB: 2\r\n\r\nGET / HTTP/1.1\r\n"
	for size := 1; size <= len(whole); size++ {
		body, rest, trailers, err := read(whole, size)
		if err != nil || body != "hello 0123\r\n89 " || rest != "GET / HTTP/1.1\r\n" || trailers != "A: 1\r\nB: 2\r\n" {
			t.Errorf("%d: %q, %q, %q, %v", size, body, rest, trailers, err)
		}
	}
}

func TestCertainIsNeverTooMuch(t *testing.T) {
	const whole = "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"
	var d Decoder
	for at := 0; at < len(whole); {
		if certain := d.Certain(); certain < 1 || certain > len(whole)-at {
			t.Fatalf("at %d it is certain of %d, and %d are to come", at, certain, len(whole)-at)
		}
		_, taken, err := d.Next([]byte(whole[at : at+1]))
		if err != nil {
			t.Fatal(err)
		}
		at += taken
	}
}

func TestWhatIsRefused(t *testing.T) {
	for _, whole := range []string{
		"\r\n", "x\r\n", "5\nhello\r\n", "5\r\nhelloX\r\n", "5\r\nhello\n", "-1\r\n", "0x5\r\n", "10000000000000000\r\n",
		"0\r\nA: 1\n\r\n", "0\r\nA\x00: 1\r\n\r\n", "5;\x01\r\nhello\r\n", " 5\r\nhello\r\n",
		"0\r\n" + strings.Repeat("a", maxTrailers+1), "0;" + strings.Repeat("a", maxExtension+1),
	} {
		if _, _, _, err := read(whole, len(whole)); err != ErrMalformed {
			t.Errorf("%q: %v", whole[:min(len(whole), 40)], err)
		}
	}
}

// What it takes for a body is one for net/http, too: the same bytes, with the same end.
func FuzzAsNetHTTP(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"))
	f.Add([]byte("5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\nGET"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		body, _, _, err := read(string(raw), max(len(raw), 1))
		if err != nil {
			return
		}
		theirs, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(raw)))
		if err == nil && string(theirs) != body {
			t.Errorf("%q is %q, and %q for net/http", raw, body, theirs)
		}
	})
}
