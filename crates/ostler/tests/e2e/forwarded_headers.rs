//! Who a client is, where a load balancer stands before the front: for routes, policies, destinations,
//! targets and logs, over every way; and from nobody else.

use http::Request;
use serde_json::{Value, json};

use crate::relay::{shared_sandbox, target_of_a_stranger};
use crate::support::http2_client::{Http2Client, run, url};
use crate::support::{
    BothWays, Client, Front, OldTarget, Sandbox, TlsSettings, WAYS, delegating_to, eventually,
};
use crate::tls::{authority, kestrel, sent_field, start};

const ALL: &str = r#""ForwardedHeaders": { "ForwardedHeaders": "All" },"#;

/// `sections` beside what is there.
fn with(sections: &str, configuration: &str) -> String {
    configuration.replacen('{', &format!("{{ {sections}"), 1)
}

/// What the application sees of a request with these fields.
fn echo(client: &mut Client, path: &str, fields: &str) -> Value {
    let fields = fields.replace('\n', "\r\n");
    client.send(format!(
        "GET {path} HTTP/1.1\r\nHost: front.example\r\n{fields}\r\n"
    ));
    client.response().json()
}

const SAID: &str = "X-Forwarded-For: 198.51.100.9, 203.0.113.7\nX-Forwarded-Proto: https\n\
                    X-Forwarded-Host: shop.example\nX-Forwarded-Prefix: /base\n";

/// Of a request with those fields, what its destination or target sees.
fn is_of_the_client_that_is_said(echo: &Value, original: &str, original_scheme: &str) {
    for (name, value) in [
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "shop.example"),
        ("x-forwarded-prefix", "/base"),
        ("x-original-for", original),
        ("x-original-proto", original_scheme),
        ("x-original-host", "front.example"),
    ] {
        assert_eq!(sent_field(echo, name), [value], "{name}");
    }
}

#[test]
fn applications_see_the_client_that_is_said_over_every_way() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let front = sandbox.front(&both.configuration("", ALL));
    let mut client = front.connect();
    let own = client.local_address().to_string();
    for way in WAYS {
        let path = format!("{way}/echo");
        let seen = echo(&mut client, &path, SAID);
        is_of_the_client_that_is_said(&seen, &own, "http");
        if way == "/delegated" {
            assert_eq!(seen["arrival"], "delegated");
            assert_eq!(seen["client"], "203.0.113.7:0");
            assert_eq!(seen["scheme"], "https");
            assert_eq!(sent_field(&seen, "host"), ["shop.example"]);
        }
        // Of the same connection, the next one is another's, and the one after that its own.
        let next = echo(&mut client, &path, "X-Forwarded-For: [2001:db8::7]:4711\n");
        assert_eq!(sent_field(&next, "x-forwarded-for"), ["2001:db8::7"]);
        assert_eq!(sent_field(&next, "x-forwarded-proto"), ["http"]);
        let last = echo(&mut client, &path, "");
        assert_eq!(sent_field(&last, "x-original-for"), [""; 0]);
        if way == "/delegated" {
            assert_eq!(next["client"], "[2001:db8::7]:4711");
            assert_eq!(next["scheme"], "http");
            assert_eq!(last["client"], own);
            assert_eq!(last["arrival"], "delegated");
        }
    }
}

#[test]
fn bodies_and_pipelines_of_a_client_that_is_said_are_whole() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let front = sandbox.front(&both.configuration("", ALL));
    for way in WAYS {
        let mut client = front.connect();
        let fields = SAID.replace('\n', "\r\n");
        client.send(format!(
            "POST {way}/upload HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: 5\r\n\r\nhello\
             POST {way}/upload HTTP/1.1\r\nHost: x\r\n{fields}Transfer-Encoding: chunked\r\n\r\n\
             3\r\nabc\r\n0\r\n\r\nGET {way}/echo HTTP/1.1\r\nHost: x\r\n\r\n"
        ));
        assert_eq!(client.response().json()["length"], 5);
        assert_eq!(client.response().json()["length"], 3);
        assert_eq!(
            sent_field(&client.response().json(), "x-original-for"),
            [""; 0]
        );
    }
}

