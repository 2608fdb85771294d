//! The outgoing request: the client's, less what belongs to its connection, plus who it is.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri, Version};
use ostler_delegation::relayed_client::CLIENT_FIELD;
use ostler_http1::{Framing, RequestHead};
use ostler_model::RandomSource;
use ostler_model::transforms::{ConnectionEnds, Transforms, join_lines, path};

use crate::connection_fields::{is_hop_by_hop, is_listed_in_connection};
use crate::destinations::{Destination, LongTarget, RequestError};
use crate::head_view::HeadView;

/// The request for a destination's address, and whether it asks for an upgrade.
///
/// YARP's default transforms are applied: the client's `Host` is not sent on (the destination's
/// `Host`, or its address, is), `X-Forwarded-For`, `-Host` and `-Proto` are set, `X-Forwarded-Prefix`
/// and `Forwarded` are removed.
pub(crate) fn to_destination(
    head: &RequestHead,
    version: Version,
    destination: &Destination,
    ends: ConnectionEnds<'_>,
) -> Result<(http::request::Parts, bool), RequestError> {
    let target = target(head, &destination.prefix);
    let mut fields = HeaderMap::with_capacity(head.field_ranges().len() + 4);
    // RFC 9110 section 7.2: first, since it decides who handles the rest.
    fields.insert(header::HOST, destination.host.clone());
    copy(head, version, &mut fields, is_set_anew)?;
    let (mut parts, upgrade) = common(head, target, fields)?;
    parts.method = method(head)?;
    let fields = &mut parts.headers;
    if let Some(client) = ends.remote {
        let ip = client.ip().to_canonical().to_string();
        let ip = HeaderValue::from_maybe_shared(Bytes::from(ip)).map_err(http::Error::from)?;
        fields.insert(FORWARDED_FOR, ip);
    }
    if !head.authority().is_empty() {
        let host = HeaderValue::from_str(head.authority()).map_err(http::Error::from)?;
        fields.insert(FORWARDED_HOST, host);
    }
    if let Some(prefix) = ends.prefix {
        let prefix = HeaderValue::from_str(prefix).map_err(http::Error::from)?;
        fields.insert(FORWARDED_PREFIX, prefix);
    }
    let scheme = if ends.is_https { "https" } else { "http" };
    fields.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme));
    join_lines(fields);
    state_no_body(&mut parts, head);
    Ok((parts, upgrade))
}

/// A request that usually has a body says so where it has none (reference B7.3; RFC 9110
/// section 8.6).
fn state_no_body(parts: &mut http::request::Parts, head: &RequestHead) {
    let method = &parts.method;
    let has_none = [
        Method::GET,
        Method::HEAD,
        Method::CONNECT,
        Method::OPTIONS,
        Method::DELETE,
    ];
    if head.framing() == Framing::None && !has_none.contains(method) {
        parts.headers.insert(header::CONTENT_LENGTH, 0.into());
    }
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What the client says of these the destination is not told.
fn is_set_anew(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "host"
            | "forwarded"
            | "x-forwarded-for"
            | "x-forwarded-host"
            | "x-forwarded-proto"
            | "x-forwarded-prefix"
    )
}

/// The request for a relayed target, which sees it as the client sent it.
pub(crate) fn to_target(
    head: &RequestHead,
    version: Version,
) -> Result<(http::request::Parts, bool), RequestError> {
    let target = match (head.path(), head.query()) {
        (path, Some(query)) => format!("{path}?{query}"),
        (path, None) => path.to_owned(),
    };
    common(head, target, copied(head, version)?)
}

