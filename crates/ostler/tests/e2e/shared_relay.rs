//! What a target knows of a client whose connection it does not hold comes with each request, and nobody
//! but the front can say it.

use http::Request;
use ostler_delegation::control::ConnectionFacts;
use ostler_delegation::relayed_client::{CLIENT_FIELD, RelayedClient};
use serde_json::{Value, json};

use crate::relay::{shared_sandbox, target_of_a_stranger};
use crate::support::http2_client::{Http2Client, get, run, url, whole};
use crate::support::{Authority, BothWays, TlsSettings, WAYS};
use crate::support::{Sandbox, delegating_by_path, delegating_to};
use crate::tls::{kestrel, sent_field, start};

/// What a client could say to be taken for another.
fn forged() -> String {
    RelayedClient {
        facts: ConnectionFacts {
            client: Some("192.0.2.1:1".parse().unwrap()),
            local: Some("192.0.2.2:2".parse().unwrap()),
            accepted_ns: 1,
        },
        tls: None,
        is_https: false,
        sent_te: true,
    }
    .encode()
}

fn is_without_what_the_front_adds(echo: &Value) {
    assert_eq!(sent_field(echo, CLIENT_FIELD), [""; 0]);
    assert_eq!(sent_field(echo, "te"), [""; 0]);
}

#[test]
fn each_request_says_whose_it_is() {
    let sandbox = Sandbox::new();
    let authority = Authority::new("Test Root");
    let identity = authority.issue(&["localhost", "shop.example"]);
    identity.write(sandbox.path(), "server");
    let both = BothWays::new(&sandbox);
    // Whatever the kernel could do.
    let off = r#""Ostler": { "KernelTls": "off" },"#;
    let kestrel = kestrel(&sandbox, json!({}));
    let front = start(
        &sandbox,
        &both.configuration("", &format!("{off} {kestrel}")),
    );
    let names = ["localhost", "shop.example", "localhost"];
    let mut clients = names.map(|name| {
        let mut settings = TlsSettings::new(&authority);
        settings.name = name;
        let mut client = settings.connect(front.port);
        assert_eq!(client.ask("GET", "/delegated/").status, 200);
        let own = client.stream().sock.socket.local_addr().unwrap();
        (client, own.to_string(), name)
    });
    let pipelined = "GET /delegated/echo HTTP/1.1\r\nHost: x\r\n\r\n".repeat(3);
    for _ in 0..5 {
        for (client, ..) in &mut clients {
            client.send(&pipelined);
        }
        for _ in 0..3 {
            for (client, own, name) in &mut clients {
                let echo = client.response().json();
                assert_eq!(echo["arrival"], "streamed");
                assert_eq!(echo["client"], *own);
                assert_eq!(echo["server_name"], *name);
                assert_eq!(echo["scheme"], "https");
                is_without_what_the_front_adds(&echo);
            }
        }
    }
}

/// Over the sockets of one that shares no memory with the front.
#[test]
fn a_client_of_a_relayed_target_that_says_who_it_is_is_not_believed() {
    let Some(sandbox) = shared_sandbox() else {
        return;
    };
    let _target = target_of_a_stranger(&sandbox, "q", "create");
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut clients = [front.connect(), front.connect()];
    for _ in 0..3 {
        for client in &mut clients {
            let own = client.local_address().to_string();
            client.send(format!(
                "GET /echo HTTP/1.1\r\nHost: x\r\nOstler-Client: {}\r\nTE: trailers\r\n\r\n",
                forged()
            ));
            let echo = client.response().json();
            assert_eq!(echo["arrival"], "relayed");
            assert_eq!(echo["client"], own);
            is_without_what_the_front_adds(&echo);
        }
    }
}