#[test]
fn streams_are_of_the_client_that_is_said() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let both = BothWays::new(&sandbox);
    let kestrel = kestrel(&sandbox, json!({}));
    let front = start(
        &sandbox,
        &both.configuration("", &format!("{ALL} {kestrel}")),
    );
    run(async {
        let mut settings = TlsSettings::new(&authority);
        settings.alpn = &[b"h2"];
        let client = Http2Client::over_tls(front.port, &settings).await;
        for way in WAYS {
            let request = |scheme: &str| {
                Request::get(url(&format!("{way}/echo")))
                    .header("x-forwarded-for", "203.0.113.7")
                    .header("x-forwarded-proto", scheme)
                    .body(())
                    .unwrap()
            };
            let seen = client.ask(request("http")).await.json();
            assert_eq!(sent_field(&seen, "x-forwarded-for"), ["203.0.113.7"]);
            assert_eq!(sent_field(&seen, "x-forwarded-proto"), ["http"]);
            assert_eq!(sent_field(&seen, "x-original-proto"), ["https"]);
            let own = client.get(&format!("{way}/echo")).await.json();
            assert_eq!(sent_field(&own, "x-original-for"), [""; 0]);
            if way == "/delegated" {
                assert_eq!(seen["arrival"], "streamed");
                assert_eq!(seen["client"], "203.0.113.7:0");
                assert_eq!(seen["scheme"], "http");
                assert_eq!(own["scheme"], "https");
            }
        }
    });
}

#[test]
fn relayed_targets_hear_of_the_client_that_is_said() {
    let Some(sandbox) = shared_sandbox() else {
        return;
    };
    let _target = target_of_a_stranger(&sandbox, "q", "create");
    let front = sandbox.front(&with(ALL, &delegating_to(&["q"])));
    let mut client = front.connect();
    let own = client.local_address().to_string();
    let seen = echo(&mut client, "/echo", SAID);
    is_of_the_client_that_is_said(&seen, &own, "http");
    assert_eq!(seen["arrival"], "relayed");
    assert_eq!(seen["client"], "203.0.113.7:0");
    assert_eq!(seen["scheme"], "https");
    let last = echo(&mut client, "/echo", "");
    assert_eq!(
        (&last["client"], &last["scheme"]),
        (&json!(own), &json!("http"))
    );
}

/// One whose library knows only of connections that are a client's own is not handed this one.
#[test]
fn an_old_target_is_not_handed_a_connection_of_many() {
    let sandbox = Sandbox::new();
    let target = OldTarget::open(&sandbox);
    let front = sandbox.front(&with(ALL, &delegating_to(&["q"])));
    let serving = std::thread::spawn(|| target.serve());
    let mut client = front.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n");
    let response = client.response();
    assert_eq!(response.field("x-arrival"), Some("relayed"));
    serving.join().unwrap();
}

/// A front of two routes by host, whose log is at the end.
fn front_with_a_log(sandbox: &Sandbox, sections: &str) -> (Front, std::path::PathBuf) {
    let path = sandbox.path().join("access.log");
    let section = json!({ "AccessLog": { "Format": "Json", "Path": path } });
    let configuration = format!(
        r#"{{ {sections} "Ostler": {section}, "AllowedHosts": "front.example", "ReverseProxy": {{ "Routes": {{
            "r": {{ "ClusterId": "none", "Match": {{ "Hosts": [ "shop.example" ] }} }} }} }} }}"#
    );
    (sandbox.front(&configuration), path)
}

