//! Methods, fields and bodies.

use super::{DEFAULTS, Row, check, fields, unordered};

/// Nothing but what a row is about: the copied fields and the host.
const QUIET: &str = "X-Forwarded: Off";

#[test]
fn methods() {
    // Reference B3.3.
    let mut rows = Vec::new();
    for (transforms, method, sent) in [
        ("HttpMethodChange: GET | Set: DELETE", "GET", "DELETE"),
        ("HttpMethodChange: get | Set: delete", "GET", "DELETE"),
        ("HttpMethodChange: PUT | Set: DELETE", "GET", "GET"),
        ("HttpMethodChange: GET | Set: purge", "GET", "purge"),
        ("HttpMethodChange: purge | Set: GET", "PURGE", "GET"),
        (
            "HttpMethodChange: GET | Set: DELETE + HttpMethodChange: DELETE | Set: OPTIONS",
            "GET",
            "OPTIONS",
        ),
        (
            "HttpMethodChange: DELETE | Set: GET + HttpMethodChange: GET | Set: DELETE",
            "GET",
            "DELETE",
        ),
    ] {
        // Of a method that usually has a body it is said that there is none (7.3).
        let length = match sent {
            "purge" => "content-length: 0\n",
            _ => "",
        };
        rows.push(Row::new(
            transforms,
            format!("{method} /api/7/x HTTP/1.1\nHost: HOST\n\n"),
            format!("{sent} /api/7/x HTTP/1.1\nhost: DEST\n{DEFAULTS}{length}\n"),
        ));
    }
    // The body stays, and what is said of it.
    rows.push(Row::new(
        "HttpMethodChange: POST | Set: PUT",
        "POST /api/7/x HTTP/1.1\nHost: HOST\nContent-Type: text/plain\nContent-Length: 5\n\nhello",
        format!(
            "PUT /api/7/x HTTP/1.1\nhost: DEST\ncontent-type: text/plain\ncontent-length: 5\n{DEFAULTS}\nhello"
        ),
    ));
    check(rows);
}

#[test]
fn request_headers() {
    // Reference B3.4 and B2.5.
    let mut rows = Vec::new();
    for (transforms, own, sent) in [
        ("", "A: 1\nB: 2\n", "host: DEST\na: 1\nb: 2\n"),
        (
            "RequestHeader: X | Set: v",
            "A: 1\n",
            "host: DEST\na: 1\nx: v\n",
        ),
        (
            "RequestHeader: A | Set: v",
            "A: 1\nB: 2\nA: 3\n",
            "host: DEST\nb: 2\na: v\n",
        ),
        ("RequestHeader: A | Set: ", "A: 1\n", "host: DEST\na: \n"),
        (
            "RequestHeader: X | Append: v",
            "A: 1\n",
            "host: DEST\na: 1\nx: v\n",
        ),
        (
            "RequestHeader: A | Append: v",
            "A: 1\nA: 2\n",
            "host: DEST\na: 1, 2, v\n",
        ),
        (
            "RequestHeader: A | Append: v",
            "A:\n",
            "host: DEST\na: , v\n",
        ),
        (
            "RequestHeader: A | Append: ",
            "A: 1\n",
            "host: DEST\na: 1, \n",
        ),
        (
            "RequestHeader: Cookie | Append: c=3",
            "Cookie: a=1\nCookie: b=2\n",
            "host: DEST\ncookie: a=1; b=2; c=3\n",
        ),
        (
            "RequestHeader: User-Agent | Append: (b)",
            "User-Agent: a\n",
            "host: DEST\nuser-agent: a (b)\n",
        ),
        ("RequestHeader: X | Set: é", "", "host: DEST\nx: é\n"),
        (
            "RequestHeaderRouteValue: X | Set: id",
            "",
            "host: DEST\nx: 7\n",
        ),
        (
            "RequestHeaderRouteValue: X | Set: rest",
            "",
            "host: DEST\nx: a b/c\n",
        ),
        (
            "RequestHeaderRouteValue: A | Append: ID",
            "A: 1\n",
            "host: DEST\na: 1, 7\n",
        ),
        (
            "RequestHeaderRouteValue: A | Set: none",
            "A: 1\n",
            "host: DEST\na: 1\n",
        ),
        (
            "RequestHeaderRemove: a",
            "A: 1\nB: 2\nA: 3\n",
            "host: DEST\nb: 2\n",
        ),
        (
            "RequestHeaderRemove: A + RequestHeader: A | Append: v",
            "A: 1\n",
            "host: DEST\na: v\n",
        ),
        (
            "RequestHeader: X | Set: v + RequestHeaderRemove: X",
            "",
            "host: DEST\n",
        ),
        // 2.5
        ("RequestHeadersCopy: false", "A: 1\n", "host: DEST\n"),
        ("RequestHeadersCopy: TRUE ", "A: 1\n", "host: DEST\na: 1\n"),
        (
            "RequestHeadersCopy: false + RequestHeader: A | Append: v",
            "A: 1\nA: 2\n",
            "a: 1, 2, v\nhost: DEST\n",
        ),
        (
            "RequestHeadersCopy: false + RequestHeader: A | Set: v",
            "A: 1\n",
            "a: v\nhost: DEST\n",
        ),
        (
            "RequestHeadersCopy: false + RequestHeadersCopy: true",
            "A: 1\n",
            "host: DEST\na: 1\n",
        ),
        (
            "RequestHeadersAllowed: b; a ;;none",
            "A: 1\nB: 2\nB: 3\nC: 4\n",
            "b: 2, 3\na: 1\nhost: DEST\n",
        ),
        ("RequestHeadersAllowed: A", "A:\n", "host: DEST\n"),
        (
            "RequestHeadersAllowed: B + RequestHeader: A | Append: v",
            "A: 1\nB: 2\n",
            "b: 2\na: v\nhost: DEST\n",
        ),
        (
            "RequestHeadersAllowed: A + RequestHeadersCopy: true",
            "A: 1\nB: 2\n",
            "host: DEST\na: 1, 1\nb: 2\n",
        ),
        // An entity header makes no body, and no length of one: a deviation.
        (
            "RequestHeader: Content-Type | Set: a/b",
            "",
            "host: DEST\ncontent-type: a/b\n",
        ),
        // The never-copied list does not bind it (3.4).
        (
            "RequestHeadersAllowed: TE;Keep-Alive;Alt-Svc",
            "TE: a\nKeep-Alive: b\nAlt-Svc: c\n",
            "te: a\nkeep-alive: b\nalt-svc: c\nhost: DEST\n",
        ),
    ] {
        rows.push(fields(&format!("{QUIET} + {transforms}"), own, sent));
    }
    rows[0].transforms = QUIET.to_owned();
    // The defaults run behind a route's own (2.4).
    rows.push(unordered(
        "RequestHeader: X-Forwarded-Proto | Set: ftp + RequestHeaderRemove: X-Forwarded-For",
        "X-Forwarded-For: 192.0.2.1\n",
        DEFAULTS,
    ));
    rows.push(fields(
        "RequestHeadersCopy: false",
        "A: 1\n",
        &format!("host: DEST\n{DEFAULTS}"),
    ));
    check(rows);
}

