//! What can be wrong with a message, each by its name.

/// A request head is refused. The connection closes: where the next request would begin is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// The request line is longer than its limit (414).
    #[error("the request line is too long")]
    RequestLineTooLong,
    /// The head is longer than its limit (431).
    #[error("the head is too long")]
    HeadTooLong,
    /// There are more field lines than their limit (431).
    #[error("there are too many fields")]
    TooManyFields,
    /// A line ends in a bare LF, or CR stands without LF (RFC 9112 section 2.2).
    #[error("a line does not end in CR LF")]
    LineEnd,
    /// The request line is not method, target and version with one blank between them.
    #[error("the request line is malformed")]
    RequestLine,
    /// The major version is not 1 (505).
    #[error("the HTTP version is not supported")]
    Version,
    /// The method is no token.
    #[error("the method is not a token")]
    Method,
    /// The request-target has none of the four forms, or not the one its method needs.
    #[error("the request-target is invalid")]
    RequestTarget,
    /// A field line is malformed: its name, white space before the colon, a folded line, a control
    /// character in its value.
    #[error("a field line is malformed")]
    Field,
    /// An HTTP/1.1 request has no Host, or any has several (RFC 9112 section 3.2).
    #[error("there is not exactly one host field")]
    HostCount,
    /// The Host is not `host[:port]`, or differs from the request-target's authority.
    #[error("the host is invalid")]
    Host,
    /// Content-Length is no number, or there are different ones (RFC 9112 section 6.3).
    #[error("the content-length is invalid")]
    ContentLength,
    /// Both Transfer-Encoding and Content-Length: smuggling, or about to be (section 6.3).
    #[error("both transfer-encoding and content-length are given")]
    LengthAndTransferEncoding,
    /// Transfer-Encoding does not end in `chunked`, has it twice, or comes with HTTP/1.0.
    #[error("the transfer-encoding is invalid")]
    TransferEncoding,
    /// A transfer coding nobody here knows (501).
    #[error("the transfer coding is not implemented")]
    UnknownTransferCoding,
}

impl HeadError {
    /// The status to answer with.
    pub fn status(&self) -> u16 {
        match self {
            Self::RequestLineTooLong => 414,
            Self::HeadTooLong | Self::TooManyFields => 431,
            Self::UnknownTransferCoding => 501,
            Self::Version => 505,
            _ => 400,
        }
    }
}

/// A request head cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestHeadError {
    /// The request-target is empty, or has blanks or control characters.
    #[error("the request-target cannot be written")]
    Target,
    /// The length of the body is not known, and HTTP/1.0 has no chunks.
    #[error("the length of the body is not known, and HTTP/1.0 has no chunks")]
    ChunkedInHttp10,
}

/// A response head is refused: what it belongs to, or where its message ends, is not certain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseHeadError {
    /// It is longer than its limit.
    #[error("the response's head is longer than {most} bytes")]
    TooLong {
        /// The limit.
        most: usize,
    },
    /// It does not begin with a status line of HTTP/1.
    #[error("the status line of the response is malformed")]
    StatusLine,
    /// The status is no number of three digits from 100 on.
    #[error("the status of the response is invalid")]
    Status,
    /// A field line is malformed.
    #[error(transparent)]
    Fields(#[from] FieldSectionError),
    /// Content-Length is no number, or there are different ones (RFC 9112 section 6.3).
    #[error("the content-length of the response is invalid")]
    ContentLength,
    /// Its body is coded with more than `chunked`, which the client would not be told.
    #[error("the response has a transfer coding other than chunked")]
    TransferCoding,
    /// 205 comes with content (RFC 9110 section 15.3.6).
    #[error("the response is 205 and has content")]
    ContentInReset,
}

/// A field line of a response, or of its trailer section, is malformed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FieldSectionError {
    /// There is no colon in it.
    #[error("a line of the response's fields has no colon")]
    Line,
    /// Its name is no token.
    #[error("the name of a field of the response is invalid")]
    Name,
    /// There is a control character in its value.
    #[error("the response's field {0} has a control character in its value")]
    Value(http::HeaderName),
    /// There are more than can be represented.
    #[error("the response has too many fields")]
    TooMany,
}

/// A response's body is malformed, or ends before its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseBodyError {
    /// Its chunks are malformed.
    #[error("the chunks of the response are malformed")]
    Chunks(#[from] BodyError),
    /// Its trailer section is.
    #[error("the trailer section of the response is malformed")]
    Trailers(#[from] FieldSectionError),
    /// The connection has ended within it.
    #[error("the connection has ended within the body of the response")]
    CutOff,
}

/// A request body is malformed. The connection closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// A chunk's size is no hexadecimal number that fits.
    #[error("a chunk size is invalid")]
    ChunkSize,
    /// A chunk line is longer than its limit.
    #[error("a chunk line is too long")]
    ChunkLineTooLong,
    /// A chunk extension breaks its grammar.
    #[error("a chunk extension is malformed")]
    ChunkExtension,
    /// A line does not end in CR LF, or a chunk is longer than its size.
    #[error("a chunk does not end in cr lf")]
    LineEnd,
    /// The trailer section is longer, or has more fields, than its limit.
    #[error("the trailer section is too long")]
    TrailersTooLong,
    /// A trailer field is malformed, or may not be one (RFC 9110 section 6.5.1).
    #[error("a trailer field is malformed or forbidden")]
    Trailer,
}

/// A response body is not as long as its head said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyLengthError {
    /// There is more of it.
    #[error("the body is longer than its content-length")]
    TooLong,
    /// It ends early.
    #[error("the body ends {missing} bytes short of its content-length")]
    TooShort {
        /// Bytes that are missing.
        missing: u64,
    },
}

/// The parts of a head that came from elsewhere do not fit its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the index does not fit the head")]
pub struct InvalidHeadParts;
