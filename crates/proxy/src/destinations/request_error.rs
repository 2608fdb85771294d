//! Why no request can be made for a destination.

use http::StatusCode;
use http::header::HeaderName;

use super::tls::TlsError;

/// No request can be made of this head and this destination.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("CONNECT is not forwarded")]
    Connect,
    #[error("the destination's address {0:?} is not an http or https URL")]
    Address(String),
    #[error("HTTP/3 is asked for and not spoken")]
    Http3,
    #[error("HTTP/1.0 has no chunked bodies, and the length of this one is not known")]
    ChunkedInHttp10,
    /// The address may hold a password, and is not told.
    #[error("the address of the proxy cannot be used")]
    WebProxy,
    #[error("HTTP/2 in clear text does not pass an HTTP proxy")]
    Http2ThroughProxy,
    #[error("the value of the field {field} cannot be written in {encoding}")]
    Unencodable {
        field: HeaderName,
        encoding: &'static str,
    },
    #[error("the value of the field {0} is not UTF-8, so it cannot be written in another encoding")]
    NotUtf8(HeaderName),
    #[error("the destination's TLS cannot be set up")]
    Tls(#[from] TlsError),
    #[error("the method, target or a field cannot be sent")]
    Invalid(#[from] http::Error),
}

impl RequestError {
    /// What the client is told.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            // As ASP.NET, which reads values as UTF-8 (reference B19).
            Self::NotUtf8(_) => StatusCode::BAD_REQUEST,
            _ => StatusCode::BAD_GATEWAY,
        }
    }
}