#[test]
fn bodies_and_what_transforms_say_of_them() {
    // Reference B3.4 and B7.3: the proxy states how a body is delimited.
    let length = "POST /api/7/x HTTP/1.1\nHost: HOST\nContent-Length: 5\n\nhello";
    let chunked =
        "POST /api/7/x HTTP/1.1\nHost: HOST\nTransfer-Encoding: chunked\n\n5\nhello\n0\n\n";
    let none = "POST /api/7/x HTTP/1.1\nHost: HOST\n\n";
    let head = "POST /api/7/x HTTP/1.1\n";
    let mut rows = Vec::new();
    for (transforms, request, sent) in [
        ("", length, "host: DEST\ncontent-length: 5\n\nhello"),
        (
            "",
            chunked,
            "host: DEST\ntransfer-encoding: chunked\n\n5\nhello\n0\n\n",
        ),
        ("", none, "host: DEST\ncontent-length: 0\n\n"),
        (
            "RequestHeadersCopy: false",
            length,
            "host: DEST\ncontent-length: 5\n\nhello",
        ),
        (
            "RequestHeadersCopy: false",
            chunked,
            "host: DEST\ntransfer-encoding: chunked\n\n5\nhello\n0\n\n",
        ),
        (
            "RequestHeader: Content-Length | Set: 3",
            length,
            "host: DEST\ncontent-length: 5\n\nhello",
        ),
        (
            "RequestHeader: Content-Length | Set: 3",
            chunked,
            "host: DEST\ntransfer-encoding: chunked\n\n5\nhello\n0\n\n",
        ),
        (
            "RequestHeader: Content-Length | Set: 3",
            none,
            "host: DEST\ncontent-length: 0\n\n",
        ),
        (
            "RequestHeaderRemove: Content-Length",
            length,
            "host: DEST\ncontent-length: 5\n\nhello",
        ),
        (
            "RequestHeader: Transfer-Encoding | Set: gzip",
            length,
            "host: DEST\ncontent-length: 5\n\nhello",
        ),
        (
            "RequestHeadersAllowed: Transfer-Encoding",
            chunked,
            "host: DEST\ntransfer-encoding: chunked\n\n5\nhello\n0\n\n",
        ),
        (
            "RequestHeader: Content-Type | Set: a/b",
            length,
            "host: DEST\ncontent-length: 5\ncontent-type: a/b\n\nhello",
        ),
    ] {
        let transforms = match transforms {
            "" => QUIET.to_owned(),
            transforms => format!("{QUIET} + {transforms}"),
        };
        rows.push(Row::new(transforms, request, format!("{head}{sent}")));
    }
    check(rows);
}

