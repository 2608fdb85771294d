//! The admin endpoint: whether the front is well, and what is measured of exchanges of every way.

use crate::relay::{shared_sandbox, target_of_a_stranger};
use crate::support::admin::{ADMIN, Admin, Scrape};
use crate::support::http2_client::{Http2Client, run};
use crate::support::{BothWays, Client, Front, Sandbox, delegating_to, eventually};

fn exchanges(scrape: &Scrape, labels: &[(&str, &str)]) -> f64 {
    scrape.sum("ostler_exchanges_total", labels)
}

/// A front before both ways, and its endpoint.
fn measured(sandbox: &Sandbox, both: &BothWays) -> (Front, Admin) {
    let front = sandbox.front(&both.configuration("", ADMIN));
    let admin = Admin::of(&front);
    (front, admin)
}

#[test]
fn exchanges_are_counted_by_their_way_and_why() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let (front, admin) = measured(&sandbox, &both);
    for _ in 0..3 {
        let mut client = front.connect();
        client.send("POST /delegated/upload HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(front.ask("GET", "/forwarded/echo").status, 200);
    run(async {
        let client = Http2Client::connect(front.port).await;
        assert_eq!(client.get("/delegated/echo").await.status(), 200);
    });
    assert_eq!(front.ask("GET", "/nowhere").status, 404);
    assert_eq!(front.ask("BREW", "/nowhere").status, 404);
    let mut client = front.connect();
    client.send("GET /malformed HTTP/9.9\r\nHost: x\r\n\r\n");
    assert_eq!(client.response().status, 505);
    let all = admin.eventually("every exchange is counted", |scrape| {
        exchanges(scrape, &[]) >= 8.0
    });
    for (count, labels) in [
        (
            3.0,
            vec![
                ("ostler_way", "delegated"),
                ("ostler_route", "delegated"),
                ("ostler_destination", "d"),
            ],
        ),
        (
            1.0,
            vec![
                ("ostler_way", "forwarded"),
                ("ostler_reason", "no_queue"),
                ("ostler_cluster", "forwarded"),
            ],
        ),
        (
            1.0,
            vec![("ostler_way", "streamed"), ("ostler_reason", "http2")],
        ),
        (
            2.0,
            vec![("ostler_way", "local"), ("ostler_reason", "no_route")],
        ),
        (
            1.0,
            vec![("ostler_way", "local"), ("ostler_reason", "malformed")],
        ),
        (8.0, vec![]),
    ] {
        assert_eq!(exchanges(&all, &labels), count, "{labels:?}");
    }
    let server = |labels: &[_]| all.sum("http_server_request_duration_seconds_count", labels);
    let delegated = [
        ("http_route", "/delegated/{**rest}"),
        ("http_request_method", "POST"),
    ];
    assert_eq!(server(&delegated), 3.0);
    assert_eq!(server(&[("network_protocol_version", "2")]), 1.0);
    assert_eq!(server(&[("http_response_status_code", "404")]), 2.0);
    assert_eq!(server(&[("http_request_method", "BREW")]), 0.0);
    assert_eq!(server(&[("http_request_method", "_OTHER")]), 2.0);
    assert_eq!(server(&[("error_type", "505")]), 1.0);
    let client = [
        ("server_address", "127.0.0.1"),
        ("http_response_status_code", "200"),
    ];
    assert_eq!(
        all.sum("http_client_request_duration_seconds_count", &client),
        1.0
    );
    assert_eq!(
        all.sum(
            "ostler_queue_wait_duration_seconds_count",
            &[("ostler_queue", "q")]
        ),
        3.0
    );
    assert_eq!(
        all.sum(
            "ostler_request_body_size_bytes_total",
            &[("ostler_way", "delegated")]
        ),
        15.0
    );
    for stage in ["decided", "queued", "answered", "taken"] {
        let labels = [("ostler_stage", stage), ("ostler_way", "delegated")];
        assert_eq!(
            all.sum("ostler_exchange_stage_duration_seconds_count", &labels),
            3.0,
            "{stage}"
        );
    }
    let queue = |event| {
        all.sum(
            "ostler_queue_requests_total",
            &[("ostler_queue", "q"), ("ostler_event", event)],
        )
    };
    for event in ["given", "taken", "completed"] {
        assert_eq!(
            queue(event),
            4.0,
            "{event}: three were delegated and one was streamed"
        );
    }
    for (gauge, value) in [("depth", 0.0), ("outstanding", 0.0), ("instances", 1.0)] {
        let name = format!("ostler_queue_{gauge}");
        assert_eq!(all.sum(&name, &[("ostler_queue", "q")]), value, "{gauge}");
    }
    assert_eq!(
        all.sum(
            "ostler_destination_available",
            &[("ostler_destination", "d")]
        ),
        2.0
    );
    let ended = [("error_type", "invalid_http_version")];
    admin.eventually("what ended a connection is known", |scrape| {
        scrape.sum("kestrel_connection_duration_seconds_count", &ended) == 1.0
    });
    // Nothing is under way any more.
    assert_eq!(all.sum("http_server_active_requests", &[]), 0.0);
}

#[test]
fn a_relayed_exchange_is_counted() {
    let Some(sandbox) = shared_sandbox() else {
        return;
    };
    let _target = target_of_a_stranger(&sandbox, "q", "create");
    let front = sandbox.front(&delegating_to(&["q"]).replacen('{', &format!("{{ {ADMIN}"), 1));
    let admin = Admin::of(&front);
    assert_eq!(front.ask("GET", "/echo").status, 200);
    let relayed = [
        ("ostler_way", "relayed"),
        ("ostler_reason", "untrusted_user"),
    ];
    admin.eventually("it is counted", |scrape| exchanges(scrape, &relayed) == 1.0);
}

#[test]
fn what_becomes_of_requests_in_a_queue_is_counted() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]).replacen('{', &format!("{{ {ADMIN}"), 1));
    let admin = Admin::of(&front);
    let event = |scrape: &Scrape, event| {
        scrape.sum("ostler_queue_requests_total", &[("ostler_event", event)])
    };
    assert_eq!(front.ask("GET", "/echo").status, 200);
    // A target says so when the client has its response already.
    admin.eventually("it is completed", |scrape| {
        event(scrape, "completed") == 1.0
    });
    target.stop();
    let (mut waits, mut leaves) = (front.connect(), front.connect());
    for client in [&mut waits, &mut leaves] {
        client.send("GET /echo HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    let depth = |scrape: &Scrape| scrape.sum("ostler_queue_depth", &[("ostler_queue", "q")]);
    admin.eventually("both wait", |scrape| depth(scrape) == 2.0);
    drop(leaves);
    admin.eventually("one is withdrawn", |scrape| {
        event(scrape, "withdrawn") == 1.0
    });
    target.kill();
    let _other = sandbox.target("q", &[]);
    assert_eq!(waits.response().status, 200);
    let all = admin.eventually("all is told", |scrape| event(scrape, "completed") == 2.0);
    assert_eq!(event(&all, "again"), 1.0);
    assert_eq!(event(&all, "given"), 4.0);
    assert_eq!(event(&all, "taken"), 2.0);
}

/// The page of metrics has all names.
#[test]
fn every_metric_is_documented() {
    let page = include_str!("../../../../docs/metrics.md");
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let (front, admin) = measured(&sandbox, &both);
    for path in ["/delegated/echo", "/forwarded/echo"] {
        assert_eq!(front.ask("GET", path).status, 200);
    }
    for name in admin.scrape().names() {
        let parts = ["_bucket", "_sum", "_count"];
        let part = parts.iter().find_map(|part| name.strip_suffix(part));
        let is_there = |name| page.contains(&format!("| `{name}` |"));
        assert!(is_there(name) || part.is_some_and(is_there), "{name}");
    }
}

#[test]
fn a_front_that_drains_is_well_and_not_ready() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let (front, admin) = measured(&sandbox, &both);
    assert_eq!(admin.ask("/healthz").text(), "ok");
    assert_eq!(admin.ask("/readyz").text(), "ok");
    assert_eq!(admin.ask("/nothing").status, 404);
    // It is under way for as long as its body is.
    let mut client = front.connect();
    client.send("POST /forwarded/upload HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel");
    admin.eventually("it is under way", |scrape| {
        scrape.sum(
            "http_server_active_requests",
            &[("http_request_method", "POST")],
        ) == 1.0
    });
    front.process.signal("TERM");
    eventually("it is not ready", || admin.ask("/readyz").status == 503);
    assert_eq!(admin.ask("/readyz").text(), "draining");
    assert_eq!(admin.ask("/healthz").status, 200);
    client.send("lo");
    assert_eq!(client.response().status, 200);
    assert!(front.process.wait().success());
}

