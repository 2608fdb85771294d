//! Destinations without a queue: HTTP/1.1 to their addresses, as YARP forwards.

use crate::support::{Destination, Sandbox};
use crate::upgrades::{converse, frames_behind_the_handshake_arrive, web_socket};

/// One route, for everything, to one cluster; `more` are further settings of the cluster, each
/// followed by a comma.
pub(crate) fn forwarding(more: &str, destinations: &[&str]) -> String {
    format!(
        r#"{{ "ReverseProxy": {{
            "Pipeline": [ "LoadBalancing", "HttpSysDelegation" ],
            "Routes": {{ "all": {{ "ClusterId": "all", "Match": {{ "Path": "{{**rest}}" }} }} }},
            "Clusters": {{ "all": {{ {more} "Destinations": {{ {} }} }} }} }} }}"#,
        destinations.join(",")
    )
}

pub(crate) fn forwarding_at(address: &str) -> String {
    forwarding("", &[&format!(r#""d": {{ "Address": "{address}" }}"#)])
}

pub(crate) fn forwarding_to(destination: &Destination) -> String {
    forwarding_at(&destination.address())
}

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn a_request_is_sent_on_as_yarp_sends_it() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let address = format!("{}base/", destination.address());
    let front = sandbox.front(&forwarding_at(&address));
    let mut client = front.connect();
    client.send(
        "GET /a%20b/c?q=1&q=%41 HTTP/1.1\r\nHost: example.com:8080\r\n\
         Connection: keep-alive, X-Listed\r\nX-Listed: gone\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Authorization: Basic eDp5\r\nTE: gzip\r\nUpgrade-Insecure-Requests: 1\r\n\
         X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Host: spoofed\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Prefix: /spoofed\r\nForwarded: for=192.0.2.7\r\n\
         X-Kept: 1\r\nCookie: a=b; c=d\r\nX-Kept: 2\r\nUser-Agent: test/1\r\n\
         Cookie: e=f\r\nUser-Agent: more/2\r\n\r\n",
    );
    let mut incoming = destination.accept();
    let head = incoming.head();
    assert_eq!(head.line, "GET /base/a%20b/c?q=1&q=%41 HTTP/1.1");
    assert_eq!(head.all("host"), [destination.authority()]);
    assert_eq!(head.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(head.all("x-forwarded-host"), ["example.com:8080"]);
    assert_eq!(head.all("x-forwarded-proto"), ["http"]);
    assert_eq!(head.all("x-kept"), ["1, 2"]);
    assert_eq!(head.all("cookie"), ["a=b; c=d; e=f"]);
    assert_eq!(head.all("user-agent"), ["test/1 more/2"]);
    for dropped in [
        "connection",
        "x-listed",
        "keep-alive",
        "proxy-authorization",
        "te",
        "upgrade-insecure-requests",
        "x-forwarded-prefix",
        "forwarded",
        "content-length",
        "transfer-encoding",
    ] {
        assert_eq!(head.all(dropped), [""; 0], "{dropped}");
    }
    incoming.send(OK);
    assert_eq!(client.response().body, b"ok");
}

#[test]
fn a_body_that_is_there_and_that_nobody_reads_ends_no_connection() {
    let sandbox = Sandbox::new();
    let front = sandbox.front(
        r#"{ "ReverseProxy": { "Routes": { "r": { "ClusterId": "c", "Match": { "Path": "/r" } } },
            "Clusters": { "c": {} } } }"#,
    );
    let mut client = front.connect();
    let chunked = |path: &str, body: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
    };
    for (path, status) in [("/nowhere", 404), ("/r", 503)] {
        for body in ["0\r\n\r\n", "3;x\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\n"] {
            client.send(chunked(path, body));
            let response = client.response();
            assert_eq!(
                (response.status, response.field("connection")),
                (status, None)
            );
        }
        client.send(format!(
            "{}POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab",
            chunked(path, "1\r\na\r\n0\r\n\r\n")
        ));
        assert_eq!(
            (client.response().status, client.response().status),
            (status, status)
        );
    }
    // One whose end is not there, or that is malformed, does.
    for body in ["3\r\nabc\r\n", "x\r\n\r\n"] {
        let mut client = front.connect();
        client.send(chunked("/nowhere", body));
        assert_eq!(
            client.response().field("connection"),
            Some("close"),
            "{body}"
        );
    }
}

