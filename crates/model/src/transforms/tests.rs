//! Each kind of transform, from a configured item to what is sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};
use ostler_config::schema::{MatchConfig, RouteConfig};
use ostler_http1::{FieldTransform, ResponseTransforms};

use super::*;
use crate::random::FastRandom;
use crate::route::RequestView;

/// A client's request.
struct Client {
    path: &'static str,
    query: Option<&'static str>,
    fields: &'static [(&'static str, &'static str)],
    is_https: bool,
}

impl RequestView for Client {
    fn method(&self) -> &str {
        "GET"
    }
    fn path(&self) -> &str {
        self.path
    }
    fn query(&self) -> Option<&str> {
        self.query
    }
    fn authority(&self) -> &str {
        "client.example:81"
    }
    fn is_https(&self) -> bool {
        self.is_https
    }
    fn for_each_field_value(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        for (have, value) in self.fields {
            if have.eq_ignore_ascii_case(name) {
                visit(value.as_bytes());
            }
        }
    }
}

const CLIENT: Client = Client {
    path: "/api/7/a%20b/c",
    query: Some("q=1&r=a+b"),
    fields: &[
        ("Host", "client.example:81"),
        ("X-A", "1"),
        ("X-A", "2"),
        ("X-Empty", ""),
        ("Cookie", "a=1"),
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Forwarded-Prefix", "/spoofed"),
        ("Forwarded", "for=192.0.2.1"),
    ],
    is_https: false,
};

const DER: [u8; 5] = [0, 0xff, 0x10, 0x83, 0x3e];

fn route(items: &str) -> RouteConfig {
    let transforms = items.split(" + ").filter(|item| !item.is_empty());
    let item = |item: &str| -> BTreeMap<String, String> {
        let pairs = item.split(" | ").map(|pair| pair.split_once(": ").unwrap());
        pairs
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    };
    RouteConfig {
        route_id: "r".into(),
        matches: MatchConfig {
            path: Some("/api/{id}/{**rest}".into()),
            ..MatchConfig::default()
        },
        transforms: transforms.map(item).collect(),
        ..RouteConfig::default()
    }
}

/// Items as `key: value | key: value + key: value`.
fn built(items: &str) -> Arc<Transforms> {
    let mut errors = Vec::new();
    let transforms = Transforms::build(&route(items), &[], &mut errors);
    assert_eq!(errors, [], "{items}");
    transforms.unwrap()
}

/// The request line and fields, as `name: value`.
fn sent(client: &Client, items: &str) -> (String, Vec<String>) {
    let transforms = built(items);
    let copied = || {
        let mut fields = HeaderMap::new();
        for (name, value) in client.fields {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            fields.append(name, HeaderValue::from_static(value));
        }
        fields
    };
    let ends = ConnectionEnds {
        remote: "192.0.2.7:4711".parse().ok(),
        local: "[2001:db8::1]:80".parse().ok(),
        is_https: client.is_https,
        client_certificate: client.is_https.then_some(&DER),
        prefix: None,
        is_claimed: false,
    };
    let host = HeaderValue::from_static("destination");
    let request = transforms
        .request(
            client,
            ends,
            Method::GET,
            &host,
            copied,
            &mut FastRandom::new(1),
        )
        .unwrap();
    let line = format!("{} {}", request.method, request.target("/"));
    let fields: Vec<_> = request
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    (line, fields)
}

/// The values of one field.
fn field(items: &str, name: &str) -> Vec<String> {
    let (_, fields) = sent(&CLIENT, items);
    let start = format!("{name}: ");
    let values = fields.iter().filter_map(|field| field.strip_prefix(&start));
    values.map(str::to_owned).collect()
}

