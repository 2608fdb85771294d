//! What a client speaks.

use clap::ValueEnum;

/// What clients and the server that is measured speak with each other. A front and its application speak HTTP/1.1 in
/// clear, or by the queue, whatever the client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Protocol {
    /// HTTP/1.1 in clear.
    Http1,
    /// HTTP/1.1 over TLS.
    Http1Tls,
    /// HTTP/2 over TLS, as browsers speak it.
    Http2Tls,
}

impl Protocol {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http1Tls => "HTTP/1.1 over TLS",
            Self::Http2Tls => "HTTP/2 over TLS",
        }
    }

    pub(crate) fn is_tls(self) -> bool {
        self != Self::Http1
    }

    pub(crate) fn scheme(self) -> &'static str {
        if self.is_tls() { "https" } else { "http" }
    }
}
