//! CORS: preflight requests are answered here, other responses get their fields (reference A11.2).
//!
//! As in ASP.NET's `CorsMiddleware`, an origin that is not allowed is not refused: it is the browser
//! that keeps the response from the script when the fields are missing.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use ostler_http1::RequestHead;
use ostler_model::policies::{Cors, CorsField, Preflight};

use crate::context::ExchangeContext;

/// Answers a preflight request, or sees to the fields of the response to another one.
pub(super) fn apply(context: &mut ExchangeContext<'_>) -> Option<http::Response<Bytes>> {
    let cors = context.route().policies.cors.as_ref()?;
    match evaluate(cors, context.head()) {
        Evaluated::Preflight(fields) => {
            let mut response = http::Response::new(Bytes::new());
            *response.status_mut() = StatusCode::NO_CONTENT;
            for (name, value) in fields.into_iter().filter_map(field) {
                response.headers_mut().append(name, value);
            }
            Some(response)
        }
        Evaluated::Other(fields) => {
            for (name, value) in fields.into_iter().filter_map(field) {
                context.add_response_field(&name, &value);
            }
            None
        }
    }
}

/// What a request is, and the fields of its response.
enum Evaluated {
    Preflight(Vec<CorsField>),
    Other(Vec<CorsField>),
}

fn evaluate(cors: &Cors, head: &RequestHead) -> Evaluated {
    let mut origins = head.fields_named("Origin");
    let Some(first) = origins.next() else {
        return Evaluated::Other(Vec::new());
    };
    // Several make one value that no policy lists, as does one that is no text.
    let origin = match (std::str::from_utf8(first), origins.next()) {
        (Ok(origin), None) => origin,
        _ => "",
    };
    let asked = head.fields_named("Access-Control-Request-Method").next();
    let asked = asked.filter(|_| head.method().eq_ignore_ascii_case("OPTIONS"));
    match (asked, cors) {
        (None, Cors::Disable) => Evaluated::Other(Vec::new()),
        (None, Cors::Policy(policy)) => Evaluated::Other(policy.response(origin)),
        (Some(_), Cors::Disable) => Evaluated::Preflight(Vec::new()),
        (Some(method), Cors::Policy(policy)) => {
            let headers = head.fields_named("Access-Control-Request-Headers");
            let headers: Vec<_> = headers
                .filter_map(|value| std::str::from_utf8(value).ok())
                .collect();
            Evaluated::Preflight(policy.preflight(&Preflight {
                origin,
                method: std::str::from_utf8(method).unwrap_or_default(),
                headers: &headers,
            }))
        }
    }
}

fn field((name, value): CorsField) -> Option<(HeaderName, HeaderValue)> {
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    Some((
        name,
        HeaderValue::from_maybe_shared(Bytes::from(value)).ok()?,
    ))
}
