//! What each way of failing comes to: the status, whether response transforms are seen or cleared,
//! what becomes of the connection, and YARP's name for it in the log (reference B15).

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use serde_json::Value;

use crate::support::{Client, Front, PATIENCE, Sandbox, eventually};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const UPLOAD: &str = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n";
const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
     Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
/// More than fits into the sockets' buffers is sent, and more than may be by default.
const ANY_LENGTH: &str = r#""MaxRequestBodySize": -1,"#;
const BRIEF: &str = r#""HttpRequest": { "ActivityTimeout": "00:00:01" },"#;

/// A front before a destination of the test's own.
struct Scene {
    front: Front,
    /// Connections of the front's, as the destination takes them.
    connections: Receiver<TcpStream>,
    _sandbox: Sandbox,
}

impl Scene {
    /// `cluster` are settings of the cluster, `route` of the route; each ends with a comma.
    fn with(cluster: &str, route: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, connections) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if sender.send(stream).is_err() {
                    return;
                }
            }
        });
        Self::before(&format!("http://{address}/"), connections, cluster, route)
    }

    fn new() -> Self {
        Self::with("", ANY_LENGTH)
    }

    fn before(address: &str, connections: Receiver<TcpStream>, cluster: &str, route: &str) -> Self {
        let destinations = format!(r#"{{ "d": {{ "Address": "{address}" }} }}"#);
        Self::among(&destinations, connections, cluster, route)
    }

    fn among(
        destinations: &str,
        connections: Receiver<TcpStream>,
        cluster: &str,
        route: &str,
    ) -> Self {
        let sandbox = Sandbox::new();
        let json = format!(
            r#"{{ "ReverseProxy": {{
                "Routes": {{ "r": {{ "ClusterId": "c", {route} "Match": {{ "Path": "{{**rest}}" }},
                    "Transforms": [
                        {{ "ResponseHeader": "X-Always", "Set": "1", "When": "Always" }},
                        {{ "ResponseHeader": "X-Failure", "Set": "1", "When": "Failure" }} ] }} }},
                "Clusters": {{ "c": {{ {cluster}
                    "Destinations": {destinations} }} }} }} }}"#
        );
        let log = ["--log", "ostler::exchange=debug", "--log-format", "json"];
        let arguments = [&["--threads", "1"][..], &log].concat();
        let front = sandbox.front_with(&json, &arguments);
        Self {
            front,
            connections,
            _sandbox: sandbox,
        }
    }

    fn ask(&self, request: &str) -> Client {
        let mut client = self.front.connect();
        client.send(request);
        client
    }

    /// The next connection of the front's, once the head of a request has been read from it.
    fn asked(&self) -> TcpStream {
        let mut stream = self.connections.recv_timeout(PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        stream
    }

    /// Asks, and has the destination answer so and close.
    fn answered(&self, request: &str, answer: &str) -> Client {
        let client = self.ask(request);
        self.asked().write_all(answer.as_bytes()).unwrap();
        client
    }

    /// What the exchange's line in the log says: its error, if any.
    #[track_caller]
    fn logs(&self, error: Option<&str>) {
        let mut lines: Vec<Value> = Vec::new();
        eventually("the exchange is logged", || {
            let said = self.front.process.errors();
            lines = said
                .iter()
                .filter_map(|line| serde_json::from_str(line).ok())
                .filter(|line: &Value| line["target"] == "ostler::exchange")
                .collect();
            !lines.is_empty()
        });
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(lines[0]["error"].as_str(), error, "{lines:?}");
    }
}

/// The transforms that are seen in a response: those for any and those for failures.
#[derive(Debug, PartialEq)]
enum Seen {
    /// The proxy's own answer is transformed.
    Transformed,
    /// What transforms have set is cleared.
    Cleared,
}

#[track_caller]
fn fails(client: &mut Client, status: u16, seen: Seen) {
    let response = client.response();
    assert_eq!(response.status, status);
    // Note e: no body, and its length says so.
    assert_eq!(response.field("content-length"), Some("0"));
    assert!(response.body.is_empty());
    let is_seen = |name| response.field(name) == Some("1");
    let expected = seen == Seen::Transformed;
    let fields = &response.fields;
    assert_eq!(is_seen("x-always"), expected, "{fields:?}");
    assert_eq!(is_seen("x-failure"), expected, "{fields:?}");
}

/// Closes so that the other end sees a reset: with something unread.
fn reset(stream: &TcpStream) {
    rustix::net::sockopt::set_socket_linger(stream, Some(std::time::Duration::ZERO)).unwrap();
}

/// Sends for as long as the connection takes anything: buffers on the way grow while they are full,
/// and it must not be the client that is waited for then.
fn fill(client: &Client) {
    let mut stream = client.socket().try_clone().unwrap();
    std::thread::spawn(move || while stream.write(&[b'x'; 65536]).is_ok() {});
}

#[test]
fn success_has_no_error_and_no_field_for_failures() {
    let scene = Scene::new();
    let response = scene.answered(GET, OK).response();
    assert_eq!(response.text(), "ok");
    assert_eq!(response.field("x-always"), Some("1"));
    assert_eq!(response.field("x-failure"), None);
    scene.logs(None);
}