#[test]
fn hosts() {
    // Reference B3.5: the client's host, the destination's, and what transforms set.
    let mut rows = Vec::new();
    for (transforms, destination_host, sent) in [
        ("", "", "host: DEST\n"),
        ("", "d.test", "host: d.test\n"),
        ("", "d.test:99", "host: d.test:99\n"),
        (
            "RequestHeaderOriginalHost: false",
            "d.test",
            "host: d.test\n",
        ),
        ("RequestHeaderOriginalHost: true", "", "host: HOST\n"),
        ("RequestHeaderOriginalHost: true", "d.test", "host: HOST\n"),
        (
            "RequestHeadersCopy: false + RequestHeaderOriginalHost: true",
            "d.test",
            "host: HOST\n",
        ),
        (
            "RequestHeadersCopy: false + RequestHeader: Host | Set: e.test + RequestHeaderOriginalHost: true",
            "d.test",
            "host: e.test\n",
        ),
        ("RequestHeadersCopy: false", "d.test", "host: d.test\n"),
        (
            "RequestHeader: Host | Set: e.test",
            "d.test",
            "host: e.test\n",
        ),
        (
            "RequestHeader: Host | Set: e.test + RequestHeaderOriginalHost: true",
            "",
            "host: e.test\n",
        ),
        // Set to the very value that the client sent, it is undone by the default step.
        (
            "RequestHeader: Host | Set: HOST",
            "d.test",
            "host: d.test\n",
        ),
        ("RequestHeaderRemove: Host", "d.test", "host: d.test\n"),
        (
            "RequestHeaderRemove: Host + RequestHeaderOriginalHost: true",
            "d.test",
            "host: d.test\n",
        ),
        ("RequestHeadersAllowed: Host", "d.test", "host: d.test\n"),
        (
            "RequestHeadersAllowed: Host + RequestHeaderOriginalHost: true",
            "d.test",
            "host: HOST\n",
        ),
        // An allow list without it, before: the original one is not sent on.
        (
            "RequestHeadersAllowed: A + RequestHeaderOriginalHost: true",
            "d.test",
            "host: d.test\n",
        ),
        (
            "RequestHeaderOriginalHost: true + RequestHeadersAllowed: A",
            "",
            "host: HOST\n",
        ),
    ] {
        let at = rows.len();
        let transforms = match transforms {
            "" => QUIET.to_owned(),
            transforms => format!("{QUIET} + {transforms}"),
        };
        let transforms = transforms.replace("HOST", &format!("r{at}.test:81"));
        rows.push(Row {
            destination_host,
            ..fields(&transforms, "", sent)
        });
    }
    check(rows);
}

#[test]
fn client_certificates() {
    // Reference B3.8: what the client says of one is removed, and the defaults stay.
    check(vec![fields(
        "ClientCert: X-Cert",
        "X-Cert: spoofed\nA: 1\n",
        &format!("host: DEST\na: 1\n{DEFAULTS}"),
    )]);
}

#[test]
fn fields_that_are_never_copied() {
    // Reference B7.1 and B7.2, with and without transforms.
    let mut rows = Vec::new();
    for name in [
        "Keep-Alive",
        "Upgrade",
        "Proxy-Connection",
        "Proxy-Authenticate",
        "Proxy-Authentication-Info",
        "Proxy-Authorization",
        "Proxy-Features",
        "Proxy-Instruction",
        "Security-Scheme",
        "ALPN",
        "Close",
        "HTTP2-Settings",
        "Upgrade-Insecure-Requests",
        "TE",
        "Alt-Svc",
    ] {
        let own = format!("A: 1\n{name}: trailers\n");
        let sent = format!("host: DEST\na: 1\n{DEFAULTS}");
        rows.push(fields("", &own, &sent));
        rows.push(fields("RequestHeaderRemove: None", &own, &sent));
    }
    for transforms in ["", "RequestHeaderRemove: None"] {
        // What `Connection` lists goes with it (RFC 9110, 7.6.1), unlike YARP.
        rows.push(fields(
            transforms,
            "Connection: close, A\nA: 1\nB: 2\n",
            &format!("host: DEST\nb: 2\n{DEFAULTS}"),
        ));
        let ordinary = "via: 1.1 a\nmax-forwards: 3\nauthorization: b\ncookie: c=1\ndate: d\n\
             server: e\nstrict-transport-security: f\ntrailer: g\nempty: \n";
        rows.push(fields(
            transforms,
            ordinary,
            &format!("host: DEST\n{ordinary}{DEFAULTS}"),
        ));
        // All values, in order, on one line.
        rows.push(fields(
            transforms,
            "A: 1\nB: 2\nA: 3\nCookie: a=1\nCookie: b=2\n",
            &format!("host: DEST\na: 1, 3\nb: 2\ncookie: a=1; b=2\n{DEFAULTS}"),
        ));
    }
    check(rows);
}