#[test]
fn request_lines() {
    // Reference B3.1, B3.2 and B3.3.
    for (items, line) in [
        ("PathSet: /a%20b", "GET /a%2520b?q=1&r=a+b"),
        ("PathSet: x", "GET /x?q=1&r=a+b"),
        ("PathPrefix: /p", "GET /p/api/7/a%20b/c?q=1&r=a+b"),
        ("PathPrefix: /p/", "GET /p/api/7/a%20b/c?q=1&r=a+b"),
        ("PathRemovePrefix: /API", "GET /7/a%20b/c?q=1&r=a+b"),
        ("PathRemovePrefix: /api/7/a b/c", "GET /?q=1&r=a+b"),
        ("PathRemovePrefix: /ap", "GET /api/7/a%20b/c?q=1&r=a+b"),
        (
            "PathPattern: /x/{rest}/{id}",
            "GET /x/a%20b%2Fc/7?q=1&r=a+b",
        ),
        ("PathPattern: /X/{**rest}", "GET /X/a%20b/c?q=1&r=a+b"),
        ("PathPattern: /x/{nothing}/y", "GET /?q=1&r=a+b"),
        // Order is execution order.
        (
            "PathRemovePrefix: /api + PathPrefix: /v2",
            "GET /v2/7/a%20b/c?q=1&r=a+b",
        ),
        (
            "PathPrefix: /v2 + PathRemovePrefix: /api",
            "GET /v2/api/7/a%20b/c?q=1&r=a+b",
        ),
        (
            "QueryValueParameter: Q | Set: x/y",
            "GET /api/7/a%20b/c?q=x%2Fy&r=a%20b",
        ),
        (
            "QueryValueParameter: q | Append: ",
            "GET /api/7/a%20b/c?q=1&q=&r=a%20b",
        ),
        (
            "QueryValueParameter: n | Append: v",
            "GET /api/7/a%20b/c?q=1&r=a%20b&n=v",
        ),
        (
            "QueryRouteParameter: n | Set: rest",
            "GET /api/7/a%20b/c?q=1&r=a%20b&n=a%20b%2Fc",
        ),
        (
            "QueryRouteParameter: q | Append: ID",
            "GET /api/7/a%20b/c?q=1&q=7&r=a%20b",
        ),
        (
            "QueryRouteParameter: n | Set: nothing",
            "GET /api/7/a%20b/c?q=1&r=a+b",
        ),
        ("QueryRemoveParameter: Q", "GET /api/7/a%20b/c?r=a%20b"),
        ("QueryRemoveParameter: n", "GET /api/7/a%20b/c?q=1&r=a%20b"),
        (
            "QueryRemoveParameter: q + QueryRemoveParameter: r",
            "GET /api/7/a%20b/c",
        ),
        (
            "HttpMethodChange: get | Set: post",
            "POST /api/7/a%20b/c?q=1&r=a+b",
        ),
        (
            "HttpMethodChange: PUT | Set: POST",
            "GET /api/7/a%20b/c?q=1&r=a+b",
        ),
        (
            "HttpMethodChange: GET | Set: mine + HttpMethodChange: MINE | Set: PUT",
            "PUT /api/7/a%20b/c?q=1&r=a+b",
        ),
    ] {
        assert_eq!(sent(&CLIENT, items).0, line, "{items}");
    }
}

#[test]
fn a_percent_sign_never_becomes_a_slash() {
    for (path, sent_path) in [
        ("/api/1/a%2Fb", "/a%2Fb"),
        ("/api/1/a%2fb", "/a%2fb"),
        ("/api/1/a%252Fb", "/a%252Fb"),
    ] {
        let client = Client {
            path,
            query: None,
            fields: &[],
            is_https: false,
        };
        for items in ["PathPattern: /{**rest}", "PathRemovePrefix: /api/1"] {
            assert_eq!(
                sent(&client, items).0,
                format!("GET {sent_path}"),
                "{items}"
            );
        }
    }
}

