//! HTTP/1.1 server half without I/O: heads, framing, bodies.
#![forbid(unsafe_code)]
