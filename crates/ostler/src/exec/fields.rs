//! What is changed of a head on its way: fields that belong to one connection, and who the client is.

use std::net::{IpAddr, SocketAddr};

use http::header::{
    CONNECTION, EXPECT, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING,
    UPGRADE,
};

use crate::args::ForwardedFields;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// All that says who a client is.
const FORWARDED_FIELDS: [HeaderName; 5] = [
    FORWARDED_FOR,
    FORWARDED_PROTO,
    FORWARDED_HOST,
    HeaderName::from_static("x-forwarded-prefix"),
    FORWARDED,
];

/// Fields of a connection that no `Connection` needs to list.
const OF_CONNECTION: [HeaderName; 4] = [
    TRANSFER_ENCODING,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
];

/// Takes away what belongs to the connection that a head came over (RFC 9110 section 7.6.1). Of a switch of
/// protocols, what asks for it or agrees to it stays.
pub(super) fn leave_connection(fields: &mut HeaderMap, is_switch: bool) {
    let listed: Vec<HeaderName> = fields
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| *name != UPGRADE)
        .collect();
    for name in listed.iter().chain(&OF_CONNECTION) {
        fields.remove(name);
    }
    fields.remove(CONNECTION);
    match is_switch {
        true => _ = fields.insert(CONNECTION, HeaderValue::from_static("upgrade")),
        false => _ = fields.remove(UPGRADE),
    }
}

/// The same for a request, whose `Expect` is this process' to meet: the body is asked for when the program is
/// sent it. What is said of trailers is said anew, where it can be.
pub(super) fn leave_request_connection(fields: &mut HeaderMap, is_switch: bool, is_http2: bool) {
    let takes_trailers = fields.get_all(TE).iter().any(|value| {
        let mut codings = value.as_bytes().split(|byte| *byte == b',');
        codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    });
    leave_connection(fields, is_switch);
    fields.remove(TE);
    if takes_trailers {
        fields.insert(TE, HeaderValue::from_static("trailers"));
        if !is_http2 {
            fields.append(CONNECTION, HeaderValue::from_static("te"));
        }
    }
    let expects = fields.get(EXPECT).map(HeaderValue::as_bytes);
    if expects.is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue")) {
        fields.remove(EXPECT);
    }
}

/// Says who the client is.
pub(super) fn tell_client(
    fields: &mut HeaderMap,
    how: ForwardedFields,
    client: Option<SocketAddr>,
    scheme: &'static str,
) {
    let address = client.map(|client| client.ip().to_canonical());
    let host = fields.get(HOST).cloned();
    match how {
        ForwardedFields::Off => return,
        // The front's word stays, where it has been told to give it: it knows whom to trust.
        ForwardedFields::Fill => {}
        ForwardedFields::Set | ForwardedFields::Forwarded => {
            for name in FORWARDED_FIELDS {
                fields.remove(name);
            }
        }
    }
    if how == ForwardedFields::Forwarded {
        if let Some(value) = forwarded(address, host.as_ref(), scheme) {
            fields.insert(FORWARDED, value);
        }
        return;
    }
    let address = address.and_then(|address| HeaderValue::from_str(&address.to_string()).ok());
    let scheme = Some(HeaderValue::from_static(scheme));
    for (name, value) in [
        (FORWARDED_FOR, address),
        (FORWARDED_HOST, host),
        (FORWARDED_PROTO, scheme),
    ] {
        if let Some(value) = value {
            fields.entry(name).or_insert(value);
        }
    }
}

/// RFC 7239 section 4; an address of IPv6 is in brackets and quotes (section 6).
fn forwarded(
    address: Option<IpAddr>,
    host: Option<&HeaderValue>,
    scheme: &str,
) -> Option<HeaderValue> {
    let node = match address {
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => format!("\"[{address}]\""),
        None => "unknown".to_owned(),
    };
    let mut said = format!("for={node};proto={scheme}").into_bytes();
    if let Some(host) = host {
        said.extend_from_slice(b";host=\"");
        for byte in host.as_bytes() {
            if matches!(byte, b'"' | b'\\') {
                said.push(b'\\');
            }
            said.push(*byte);
        }
        said.push(b'"');
    }
    HeaderValue::from_bytes(&said).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for (name, value) in lines {
            let name = HeaderName::from_static(name);
            fields.append(name, HeaderValue::from_static(value));
        }
        fields
    }

    #[test]
    fn what_belongs_to_the_connection_stays_behind() {
        let sent = [
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("upgrade", "h2c"),
            ("te", "trailers, deflate"),
            ("expect", "100-Continue"),
            ("transfer-encoding", "chunked"),
            ("x-end", "2"),
        ];
        let mut over_http1 = fields(&sent);
        leave_request_connection(&mut over_http1, false, false);
        let te = ("te", "trailers");
        assert_eq!(
            over_http1,
            fields(&[("x-end", "2"), te, ("connection", "te")])
        );
        let mut over_http2 = fields(&sent);
        leave_request_connection(&mut over_http2, false, true);
        assert_eq!(over_http2, fields(&[("x-end", "2"), te]));
        let mut switch = fields(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
        ]);
        leave_request_connection(&mut switch, true, false);
        assert_eq!(
            switch,
            fields(&[("connection", "upgrade"), ("upgrade", "websocket")])
        );
    }

    #[test]
    fn the_client_is_told_in_each_way() {
        let sent = [
            ("host", "a.test"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-prefix", "/p"),
            ("forwarded", "for=192.0.2.1"),
        ];
        let client = Some("[2001:db8::7]:4711".parse().unwrap());
        let told = |how| {
            let mut fields = fields(&sent);
            tell_client(&mut fields, how, client, "https");
            fields
        };
        assert_eq!(told(ForwardedFields::Off), fields(&sent));
        assert_eq!(
            told(ForwardedFields::Set),
            fields(&[
                ("host", "a.test"),
                ("x-forwarded-for", "2001:db8::7"),
                ("x-forwarded-host", "a.test"),
                ("x-forwarded-proto", "https"),
            ])
        );
        let filled = told(ForwardedFields::Fill);
        assert_eq!(filled["x-forwarded-for"], "192.0.2.1");
        assert_eq!(filled["x-forwarded-proto"], "https");
        assert_eq!(filled["forwarded"], "for=192.0.2.1");
        assert_eq!(
            told(ForwardedFields::Forwarded),
            fields(&[
                ("host", "a.test"),
                (
                    "forwarded",
                    "for=\"[2001:db8::7]\";proto=https;host=\"a.test\""
                ),
            ])
        );
    }
}
