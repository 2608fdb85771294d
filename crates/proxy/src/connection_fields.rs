//! Fields that belong to one connection and are not passed on to the next (RFC 9110 section 7.6.1).

use http::HeaderName;
use ostler_http1::RequestHead;

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
