//! What clients may do (reference B20.2): how fast they must be, how many there may be, whom
//! they may ask for.

use crate::relay::{shared_sandbox, target_of_a_stranger};
use crate::support::{BothWays, Client, Front, PATIENCE, Sandbox, WAYS, delegating_to, eventually};
use crate::timeouts::stop;
use crate::upgrades::{converse, say_goodbye, web_socket};

/// Rates that a client which does nothing breaks at once, within a second or two.
const BRISK: &str = r#"{ "BytesPerSecond": 1000000, "GracePeriod": "00:00:00.2" }"#;
/// More than the sockets between two processes hold.
const ENDLESS: &str = "stream/100000000000";

fn limits(json: &str) -> String {
    format!(r#""Kestrel": {{ "Limits": {json} }},"#)
}

struct Bounded {
    front: Front,
    both: BothWays,
    sandbox: Sandbox,
}

impl Bounded {
    /// A front with these sections, which end with a comma.
    fn by(sections: &str) -> Self {
        let sandbox = Sandbox::new();
        let both = BothWays::new(&sandbox);
        let front = sandbox.front(&both.configuration("", sections));
        Self {
            front,
            both,
            sandbox,
        }
    }

    fn send(&self, text: &str) -> Client {
        let mut client = self.front.connect();
        client.send(text);
        client
    }
}

fn upload(way: &str, framing: &str) -> String {
    format!("POST {way}/upload HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n")
}

const FRAMINGS: [&str; 2] = ["Content-Length: 10", "Transfer-Encoding: chunked"];

/// Whether the connection is over at both ends, and not by an orderly end of the response.
fn is_cut_off(client: &mut Client) {
    eventually("the connection is over at both ends", || {
        client.try_send("x").is_err()
    });
}

#[test]
fn a_body_that_comes_too_slowly_is_answered_408() {
    let sections = limits(&format!(r#"{{ "MinRequestBodyDataRate": {BRISK} }}"#));
    let bounded = Bounded::by(&sections);
    for way in WAYS {
        for framing in FRAMINGS {
            let mut client = bounded.send(&upload(way, framing));
            assert_eq!(client.response().status, 408, "{way} {framing}");
            assert!(client.is_closed(), "{way} {framing}");
        }
        let whole = bounded
            .front
            .connect()
            .post(&format!("{way}/upload"), b"all of it");
        assert_eq!(whole.json()["length"], 9, "{way}");
    }
}

#[test]
fn a_body_that_begins_and_stops_is_answered_408() {
    let sections = limits(&format!(r#"{{ "MinRequestBodyDataRate": {BRISK} }}"#));
    let bounded = Bounded::by(&sections);
    for way in WAYS {
        for (framing, start) in FRAMINGS.into_iter().zip(["12345", "5\r\n12345\r\n"]) {
            let mut client = bounded.send(&(upload(way, framing) + start));
            assert_eq!(client.response().status, 408, "{way} {framing}");
        }
    }
}

/// Waiting for the server is no fault of the client's: its body is whole, or is not asked for.
#[test]
fn a_slow_server_is_not_blamed_on_the_client() {
    let sections = limits(&format!(
        r#"{{ "MinRequestBodyDataRate": {BRISK}, "MinResponseDataRate": {BRISK} }}"#
    ));
    let bounded = Bounded::by(&sections);
    // Long enough to be found, told of, and given up.
    let post = |way: &str, body: &str| {
        bounded.send(&format!(
            "POST {way}/delay/8000 HTTP/1.1\r\nHost: x\r\n{body}"
        ))
    };
    let whole = "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let mut waiting = Vec::from(WAYS.map(|way| post(way, whole)));
    // A target that does not read the body leaves its client in peace; a forwarder reads ahead.
    waiting.push(post("/delegated", "Content-Length: 5\r\n\r\n"));
    let mut events = WAYS.map(|way| {
        let mut client = bounded.send(&format!("GET {way}/sse HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(client.try_head().unwrap().0, 200, "{way}");
        client
    });
    // An event a second, of far fewer bytes than the rate.
    for client in &mut events {
        let mut told = String::new();
        while !told.contains("event 7") {
            let read = client.read(1);
            assert!(!read.is_empty(), "cut off behind {told:?}");
            told.push_str(&String::from_utf8_lossy(&read));
        }
    }
    for client in &mut waiting {
        assert_eq!(client.response().status, 200);
    }
}

/// What is left of a body that the handler has not read is waited for no longer either.
#[test]
fn the_rest_of_a_body_behind_the_response_is_given_up() {
    let sections = limits(&format!(r#"{{ "MinRequestBodyDataRate": {BRISK} }}"#));
    let bounded = Bounded::by(&sections);
    for way in WAYS {
        let post = "status/200 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n";
        let mut client = bounded.send(&format!("POST {way}/{post}"));
        assert_eq!(client.response().status, 200, "{way}");
        assert!(client.is_closed(), "{way}");
    }
}

#[test]
fn a_target_that_stands_still_with_a_slow_body_is_given_up() {
    let sections = limits(&format!(r#"{{ "MinRequestBodyDataRate": {BRISK} }}"#));
    let bounded = Bounded::by(&sections);
    let framing = "Content-Length: 10\r\nExpect: 100-continue";
    let mut client = bounded.send(&upload("/delegated", framing));
    // Said before the first read, which then waits.
    assert_eq!(client.response().status, 100);
    stop(&bounded.both.target);
    assert!(client.is_closed());
    bounded.both.target.signal("CONT");
    assert_eq!(bounded.front.ask("GET", "/delegated/").status, 200);
}

#[test]
fn a_response_that_is_not_taken_is_cut_off() {
    let sections = limits(&format!(r#"{{ "MinResponseDataRate": {BRISK} }}"#));
    let bounded = Bounded::by(&sections);
    for way in WAYS {
        let mut client = bounded.send(&format!("GET {way}/{ENDLESS} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(client.try_head().unwrap().0, 200, "{way}");
        is_cut_off(&mut client);
        // The target has let go of it as well, and answers others.
        assert_eq!(bounded.front.ask("GET", &format!("{way}/")).status, 200);
    }
}

#[test]
fn null_is_no_rate() {
    let sections = limits(r#"{ "MinRequestBodyDataRate": null, "MinResponseDataRate": null }"#);
    let bounded = Bounded::by(&sections);
    let clients = WAYS.map(|way| {
        let head = format!("GET {way}/bytes/50000000 HTTP/1.1\r\nHost: x\r\n\r\n");
        let sender = bounded.send(&upload(way, "Content-Length: 4"));
        (sender, bounded.send(&head))
    });
    // Longer than Kestrel's time of grace.
    let later = bounded.front.ask("GET", "/delegated/delay/8000");
    assert_eq!(later.status, 200);
    for (mut sender, mut taker) in clients {
        sender.send("late");
        assert_eq!(sender.response().json()["length"], 4);
        assert_eq!(taker.response().body.len(), 50_000_000);
    }
}

#[test]
fn http_sys_names_bound_the_same() {
    let sections = r#""Kestrel": { "Limits": { "MinRequestBodyDataRate": null } },
        "HttpSys": { "Timeouts": { "EntityBody": "00:00:01", "MinSendBytesPerSecond": 40000000 } },"#;
    let bounded = Bounded::by(sections);
    for way in WAYS {
        let mut client = bounded.send(&upload(way, "Content-Length: 10"));
        assert_eq!(client.response().status, 408, "{way}");
        let mut client = bounded.send(&format!("GET {way}/{ENDLESS} HTTP/1.1\r\nHost: x\r\n\r\n"));
        is_cut_off(&mut client);
    }
}

#[test]
fn a_relayed_exchange_has_the_same_rates() {
    let Some(sandbox) = shared_sandbox() else {
        return;
    };
    let _target = target_of_a_stranger(&sandbox, "q", "create");
    let sections = limits(&format!(
        r#"{{ "MinRequestBodyDataRate": {BRISK}, "MinResponseDataRate": {BRISK} }}"#
    ));
    let json = delegating_to(&["q"]).replacen('{', &format!("{{ {sections}"), 1);
    let front = sandbox.front(&json);
    assert_eq!(front.ask("GET", "/echo").json()["arrival"], "relayed");
    for framing in FRAMINGS {
        let mut client = front.connect();
        client.send(upload("", framing));
        assert_eq!(client.response().status, 408, "{framing}");
    }
    let mut client = front.connect();
    client.send(format!("GET /{ENDLESS} HTTP/1.1\r\nHost: x\r\n\r\n"));
    is_cut_off(&mut client);
}

/// Whether a new connection is served.
fn is_let_in(front: &Front) -> bool {
    let mut client = front.connect();
    let asked = client.try_send("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n");
    asked.is_ok() && client.try_response().is_ok()
}

/// So many connections that have been served and stay.
fn kept(front: &Front, count: usize) -> Vec<Client> {
    let clients = (0..count).map(|_| {
        let mut client = front.connect();
        assert_eq!(client.ask("GET", "/nowhere").status, 404);
        client
    });
    clients.collect()
}

#[test]
fn one_connection_too_many_is_closed_at_once() {
    let sandbox = Sandbox::new();
    for section in [
        r#""Kestrel": { "Limits": { "MaxConcurrentConnections": 3 } }"#,
        r#""HttpSys": { "MaxConnections": 3 }"#,
        r#""Ostler": { "Limits": { "MaxConnectionsPerAddress": 3 } }"#,
    ] {
        // Counted across threads.
        let front = sandbox.front_with(&format!("{{ {section} }}"), &["--threads", "2"]);
        let mut clients = kept(&front, 3);
        assert!(!is_let_in(&front), "{section}");
        assert!(front.connect().is_closed(), "{section}");
        assert_eq!(clients[0].ask("GET", "/nowhere").status, 404, "{section}");
        clients.pop();
        eventually("there is room again", || is_let_in(&front));
    }
}

#[test]
fn limits_on_connections_and_rates_are_reloaded() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let with = |sections: &str| both.configuration("", &limits(sections));
    let front = sandbox.front(&with(r#"{ "MaxConcurrentConnections": 1 }"#));
    let _first = kept(&front, 1);
    assert!(!is_let_in(&front));
    sandbox.configuration(&with(&format!(
        r#"{{ "MaxConcurrentConnections": 2, "MinRequestBodyDataRate": {BRISK} }}"#
    )));
    eventually("there is room", || is_let_in(&front));
    let mut client = front.connect();
    client.send(upload("/delegated", "Content-Length: 10"));
    assert_eq!(client.response().status, 408);
    drop(client);
    let said = |words: &str| {
        let errors = front.process.errors();
        errors.iter().any(|line| line.contains(words))
    };
    assert!(!said("takes a restart"));
    sandbox.configuration(&with(r#"{ "MaxRequestHeaderCount": 5 }"#));
    eventually("it is said that heads take a restart", || {
        said("takes a restart")
    });
}

#[test]
fn one_upgrade_too_many_is_refused() {
    let bounded = Bounded::by(&limits(r#"{ "MaxConcurrentUpgradedConnections": 1 }"#));
    let port = bounded.front.port;
    let handshake = |way: &str| {
        let head = crate::upgrades::HANDSHAKE.replace("GET /ws", &format!("GET {way}/ws"));
        bounded.send(&head).response().status
    };
    let mut first = web_socket(port, "/forwarded");
    assert_eq!(handshake("/forwarded"), 502);
    assert_eq!(handshake("/delegated"), 502);
    converse(&mut first);
    say_goodbye(first);
    eventually("there is room again", || handshake("/forwarded") == 101);
    // Those that targets have taken over are theirs.
    let mut sockets = [(); 3].map(|()| {
        let mut socket = None;
        eventually("the handshake before is over", || {
            let stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
            socket = tungstenite::client("ws://x/delegated/ws", stream).ok();
            socket.is_some()
        });
        socket.unwrap().0
    });
    sockets.iter_mut().for_each(converse);
}

/// Kestrel: `MaxConcurrentConnections` excepts upgraded ones.
#[test]
fn an_upgraded_connection_makes_room_for_another() {
    let bounded = Bounded::by(&limits(r#"{ "MaxConcurrentConnections": 1 }"#));
    for way in WAYS {
        eventually("there is room", || is_let_in(&bounded.front));
        let mut socket = web_socket(bounded.front.port, way);
        eventually("there is room beside it", || is_let_in(&bounded.front));
        converse(&mut socket);
        say_goodbye(socket);
    }
}

#[test]
fn hosts_that_are_not_allowed_are_answered_400() {
    let bounded = Bounded::by(r#""AllowedHosts": "example.com;*.example.org","#);
    let ask = |way: &str, host: &str| {
        let request = format!("GET {way}/ HTTP/1.1\r\nHost: {host}\r\n\r\n");
        bounded.send(&request).response().status
    };
    for way in WAYS {
        for (host, status) in [
            ("example.com", 200),
            ("Example.COM:8080", 200),
            ("a.example.org", 200),
            ("example.org", 400),
            ("evil.com", 400),
            ("example.com.evil.com", 400),
        ] {
            assert_eq!(ask(way, host), status, "{way} {host}");
        }
    }
    // No Host at all is HTTP/1.0's right.
    let old = bounded.send("GET /forwarded/ HTTP/1.0\r\n\r\n").response();
    assert_eq!(old.status, 200);
    // The next request of the connection is as good as the first.
    let mut client = bounded.send("GET /forwarded/ HTTP/1.1\r\nHost: evil.com\r\n\r\n");
    assert_eq!(client.response().status, 400);
    client.send("GET /forwarded/ HTTP/1.1\r\nHost: example.com\r\n\r\n");
    assert_eq!(client.response().status, 200);
    // It is reloaded.
    let any = bounded.both.configuration("", "");
    bounded.sandbox.configuration(&any);
    eventually("every host is allowed", || {
        ask("/delegated", "evil.com") == 200
    });
}

#[test]
fn a_head_that_does_not_come_and_an_idle_connection_are_closed() {
    let bounded = Bounded::by(&limits(
        r#"{ "RequestHeadersTimeout": "00:00:00.5", "KeepAliveTimeout": "00:00:01" }"#,
    ));
    let mut client = bounded.send("GET / HTTP/1.1\r\nHo");
    assert_eq!(client.response().status, 408);
    assert!(client.is_closed());
    // Silently, before a first request and after one.
    assert!(bounded.front.connect().is_closed());
    for way in WAYS {
        let mut client = bounded.front.connect();
        assert_eq!(client.ask("GET", &format!("{way}/")).status, 200);
        assert!(client.is_closed(), "{way}");
    }
}

/// Whoever stalls holds a connection and nothing else.
#[test]
fn hundreds_of_stalled_clients_do_not_keep_others() {
    const EACH: usize = 100;
    let bounded = Bounded::by("");
    let mut stalled = Vec::new();
    for way in WAYS {
        for start in [
            format!("GET {way}/ HTTP/1.1\r\nHost"),
            upload(way, "Content-Length: 1000") + "some of it",
            upload(way, "Transfer-Encoding: chunked") + "5\r\nhal",
            format!("GET {way}/{ENDLESS} HTTP/1.1\r\nHost: x\r\n\r\n"),
        ] {
            stalled.extend((0..EACH).map(|_| bounded.send(&start)));
        }
    }
    for way in WAYS {
        let mut client = bounded.front.connect();
        for _ in 0..100 {
            assert_eq!(client.ask("GET", &format!("{way}/")).status, 200, "{way}");
        }
        let body = vec![b'x'; 200_000];
        let answer = client.post(&format!("{way}/upload"), &body);
        assert_eq!(answer.json()["length"], 200_000, "{way}");
    }
    assert!(bounded.front.process.is_running() && bounded.both.target.is_running());
    drop(stalled);
}

/// The same, while those that stall are being found.
#[test]
fn hundreds_of_slow_clients_are_found() {
    const EACH: usize = 100;
    let bounded = Bounded::by(&limits(&format!(
        r#"{{ "MinRequestBodyDataRate": {BRISK}, "MinResponseDataRate": {BRISK},
            "RequestHeadersTimeout": "00:00:01" }}"#
    )));
    let before = bounded.front.process.descriptors();
    let mut stalled = Vec::new();
    for way in WAYS {
        for start in [
            format!("GET {way}/ HTTP/1.1\r\nHost"),
            upload(way, "Content-Length: 1000"),
            format!("GET {way}/{ENDLESS} HTTP/1.1\r\nHost: x\r\n\r\n"),
        ] {
            stalled.extend((0..EACH).map(|_| bounded.send(&start)));
        }
    }
    let patience = PATIENCE;
    let begun = std::time::Instant::now();
    // The front's pools keep a few connections to the destination.
    while bounded.front.process.descriptors() > before + EACH / 2 {
        assert!(begun.elapsed() < patience, "they are held for ever");
        let answer = bounded.front.ask("GET", "/delegated/");
        assert_eq!(answer.status, 200);
    }
    drop(stalled);
}