/// The request that a route's transforms make, or the answer of one of them.
pub(crate) fn transformed(
    head: &RequestHead,
    version: Version,
    transforms: &Transforms,
    destination: &Destination,
    ends: ConnectionEnds<'_>,
    random: &mut dyn RandomSource,
) -> Result<Result<(http::request::Parts, bool), Answer>, RequestError> {
    // Checked here so that copying cannot fail later.
    let copied = copied(head, version)?;
    let method = method(head)?;
    let facts = HeadView(head, ends.is_https);
    let made = transforms.request(&facts, ends, method, &destination.host, || copied, random);
    let outgoing = match made {
        Ok(outgoing) => outgoing,
        Err(answer) => return Ok(Err(answer)),
    };
    let target = outgoing.target(&destination.prefix);
    let mut fields = outgoing.headers;
    // How the body is delimited is not for a transform to say: it is as long as it is. Nor is what
    // becomes of the connection to the destination.
    for name in [
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::UPGRADE,
        HeaderName::from_static("proxy-connection"),
    ] {
        fields.remove(name);
    }
    join_lines(&mut fields);
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
    let (mut parts, upgrade) = common(head, target, fields)?;
    parts.method = outgoing.method;
    state_no_body(&mut parts, head);
    Ok(Ok((parts, upgrade)))
}

/// What a transform answers in a destination's place.
pub(crate) type Answer = Box<http::Response<Vec<u8>>>;

fn common(
    head: &RequestHead,
    target: String,
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
    let target = Bytes::from(target);
    if target.len() <= LONGEST_URI {
        parts.uri = Uri::from_maybe_shared(target).map_err(http::Error::from)?;
    } else {
        parts.extensions.insert(LongTarget(target));
    }
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

/// The longest target that `Uri` holds.
const LONGEST_URI: usize = u16::MAX as usize - 1;

/// Path and query at a destination (reference B6.1). It gets its own prefix for `OPTIONS *`,
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

/// The method that a destination sees, unless transforms change it: an upgrade's is GET (RFC 6455
/// section 4.1), whatever the client says.
fn method(head: &RequestHead) -> Result<Method, http::Error> {
    match head.upgrade() {
        Some(upgrade) if is_forwarded_upgrade(upgrade) => Ok(Method::GET),
        _ => Ok(Method::from_bytes(head.method().as_bytes())?),
    }
}

/// Whether this asks for a WebSocket.
pub(super) fn is_web_socket(head: &RequestHead) -> bool {
    head.upgrade()
        .is_some_and(|upgrade| upgrade.eq_ignore_ascii_case(b"websocket"))
}

/// WebSocket and SPDY, as YARP; any other upgrade is an ordinary request.
fn is_forwarded_upgrade(upgrade: &[u8]) -> bool {
    upgrade.eq_ignore_ascii_case(b"websocket")
        || upgrade
            .get(..5)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"spdy/"))
}

/// The fields that are passed on from a client that speaks `version`. The one by which relayed
/// targets are told of clients is written by fronts alone.
fn copied(head: &RequestHead, version: Version) -> Result<HeaderMap, http::Error> {
    let mut fields = HeaderMap::with_capacity(head.field_ranges().len() + 4);
    copy(head, version, &mut fields, |_| false)?;
    Ok(fields)
}

fn copy(
    head: &RequestHead,
    version: Version,
    fields: &mut HeaderMap,
    is_left_out: impl Fn(&HeaderName) -> bool,
) -> Result<(), http::Error> {
    let lists = head.fields_named("connection").next().is_some();
    for field in head.fields() {
        let name = HeaderName::from_bytes(field.name.as_bytes())?;
        if is_hop_by_hop(&name) || name == CLIENT_FIELD || is_left_out(&name) {
            continue;
        }
        // Whom the request is for is not of the connection, whatever it lists.
        if lists && name != header::HOST && is_listed_in_connection(head, &name) {
            continue;
        }
        if name == header::CONTENT_LENGTH {
            // Said twice alike, it counts once (RFC 9110 section 8.6).
            let length = match head.framing() {
                Framing::Length(length) => length,
                Framing::None | Framing::Chunked => 0,
            };
            fields.insert(name, length.into());
            continue;
        }
        fields.append(name, HeaderValue::from_bytes(field.value)?);
    }
    // Only HTTP/2 has it mean the same from end to end; gRPC needs it (reference B7.2).
    let takes_trailers = |value: &[u8]| {
        value
            .split(|byte| *byte == b',')
            .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    };
    if version == Version::HTTP_2 && head.fields_named("te").any(takes_trailers) {
        fields.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    Ok(())
}
