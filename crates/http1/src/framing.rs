//! How the body of a message is delimited: the seam between who reads heads and who reads bodies.

/// The protocol version of a request: HTTP/1.x of a later minor version counts as 1.1
/// (RFC 9110 section 2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

/// How a request's body is delimited (RFC 9112 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body. `Content-Length: 0` is this too.
    None,
    /// So many bytes, never 0.
    Length(u64),
    /// Chunks, then a trailer section.
    Chunked,
}

/// What the response encoder must know of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestFacts {
    /// The method is HEAD.
    pub is_head: bool,
    /// The method is CONNECT.
    pub is_connect: bool,
    /// The request's version.
    pub version: Version,
    /// Whether the connection may carry another request (RFC 9112 section 9.3).
    pub keep_alive: bool,
}

/// What is known of a response's body before it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    /// There is none.
    Empty,
    /// It has so many bytes.
    Known(u64),
    /// Nothing.
    Unknown,
}

/// How a response is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseFraming {
    /// How the body is delimited.
    pub body: ResponseBody,
    /// Whether the connection may carry another request behind this response.
    pub keep_alive: bool,
}

/// How a response's body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseBody {
    /// No body is sent, whatever the fields say.
    None,
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
    /// It ends with the connection.
    UntilClose,
}
