//! Transforms on the wire: what a destination and a client see of what a route changes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use crate::support::{PATIENCE, Sandbox};

/// Answers one request with `response` and gives the bytes of its head.
fn destination(response: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answering = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(stream.read_line(&mut head).unwrap() > 0, "{head:?}");
        }
        stream.get_mut().write_all(response.as_bytes()).unwrap();
        head
    });
    (address, answering)
}

fn configuration(address: &str, transforms: &str) -> String {
    format!(
        r#"{{ "ReverseProxy": {{
            "Routes": {{ "r": {{ "ClusterId": "c", "Match": {{ "Path": "/api/{{id}}/{{**rest}}" }},
                "Transforms": [ {transforms} ] }} }},
            "Clusters": {{ "c": {{ "Destinations": {{ "d": {{ "Address": "{address}" }} }} }} }} }} }}"#
    )
}

const OK: &str = "HTTP/1.1 200 OK\r\nX-Theirs: 1\r\nX-Gone: 1\r\nContent-Length: 2\r\n\r\nok";

/// The request line and the fields without those of every request, as a destination sees them.
fn seen(base: &str, target: &str, fields: &str, transforms: &str) -> Vec<String> {
    let (authority, answering) = destination(OK);
    let sandbox = Sandbox::new();
    let front = sandbox.front(&configuration(
        &format!("http://{authority}{base}"),
        transforms,
    ));
    let mut client = front.connect();
    client.send(format!(
        "GET {target} HTTP/1.1\r\nHost: client.example\r\n{fields}\r\n"
    ));
    assert_eq!(client.response().body, b"ok");
    let head = answering.join().unwrap().replace(&authority, "DESTINATION");
    let mut lines: Vec<_> = head.trim_end().split("\r\n").map(str::to_owned).collect();
    lines[1..].sort();
    lines
}

#[test]
fn a_request_is_composed_as_yarp_composes_it() {
    // Reference B6.2; an encoded slash stays as it came.
    for (base, target, line) in [
        ("", "/api/1/", "GET /api/1/ HTTP/1.1"),
        ("/b", "/api/1/x", "GET /b/api/1/x HTTP/1.1"),
        ("/b//", "/api/1/x", "GET /b//api/1/x HTTP/1.1"),
        ("", "/api/1/caf%c3%a9", "GET /api/1/caf%C3%A9 HTTP/1.1"),
        ("", "/api/1/%63%61t%3Bv", "GET /api/1/cat;v HTTP/1.1"),
        ("", "/api/1/x%2fy%252Fz", "GET /api/1/x%2fy%252Fz HTTP/1.1"),
        (
            "",
            "/api/1/a/%2e%2E/b?q={1}",
            "GET /api/1/b?q=%7B1%7D HTTP/1.1",
        ),
    ] {
        let seen = seen(base, target, "", "");
        assert_eq!(seen[0], line);
        let fields = [
            "host: DESTINATION",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-host: client.example",
            "x-forwarded-proto: http",
        ];
        assert_eq!(seen[1..], fields);
    }
}