#[test]
fn the_original_host_stays_whatever_connection_lists() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front = sandbox.front(&format!(
        r#"{{ "ReverseProxy": {{
            "Routes": {{ "all": {{ "ClusterId": "all", "Match": {{ "Path": "/{{**rest}}" }},
                "Transforms": [ {{ "RequestHeaderOriginalHost": "true" }},
                    {{ "RequestHeadersAllowed": "Connection;Host;X-Kept" }} ] }} }},
            "Clusters": {{ "all": {{ "Destinations": {{
                "d": {{ "Address": "{}a b/" }} }} }} }} }} }}"#,
        destination.address()
    ));
    let mut client = front.connect();
    client.send(
        "GET / HTTP/1.1\r\nHost: outer.example\r\nConnection: Host, X-Listed\r\nX-Kept: 1\r\n\r\n",
    );
    let mut incoming = destination.accept();
    let head = incoming.head();
    assert_eq!(head.line, "GET /a%20b/ HTTP/1.1");
    assert_eq!(head.all("host"), ["outer.example"]);
    assert_eq!(head.all("x-kept"), ["1"]);
    assert_eq!(head.all("connection"), [""; 0]);
    incoming.send(OK);
    assert_eq!(client.response().status, 200);
}

#[test]
fn the_host_of_a_destination_is_sent_where_it_has_one() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let named = format!(
        r#""d": {{ "Address": "{}", "Host": "inner.example:81" }}"#,
        destination.address()
    );
    let front = sandbox.front(&forwarding("", &[&named]));
    let mut client = front.connect();
    client.send("GET / HTTP/1.1\r\nHost: outer.example\r\n\r\n");
    let mut incoming = destination.accept();
    let head = incoming.head();
    assert_eq!(head.all("host"), ["inner.example:81"]);
    assert_eq!(head.all("x-forwarded-host"), ["outer.example"]);
    incoming.send(OK);
    assert_eq!(client.response().status, 200);
}

#[test]
fn a_response_is_passed_on_less_its_connection() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front = sandbox.front(&forwarding_to(&destination));
    let mut client = front.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut incoming = destination.accept();
    incoming.head();
    incoming.send(
        "HTTP/1.1 299 Quite Fine\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nSet-Cookie: a=1\r\n\
         Connection: close\r\nKeep-Alive: timeout=9\r\nProxy-Authenticate: Basic\r\n\
         Alt-Svc: h3=\":443\"\r\nServer: theirs\r\nSet-Cookie: b=2\r\nContent-Length: 5\r\n\r\nhello",
    );
    let response = client.response();
    assert_eq!((response.status, response.text().as_str()), (299, "hello"));
    let all = |name: &str| -> Vec<&str> {
        let named = response.fields.iter().filter(|(have, _)| have == name);
        named.map(|(_, value)| value.as_str()).collect()
    };
    assert_eq!(all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(all("date"), ["Sun, 06 Nov 1994 08:49:37 GMT"]);
    assert_eq!(all("server"), ["theirs"]);
    for dropped in ["connection", "keep-alive", "proxy-authenticate", "alt-svc"] {
        assert_eq!(all(dropped), [""; 0], "{dropped}");
    }
    // The destination's connection ends; the client's does not.
    client.send("GET /again HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut incoming = destination.accept();
    assert_eq!(incoming.head().line, "GET /again HTTP/1.1");
    incoming.send(OK);
    assert_eq!(client.response().status, 200);
}

#[test]
fn connections_are_kept_on_both_sides() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front = sandbox.front(&forwarding_to(&destination));
    let mut clients = [front.connect(), front.connect()];
    let mut incoming = None;
    for round in 0..5 {
        for client in &mut clients {
            client.send(format!("GET /{round} HTTP/1.1\r\nHost: x\r\n\r\n"));
            let incoming = incoming.get_or_insert_with(|| destination.accept());
            assert_eq!(incoming.head().line, format!("GET /{round} HTTP/1.1"));
            incoming.send(OK);
            assert_eq!(client.response().body, b"ok");
        }
    }
    assert!(
        destination.is_left_alone(),
        "one connection is enough for one request at a time"
    );
}

