//! What a cluster's `HttpClient` and `HttpRequest` say of each message to and from its destinations.

use http::request::Parts;
use http::{Response, Version};
use ostler_config::schema::{
    HeaderEncoding, HttpClientConfig, HttpRequestConfig, HttpVersion, HttpVersionPolicy,
};
use ostler_http1::Framing;

use super::header_encoding;
use super::request_error::RequestError;

/// How messages are written and read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Messages {
    is_http10: bool,
    /// Whether more than HTTP/1.0 will do as well.
    may_be_higher: bool,
    request_encoding: Option<HeaderEncoding>,
    response_encoding: Option<HeaderEncoding>,
}

impl Messages {
    pub(super) fn new(http_client: &HttpClientConfig, http_request: &HttpRequestConfig) -> Self {
        let policy = http_request.version_policy.unwrap_or_default();
        Self {
            is_http10: http_request.version == Some(HttpVersion::Http10),
            may_be_higher: policy == HttpVersionPolicy::RequestVersionOrHigher,
            request_encoding: http_client.request_header_encoding,
            response_encoding: http_client.response_header_encoding,
        }
    }

    /// Gives a request its version and its encoding.
    pub(crate) fn prepare(
        &self,
        parts: &mut Parts,
        framing: Framing,
        upgrade: bool,
    ) -> Result<(), RequestError> {
        // An upgrade is of HTTP/1.1, whatever the version (reference B12.2).
        if self.is_http10 && !upgrade {
            match framing {
                // RFC 9112 section 6.1.
                Framing::Chunked if self.may_be_higher => {}
                Framing::Chunked => return Err(RequestError::ChunkedInHttp10),
                Framing::None | Framing::Length(_) => parts.version = Version::HTTP_10,
            }
        }
        match self.request_encoding {
            Some(encoding) => header_encoding::encode(&mut parts.headers, encoding),
            None => Ok(()),
        }
    }

    /// Reads the fields of a response's head, and leaves word for those of its trailers.
    pub(crate) fn read<B>(&self, response: &mut Response<B>) {
        if let Some(encoding) = self.response_encoding {
            header_encoding::decode(response.headers_mut(), encoding);
            response.extensions_mut().insert(encoding);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    /// Reference B9 and B12.2; RFC 9112 section 6.1: no chunks in HTTP/1.0.
    #[test]
    fn http_1_0_is_for_bodies_of_known_length() {
        use HttpVersionPolicy::{
            RequestVersionExact as Exact, RequestVersionOrHigher as OrHigher,
            RequestVersionOrLower as OrLower,
        };
        let (http10, http11) = (HttpVersion::Http10, HttpVersion::Http11);
        for (version, policy, framing, upgrade, expected) in [
            (
                http10,
                OrLower,
                Framing::None,
                false,
                Some(Version::HTTP_10),
            ),
            (
                http10,
                Exact,
                Framing::Length(5),
                false,
                Some(Version::HTTP_10),
            ),
            (
                http10,
                OrHigher,
                Framing::Length(5),
                false,
                Some(Version::HTTP_10),
            ),
            (http10, OrLower, Framing::Chunked, false, None),
            (http10, Exact, Framing::Chunked, false, None),
            (
                http10,
                OrHigher,
                Framing::Chunked,
                false,
                Some(Version::HTTP_11),
            ),
            (http10, Exact, Framing::None, true, Some(Version::HTTP_11)),
            (
                http11,
                Exact,
                Framing::Chunked,
                false,
                Some(Version::HTTP_11),
            ),
        ] {
            let http_request = HttpRequestConfig {
                version: Some(version),
                version_policy: Some(policy),
                ..HttpRequestConfig::default()
            };
            let messages = Messages::new(&HttpClientConfig::default(), &http_request);
            let (mut parts, ()) = Request::new(()).into_parts();
            let made = messages.prepare(&mut parts, framing, upgrade);
            let made = made.ok().map(|()| parts.version);
            assert_eq!(
                made, expected,
                "{version:?} {policy:?} {framing:?} {upgrade}"
            );
        }
    }
}