#[test]
fn a_client_that_says_who_it_is_is_not_believed() {
    let sandbox = Sandbox::new();
    let authority = crate::tls::authority(&sandbox);
    let both = BothWays::new(&sandbox);
    let off = r#""Ostler": { "KernelTls": "off" },"#;
    let kestrel = kestrel(&sandbox, json!({}));
    let front = start(
        &sandbox,
        &both.configuration("", &format!("{off} {kestrel}")),
    );
    let mut client = TlsSettings::new(&authority).connect(front.port);
    let forged = forged();
    for (name, connection) in [
        ("ostler-client", "keep-alive"),
        ("Ostler-Client", "keep-alive"),
        // Fields of the connection are dropped; the front's own is not the client's.
        ("OSTLER-CLIENT", "ostler-client"),
    ] {
        for way in WAYS {
            client.send(format!(
                "GET {way}/echo HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\n\
                 {name}: {forged}\r\n{name}: {forged}\r\nTE: trailers\r\n\r\n"
            ));
            let echo = client.response().json();
            if way == "/forwarded" {
                is_without_what_the_front_adds(&echo);
            } else {
                // It says nothing to a target that shares memory with the front.
                let own = client.stream().sock.socket.local_addr().unwrap();
                assert_eq!(echo["client"], own.to_string());
                assert_eq!(echo["scheme"], "https");
            }
        }
    }
}

#[test]
fn streams_open_nothing_at_their_target_and_say_whose_they_are() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("a", &[]);
    let front = sandbox.front(&delegating_by_path(&["a"]));
    run(async {
        let client = Http2Client::connect(front.port).await;
        let plain = client.get("/a/echo").await.json();
        is_without_what_the_front_adds(&plain);
        let request = |te: bool| {
            let mut request = Request::get(url("/a/echo")).header(CLIENT_FIELD, forged());
            if te {
                request = request.header("te", "trailers");
            }
            request.body(()).unwrap()
        };
        for te in [true, false, true] {
            let echo = client.ask(request(te)).await.json();
            assert_eq!(echo["arrival"], "streamed");
            assert_eq!(echo["client"], plain["client"]);
            let expected: &[&str] = if te { &["trailers"] } else { &[] };
            assert_eq!(sent_field(&echo, "te"), expected);
        }
        // One after another, however many clients there are.
        let descriptors = target.descriptors();
        for _ in 0..50 {
            let other = Http2Client::connect(front.port).await;
            let echo = other.get("/a/echo").await.json();
            assert_ne!(echo["client"], plain["client"]);
        }
        assert_eq!(target.descriptors(), descriptors);
        // However many there are at once.
        let clients = [client, Http2Client::connect(front.port).await];
        let mut waiting = Vec::new();
        for _ in 0..100 {
            for client in &clients {
                let (response, _) = client.begin(get("/a/delay/300"), true).await;
                waiting.push(tokio::spawn(async {
                    whole(response.await.unwrap()).await.status()
                }));
            }
        }
        for response in waiting {
            assert_eq!(response.await.unwrap(), 200);
        }
        assert_eq!(target.descriptors(), descriptors);
    });
}

#[test]
fn trailers_of_a_streamed_application_arrive() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("a", &[]);
    let front = sandbox.front(&delegating_by_path(&["a"]));
    run(async {
        let client = Http2Client::connect(front.port).await;
        let response = client.get("/a/trailers").await;
        let trailers = response.trailers.unwrap();
        let sent: Vec<_> = trailers.get_all("x-trailer").iter().collect();
        assert_eq!(sent, ["1", "2"]);
        assert_eq!(trailers["x-other"], "3");
    });
}

#[test]
fn an_instance_that_stops_loses_no_stream() {
    let sandbox = Sandbox::new();
    let first = sandbox.target("q", &[]);
    let second = sandbox.target("q", &["--mode", "create-or-attach"]);
    let front = sandbox.front(&delegating_to(&["q"]));
    run(async {
        let client = Http2Client::connect(front.port).await;
        let mut answered = [0; 2];
        let mut stopped = false;
        while answered[1] < 200 || !stopped {
            let mut waiting = Vec::new();
            for _ in 0..8 {
                waiting.push(client.begin(get("/"), true).await.0);
            }
            if answered[0] >= 40 && !stopped {
                first.signal("TERM");
                stopped = true;
            }
            for response in waiting {
                let response = whole(response.await.unwrap()).await;
                assert_eq!(response.status(), 200);
                let by_first = response.text().contains(&first.pid().to_string());
                answered[usize::from(!by_first)] += 1;
            }
        }
    });
    assert!(first.wait().success());
    assert!(second.is_running());
}