#[test]
fn a_response_streams() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front = sandbox.front(&forwarding_to(&destination));
    let mut client = front.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut incoming = destination.accept();
    incoming.head();
    incoming.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    let (status, fields) = client.try_head().unwrap();
    assert_eq!(status, 200);
    assert!(fields.contains(&("transfer-encoding".to_owned(), "chunked".to_owned())));
    // Each piece is here before the next is made.
    for piece in ["first", "second", "third"] {
        incoming.send(format!("{:x}\r\n{piece}\r\n", piece.len()));
        let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
        assert_eq!(client.read(chunk.len()), chunk.as_bytes());
    }
    incoming.send("0\r\n\r\n");
    assert_eq!(client.read(5), b"0\r\n\r\n");
}

#[test]
fn an_upload_streams() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front = sandbox.front(&forwarding_to(&destination));
    let mut client = front.connect();
    client.send("POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello");
    let mut incoming = destination.accept();
    let head = incoming.head();
    assert_eq!(head.all("content-length"), ["11"]);
    assert_eq!(head.all("transfer-encoding"), [""; 0]);
    assert_eq!(incoming.read(5), b"hello");
    client.send(" world");
    assert_eq!(incoming.read(6), b" world");
    incoming.send(OK);
    assert_eq!(client.response().body, b"ok");

    client.send(
        "POST /chunks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n",
    );
    let head = incoming.head();
    assert_eq!(head.all("content-length"), [""; 0]);
    assert_eq!(head.all("transfer-encoding"), ["chunked"]);
    assert_eq!(incoming.chunked(5), b"hello");
    client.send("6\r\n world\r\n");
    assert_eq!(incoming.chunked(6), b" world");
    // The next request in one segment with the end stays behind it.
    client.send("0\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(
        (incoming.line(), incoming.line()),
        ("0".to_owned(), String::new())
    );
    incoming.send(OK);
    assert_eq!(client.response().body, b"ok");
    assert_eq!(incoming.head().line, "GET /next HTTP/1.1");
    incoming.send(OK);
    assert_eq!(client.response().body, b"ok");
}

#[test]
fn trailers_are_passed_on() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front = sandbox.front(&forwarding_to(&destination));
    let mut client = front.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let mut incoming = destination.accept();
    incoming.head();
    incoming.send(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
         5\r\nhello\r\n0\r\nX-Sum: abc\r\n\r\n",
    );
    client.try_head().unwrap();
    let rest = String::from_utf8(client.rest())
        .unwrap()
        .to_ascii_lowercase();
    assert_eq!(rest, "5\r\nhello\r\n0\r\nx-sum: abc\r\n\r\n");
}

#[test]
fn responses_without_a_body() {
    let sandbox = Sandbox::new();
    let (_target, address) = sandbox.listening_target("q");
    let front = sandbox.front(&forwarding_at(&address));
    let mut client = front.connect();
    let head = client.ask("HEAD", "/bytes/12345");
    assert_eq!(
        (head.status, head.field("content-length")),
        (200, Some("12345"))
    );
    for status in [204, 304, 404, 500] {
        assert_eq!(
            client.ask("GET", &format!("/status/{status}")).status,
            status
        );
    }
    let response = client.ask("GET", "/echo");
    assert_eq!(response.json()["arrival"], "direct");
}

