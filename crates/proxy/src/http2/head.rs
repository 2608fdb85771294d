//! An HTTP/2 request as a head: what HTTP/1.1 would have said (RFC 9113 section 8.3).

use http::request::Parts;
use http::{Method, header};
use ostler_http1::{FieldRange, HeadIndex, HeadParts, Limits, RequestHead, Version};

/// A request that has no form in HTTP/1.1, and the status that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeadError {
    #[error("the fields are malformed")]
    Malformed,
    #[error("the fields are too long, or too many")]
    TooLarge,
    #[error("the request-target is too long")]
    TargetTooLong,
    #[error("the protocol that the stream is to speak is not known")]
    UnknownProtocol,
}

impl HeadError {
    pub(super) fn status(self) -> http::StatusCode {
        match self {
            Self::Malformed => http::StatusCode::BAD_REQUEST,
            Self::TooLarge => http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::TargetTooLong => http::StatusCode::URI_TOO_LONG,
            // RFC 9220 section 3 has it for HTTP/3.
            Self::UnknownProtocol => http::StatusCode::NOT_IMPLEMENTED,
        }
    }
}

/// Whether this asks for another protocol on the stream (RFC 8441 section 4).
fn protocol(parts: &Parts) -> Option<&str> {
    let protocol = parts.extensions.get::<h2::ext::Protocol>()?;
    (parts.method == Method::CONNECT).then_some(protocol.as_str())
}

/// The head of a request. `has_body` is false when its fields end the stream.
///
/// - `:authority` takes the place of Host (RFC 9113 section 8.3.1);
/// - cookies that came one by one are one field again (section 8.2.3);
/// - a body without a length has chunks, as far as anybody asks;
/// - an extended CONNECT is an upgrade, which is what routes and targets know: to a WebSocket, since
///   no other protocol has a form in HTTP/1.1 that a destination would not take for a plain GET.
pub(crate) fn head(
    parts: &Parts,
    has_body: bool,
    limits: &Limits,
    longest_field: u32,
) -> Result<RequestHead, HeadError> {
    let protocol = protocol(parts);
    if protocol.is_some_and(|protocol| !protocol.eq_ignore_ascii_case("websocket")) {
        return Err(HeadError::UnknownProtocol);
    }
    let method = match protocol {
        Some(_) => "GET",
        None => parts.method.as_str(),
    };
    let target = match parts.uri.path_and_query() {
        Some(target) if parts.method != Method::CONNECT || protocol.is_some() => target.as_str(),
        _ => {
            let authority = parts.uri.authority().ok_or(HeadError::Malformed)?;
            authority.as_str()
        }
    };
    let mut builder = Builder::new(method, target, parts.headers.len() + 4);
    let request_line = builder.raw.len();
    if request_line > limits.request_line {
        return Err(HeadError::TargetTooLong);
    }
    builder.put_fields(parts, has_body, longest_field)?;
    let field_lines = builder.raw.len() - request_line;
    builder.raw.extend_from_slice(b"\r\n");
    if field_lines > limits.field_lines || builder.fields.len() > limits.fields + 4 {
        return Err(HeadError::TooLarge);
    }
    let index = HeadIndex {
        fields: &builder.fields,
        method_len: method.len() as u32,
        target_start: method.len() as u32 + 1,
        target_len: target.len() as u32,
        version: Version::Http11,
    };
    let raw = &builder.raw;
    RequestHead::from_parts(HeadParts { raw, index }).map_err(|_| HeadError::Malformed)
}

/// The head's bytes and where its fields are.
struct Builder {
    raw: Vec<u8>,
    fields: Vec<FieldRange>,
}

impl Builder {
    /// The request line, and room for so many fields.
    fn new(method: &str, target: &str, fields: usize) -> Self {
        let mut raw = Vec::with_capacity(512);
        for part in [method, " ", target, " HTTP/1.1\r\n"] {
            raw.extend_from_slice(part.as_bytes());
        }
        Self {
            raw,
            fields: Vec::with_capacity(fields),
        }
    }

