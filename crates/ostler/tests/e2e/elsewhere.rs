//! A destination to which no connection opens: its requests go to another one, of which nothing is
//! known to the client but its answer.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::support::http2_client::{Http2Client, run};
use crate::support::http2_destination::{Http2Destination, blocking};
use crate::support::{Client, Destination, Front, Process, Response, Sandbox, eventually};

/// An address that nobody listens on.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/", listener.local_addr().unwrap())
}

/// A front before a destination `dead`, where nobody listens, and one `live`.
struct Scene {
    front: Front,
    _target: Process,
    _sandbox: Sandbox,
}

impl Scene {
    fn new(cluster: Value) -> Self {
        let sandbox = Sandbox::new();
        let (target, address) = sandbox.listening_target("q");
        let front = front(&sandbox, &[("dead", nobody()), ("live", address)], cluster);
        Self {
            front,
            _target: target,
            _sandbox: sandbox,
        }
    }
}

fn front(sandbox: &Sandbox, destinations: &[(&str, String)], cluster: Value) -> Front {
    let destinations = destinations
        .iter()
        .map(|(name, address)| ((*name).to_owned(), json!({ "Address": address })))
        .collect();
    let mut all = json!({ "LoadBalancingPolicy": "FirstAlphabetical",
        "Destinations": Value::Object(destinations) });
    let Value::Object(cluster) = cluster else {
        panic!("a cluster is an object");
    };
    all.as_object_mut().unwrap().extend(cluster);
    let json = json!({ "ReverseProxy": {
        "Routes": { "all": { "ClusterId": "c", "Match": { "Path": "{**rest}" } } },
        "Clusters": { "c": all } } });
    sandbox.front(&json.to_string())
}

#[test]
fn a_request_that_no_connection_opens_for_goes_to_another_destination() {
    for cluster in [json!({}), json!({ "LoadBalancingPolicy": "RoundRobin" })] {
        let scene = Scene::new(cluster.clone());
        let mut client = scene.front.connect();
        let large = vec![b'x'; 300_000];
        for _ in 0..4 {
            assert_eq!(client.ask("GET", "/").status, 200, "{cluster}");
            for body in [&b""[..], b"small", &large] {
                let length = client.post("/upload", body).json()["length"].clone();
                assert_eq!(length, body.len(), "{cluster}");
            }
            client.send(
                "POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
                 5\r\nhello\r\n0\r\n\r\n",
            );
            assert_eq!(client.response().json()["length"], 5, "{cluster}");
        }
        run(async {
            let client = Http2Client::connect(scene.front.port).await;
            assert_eq!(client.get("/").await.status(), 200);
            let response = client.post("/upload", &large).await;
            assert_eq!(response.json()["length"], large.len(), "{cluster}");
        });
    }
}

#[test]
fn an_http2_destination_takes_over_likewise() {
    let sandbox = Sandbox::new();
    let destination = Http2Destination::new();
    let all = [("dead", nobody()), ("live", destination.address())];
    let version = json!({ "Version": "2", "VersionPolicy": "RequestVersionExact" });
    let front = front(&sandbox, &all, json!({ "HttpRequest": version }));
    run(async {
        let mut asked = destination.serve();
        for body in [&b""[..], b"body", &[b'x'; 300_000]] {
            let mut client = front.connect();
            let sent = body.to_vec();
            let status = blocking(move || client.post("/", &sent).status);
            let mut request = asked.recv().await.unwrap();
            assert_eq!(request.whole().await.0, body);
            request.answer(204, true);
            assert_eq!(status.await, 204);
        }
    });
}

#[test]
fn each_destination_is_tried_once() {
    let sandbox = Sandbox::new();
    let all = [("a", nobody()), ("b", nobody()), ("c", nobody())];
    let front = front(&sandbox, &all, json!({}));
    assert_eq!(front.ask("GET", "/").status, 502);
    assert_eq!(front.connect().post("/", b"body").status, 502);
}

#[test]
fn the_key_keeps_requests_where_they_were_to_go() {
    let scene = Scene::new(json!({ "Ostler": { "TryOtherDestinations": false } }));
    assert_eq!(scene.front.ask("GET", "/").status, 502);
}

#[test]
fn what_a_destination_has_been_sent_goes_nowhere_else() {
    let sandbox = Sandbox::new();
    let (_target, live) = sandbox.listening_target("q");
    let destination = Destination::new();
    let front = front(
        &sandbox,
        &[("a", destination.address()), ("b", live)],
        json!({}),
    );
    for request in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody",
    ] {
        let mut client = front.connect();
        client.send(request);
        let mut incoming = destination.accept();
        incoming.head();
        drop(incoming);
        assert_eq!(client.response().status, 502, "{request:?}");
    }
}

#[test]
fn passive_health_hears_of_the_destination_that_was_not_reached() {
    let scene = Scene::new(json!({
        "HealthCheck": { "Passive": { "Enabled": true, "Policy": "TransportFailureRate" } } }));
    let mut client = scene.front.connect();
    eventually("the dead destination is unhealthy", || {
        assert_eq!(client.ask("GET", "/").status, 200);
        let said = scene.front.process.errors();
        said.iter().any(|line| {
            line.contains("passive health is unhealthy") && line.contains("destination=\"dead\"")
        })
    });
    // Of the one that answered only good is heard.
    for _ in 0..20 {
        assert_eq!(client.ask("GET", "/").status, 200);
    }
    let said = scene.front.process.errors();
    let of_live = said.iter().filter(|line| line.contains("\"live\""));
    let of_live: Vec<_> = of_live.collect();
    assert!(
        of_live.iter().all(|line| line.contains("health=Healthy")),
        "{of_live:?}"
    );
}

fn cookies(response: &Response) -> Vec<String> {
    let set = response
        .fields
        .iter()
        .filter(|(name, _)| name == "set-cookie");
    let pair = |value: &str| value.split(';').next().unwrap().to_owned();
    set.map(|(_, value)| pair(value)).collect()
}

fn ask_with(client: &mut Client, cookie: &str) -> Response {
    client.send(format!(
        "GET / HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n"
    ));
    client.response()
}

/// Clients that belong to a destination that has gone.
#[test]
fn affinity_follows_as_its_failure_policy_says() {
    for (policy, status) in [("Redistribute", 200), ("Return503Error", 502)] {
        let affinity = json!({ "SessionAffinity": { "Enabled": true, "Policy": "HashCookie",
            "AffinityKeyName": ".K", "FailurePolicy": policy } });
        // Its key is the hash of its name, so whoever has the name will do.
        let key = {
            let sandbox = Sandbox::new();
            let (_target, address) = sandbox.listening_target("q");
            let front = front(&sandbox, &[("dead", address)], affinity.clone());
            let response = front.ask("GET", "/");
            cookies(&response).pop().unwrap()
        };
        let scene = Scene::new(affinity);
        let mut client = scene.front.connect();
        let response = ask_with(&mut client, &key);
        assert_eq!(response.status, status, "{policy}");
        // A client without a key is bound to whoever has answered it, and to nobody else.
        let response = client.ask("GET", "/");
        assert_eq!(response.status, 200, "{policy}");
        let [live] = &cookies(&response)[..] else {
            panic!("one key, not {:?}", response.fields);
        };
        assert_ne!(*live, key);
        let again = ask_with(&mut client, live);
        assert_eq!((again.status, cookies(&again)), (200, vec![]), "{policy}");
    }
}