#[test]
fn each_request_transform_reaches_the_destination() {
    let fields = "X-A: 1\r\nX-B: 2\r\n";
    for (transform, expected) in [
        (r#"{ "PathSet": "/p" }"#, "GET /base/p?q=1 HTTP/1.1"),
        (
            r#"{ "PathPrefix": "/p" }"#,
            "GET /base/p/api/7/x%20y?q=1 HTTP/1.1",
        ),
        (
            r#"{ "PathRemovePrefix": "/api" }"#,
            "GET /base/7/x%20y?q=1 HTTP/1.1",
        ),
        (
            r#"{ "PathPattern": "/{rest}/{id}" }"#,
            "GET /base/x%20y/7?q=1 HTTP/1.1",
        ),
        (
            r#"{ "QueryValueParameter": "q", "Append": "2" }"#,
            "GET /base/api/7/x%20y?q=1&q=2 HTTP/1.1",
        ),
        (
            r#"{ "QueryRouteParameter": "n", "Set": "id" }"#,
            "GET /base/api/7/x%20y?q=1&n=7 HTTP/1.1",
        ),
        (
            r#"{ "QueryRemoveParameter": "q" }"#,
            "GET /base/api/7/x%20y HTTP/1.1",
        ),
        (
            r#"{ "HttpMethodChange": "GET", "Set": "DELETE" }"#,
            "DELETE /base/api/7/x%20y?q=1 HTTP/1.1",
        ),
        (r#"{ "RequestHeader": "X-A", "Append": "v" }"#, "x-a: 1, v"),
        (
            r#"{ "RequestHeaderRouteValue": "X-A", "Set": "rest" }"#,
            "x-a: x y",
        ),
        (
            r#"{ "RequestHeaderOriginalHost": true }"#,
            "host: client.example",
        ),
        (
            r#"{ "X-Forwarded": "Off", "Proto": "Set" }"#,
            "x-forwarded-proto: http",
        ),
        (
            r#"{ "Forwarded": "proto host for", "ForFormat": "Ip" }"#,
            "forwarded: proto=http;host=\"client.example\";for=127.0.0.1",
        ),
    ] {
        let seen = seen("/base/", "/api/7/x%20y?q=1", fields, transform);
        assert!(
            seen.iter().any(|line| line == expected),
            "{transform}: {seen:?}"
        );
    }
    for (transform, absent) in [
        (r#"{ "RequestHeadersCopy": false }"#, &["x-a", "x-b"][..]),
        (r#"{ "RequestHeadersAllowed": "X-B" }"#, &["x-a"]),
        (r#"{ "RequestHeaderRemove": "X-A" }"#, &["x-a"]),
        (r#"{ "ClientCert": "X-A" }"#, &["x-a"]),
        (r#"{ "Forwarded": "" }"#, &["forwarded", "x-forwarded-for"]),
    ] {
        let seen = seen("", "/api/7/x", fields, transform);
        for name in absent {
            let start = format!("{name}:");
            assert!(
                !seen.iter().any(|line| line.starts_with(&start)),
                "{transform}: {seen:?}"
            );
        }
    }
}

#[test]
fn bytes_beyond_ascii_pass_both_ways() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nX-Raw: \xff\x80\r\nContent-Length: 0\r\n\r\n")
            .unwrap();
        head
    });
    let sandbox = Sandbox::new();
    let transforms = r#"{ "ResponseHeader": "X-New", "Set": "é" }"#;
    let front = sandbox.front(&configuration(&format!("http://{address}"), transforms));
    let mut client = front.connect();
    client
        .send(b"GET /api/1/x HTTP/1.1\r\nHost: x\r\nX-Raw: \xfe\x81\r\nConnection: close\r\n\r\n");
    let mut response = Vec::new();
    client.socket().read_to_end(&mut response).unwrap();
    let has = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    assert!(has(&response, b"x-raw: \xff\x80\r\n"));
    assert!(has(&response, "x-new: é\r\n".as_bytes()));
    assert!(has(&answering.join().unwrap(), b"x-raw: \xfe\x81\r\n"));
}

/// A response's fields `x-...`, in order of names.
fn fields(response: &crate::support::Response) -> Vec<String> {
    let own = response
        .fields
        .iter()
        .filter(|(name, _)| name.starts_with("x-"));
    let mut fields: Vec<_> = own
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    fields.sort();
    fields
}

#[test]
fn each_response_transform_reaches_the_client() {
    for (transforms, expected) in [
        ("", &["x-gone: 1", "x-theirs: 1"][..]),
        (
            r#"{ "ResponseHeader": "X-Theirs", "Set": "v" }"#,
            &["x-gone: 1", "x-theirs: v"],
        ),
        (
            r#"{ "ResponseHeader": "X-Theirs", "Append": "v" }"#,
            &["x-gone: 1", "x-theirs: 1", "x-theirs: v"],
        ),
        (r#"{ "ResponseHeaderRemove": "X-Gone" }"#, &["x-theirs: 1"]),
        (
            r#"{ "ResponseHeadersAllowed": "X-Theirs" }"#,
            &["x-theirs: 1"],
        ),
        (r#"{ "ResponseHeadersCopy": false }"#, &[]),
        (
            r#"{ "ResponseHeader": "X-F", "Set": "v", "When": "Failure" }"#,
            &["x-gone: 1", "x-theirs: 1"],
        ),
    ] {
        let (authority, answering) = destination(OK);
        let sandbox = Sandbox::new();
        let front = sandbox.front(&configuration(&format!("http://{authority}"), transforms));
        let response = front.ask("GET", "/api/1/x");
        answering.join().unwrap();
        assert_eq!((response.status, response.text().as_str()), (200, "ok"));
        assert_eq!(fields(&response), expected, "{transforms}");
    }
}

#[test]
fn trailers_are_transformed() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n\
                   2\r\nok\r\n0\r\nX-T: 1\r\nX-Gone: 1\r\n\r\n";
    for (transforms, trailers) in [
        (
            r#"{ "ResponseTrailer": "X-T", "Append": "2" }"#,
            "x-t: 1\r\nx-t: 2\r\nx-gone: 1\r\n",
        ),
        (r#"{ "ResponseTrailerRemove": "X-Gone" }"#, "x-t: 1\r\n"),
        (
            r#"{ "ResponseTrailersAllowed": "X-Gone" }"#,
            "x-gone: 1\r\n",
        ),
        (r#"{ "ResponseTrailersCopy": false }"#, ""),
    ] {
        let (authority, answering) = destination(chunked);
        let sandbox = Sandbox::new();
        let front = sandbox.front(&configuration(&format!("http://{authority}"), transforms));
        let mut client = front.connect();
        client.send("GET /api/1/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let mut response = String::new();
        client.socket().read_to_string(&mut response).unwrap();
        answering.join().unwrap();
        let end = format!("0\r\n{trailers}\r\n");
        assert!(response.ends_with(&end), "{transforms}: {response:?}");
    }
}

#[test]
fn an_answer_in_a_destinations_place_has_the_fields_for_failures() {
    // Reference B2.6: nobody listens, so there is no destination response.
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let sandbox = Sandbox::new();
    let front = sandbox.front(&configuration(
        &format!("http://{address}"),
        r#"{ "ResponseHeader": "X-Always", "Set": "1", "When": "Always" },
           { "ResponseHeader": "X-Failure", "Append": "2", "When": "Failure" },
           { "ResponseHeader": "X-Success", "Set": "3" }"#,
    ));
    let response = front.ask("GET", "/api/1/x");
    assert_eq!(response.status, 502);
    assert_eq!(fields(&response), ["x-always: 1", "x-failure: 2"]);
}

/// SHA-256 of `hello`.
const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

/// What a target says of a request that was delegated to it.
fn echoed(head: &str, body: &str, transforms: &str) -> serde_json::Value {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let front = sandbox.front(&format!(
        r#"{{ "ReverseProxy": {{ "Pipeline": [ "HttpSysDelegation" ],
            "Routes": {{ "r": {{ "ClusterId": "c", "Match": {{ "Path": "/api/{{id}}/{{**rest}}" }},
                "Transforms": [ {transforms} ] }} }},
            "Clusters": {{ "c": {{ "Destinations": {{ "d": {{ "Address": "http://*:80/",
                "Metadata": {{ "HttpSysDelegationQueue": "q" }} }} }} }} }} }} }}"#
    ));
    let mut client = front.connect();
    client.send(format!("{head}\r\nHost: client.example\r\nX-A: 1\r\n"));
    client.send(format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    let echo = client.response().json();
    // The connection goes on, and its next request is transformed as well.
    client.send(format!("{head}\r\nHost: client.example\r\nX-A: 1\r\n"));
    client.send(format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    assert_eq!(client.response().json()["target"], echo["target"]);
    echo
}

#[test]
fn a_delegated_request_is_transformed_and_keeps_its_body() {
    let head = "POST /api/7/echo?q=1 HTTP/1.1";
    for (transforms, target) in [
        ("", "/api/7/echo?q=1"),
        (r#"{ "PathPrefix": "/p" }"#, "/p/api/7/echo?q=1"),
        (r#"{ "PathRemovePrefix": "/api/7" }"#, "/echo?q=1"),
        (r#"{ "PathPattern": "/{id}/{**rest}" }"#, "/7/echo?q=1"),
        (
            r#"{ "QueryRouteParameter": "q", "Append": "id" }"#,
            "/api/7/echo?q=1&q=7",
        ),
        (
            r#"{ "ResponseHeader": "X", "Set": "y" }"#,
            "/api/7/echo?q=1",
        ),
    ] {
        let echo = echoed(head, "hello", transforms);
        assert_eq!(echo["target"], target, "{transforms}");
        assert_eq!(echo["arrival"], "delegated");
        assert_eq!(echo["sha256"], HELLO, "{transforms}");
        let text = echo.to_string().to_ascii_lowercase();
        assert!(text.contains("client.example"), "{text}");
        assert!(!text.contains("x-forwarded"), "{text}");
    }
    let transforms = r#"{ "HttpMethodChange": "POST", "Set": "PUT" },
        { "RequestHeader": "X-New", "Set": "new-value" }, { "RequestHeaderRemove": "X-A" },
        { "RequestHeader": "Content-Length", "Set": "1" }"#;
    let echo = echoed(head, "hello", transforms);
    assert_eq!(echo["method"], "PUT");
    assert_eq!(
        (&echo["length"], &echo["sha256"]),
        (&5.into(), &HELLO.into())
    );
    let text = echo.to_string().to_ascii_lowercase();
    assert!(
        text.contains("new-value") && !text.contains("\"x-a\""),
        "{text}"
    );
}
