//! HTTP/2 from clients: a connection's streams, each an exchange of its own.
//!
//! Frames, header compression and flow control are the `h2` crate's. What is here: requests become
//! the one kind of head that the front knows (`head.rs`), streams become exchanges (`stream.rs`),
//! and a connection lives as long as its limits allow (`connection.rs`, `pace.rs`), and is closed so
//! that nothing on its way is lost (`ending.rs`).

mod connection;
mod ending;
mod head;
mod pace;
mod shared;
mod stream;

pub(crate) use connection::serve;
#[cfg(fuzzing)]
pub(crate) use head::head;
pub(crate) use stream::{Stream, StreamBody, StreamResponse};

/// What an HTTP/2 client says first (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether a connection begins as HTTP/2 does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Preface {
    Not,
    /// It may: what is here agrees, and is not all.
    Begun,
    Whole,
}

/// Looks at the first bytes of a connection.
pub(crate) fn preface(input: &[u8]) -> Preface {
    match (input.first(), input.len()) {
        (Some(b'P'), 24..) if input.starts_with(PREFACE) => Preface::Whole,
        (Some(b'P'), 1..24) if PREFACE.starts_with(input) => Preface::Begun,
        _ => Preface::Not,
    }
}
