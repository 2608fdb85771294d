//go:build linux && (amd64 || arm64)

package ostler

import (
	"net/http"

	"github.com/ostler-proxy/ostler/bindings/go/internal/wire"
)

// serveDelegated hands a request that net/http has read to the application.
func (s *Server) serveDelegated(w http.ResponseWriter, r *http.Request) {
	c, ok := r.Context().Value(connKey{}).(*conn)
	if !ok || !c.agreesWith(r) {
		http.Error(w, "400 Bad Request", http.StatusBadRequest)
		return
	}
	r.TLS = tlsState(c.tls)
	if c.x.request.IsForwarded {
		r.RemoteAddr = addressOf(c.x.request.Client).String()
	}
	if c.stream != nil {
		c.stream.describe(c, w, r)
	}
	returned := false
	defer func() {
		if returned {
			return
		}
		// runtime.Goexit leaves like this, too, and there is nothing to recover from then.
		cause := recover()
		c.failed(cause == http.ErrAbortHandler)
		if cause != nil {
			panic(cause)
		}
	}()
	s.handler().ServeHTTP(w, r)
	returned = true
}

// agreesWith compares how net/http has read the request's framing with what the front says: if they were ever
// two, the end of one request could be the begin of another.
func (c *conn) agreesWith(r *http.Request) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	framing := c.x.request.Framing
	if framing == wire.Chunked {
		return r.ContentLength == -1
	}
	return r.ContentLength >= 0 && uint64(r.ContentLength) == framing
}

// failed: the handler has panicked.
func (c *conn) failed(isAbort bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.x.failed = true
	c.x.aborted = isAbort
}