#[test]
fn http_10_clients_get_what_they_understand() {
    let sandbox = Sandbox::new();
    let (_target, address) = sandbox.listening_target("q");
    let front = sandbox.front(&forwarding_at(&address));
    let mut client = front.connect();
    client.send("GET /bytes/10 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let response = client.response();
    assert_eq!(
        (response.body.len(), response.field("connection")),
        (10, Some("keep-alive"))
    );
    client.send("GET /stream/100000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let response = client.response();
    assert_eq!(response.field("transfer-encoding"), None);
    assert_eq!(response.body.len(), 100_000);
}

#[test]
fn large_bodies_both_ways() {
    let sandbox = Sandbox::new();
    let (_target, address) = sandbox.listening_target("q");
    let front = sandbox.front(&forwarding_at(&address));
    let mut client = front.connect();
    for path in ["/bytes/20000000", "/stream/20000000"] {
        let pattern = (0..20_000_000u32).map(|at| at as u8);
        assert!(
            client.ask("GET", path).body.into_iter().eq(pattern),
            "{path}"
        );
    }
    let body: Vec<u8> = (0..20_000_000u32).map(|at| (at % 251) as u8).collect();
    let by_length = client.post("/upload", &body).json();
    assert_eq!(by_length["length"], body.len());
    client.send("POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for chunk in body.chunks(777_777) {
        client.send([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    }
    client.send("0\r\nX-Sum: x\r\n\r\n");
    assert_eq!(client.response().json(), by_length, "the same bytes");
    client.send(
        "PUT /upload HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    );
    assert_eq!(client.response().status, 100);
    client.send("hello");
    assert_eq!(client.response().json()["length"], 5);
}

#[test]
fn nobody_there_is_a_502() {
    // Reference A4.4: `Request`.
    let sandbox = Sandbox::new();
    // Bound and then closed: a connection to it is refused.
    let address = Destination::new().address();
    let front = sandbox.front(&forwarding_at(&address));
    let mut client = front.connect();
    for _ in 0..3 {
        assert_eq!(client.ask("GET", "/").status, 502);
    }
}

#[test]
fn a_destination_that_hangs_up_is_tried_once_and_a_502() {
    let destination = Destination::new();
    let sandbox = Sandbox::new();
    let front = sandbox.front(&forwarding_to(&destination));
    for _ in 0..3 {
        let mut client = front.connect();
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        drop(destination.accept());
        assert_eq!(client.response().status, 502);
        assert!(destination.is_left_alone());
    }
}

#[test]
fn a_connection_that_was_closed_while_idle_is_not_used() {
    let destination = Destination::new();
    let sandbox = Sandbox::new();
    let front = sandbox.front(&forwarding_to(&destination));
    let mut client = front.connect();
    for _ in 0..5 {
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let mut incoming = destination.accept();
        incoming.head();
        incoming.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(client.response().text(), "ok");
        // Ended without a word, as many servers do after a while; and the front has seen it.
        let stream = incoming.stream.get_ref();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(incoming.is_closed());
    }
}

#[test]
fn nonsense_and_silence_from_a_destination_are_a_502() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front = sandbox.front(&forwarding_to(&destination));
    for nonsense in [
        "",
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    ] {
        let mut client = front.connect();
        client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
        let mut incoming = destination.accept();
        incoming.head();
        assert_eq!(incoming.read(2), b"hi");
        incoming.send(nonsense);
        drop(incoming);
        assert_eq!(client.response().status, 502, "{nonsense:?}");
    }
}

#[test]
fn a_response_that_breaks_off_is_not_made_whole() {
    // Reference A4.4: `ResponseBodyDestination`.
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front = sandbox.front(&forwarding_to(&destination));
    for head in [
        "Content-Length: 10\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        let mut client = front.connect();
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let mut incoming = destination.accept();
        incoming.head();
        incoming.send(format!("HTTP/1.1 200 OK\r\n{head}"));
        // The head is on its way before the end is known.
        let (status, _) = client.try_head().unwrap();
        assert_eq!(status, 200);
        drop(incoming);
        let rest = String::from_utf8(client.rest()).unwrap();
        assert!(
            rest == "hello" || rest == "5\r\nhello\r\n",
            "{rest:?} for {head:?}"
        );
    }
}

#[test]
fn a_silent_destination_is_a_504() {
    // Reference A4.4: `RequestTimedOut`.
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front = sandbox.front(&forwarding(
        r#""HttpRequest": { "ActivityTimeout": "00:00:01" },"#,
        &[&format!(
            r#""d": {{ "Address": "{}" }}"#,
            destination.address()
        )],
    ));
    let mut client = front.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut incoming = destination.accept();
    incoming.head();
    assert_eq!(client.response().status, 504);
    assert!(
        incoming.is_closed(),
        "what may still come must not answer another request"
    );
}

#[test]
fn a_client_that_leaves_is_not_answered_for() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front = sandbox.front(&forwarding_to(&destination));
    let mut client = front.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut incoming = destination.accept();
    incoming.head();
    drop(client);
    assert!(incoming.is_closed());
    // And in the middle of its body.
    let mut client = front.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello");
    let mut incoming = destination.accept();
    incoming.head();
    assert_eq!(incoming.read(5), b"hello");
    drop(client);
    assert!(
        incoming.is_closed(),
        "half a body is not passed off as a whole one"
    );
}

#[test]
fn a_malformed_body_is_not_passed_on_as_a_whole_one() {
    // Reference A4.4: `RequestBodyClient`.
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front = sandbox.front(&forwarding_to(&destination));
    let mut client = front.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    let mut incoming = destination.accept();
    incoming.head();
    assert_eq!(incoming.chunked(5), b"hello");
    client.send("zz\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.response().status, 400);
    assert_eq!(client.rest(), b"");
    assert!(incoming.is_closed());
}

#[test]
fn a_web_socket_is_forwarded() {
    let sandbox = Sandbox::new();
    let (_target, address) = sandbox.listening_target("q");
    let front = sandbox.front(&forwarding_at(&address));
    let mut socket = web_socket(front.port, "");
    converse(&mut socket);
    frames_behind_the_handshake_arrive(&mut front.connect());
    // An upgrade that is refused is an ordinary exchange.
    let mut client = front.connect();
    client.send(crate::upgrades::HANDSHAKE.replacen("/ws", "/echo", 1));
    assert_eq!(client.response().json()["arrival"], "direct");
    assert_eq!(client.ask("GET", "/").status, 200);
}

#[test]
fn delegated_and_forwarded_destinations_share_a_cluster_and_a_connection() {
    let sandbox = Sandbox::new();
    let delegated = sandbox.target("delegated", &[]);
    let (forwarded, address) = sandbox.listening_target("forwarded");
    let front = sandbox.front(&forwarding(
        r#""LoadBalancingPolicy": "RoundRobin","#,
        &[
            r#""a": { "Address": "http://*:80/",
                      "Metadata": { "HttpSysDelegationQueue": "delegated" } }"#,
            &format!(r#""b": {{ "Address": "{address}" }}"#),
        ],
    ));
    let mut client = front.connect();
    let mut seen = Vec::new();
    for number in 0..20 {
        let echo = client.post(&format!("/echo?{number}"), b"body").json();
        assert!(
            echo["target"]
                .as_str()
                .unwrap()
                .ends_with(&format!("/echo?{number}")),
            "{echo}"
        );
        assert_eq!(echo["length"], 4);
        let arrival = echo["arrival"].as_str().unwrap().to_owned();
        let pid = if arrival == "delegated" {
            delegated.pid()
        } else {
            forwarded.pid()
        };
        assert_eq!(echo["pid"], pid);
        seen.push(arrival);
    }
    for pair in seen.windows(2) {
        assert_ne!(pair[0], pair[1], "they take turns: {seen:?}");
    }
    // Pipelined, across both.
    client.send("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n".repeat(6));
    let arrivals: Vec<_> = (0..6)
        .map(|_| client.response().json()["arrival"].clone())
        .collect();
    for pair in arrivals.windows(2) {
        assert_ne!(pair[0], pair[1], "they take turns: {arrivals:?}");
    }
}

#[test]
fn a_length_that_is_said_twice_is_sent_once() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front = sandbox.front(&forwarding_to(&destination));
    for lengths in [
        "Content-Length: 2\r\nContent-Length: 2",
        "Content-Length: 2, 2",
    ] {
        let mut client = front.connect();
        client.send(format!("POST / HTTP/1.1\r\nHost: x\r\n{lengths}\r\n\r\nok"));
        let mut incoming = destination.accept();
        assert_eq!(incoming.head().all("content-length"), ["2"]);
        assert_eq!(incoming.read(2), b"ok");
    }
    let mut client = front.connect();
    let lengths = "Content-Length: 0\r\nContent-Length: 0";
    client.send(format!("PUT / HTTP/1.1\r\nHost: x\r\n{lengths}\r\n\r\n"));
    assert_eq!(destination.accept().head().all("content-length"), ["0"]);
}