#[test]
fn request_fields() {
    // Reference B2.4, B2.5, B2.7, B3.4 to B3.8.
    for (items, name, values) in [
        ("RequestHeader: x-a | Set: v", "x-a", &["v"][..]),
        ("RequestHeader: X-A | Append: v", "x-a", &["1, 2, v"]),
        ("RequestHeader: X-Empty | Append: v", "x-empty", &[", v"]),
        ("RequestHeader: X-New | Append: v", "x-new", &["v"]),
        (
            "RequestHeader: Cookie | Append: b=2",
            "cookie",
            &["a=1; b=2"],
        ),
        ("RequestHeader: X-A | Set: ", "x-a", &[""]),
        ("RequestHeader: X-A | Set: a\nb", "x-a", &[]),
        ("RequestHeader: X-A | Append: a\nb", "x-a", &[]),
        ("RequestHeaderRemove: x-A", "x-a", &[]),
        (
            "RequestHeaderRemove: X-A + RequestHeader: X-A | Append: v",
            "x-a",
            &["v"],
        ),
        (
            "RequestHeadersCopy: false + RequestHeader: X-A | Append: v",
            "x-a",
            &["1, 2, v"],
        ),
        (
            "RequestHeaderRouteValue: X-A | Set: rest",
            "x-a",
            &["a b/c"],
        ),
        (
            "RequestHeaderRouteValue: X-A | Append: id",
            "x-a",
            &["1, 2, 7"],
        ),
        (
            "RequestHeaderRouteValue: X-A | Set: nothing",
            "x-a",
            &["1", "2"],
        ),
        ("RequestHeadersCopy: false", "x-a", &[]),
        ("RequestHeadersAllowed: Cookie;", "x-a", &[]),
        ("RequestHeadersAllowed: cookie; X-A ;", "x-a", &["1", "2"]),
        ("RequestHeadersAllowed: X-Empty", "x-empty", &[]),
        // The quirk of 2.5.
        (
            "RequestHeadersAllowed: X-A + RequestHeadersCopy: true",
            "x-a",
            &["1", "2", "1", "2"],
        ),
        ("PathSet: /", "host", &["destination"]),
        ("RequestHeaderOriginalHost: false", "host", &["destination"]),
        (
            "RequestHeaderOriginalHost: True",
            "host",
            &["client.example:81"],
        ),
        (
            "RequestHeadersCopy: false + RequestHeaderOriginalHost: true",
            "host",
            &["client.example:81"],
        ),
        (
            "RequestHeadersAllowed: X-A + RequestHeaderOriginalHost: true",
            "host",
            &["destination"],
        ),
        ("RequestHeader: Host | Set: other", "host", &["other"]),
        (
            "RequestHeader: Host | Set: client.example:81",
            "host",
            &["destination"],
        ),
        ("ClientCert: X-A", "x-a", &[]),
        // Defaults run last.
        (
            "RequestHeader: X-Forwarded-For | Set: v",
            "x-forwarded-for",
            &["192.0.2.7"],
        ),
        (
            "RequestHeaderRemove: X-Forwarded-For",
            "x-forwarded-for",
            &["192.0.2.7"],
        ),
        ("PathSet: /", "x-forwarded-host", &["client.example:81"]),
        ("PathSet: /", "x-forwarded-proto", &["http"]),
        ("PathSet: /", "x-forwarded-prefix", &[]),
        ("PathSet: /", "forwarded", &[]),
        ("ClientCert: X-C", "x-forwarded-for", &["192.0.2.7"]),
        ("X-Forwarded: Off", "x-forwarded-for", &["192.0.2.1"]),
        ("X-Forwarded: Off", "forwarded", &["for=192.0.2.1"]),
        (
            "X-Forwarded: Append",
            "x-forwarded-for",
            &["192.0.2.1, 192.0.2.7"],
        ),
        ("X-Forwarded: Append", "x-forwarded-prefix", &["/spoofed"]),
        ("X-Forwarded: Append", "forwarded", &[]),
        ("X-Forwarded: 1", "x-forwarded-for", &["192.0.2.7"]),
        ("X-Forwarded: Remove", "x-forwarded-for", &[]),
        (
            "X-Forwarded: Off | For: Set",
            "x-forwarded-for",
            &["192.0.2.7"],
        ),
        (
            "X-Forwarded: Off | For: Set",
            "x-forwarded-prefix",
            &["/spoofed"],
        ),
        (
            "X-Forwarded: Set | Prefix: Off",
            "x-forwarded-prefix",
            &["/spoofed"],
        ),
        (
            "X-Forwarded: Set | HeaderPrefix: X-",
            "x-for",
            &["192.0.2.7"],
        ),
        (
            "X-Forwarded: Set | HeaderPrefix: X-",
            "x-forwarded-for",
            &["192.0.2.1"],
        ),
        (
            "Forwarded: by,for host proto | ForFormat: IpAndPort | ByFormat: Ip",
            "forwarded",
            &["proto=http;host=\"client.example:81\";for=\"192.0.2.7:4711\";by=\"[2001:db8::1]\""],
        ),
        (
            "Forwarded: proto | Action: Append",
            "forwarded",
            &["for=192.0.2.1, proto=http"],
        ),
        ("Forwarded: proto | Action: Remove", "forwarded", &[]),
        (
            "Forwarded: proto | Action: Off",
            "forwarded",
            &["for=192.0.2.1"],
        ),
        ("Forwarded: ", "x-forwarded-for", &["192.0.2.1"]),
        ("Forwarded: proto", "x-forwarded-for", &[]),
    ] {
        assert_eq!(field(items, name), values, "{items}: {name}");
    }
}

