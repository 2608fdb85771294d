//! Heads of requests beyond what is usual, where the limits let them pass: as large as Kestrel's
//! limits go, and with as many fields, whichever way the request takes.

use http::{HeaderValue, Request};

use crate::support::http2_client::{Http2Client, run, url, whole};
use crate::support::{Destination, Response, Sandbox, delegating_by_path};

const LIMITS: &str = r#""Kestrel": { "Limits": { "MaxRequestHeadersTotalSize": 1048576,
    "MaxRequestLineSize": 1048576, "MaxRequestHeaderCount": 2000 } },"#;

/// A configuration with these limits.
fn with_limits(configuration: &str) -> String {
    configuration.replacen('{', &format!("{{ {LIMITS}"), 1)
}

fn arrived(response: &Response, name: &str) -> usize {
    assert_eq!(response.status, 200, "{}", response.text());
    let echo = response.json();
    let fields = echo["fields"].as_array().unwrap();
    let named = fields.iter().filter(|field| field[0] == name);
    named.map(|field| field[1].as_str().unwrap().len()).sum()
}

#[test]
fn large_heads_and_many_fields_reach_applications() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("a", &[]);
    let front = sandbox.front(&with_limits(&delegating_by_path(&["a"])));
    let many = "X-Many: 1\r\n".repeat(1500);
    let mut client = front.connect();
    for length in [30_000, 60_000, 100_000, 1_000_000] {
        let long = "x".repeat(length);
        client.send(format!(
            "GET /a/echo HTTP/1.1\r\nHost: x\r\nX-Long: {long}\r\n{many}\r\n"
        ));
        let response = client.response();
        assert_eq!(arrived(&response, "x-long"), length);
        assert_eq!(arrived(&response, "x-many"), 1500);
    }
    // Beside them exchanges are delegated as ever.
    let response = client.ask("GET", "/a/echo");
    assert_eq!(response.json()["arrival"], "delegated");
    run(async {
        let client = Http2Client::connect(front.port).await;
        let mut request = Request::get(url("/a/echo")).body(()).unwrap();
        for _ in 0..300 {
            let one = HeaderValue::from_static("1");
            request.headers_mut().append("x-many", one);
        }
        let (response, _stream) = client.begin(request, true).await;
        let response = whole(response.await.unwrap()).await;
        let echo = response.json();
        let fields = echo["fields"].as_array().unwrap();
        let named = fields.iter().filter(|field| field[0] == "x-many");
        assert_eq!(named.count(), 300);
    });
}

#[test]
fn large_heads_and_long_targets_reach_destinations() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let routes = crate::forwarding::forwarding_to(&destination);
    let front = sandbox.front(&with_limits(&routes));
    let mut client = front.connect();
    let (target, long) = ("t".repeat(1_000_000), "x".repeat(1_000_000));
    client.send(format!(
        "GET /{target}?q HTTP/1.1\r\nHost: x\r\nX-Long: {long}\r\n\r\n"
    ));
    let mut incoming = destination.accept();
    let head = incoming.head();
    assert_eq!(head.line, format!("GET /{target}?q HTTP/1.1"));
    assert_eq!(head.all("x-long"), [long]);
    incoming.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.response().text(), "ok");
}