#[test]
fn only_who_asks_for_this_machine_is_answered() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let (_front, admin) = measured(&sandbox, &both);
    let asked = |host: &str| {
        let mut client = Client::connect(admin.port());
        client.send(format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        client.response().status
    };
    assert_eq!(asked("localhost:9090"), 200);
    assert_eq!(asked("rebound.example"), 421);
}

#[test]
fn an_address_that_others_reach_is_a_mistake() {
    let sandbox = Sandbox::new();
    let section = r#""Ostler": { "Admin": { "Url": "http://0.0.0.0:0" } },"#;
    let configuration = delegating_to(&["q"]).replacen('{', &format!("{{ {section}"), 1);
    let path = sandbox.own_configuration(&configuration);
    let front = sandbox.ostler(&["run", "--config", path.to_str().unwrap()]);
    assert_eq!(front.wait().code(), Some(64));
    let errors = front.errors().join("\n");
    assert!(errors.contains("Ostler:Admin:Url"), "{errors}");
    assert!(
        errors.contains("neither a loopback address nor a socket"),
        "{errors}"
    );
}

#[test]
fn a_front_that_takes_another_s_place_has_the_endpoint() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let socket = sandbox.path().join("admin.sock");
    let section = format!(
        r#""Ostler": {{ "Admin": {{ "Url": "http://unix:{}" }} }},"#,
        socket.display()
    );
    let front = sandbox.front(&both.configuration("", &section));
    let url = format!("admin endpoint on http://unix:{}", socket.display());
    front.process.wait_for_line(&url);
    let ready = || {
        let stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        Client::over(stream).ask("GET", "/readyz").status
    };
    assert_eq!(ready(), 200);
    let file = sandbox.path().join("ostler.json");
    let arguments = ["run", "--replace", "--config", file.to_str().unwrap()];
    let new = sandbox.ostler(&[&arguments[..], &["--urls", "http://127.0.0.1:0"]].concat());
    new.wait_for_line(&url);
    assert!(front.process.wait().success());
    assert_eq!(ready(), 200);
    new.signal("TERM");
    assert!(new.wait().success());
    assert!(!socket.exists());
}
