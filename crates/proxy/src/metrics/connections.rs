//! How long clients' connections lasted, by what ended them, and how many were refused.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::histogram::{Cells, Durations, increase};

/// What ended a connection, in ASP.NET's words for `kestrel.connection.duration`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ConnectionEnd {
    /// Nothing that is an error.
    #[default]
    Ordinary,
    InvalidHttpVersion,
    InvalidRequestLine,
    InvalidRequestHeaders,
    RequestHeadersTimeout,
    TlsHandshakeFailed,
}

impl ConnectionEnd {
    /// All of them, with their words.
    pub(crate) const ALL: [(Self, Option<&'static str>); 6] = [
        (Self::Ordinary, None),
        (Self::InvalidHttpVersion, Some("invalid_http_version")),
        (Self::InvalidRequestLine, Some("invalid_request_line")),
        (Self::InvalidRequestHeaders, Some("invalid_request_headers")),
        (Self::RequestHeadersTimeout, Some("request_headers_timeout")),
        (Self::TlsHandshakeFailed, Some("tls_handshake_failed")),
    ];
}

/// Why a connection was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// `MaxConcurrentConnections` are there.
    TooMany,
    /// `MaxConnectionsPerAddress` of the client's address are there.
    TooManyOfAddress,
}

impl Refusal {
    pub(crate) const ALL: [(Self, &'static str); 2] = [
        (Self::TooMany, "max_concurrent_connections"),
        (Self::TooManyOfAddress, "max_connections_per_address"),
    ];
}

/// One thread's.
#[derive(Debug, Default)]
pub(super) struct ConnectionCells {
    lasted: [Cells; ConnectionEnd::ALL.len()],
    refused: [AtomicU64; Refusal::ALL.len()],
}

impl ConnectionCells {
    pub(super) fn ended(&self, end: ConnectionEnd, lasted: Duration) {
        self.lasted[end as usize].add(lasted);
    }

    pub(super) fn refused(&self, refusal: Refusal) {
        increase(&self.refused[refusal as usize], 1);
    }

    pub(super) fn read_lasted(&self, end: ConnectionEnd) -> Durations {
        self.lasted[end as usize].read()
    }

    pub(super) fn read_refused(&self, refusal: Refusal) -> u64 {
        self.refused[refusal as usize].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stands_where_its_number_says() {
        for (at, (end, _)) in ConnectionEnd::ALL.into_iter().enumerate() {
            assert_eq!(end as usize, at);
        }
        for (at, (refusal, _)) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal as usize, at);
        }
    }
}