#[test]
fn response_fields() {
    // Reference B2.5, B2.6 and B4.
    let (ok, bad) = (StatusCode::OK, StatusCode::BAD_GATEWAY);
    for (items, status, values) in [
        ("ResponseHeader: X-A | Set: v", ok, &["v"][..]),
        ("ResponseHeader: X-A | Append: v", ok, &["1", "2", "v"]),
        ("ResponseHeader: X-A | Set: v", bad, &["1", "2"]),
        ("ResponseHeader: X-A | Set: v | When: always", bad, &["v"]),
        ("ResponseHeader: X-A | Set: v | When: Failure", bad, &["v"]),
        (
            "ResponseHeader: X-A | Set: v | When: Failure",
            ok,
            &["1", "2"],
        ),
        ("ResponseHeaderRemove: X-A", ok, &[]),
        ("ResponseHeaderRemove: X-A | When: Failure", ok, &["1", "2"]),
        ("ResponseHeadersCopy: false", ok, &[]),
        (
            "ResponseHeadersCopy: false + ResponseHeader: X-A | Append: v",
            ok,
            &["1", "2", "v"],
        ),
        ("ResponseHeadersAllowed: X-B; x-a", ok, &["1", "2"]),
        ("ResponseHeadersAllowed: X-B", ok, &[]),
        (
            "ResponseHeadersAllowed: X-B + ResponseHeader: X-A | Append: v",
            ok,
            &["v"],
        ),
    ] {
        let mut fields = HeaderMap::new();
        fields.append("x-a", HeaderValue::from_static("1"));
        fields.append("x-a", HeaderValue::from_static("2"));
        let made = built(items).response(status, fields.clone(), |fields| fields);
        assert_eq!(
            made.get_all("x-a").iter().collect::<Vec<_>>(),
            values,
            "{items}"
        );
        let trailers = items.replace("ResponseHeader", "ResponseTrailer");
        let made = built(&trailers).trailers(status, fields, |fields| fields);
        assert_eq!(
            made.get_all("x-a").iter().collect::<Vec<_>>(),
            values,
            "{trailers}"
        );
    }
}

#[test]
fn what_a_target_is_to_do_is_written_down_once() {
    let encoded = |items: &str| {
        let transforms = built(items);
        match transforms.delegated_response() {
            DelegatedResponse::Encoded(bytes) => ResponseTransforms::decode(bytes).unwrap(),
            other => panic!("{items}: {other:?}"),
        }
    };
    let unchanged = built("PathSet: /x + ResponseHeadersCopy: true");
    assert!(matches!(
        unchanged.delegated_response(),
        DelegatedResponse::Unchanged
    ));
    let made = encoded(
        "ResponseHeader: X-A | Set: v | When: Always + ResponseTrailerRemove: X-T \
         + ResponseHeadersAllowed: a;b + ResponseHeader: X-B | Append: w",
    );
    assert_eq!((made.copies_fields, made.copies_trailers), (false, true));
    assert_eq!((made.fields.len(), made.trailers.len()), (3, 1));
    assert!(!encoded("ResponseTrailersCopy: false").copies_trailers);

    // Text that is no value drops the field.
    let made = encoded("ResponseHeader: X-A | Set: a\u{7f}b");
    assert!(matches!(made.fields[..], [FieldTransform::Remove { .. }]));
}

