//! Whichever way a request reaches an application, it has the form that its route was matched by.

use serde_json::Value;

use crate::support::http2_client::{Http2Client, run};
use crate::support::{BothWays, Sandbox, WAYS};

/// What the application says of requests with these targets and fields, asked for over HTTP/1.1.
fn echo(front: &crate::support::Front, target: &str, fields: &str) -> Value {
    let mut client = front.connect();
    client.send(format!(
        "GET {target} HTTP/1.1\r\nHost: h.example\r\n{fields}\r\n"
    ));
    let first = client.response();
    assert_eq!(first.status, 200, "{target}");
    // The connection goes on.
    assert_eq!(client.ask("GET", "/delegated/echo").status, 200);
    first.json()
}

fn values<'e>(echo: &'e Value, name: &str) -> Vec<&'e str> {
    let fields = echo["fields"].as_array().unwrap().iter();
    let named = fields.filter(|field| field[0] == name);
    named.map(|field| field[1].as_str().unwrap()).collect()
}

#[test]
fn request_targets_reach_applications_as_they_were_matched() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let front = sandbox.front(&both.configuration("", ""));
    for way in WAYS {
        for (target, seen) in [
            ("/x/../WAY/echo", "/WAY/echo"),
            ("/WAY/a/%2e%2E/./echo?q=..%2f", "/WAY/echo?q=..%2f"),
            ("/WAY/%65cho", "/WAY/echo"),
            ("http://h.example/WAY/x/../echo?a", "/WAY/echo?a"),
            ("HTTP://h.example/x/%2e%2e/WAY/echo", "/WAY/echo"),
            ("/WAY/a%2fb/echo", "/WAY/a%2fb/echo"),
        ] {
            let (target, seen) = (target.replace("/WAY", way), seen.replace("/WAY", way));
            let echo = echo(&front, &target, "");
            assert_eq!(echo["target"], seen, "{target}");
            assert_eq!(values(&echo, "host").len(), 1, "{target}");
        }
    }
    // A stream: HTTP/2 has no socket to hand over.
    let echo = run(async {
        let client = Http2Client::connect(front.port).await;
        client.get("/x/%2e%2e/delegated/echo?a").await.json()
    });
    assert_eq!(
        (&echo["target"], &echo["arrival"]),
        (&"/delegated/echo?a".into(), &"streamed".into())
    );
}

/// A route that closes a path closes it in every spelling.
#[test]
fn an_application_sees_no_path_that_was_not_judged() {
    let sandbox = Sandbox::new();
    let (_target, _) = sandbox.listening_target("q");
    let front = sandbox.front(
        r#"{ "ReverseProxy": { "Pipeline": [ "HttpSysDelegation" ],
            "Routes": {
                "admin": { "ClusterId": "closed", "Match": { "Path": "/admin/{**rest}" } },
                "all": { "ClusterId": "c", "Match": { "Path": "{**rest}" } } },
            "Clusters": { "closed": {}, "c": { "Destinations": { "d": { "Address": "http://*:80/",
                "Metadata": { "HttpSysDelegationQueue": "q" } } } } } } }"#,
    );
    let mut client = front.connect();
    for guarded in ["/admin/echo", "/x/../admin/echo", "/x/%2e%2e/%61dmin/echo"] {
        assert_eq!(client.ask("GET", guarded).status, 503, "{guarded}");
    }
    for open in ["/admin/../echo", "/admin/x/%2e%2e/../echo"] {
        assert_eq!(client.ask("GET", open).json()["target"], "/echo", "{open}");
    }
}

const SPOOFED: &str = "X-Forwarded-For: 6.6.6.6\r\nx-forwarded-FOR: 7.7.7.7\r\n\
    Forwarded: for=6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Prefix: /p\r\nX-Other: 1\r\n";

/// YARP's defaults in each way: set, or taken away.
#[test]
fn what_a_client_says_of_itself_is_decided_by_the_route_s_rules_in_each_way() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    for (transforms, expected) in [
        ("", "127.0.0.1"),
        (
            r#""Transforms": [ { "RequestHeader": "X-New", "Set": "1" } ],"#,
            "127.0.0.1",
        ),
        (
            r#""Transforms": [ { "X-Forwarded": "Append" } ],"#,
            "6.6.6.6, 7.7.7.7, 127.0.0.1",
        ),
        (
            r#""Transforms": [ { "X-Forwarded": "Off" } ],"#,
            "6.6.6.6, 7.7.7.7",
        ),
    ] {
        let front = sandbox.front(&both.configuration(transforms, ""));
        let mut seen = Vec::new();
        for way in WAYS {
            seen.push(echo(&front, &format!("{way}/echo"), SPOOFED));
        }
        seen.push(run(async {
            let client = Http2Client::connect(front.port).await;
            let mut request = crate::support::http2_client::get("/delegated/echo");
            let fields = request.headers_mut();
            for (name, value) in [
                ("x-forwarded-for", "6.6.6.6"),
                ("x-forwarded-for", "7.7.7.7"),
                ("forwarded", "for=6.6.6.6"),
                ("x-other", "1"),
            ] {
                fields.append(name, value.parse().unwrap());
            }
            client.ask(request).await.json()
        }));
        for echo in &seen {
            let said = values(echo, "x-forwarded-for").join(", ");
            assert_eq!(said, expected, "{transforms} {echo}");
            assert_eq!(values(echo, "x-other"), ["1"]);
            let is_off = transforms.contains("Off") || transforms.contains("Append");
            assert_eq!(
                values(echo, "x-forwarded-prefix").is_empty(),
                !is_off || echo["arrival"] == "streamed",
                "{transforms} {echo}"
            );
        }
    }
}
