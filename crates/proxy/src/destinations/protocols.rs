//! Which versions of HTTP a connection to a destination may speak.

/// What a connection may speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocols {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: by prior knowledge in clear text, by ALPN over TLS.
    Http2,
    /// What ALPN agrees on.
    Either,
}
