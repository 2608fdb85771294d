//! Authorization at the door: the token of a request, and the answers 401 and 403 (RFC 6750).

use bytes::Bytes;
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use ostler_http1::RequestHead;
use ostler_model::policies::{Authorized, RouteAuthorization, TokenError};

use crate::context::ExchangeContext;

/// Answers a request that may not go on.
pub(super) fn refuse(
    context: &ExchangeContext<'_>,
    authorization: &RouteAuthorization,
) -> Option<Response<Bytes>> {
    let token = bearer_token(context.head());
    let decided = authorization.decide(token, crate::clock::seconds_since_1970());
    let mut response = Response::new(Bytes::new());
    let error = match decided {
        Authorized::Allowed => return None,
        Authorized::Challenge(error) => {
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            let challenge = challenge(error.as_ref());
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            error
        }
        Authorized::Forbidden => {
            *response.status_mut() = StatusCode::FORBIDDEN;
            None
        }
    };
    // Never the token: whoever reads the log could use it.
    tracing::info!(
        route = context.route().config.route_id,
        client = ?context.client_address(),
        status = response.status().as_u16(),
        error = error.map(tracing::field::display),
        "a request is not authorized"
    );
    Some(response)
}

/// The token of `Authorization: Bearer`. Two such fields are as good as none: which of them the
/// destination would believe is unknown.
fn bearer_token(head: &RequestHead) -> Option<&str> {
    const SCHEME: &str = "Bearer ";
    let mut fields = head.fields_named("authorization");
    let (value, more) = (fields.next()?, fields.next());
    if more.is_some() {
        return None;
    }
    let value = std::str::from_utf8(value).ok()?;
    let (scheme, token) = value.split_at_checked(SCHEME.len())?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case(SCHEME) && !token.is_empty()).then_some(token)
}

/// As ASP.NET's JwtBearer writes it: nothing of an error where no token was sent.
fn challenge(error: Option<&TokenError>) -> HeaderValue {
    let text = match error {
        None => return HeaderValue::from_static("Bearer"),
        Some(error) if error.has_description() => {
            format!("Bearer error=\"invalid_token\", error_description=\"{error}\"")
        }
        Some(_) => "Bearer error=\"invalid_token\"".to_owned(),
    };
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("Bearer"))
}

#[cfg(test)]
mod tests {
    use ostler_http1::{HeadDecoder, HeadProgress, Limits};

    use super::*;

    #[test]
    fn the_token_is_found_or_not() {
        for (fields, token) in [
            ("Authorization: Bearer a.b.c", Some("a.b.c")),
            ("authorization: bEARER   a.b.c", Some("a.b.c")),
            ("Authorization: Bearer", None),
            ("Authorization: Basic a.b.c", None),
            ("Authorization: Bearera.b.c", None),
            ("Authorization: \u{e4}\u{e4}\u{e4}\u{e4}\u{e4}", None),
            ("Authorization: Bearer a\r\nAuthorization: Bearer b", None),
            ("Proxy-Authorization: Bearer a", None),
            ("X: y", None),
        ] {
            let text = format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n");
            let mut head = RequestHead::default();
            let decoded = HeadDecoder::new(Limits::default()).decode(text.as_bytes(), &mut head);
            assert!(
                matches!(decoded, Ok(HeadProgress::Complete { .. })),
                "{fields}"
            );
            assert_eq!(bearer_token(&head), token, "{fields}");
        }
    }

    #[test]
    fn challenges_read_as_in_aspnet() {
        for (error, text) in [
            (None, "Bearer"),
            (
                Some(TokenError::Malformed),
                "Bearer error=\"invalid_token\"",
            ),
            (
                Some(TokenError::Expired(0)),
                "Bearer error=\"invalid_token\", error_description=\"The token expired at '01/01/1970 00:00:00'\"",
            ),
            (
                Some(TokenError::Audience("a\"\r\nb".into())),
                "Bearer error=\"invalid_token\", error_description=\"The audience 'ab' is invalid\"",
            ),
        ] {
            assert_eq!(challenge(error.as_ref()), text);
        }
    }
}