#[test]
fn nobody_listens() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let address = format!("http://{}/", free.unwrap());
    let scene = Scene::before(&address, channel().1, "", "");
    let mut client = scene.ask(GET);
    fails(&mut client, 502, Seen::Transformed);
    scene.logs(Some("Request"));
}

#[test]
fn no_response_or_none_that_can_be_read() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    let two = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx";
    for answer in ["", "HTTP/1.1 2", "nonsense\r\n\r\n", two, &long] {
        let scene = Scene::new();
        let mut client = scene.ask(GET);
        // What is too long is not taken whole.
        let _ = scene.asked().write_all(answer.as_bytes());
        fails(&mut client, 502, Seen::Transformed);
        scene.logs(Some("Request"));
    }
}

#[test]
fn a_reset_in_a_responses_place() {
    let scene = Scene::new();
    let mut client = scene.ask(GET);
    reset(&scene.asked());
    fails(&mut client, 502, Seen::Transformed);
    scene.logs(Some("Request"));
}

#[test]
fn silence_in_a_responses_place() {
    let scene = Scene::with(BRIEF, ANY_LENGTH);
    let mut client = scene.ask(GET);
    let mut destination = scene.asked();
    fails(&mut client, 504, Seen::Transformed);
    scene.logs(Some("RequestTimedOut"));
    // An HTTP/1.1 exchange is taken back by closing.
    assert_eq!(destination.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_client_that_goes_before_the_response() {
    let scene = Scene::new();
    let client = scene.ask(GET);
    let mut destination = scene.asked();
    reset(client.socket());
    drop(client);
    scene.logs(Some("RequestCanceled"));
    assert_eq!(destination.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_client_that_goes_in_the_middle_of_its_body() {
    let scene = Scene::new();
    let mut client = scene.ask(UPLOAD);
    let mut destination = scene.asked();
    client.send(b"part");
    destination.read_exact(&mut [0; 4]).unwrap();
    reset(client.socket());
    drop(client);
    scene.logs(Some("RequestBodyCanceled"));
    // The destination must not take the part for the whole.
    assert!(matches!(destination.read(&mut [0]), Ok(0) | Err(_)));
}

#[test]
fn a_body_that_is_none() {
    let scene = Scene::new();
    let mut client = scene.ask(CHUNKED);
    let _destination = scene.asked();
    client.send("not a size\r\n");
    fails(&mut client, 400, Seen::Transformed);
    assert!(client.is_closed());
    scene.logs(Some("RequestBodyClient"));
}

#[test]
fn a_body_that_is_too_large() {
    let scene = Scene::with("", r#""MaxRequestBodySize": 10,"#);
    let mut client = scene.ask(CHUNKED);
    let _destination = scene.asked();
    client.send("14\r\n12345678901234567890\r\n0\r\n\r\n");
    fails(&mut client, 413, Seen::Transformed);
    scene.logs(Some("RequestBodyClient"));
}

#[test]
fn a_body_that_does_not_come() {
    let scene = Scene::with(BRIEF, ANY_LENGTH);
    let mut client = scene.ask(UPLOAD);
    let _destination = scene.asked();
    fails(&mut client, 408, Seen::Transformed);
    assert!(client.is_closed());
    scene.logs(Some("RequestBodyClient"));
}

#[test]
fn a_body_that_is_not_taken() {
    let scene = Scene::with(BRIEF, ANY_LENGTH);
    let mut client = scene.ask(UPLOAD);
    let _destination = scene.asked();
    fill(&client);
    fails(&mut client, 504, Seen::Transformed);
    scene.logs(Some("RequestBodyDestination"));
}

#[test]
fn a_destination_that_hangs_up_on_a_body() {
    let scene = Scene::new();
    let mut client = scene.ask(UPLOAD);
    let destination = scene.asked();
    fill(&client);
    drop(destination);
    fails(&mut client, 502, Seen::Transformed);
    scene.logs(Some("RequestBodyDestination"));
}

#[test]
fn an_early_response_is_passed_on_though_the_body_goes_on() {
    // Reference B8: .NET reads no response before the body is sent, and so loses this one.
    let scene = Scene::new();
    let mut client = scene.ask(UPLOAD);
    let mut destination = scene.asked();
    let early = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
    destination.write_all(early.as_bytes()).unwrap();
    let response = client.response();
    assert_eq!((response.status, response.text().as_str()), (403, "no"));
    // Nobody reads the rest of the body, so the connection can carry nothing behind it.
    assert!(client.is_closed());
    scene.logs(None);
}

#[test]
fn a_switch_of_protocols_that_nobody_asked_for() {
    let scene = Scene::new();
    let mut client = scene.answered(GET, SWITCHING);
    fails(&mut client, 502, Seen::Cleared);
    scene.logs(Some("ResponseHeaders"));
}

#[test]
fn a_body_that_breaks_off_before_its_first_byte() {
    // The head waits for no byte (reference B11.4), so all of it must come at once.
    let scene = Scene::new();
    let bad = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot a size\r\n";
    let mut client = scene.answered(GET, bad);
    fails(&mut client, 502, Seen::Cleared);
    scene.logs(Some("ResponseBodyDestination"));
}

/// The client has the beginning of a response's body, and the destination's connection is here.
fn begun(scene: &Scene) -> (Client, TcpStream) {
    let mut client = scene.ask(GET);
    let mut destination = scene.asked();
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\nbegun";
    destination.write_all(head.as_bytes()).unwrap();
    assert_eq!(client.try_head().unwrap().0, 200);
    assert_eq!(client.read(5), b"begun");
    (client, destination)
}

#[test]
fn a_body_that_breaks_off() {
    let scene = Scene::new();
    let (mut client, destination) = begun(&scene);
    drop(destination);
    assert!(client.is_closed());
    scene.logs(Some("ResponseBodyDestination"));
}

#[test]
fn a_body_that_stops() {
    let scene = Scene::with(BRIEF, ANY_LENGTH);
    let (mut client, _destination) = begun(&scene);
    assert!(client.is_closed());
    scene.logs(Some("ResponseBodyDestination"));
}

#[test]
fn a_response_that_is_not_taken() {
    let scene = Scene::with(BRIEF, ANY_LENGTH);
    let mut client = scene.ask(GET);
    let mut destination = scene.asked();
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n";
    destination.write_all(head.as_bytes()).unwrap();
    std::thread::spawn(move || while destination.write(&[b'x'; 65536]).is_ok() {});
    scene.logs(Some("ResponseBodyClient"));
    assert_eq!(client.try_head().unwrap().0, 200);
    assert!(client.rest().len() < 100_000_000, "it is cut off");
}

#[test]
fn a_client_that_goes_in_the_middle_of_the_response() {
    let scene = Scene::new();
    let (client, mut destination) = begun(&scene);
    reset(client.socket());
    drop(client);
    scene.logs(Some("ResponseBodyCanceled"));
    assert!(matches!(destination.read(&mut [0]), Ok(0) | Err(_)));
}

#[test]
fn plain_connect_and_versions_that_forbid_an_upgrade() {
    let exact = r#""HttpRequest": { "Version": "3", "VersionPolicy": "RequestVersionExact" },"#;
    for (cluster, request) in [
        ("", "CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n"),
        (exact, UPGRADE),
    ] {
        let scene = Scene::with(cluster, "");
        let mut client = scene.ask(request);
        fails(&mut client, 502, Seen::Transformed);
        scene.logs(Some("RequestCreation"));
    }
}

#[test]
fn no_destination_is_available() {
    // Reference B2.6: transforms do not run.
    let unhealthy = r#""HealthCheck": { "AvailableDestinationsPolicy": "HealthyAndUnknown" },"#;
    let scene = Scene::among("{}", channel().1, unhealthy, "");
    let mut client = scene.ask(GET);
    fails(&mut client, 503, Seen::Cleared);
    scene.logs(Some("NoAvailableDestinations"));
}

/// A tunnel through which both ends have been heard.
fn tunnel(scene: &Scene) -> (Client, TcpStream) {
    let mut client = scene.ask(UPGRADE);
    let mut destination = scene.asked();
    destination.write_all(SWITCHING.as_bytes()).unwrap();
    assert_eq!(client.try_head().unwrap().0, 101);
    client.send("up");
    destination.read_exact(&mut [0; 2]).unwrap();
    destination.write_all(b"down").unwrap();
    assert_eq!(client.read(4), b"down");
    (client, destination)
}

#[test]
fn a_tunnel_that_the_destination_ends() {
    let scene = Scene::new();
    let (mut client, destination) = tunnel(&scene);
    drop(destination);
    assert!(client.is_closed());
    scene.logs(None);
}

#[test]
fn a_tunnel_that_the_client_ends() {
    let scene = Scene::new();
    let (client, mut destination) = tunnel(&scene);
    client.shutdown_write();
    assert_eq!(destination.read(&mut [0]).unwrap(), 0);
    destination.shutdown(Shutdown::Both).unwrap();
    scene.logs(None);
}

#[test]
fn a_tunnel_that_the_destination_resets() {
    let scene = Scene::new();
    let (mut client, destination) = tunnel(&scene);
    reset(&destination);
    drop(destination);
    assert!(client.is_closed());
    scene.logs(Some("UpgradeResponseDestination"));
}

#[test]
fn a_tunnel_that_the_client_resets() {
    let scene = Scene::new();
    let (client, mut destination) = tunnel(&scene);
    reset(client.socket());
    drop(client);
    assert!(matches!(destination.read(&mut [0]), Ok(0) | Err(_)));
    scene.logs(Some("UpgradeRequestCanceled"));
}

#[test]
fn a_tunnel_that_is_idle() {
    let scene = Scene::with(BRIEF, ANY_LENGTH);
    let (mut client, mut destination) = tunnel(&scene);
    assert!(client.is_closed());
    assert!(matches!(destination.read(&mut [0]), Ok(0) | Err(_)));
    scene.logs(Some("UpgradeActivityTimeout"));
}