    fn put_fields(
        &mut self,
        parts: &Parts,
        has_body: bool,
        longest_field: u32,
    ) -> Result<(), HeadError> {
        let protocol = protocol(parts);
        if let Some(authority) = parts.uri.authority() {
            self.put(b"host", authority.as_str().as_bytes())?;
        }
        let mut has_length = false;
        for (name, value) in &parts.headers {
            if name.as_str().len() + value.len() > longest_field as usize {
                return Err(HeadError::TooLarge);
            }
            if *name == header::COOKIE || (*name == header::HOST && parts.uri.authority().is_some())
            {
                continue;
            }
            if *name == header::CONTENT_LENGTH {
                has_length = true;
                if !has_body && protocol.is_some() {
                    continue;
                }
            }
            self.put(name.as_str().as_bytes(), value.as_bytes())?;
        }
        let cookies: Vec<_> = parts.headers.get_all(header::COOKIE).iter().collect();
        if !cookies.is_empty() {
            let crumbs: Vec<_> = cookies.iter().map(|crumb| crumb.as_bytes()).collect();
            self.put(b"cookie", &crumbs.join(&b"; "[..]))?;
        }
        if let Some(protocol) = protocol {
            self.put(b"connection", b"Upgrade")?;
            self.put(b"upgrade", protocol.as_bytes())?;
        } else if has_body && !has_length {
            self.put(b"transfer-encoding", b"chunked")?;
        }
        Ok(())
    }

    fn put(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadError> {
        let name_start = self.raw.len();
        let value_start = name_start + name.len() + 2;
        let end = value_start + value.len() + 2;
        if end > Limits::MAX_HEAD {
            return Err(HeadError::TooLarge);
        }
        for part in [name, b": ", value, b"\r\n"] {
            self.raw.extend_from_slice(part);
        }
        self.fields.push(FieldRange {
            name_start: name_start as u32,
            name_len: name.len() as u32,
            value_start: if value.is_empty() {
                0
            } else {
                value_start as u32
            },
            value_len: value.len() as u32,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use ostler_http1::Framing;

    use super::*;

    fn converted(request: http::request::Builder, has_body: bool) -> RequestHead {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        head(&parts, has_body, &Limits::default(), 32_768).unwrap()
    }

    #[test]
    fn a_request_reads_as_http1_would_have_it() {
        let request = Request::get("https://example.org:8443/a/%2Fb?q=1")
            .header("x-one", "1")
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .header("host", "other");
        let head = converted(request, false);
        let text = "GET /a/%2Fb?q=1 HTTP/1.1\r\nhost: example.org:8443\r\nx-one: 1\r\ncookie: a=1; b=2\r\n\r\n";
        assert_eq!(std::str::from_utf8(head.raw()).unwrap(), text);
        assert_eq!(head.authority(), "example.org:8443");
        assert_eq!((head.path(), head.query()), ("/a/%2Fb", Some("q=1")));
        assert_eq!(head.framing(), Framing::None);
        assert!(head.keep_alive());
    }

    #[test]
    fn a_body_has_the_length_it_states_or_chunks() {
        let request = || Request::post("http://h/").header("host", "h");
        let stated = converted(request().header("content-length", "7"), true);
        assert_eq!(stated.framing(), Framing::Length(7));
        assert_eq!(converted(request(), true).framing(), Framing::Chunked);
    }

    #[test]
    fn an_extended_connect_is_an_upgrade() {
        let request = Request::builder()
            .method("CONNECT")
            .uri("https://h/chat")
            .extension(h2::ext::Protocol::from_static("websocket"));
        let head = converted(request, true);
        assert_eq!(head.method(), "GET");
        assert_eq!(head.path(), "/chat");
        assert_eq!(head.upgrade(), Some(&b"websocket"[..]));
    }

    #[test]
    fn a_protocol_that_is_not_known_is_refused() {
        for protocol in ["connect-udp", ""] {
            let request = Request::builder()
                .method("CONNECT")
                .uri("https://h/chat")
                .extension(h2::ext::Protocol::from(protocol));
            let (parts, ()) = request.body(()).unwrap().into_parts();
            let refused = head(&parts, true, &Limits::default(), 32_768).unwrap_err();
            assert_eq!(refused, HeadError::UnknownProtocol, "{protocol:?}");
        }
    }

    #[test]
    fn what_has_no_form_is_refused() {
        let long = "x".repeat(9000);
        let of = |request: http::request::Builder| {
            let (parts, ()) = request.body(()).unwrap().into_parts();
            head(&parts, false, &Limits::default(), 32_768).unwrap_err()
        };
        assert_eq!(
            of(Request::get(format!("http://h/{long}"))),
            HeadError::TargetTooLong
        );
        let many = Request::get("http://h/").header("x", "y".repeat(40_000));
        assert_eq!(of(many), HeadError::TooLarge);
        assert_eq!(of(Request::get("/no-host")), HeadError::Malformed);
        let lengths = Request::get("http://h/").header("content-length", "1x");
        assert_eq!(of(lengths), HeadError::Malformed);
    }
}
