//! What is told of exchanges when they are over, whoever has answered them: the log's line shows what
//! steps of one's own are given.

use serde_json::json;

use crate::support::{BothWays, Front, Sandbox, eventually};
use crate::tls::{authority, kestrel, start_logging};

/// A front that says how each exchange ended.
fn telling_front(sandbox: &Sandbox, json: &str) -> Front {
    let arguments = ["--threads", "1", "--log", "ostler::exchange=debug"];
    sandbox.front_with(json, &arguments)
}

fn eventually_told(front: &Front, parts: &[&str]) {
    eventually(&format!("{parts:?} is told"), || {
        let lines = front.process.errors();
        let mut lines = lines.iter().filter(|line| line.contains("exchange"));
        lines.any(|line| parts.iter().all(|part| line.contains(part)))
    });
}

#[test]
fn how_a_delegated_exchange_failed_is_told() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let front = telling_front(&sandbox, &both.configuration("", ""));
    for way in ["forwarded", "delegated"] {
        let mode = format!("mode=\"{way}\"");
        let mut client = front.connect();
        client.send(format!("GET /{way}/break/5 HTTP/1.1\r\nHost: x\r\n\r\n"));
        client.rest();
        if way == "delegated" {
            let error = "error=\"ResponseBodyDestination\"";
            eventually_told(&front, &[&mode, "status=200", error]);
        }
        let mut client = front.connect();
        client.send(format!(
            "POST /{way}/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX"
        ));
        client.rest();
        eventually_told(&front, &["error=\"RequestBodyClient\""]);
        let mut client = front.connect();
        client.send(format!(
            "POST /{way}/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
        ));
        assert_eq!(client.response().status, 200);
    }
    // What a target counts reaches the front.
    eventually_told(
        &front,
        &["mode=\"delegated\"", "status=200", "bytes_received=5"],
    );
}

#[test]
fn answers_of_the_front_s_own_are_told() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path().join("wwwroot")).unwrap();
    std::fs::write(sandbox.path().join("wwwroot/file.txt"), "a file").unwrap();
    let json = r#"{ "StaticFiles": { "Enabled": true }, "AllowedHosts": "x",
        "Authentication": {}, "ReverseProxy": {
            "Routes": {
                "none": { "ClusterId": "empty", "Match": { "Path": "/none" } },
                "post": { "ClusterId": "empty", "Match": { "Path": "/post", "Methods": [ "POST" ] } },
                "limited": { "ClusterId": "empty", "MaxRequestBodySize": 1, "Match": { "Path": "/limited" } } },
            "Clusters": { "empty": {} } } }"#;
    let front = telling_front(&sandbox, json);
    for (request, told) in [
        ("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", "status=404"),
        ("GET /post HTTP/1.1\r\nHost: x\r\n\r\n", "status=405"),
        ("GET /none HTTP/1.1\r\nHost: x\r\n\r\n", "status=503"),
        (
            "POST /limited HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab",
            "status=413",
        ),
        ("GET /file.txt HTTP/1.1\r\nHost: x\r\n\r\n", "status=200"),
        ("GET / HTTP/1.1\r\nHost: other\r\n\r\n", "status=400"),
        ("GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", "status=400"),
        ("GET /none HTTP/9.9\r\nHost: x\r\n\r\n", "status=505"),
    ] {
        let before = front.process.errors().len();
        let mut client = front.connect();
        client.send(request);
        let status = client.response().status;
        eventually(&format!("{request:?} is told"), || {
            let lines = front.process.errors();
            let mut lines = lines[before..].iter();
            lines.any(|line| {
                let is_told = line.contains("mode=\"local\"") && line.contains("bytes_sent=");
                is_told && line.contains(told) && !line.contains("bytes_sent=0 ")
            })
        });
        assert!(told.ends_with(&status.to_string()), "{request:?} {status}");
    }
}

/// What follows the answer's head would be the start of the next answer to the client.
#[test]
fn a_head_request_that_is_refused_is_answered_without_a_body() {
    let sandbox = Sandbox::new();
    let front = sandbox.front("{}");
    for request in [
        "HEAD / HTTP/1.1\r\nA : b\r\n\r\n",
        "\r\nHEAD / HTTP/1.1\r\nA : b\r\n\r\n",
        "HEAD / HTTP/1.1\r\n\r\n",
    ] {
        let mut client = front.connect();
        client.send(request);
        let response = client.rest();
        let text = String::from_utf8(response).unwrap();
        assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
        assert!(text.ends_with("\r\n\r\n"), "{text}");
    }
    let mut client = front.connect();
    client.send("GET / HTTP/1.1\r\nA : b\r\n\r\n");
    let text = String::from_utf8(client.rest()).unwrap();
    assert!(!text.ends_with("\r\n\r\n"), "others are told why: {text}");
}

#[test]
fn a_request_in_clear_text_where_tls_is_spoken_is_told() {
    let sandbox = Sandbox::new();
    authority(&sandbox);
    let json = format!(
        "{{ {} \"ReverseProxy\": {{}} }}",
        kestrel(&sandbox, json!({}))
    );
    let front = start_logging(&sandbox, &json, "ostler::exchange=debug");
    let mut client = front.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let text = String::from_utf8(client.rest()).unwrap();
    assert!(text.contains("This port speaks https"), "{text}");
    drop(client);
    let bytes = format!("bytes_sent={} ", text.len());
    eventually_told(&front, &["mode=\"local\"", "status=400", &bytes]);
}
