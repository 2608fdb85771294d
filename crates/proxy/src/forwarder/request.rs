//! The outgoing request: the client's, less what belongs to its connection, plus who it is.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri, Version};
use ostler_http1::{Framing, RequestHead};
use ostler_model::RandomSource;
use ostler_model::transforms::{ConnectionEnds, Transforms, path};

use super::clients::{Destination, TlsError};
use crate::facts::Facts;

/// No request can be made of this head and this destination.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("CONNECT is not forwarded")]
    Connect,
    #[error("the destination's address {0:?} is not an http or https URL")]
    Address(String),
    #[error("HTTP/3 is asked for and not spoken")]
    Http3,
    #[error("the destination's TLS cannot be set up")]
    Tls(#[from] TlsError),
    #[error("the method, target or a field cannot be sent")]
    Invalid(#[from] http::Error),
}

/// The request for a destination's address, and whether it asks for an upgrade.
///
/// YARP's default transforms are applied: the client's `Host` is not sent on (the destination's
/// `Host`, or its address, is), `X-Forwarded-For`, `-Host` and `-Proto` are set, `X-Forwarded-Prefix`
/// and `Forwarded` are removed.
pub(crate) fn to_destination(
    head: &RequestHead,
    destination: &Destination,
    ends: ConnectionEnds<'_>,
) -> Result<(http::request::Parts, bool), RequestError> {
    let target = target(head, &destination.prefix);
    let (mut parts, upgrade) = common(head, &target, fields(head)?)?;
    let fields = &mut parts.headers;
    fields.insert(header::HOST, destination.host.clone());
    for name in [
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-prefix",
    ] {
        fields.remove(name);
    }
    fields.remove(header::FORWARDED);
    if let Some(client) = ends.remote {
        let ip = client.ip().to_canonical().to_string();
        fields.insert(
            "x-forwarded-for",
            HeaderValue::from_str(&ip).map_err(http::Error::from)?,
        );
    }
    if !head.authority().is_empty() {
        let host = HeaderValue::from_str(head.authority()).map_err(http::Error::from)?;
        fields.insert("x-forwarded-host", host);
    }
    let scheme = if ends.is_https { "https" } else { "http" };
    fields.insert("x-forwarded-proto", HeaderValue::from_static(scheme));
    Ok((parts, upgrade))
}

/// The request for a relayed target, which sees it as the client sent it.
pub(crate) fn to_target(head: &RequestHead) -> Result<(http::request::Parts, bool), RequestError> {
    let target = match (head.path(), head.query()) {
        (path, Some(query)) => format!("{path}?{query}"),
        (path, None) => path.to_owned(),
    };
    common(head, &target, fields(head)?)
}

/// The request that a route's transforms make, or the answer of one of them.
pub(crate) fn transformed(
    head: &RequestHead,
    transforms: &Transforms,
    destination: &Destination,
    ends: ConnectionEnds<'_>,
    random: &mut dyn RandomSource,
) -> Result<Result<(http::request::Parts, bool), Answer>, RequestError> {
    // Checked here so that copying cannot fail later.
    let copied = fields(head)?;
    let method = Method::from_bytes(head.method().as_bytes()).map_err(http::Error::from)?;
    let facts = Facts(head, ends.is_https);
    let made = transforms.request(&facts, ends, method, &destination.host, || copied, random);
    let outgoing = match made {
        Ok(outgoing) => outgoing,
        Err(answer) => return Ok(Err(answer)),
    };
    let target = outgoing.target(&destination.prefix);
    let mut fields = outgoing.headers;
    // How the body is delimited is not for a transform to say: it is as long as it is.
    fields.remove(header::TRANSFER_ENCODING);
    match head.framing() {
        Framing::Length(length) => {
            if fields.contains_key(header::CONTENT_LENGTH) {
                fields.insert(header::CONTENT_LENGTH, length.into());
            }
        }
        Framing::Chunked => {
            fields.remove(header::CONTENT_LENGTH);
        }
        Framing::None => {
            if fields.contains_key(header::CONTENT_LENGTH) {
                fields.insert(header::CONTENT_LENGTH, 0.into());
            }
        }
    }
    let (mut parts, upgrade) = common(head, &target, fields)?;
    parts.method = outgoing.method;
    Ok(Ok((parts, upgrade)))
}

/// What a transform answers in a destination's place.
pub(crate) type Answer = Box<http::Response<Vec<u8>>>;

fn common(
    head: &RequestHead,
    target: &str,
    fields: HeaderMap,
) -> Result<(http::request::Parts, bool), RequestError> {
    if head.is_connect() {
        return Err(RequestError::Connect);
    }
    let upgrade = head
        .upgrade()
        .filter(|upgrade| is_forwarded_upgrade(upgrade));
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.version = Version::HTTP_11;
    parts.method = Method::from_bytes(head.method().as_bytes()).map_err(http::Error::from)?;
    parts.uri = target.parse::<Uri>().map_err(http::Error::from)?;
    parts.headers = fields;
    if let Some(upgrade) = upgrade {
        let upgrade = HeaderValue::from_bytes(upgrade).map_err(http::Error::from)?;
        parts
            .headers
            .insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        parts.headers.insert(header::UPGRADE, upgrade);
    }
    Ok((parts, upgrade.is_some()))
}

/// Path and query at a destination (reference part B, 6.1). It gets its own prefix for `OPTIONS *`,
/// and never `*`.
fn target(head: &RequestHead, prefix: &str) -> String {
    let path = path::forwarded(head.path());
    let prefix = match path.is_empty() {
        true => prefix,
        false => prefix.strip_suffix('/').unwrap_or(prefix),
    };
    match head.query() {
        Some(query) => format!("{prefix}{path}?{}", path::forwarded_query(query)),
        None => format!("{prefix}{path}"),
    }
}

/// WebSocket and SPDY, as YARP; any other upgrade is an ordinary request.
fn is_forwarded_upgrade(upgrade: &[u8]) -> bool {
    upgrade.eq_ignore_ascii_case(b"websocket")
        || upgrade
            .get(..5)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"spdy/"))
}

fn fields(head: &RequestHead) -> Result<HeaderMap, http::Error> {
    let mut fields = HeaderMap::with_capacity(head.field_ranges().len() + 4);
    for field in head.fields() {
        let name = HeaderName::from_bytes(field.name.as_bytes())?;
        if is_hop_by_hop(&name) || is_listed_in_connection(head, &name) {
            continue;
        }
        fields.append(name, HeaderValue::from_bytes(field.value)?);
    }
    Ok(fields)
}

/// Names that `Connection` lists belong to the connection (RFC 9110 section 7.6.1).
pub(crate) fn is_listed_in_connection(head: &RequestHead, name: &HeaderName) -> bool {
    head.fields_named("connection").any(|value| {
        value.split(|byte| *byte == b',').any(|option| {
            option
                .trim_ascii()
                .eq_ignore_ascii_case(name.as_str().as_bytes())
        })
    })
}

/// What is never passed on: YARP's list, in requests and responses alike.
pub(crate) fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "transfer-encoding"
            | "keep-alive"
            | "upgrade"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authentication-info"
            | "proxy-authorization"
            | "proxy-features"
            | "proxy-instruction"
            | "security-scheme"
            | "alpn"
            | "close"
            | "http2-settings"
            | "upgrade-insecure-requests"
            | "te"
            | "alt-svc"
    )
}