#[test]
fn what_cannot_be_written_down_is_relayed() {
    struct Nothing;
    impl ResponseTransform for Nothing {
        fn apply(&self, _: &mut OutgoingResponse<'_>) {}
    }
    let provider = |_: &RouteConfig, transforms: &mut TransformsBuilder| {
        transforms.add_response_transform(Nothing);
    };
    let providers: [Arc<dyn TransformProvider>; 1] = [Arc::new(provider)];
    let code = Transforms::build(&route(""), &providers, &mut Vec::new()).unwrap();
    let long = format!("ResponseHeader: X-A | Set: {}", "v".repeat(17_000));
    for (transforms, text) in [(code, "is code"), (built(&long), "too long")] {
        let DelegatedResponse::Relayed(reason) = transforms.delegated_response() else {
            panic!("{text}: it was written down");
        };
        assert!(reason.text().ends_with(text));
        assert!(reason.is_news() && !reason.is_news());
    }
}

#[test]
fn failures_have_the_fields_that_are_for_them() {
    // Reference B2.6.
    let items = "ResponseHeader: X-A | Set: always | When: Always + ResponseHeader: X-B | Set: no \
                 + ResponseHeadersAllowed: X-C + ResponseHeader: X-D | Append: d | When: Failure";
    let fields = built(items).failure(StatusCode::GATEWAY_TIMEOUT);
    let names: Vec<_> = fields.keys().map(HeaderName::as_str).collect();
    assert_eq!(names, ["x-a", "x-d"]);
}

#[test]
fn what_cannot_be_built_is_told_all_at_once() {
    // Reference B5.
    let items = "PathPattern: /{ + RequestHeader: X-A + HttpMethodChange: GET | Set: a b + Nothing: x \
                 + X-Forwarded: set + RequestHeaderRemove: a b + ResponseHeader: X | Set: v | When: now \
                 + Forwarded: from + RequestHeadersCopy: maybe";
    let mut errors = Vec::new();
    Transforms::build(&route(items), &[], &mut errors);
    let parts: Vec<_> = errors.iter().map(|error| error.part.as_str()).collect();
    let expected: Vec<_> = (0..9).map(|at| format!("Transforms:{at}")).collect();
    assert_eq!(parts, expected);
}

#[test]
fn a_route_without_transforms_has_none() {
    let mut errors = Vec::new();
    assert!(Transforms::build(&route(""), &[], &mut errors).is_none());
    let idle = |_: &RouteConfig, _: &mut TransformsBuilder| {};
    let providers: [Arc<dyn TransformProvider>; 1] = [Arc::new(idle)];
    assert!(Transforms::build(&route(""), &providers, &mut errors).is_none());
}

#[test]
fn a_transform_of_ones_own_may_answer() {
    struct Teapot;
    impl RequestTransform for Teapot {
        fn apply(&self, request: &mut OutgoingRequest<'_>) {
            assert_eq!(request.path(), "/api/7/a b/c");
            let mut response = Response::new(b"short and stout".to_vec());
            *response.status_mut() = StatusCode::IM_A_TEAPOT;
            request.respond(response);
        }
    }
    let provider = |_: &RouteConfig, transforms: &mut TransformsBuilder| {
        transforms.add_request_transform(Teapot);
    };
    let providers: [Arc<dyn TransformProvider>; 1] = [Arc::new(provider)];
    let transforms = Transforms::build(&route(""), &providers, &mut Vec::new()).unwrap();
    let host = HeaderValue::from_static("destination");
    let answer = transforms.request(
        &CLIENT,
        ConnectionEnds::default(),
        Method::GET,
        &host,
        HeaderMap::new,
        &mut FastRandom::new(1),
    );
    assert_eq!(answer.unwrap_err().status(), StatusCode::IM_A_TEAPOT);
}

#[test]
fn what_the_handshake_said_is_sent_on() {
    let client = Client {
        is_https: true,
        fields: &[("X-Cert", "forged"), ("X-Forwarded-Proto", "http")],
        ..CLIENT
    };
    // Reference B3.8: base64 of the DER bytes, whatever the client says of itself.
    let (_, fields) = sent(&client, "ClientCert: X-Cert");
    assert!(
        fields.contains(&"x-cert: AP8Qgz4=".to_owned()),
        "{fields:?}"
    );
    assert!(
        !fields.iter().any(|field| field.contains("forged")),
        "{fields:?}"
    );
    // 3.6 and 3.7: the scheme that the front sees.
    assert!(
        fields.contains(&"x-forwarded-proto: https".to_owned()),
        "{fields:?}"
    );
    let (_, fields) = sent(&client, "Forwarded: proto");
    assert!(
        fields.contains(&"forwarded: proto=https".to_owned()),
        "{fields:?}"
    );
    let clear = Client {
        is_https: false,
        ..client
    };
    let (_, fields) = sent(&clear, "ClientCert: X-Cert");
    assert!(
        !fields.iter().any(|field| field.contains("x-cert")),
        "{fields:?}"
    );
}
