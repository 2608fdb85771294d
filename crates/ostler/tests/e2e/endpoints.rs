//! Endpoints that come, go and change while the front runs (reference B20.3).

use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::http2_frames::Frames;
use crate::support::{Authority, Client, Process, Sandbox, TlsSettings, eventually};

/// Ports that nobody listens on.
fn free_ports<const N: usize>() -> [u16; N] {
    // All at once, so that they differ.
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

fn configuration(endpoints: Value) -> String {
    json!({
        "Kestrel": { "Endpoints": endpoints },
        "ReverseProxy": {
            "Pipeline": [ "HttpSysDelegation" ],
            "Routes": { "all": { "ClusterId": "all", "Match": { "Path": "{**rest}" } } },
            "Clusters": { "all": { "Destinations": { "d": { "Address": "http://*:80/",
                "Metadata": { "HttpSysDelegationQueue": "q" } } } } } }
    })
    .to_string()
}

/// A front of two threads, so that each has to follow.
fn start(sandbox: &Sandbox, endpoints: Value) -> Process {
    let path = sandbox.configuration(&configuration(endpoints));
    let path = path.to_str().unwrap();
    sandbox.ostler(&["run", "--config", path, "--threads", "2"])
}

fn is_listened_on(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

#[test]
fn endpoints_come_and_go_with_a_reload() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let [stays, goes, comes] = free_ports();
    let url = |port: u16| json!({ "Url": format!("http://127.0.0.1:{port}") });
    let front = start(&sandbox, json!({ "a": url(stays), "b": url(goes) }));
    front.wait_for_line(&format!("listening on http://127.0.0.1:{goes}"));
    let (mut staying, mut going) = (Client::connect(stays), Client::connect(goes));
    let (mut busy, mut streams) = (Client::connect(goes), Frames::connect(goes));
    streams.request(1, "/");
    assert_eq!(streams.status_of(1), 200);
    for client in [&mut staying, &mut going] {
        assert_eq!(client.ask("GET", "/").status, 200);
    }
    // Answered by the target within the five seconds that are left to it then.
    busy.send("GET /delay/2000 HTTP/1.1\r\nHost: x\r\n\r\n");
    sandbox.configuration(&configuration(json!({ "a": url(stays), "c": url(comes) })));
    front.signal("HUP");
    front.wait_for_line(&format!("listening on http://127.0.0.1:{comes}"));
    assert!(!is_listened_on(goes));
    assert_eq!(Client::connect(comes).ask("GET", "/").status, 200);
    // Who is connected has time to finish, and then no more; who asks for nothing is told at once.
    assert!(going.is_closed());
    assert_eq!(streams.goaway(), 0);
    assert!(streams.is_closed());
    assert_eq!(busy.response().status, 200);
    assert!(busy.is_closed());
    assert_eq!(staying.ask("GET", "/").status, 200);
    assert_eq!(Client::connect(stays).ask("GET", "/").status, 200);
    let said = front.errors();
    assert!(
        !said.iter().any(|line| line.contains("restart")),
        "{said:?}"
    );
}

#[test]
fn an_endpoint_changes_to_https_and_one_whose_port_is_taken_is_left_out() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let authority = Authority::new("Test Root");
    let (certificate, key) = authority
        .issue(&["localhost"])
        .write(sandbox.path(), "server");
    let certificate = json!({ "Path": certificate, "KeyPath": key });
    let [port] = free_ports();
    let occupied = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = occupied.local_addr().unwrap().port();
    let front = start(
        &sandbox,
        json!({ "a": { "Url": format!("http://127.0.0.1:{port}") } }),
    );
    front.wait_for_line(&format!("listening on http://127.0.0.1:{port}"));
    assert_eq!(Client::connect(port).ask("GET", "/").status, 200);
    let secure = |port: u16| json!({ "Url": format!("https://127.0.0.1:{port}"), "Certificate": certificate });
    sandbox.configuration(&configuration(
        json!({ "a": secure(port), "b": secure(taken) }),
    ));
    front.signal("HUP");
    front.wait_for_line(&format!("listening on https://127.0.0.1:{port}"));
    let mut client = TlsSettings::new(&authority).connect(port);
    assert_eq!(client.ask("GET", "/").status, 200);
    eventually("the port that is taken is complained of", || {
        let lines = front.errors();
        let complaint = format!("cannot listen on https://127.0.0.1:{taken}");
        lines.iter().any(|line| line.contains(&complaint))
    });
    // One with mistakes changes nothing.
    let broken = json!({ "a": { "Url": format!("https://127.0.0.1:{port}") } });
    sandbox.configuration(&configuration(broken));
    front.signal("HUP");
    eventually("the mistake is told", || {
        let lines = front.errors();
        lines.iter().any(|line| line.contains("stays as it was"))
    });
    assert_eq!(client.ask("GET", "/").status, 200);
    let mut another = TlsSettings::new(&authority).connect(port);
    assert_eq!(another.ask("GET", "/").status, 200);
}

/// Before, its socket was closed and another one bound.
#[test]
fn nobody_is_refused_where_an_endpoint_changes_and_stays_where_it_is() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let [port] = free_ports();
    let url = json!({ "a": { "Url": format!("http://127.0.0.1:{port}") } });
    let trusting = |networks: &[&str]| {
        let mut json: Value = serde_json::from_str(&configuration(url.clone())).unwrap();
        json["Ostler"] = json!({ "ProxyProtocol": { "TrustedNetworks": networks } });
        json.to_string()
    };
    let front = start(&sandbox, url.clone());
    let listening = format!("listening on http://127.0.0.1:{port}");
    front.wait_for_line(&listening);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let ask = || {
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(Client::connect(port).ask("GET", "/").status, 200);
            }
        };
        let clients = [(); 4].map(|()| scope.spawn(ask));
        for number in 1..=10 {
            let networks = ["192.0.2.1/32", "192.0.2.2/32"];
            sandbox.configuration(&trusting(&networks[number % 2..][..1]));
            front.signal("HUP");
            eventually("the endpoint is another one", || {
                let lines = front.errors();
                let ended = lines
                    .iter()
                    .filter(|line| line.contains("no longer listened on"));
                ended.count() >= number
            });
        }
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().unwrap();
        }
    });
}