fn logged(path: &std::path::Path, count: usize) -> Vec<Value> {
    let lines = || std::fs::read_to_string(path).unwrap_or_default();
    eventually("the log is written", || lines().lines().count() >= count);
    let lines = lines();
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

#[test]
fn routes_and_logs_go_by_what_is_said_of_a_known_proxy_alone() {
    let fields = "GET / HTTP/1.1\r\nHost: front.example\r\nX-Forwarded-For: 203.0.113.7\r\n\
                  X-Forwarded-Host: shop.example\r\n\r\n";
    let known = r#""KnownProxies": [ "10.0.0.1" ], "KnownNetworks": [ "10.0.0.0/8" ]"#;
    for (sections, status, client) in [
        // The route has no cluster.
        (ALL.to_owned(), 503, "203.0.113.7"),
        (
            ALL.replace("\"All\"", &format!("\"All\", {known}")),
            404,
            "127.0.0.1",
        ),
        (String::new(), 404, "127.0.0.1"),
    ] {
        let sandbox = Sandbox::new();
        let (front, path) = front_with_a_log(&sandbox, &sections);
        let mut connection = front.connect();
        connection.send(fields);
        assert_eq!(connection.response().status, status, "{sections}");
        // What cannot be read is nobody's but the connection's.
        connection.send("GET / HTTP/9.9\r\n\r\n");
        assert_eq!(connection.response().status, 505);
        let lines = logged(&path, 2);
        let of = |line: &Value| line["client"].as_str().unwrap().to_owned();
        assert!(of(&lines[0]).starts_with(client), "{sections}: {lines:#?}");
        assert!(
            of(&lines[1]).starts_with("127.0.0.1"),
            "{sections}: {lines:#?}"
        );
    }
}

/// The host that the connection's own peer asks for is what `AllowedHosts` judges.
#[test]
fn a_host_that_is_said_does_not_let_another_one_in() {
    let sandbox = Sandbox::new();
    let (front, _) = front_with_a_log(&sandbox, ALL);
    let mut client = front.connect();
    client.send("GET / HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-Host: front.example\r\n\r\n");
    assert_eq!(client.response().status, 400);
}

#[test]
fn limits_by_address_count_the_clients_that_are_said() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let limiter = r#""RateLimiter": { "RejectionStatusCode": 429, "Policies": { "p": { "Type": "FixedWindow",
        "PermitLimit": 1, "Window": "01:00:00", "PartitionBy": "ClientAddress" } } },"#;
    let route = r#""RateLimiterPolicy": "p","#;
    let front = sandbox.front(&both.configuration(route, &format!("{ALL} {limiter}")));
    for (end, way) in WAYS.iter().enumerate() {
        let mut client = front.connect();
        let mut ask = |address: &str| {
            client.send(format!(
                "GET {way}/x HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {way}, {address}\r\n\r\n"
            ));
            client.response().status
        };
        let (one, other) = (format!("203.0.113.{end}"), format!("198.51.100.{end}"));
        assert_eq!(
            [ask(&one), ask(&other), ask(&one), ask(&other)],
            [200, 200, 429, 429]
        );
    }
}

/// A PROXY header says whose the connection is, and that one is then asked whether it is believed.
#[test]
fn a_proxy_header_says_who_it_is_that_is_believed() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let sections = r#""Ostler": { "ProxyProtocol": { "TrustedNetworks": [ "127.0.0.0/8" ] } },
        "ForwardedHeaders": { "ForwardedHeaders": "XForwardedFor", "KnownProxies": [ "192.0.2.7" ] },"#;
    let front = sandbox.front(&both.configuration("", sections));
    for (peer, client) in [
        ("192.0.2.7", "203.0.113.7:0"),
        ("192.0.2.8", "192.0.2.8:4711"),
    ] {
        let mut connection = front.connect();
        connection.send(format!("PROXY TCP4 {peer} 198.51.100.1 4711 80\r\n"));
        let seen = echo(
            &mut connection,
            "/delegated/echo",
            "X-Forwarded-For: 203.0.113.7\n",
        );
        assert_eq!(
            (&seen["client"], &seen["arrival"]),
            (&json!(client), &json!("delegated"))
        );
        let seen = echo(
            &mut connection,
            "/forwarded/echo",
            "X-Forwarded-For: 203.0.113.7\n",
        );
        let (address, _) = client.rsplit_once(':').unwrap();
        assert_eq!(sent_field(&seen, "x-forwarded-for"), [address]);
    }
}

#[test]
fn a_variable_turns_it_on_and_a_reload_off() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let on = [("ASPNETCORE_FORWARDEDHEADERS_ENABLED", "true")];
    let front = sandbox.front_in(&both.configuration("", ""), &on);
    let mut client = front.connect();
    let seen = echo(&mut client, "/delegated/echo", SAID);
    assert_eq!(seen["client"], "203.0.113.7:0");
    assert_eq!(seen["scheme"], "https");
    // The host is not believed.
    assert_eq!(sent_field(&seen, "host"), ["front.example"]);
    let none = r#""ForwardedHeaders": { "ForwardedHeaders": "None" },"#;
    sandbox.configuration(&both.configuration("", none));
    eventually("nothing is believed any more", || {
        echo(&mut client, "/delegated/echo", SAID)["client"] != "203.0.113.7:0"
    });
}
