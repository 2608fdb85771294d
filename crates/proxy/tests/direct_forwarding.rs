//! Forwarding without clusters: what the prefix is sent, what holds of the route, how it ends
//! (reference B21).
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use ostler_config::schema::{HeaderEncoding, HttpClientConfig};
use ostler_config::{ConfigurationTree, load};
use ostler_model::ProxyModel;
use ostler_proxy::{
    DirectForwarder, Endpoint, ExchangeContext, Flow, ForwarderError, Front, FrontOptions,
    ListenUrl, Outcome, Pipeline, PipelineStep, StepFuture,
};

/// A destination that notes heads and answers `ok`, on connections that it keeps.
struct Destination {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<usize>>,
}

impl Destination {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let connections = Arc::<Mutex<usize>>::default();
        let (noted, counted) = (Arc::clone(&heads), Arc::clone(&connections));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                *counted.lock().unwrap() += 1;
                let noted = Arc::clone(&noted);
                std::thread::spawn(move || serve(stream, &noted));
            }
        });
        Self {
            address,
            heads,
            connections,
        }
    }

    fn head(&self) -> String {
        self.heads.lock().unwrap().pop().unwrap()
    }
}

fn serve(stream: TcpStream, heads: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if reader.read_until(b'\n', &mut head).unwrap_or_default() == 0 {
                return;
            }
        }
        let text = head.iter().copied().map(char::from).collect();
        heads.lock().unwrap().push(text);
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        if reader.get_mut().write_all(answer).is_err() {
            return;
        }
    }
}

/// Forwards everything, and notes how it ends.
struct Everything {
    to: Arc<DirectForwarder>,
    ended: Arc<Mutex<Vec<Outcome>>>,
}

impl PipelineStep for Everything {
    fn name(&self) -> &str {
        "Everything"
    }

    fn run<'a>(&'a self, _exchange: &'a mut ExchangeContext<'_>) -> StepFuture<'a> {
        Box::pin(async { Flow::Forward(Arc::clone(&self.to)) })
    }

    fn ended(&self, outcome: &Outcome) {
        self.ended.lock().unwrap().push(outcome.clone());
    }
}

/// A front whose one route leads to a cluster without destinations, and whose pipeline forwards
/// everything to `to`.
struct Running {
    front: Front,
    ended: Arc<Mutex<Vec<Outcome>>>,
}

impl Running {
    fn start(to: Arc<DirectForwarder>) -> Self {
        let mut tree = ConfigurationTree::new();
        let json = r#"{ "ReverseProxy": {
            "Routes": { "all": { "ClusterId": "none", "Match": { "Path": "/a/{**rest}" },
                "MaxRequestBodySize": 3, "Transforms": [ { "PathPrefix": "/of-the-route" } ] } },
            "Clusters": { "none": { "SessionAffinity": { "Enabled": true, "AffinityKeyName": "key" } } } } }"#;
        tree.add_json("a.json", json).unwrap();
        let model = Arc::new(ProxyModel::new());
        model.apply(&load(&tree).settings.proxy).unwrap();
        let ended = Arc::<Mutex<Vec<Outcome>>>::default();
        let step = Everything {
            to,
            ended: Arc::clone(&ended),
        };
        let pipeline = Pipeline::new()
            .use_session_affinity()
            .use_passive_health_checks()
            .use_step(step)
            .use_load_balancing();
        let options = FrontOptions {
            endpoints: vec![Endpoint::clear(
                ListenUrl::parse("http://127.0.0.1:0").unwrap(),
            )],
            threads: 1,
            ..FrontOptions::default()
        };
        let front = Front::start(model, pipeline, &options).unwrap();
        Self { front, ended }
    }

    /// Status and fields of an answer, and its body.
    fn ask(&self, request: &[u8]) -> (String, String) {
        let mut stream = TcpStream::connect(self.front.addresses()[0]).unwrap();
        stream.write_all(request).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    fn stop(self) -> Vec<Outcome> {
        self.front.drain();
        self.front.stop();
        self.front.join();
        std::mem::take(&mut *self.ended.lock().unwrap())
    }
}

const GET: &[u8] =
    b"GET /a/b?c HTTP/1.1\r\nHost: client\r\nConnection: close\r\nX-Name: \xc3\xa9\r\n\r\n";

#[test]
fn a_prefix_is_sent_the_request_with_the_default_transforms_on_connections_that_stay() {
    let destination = Destination::start();
    let prefix = format!("http://{}/base/", destination.address);
    let running = Running::start(DirectForwarder::builder(&prefix).build().unwrap());
    for _ in 0..3 {
        let (head, body) = running.ask(GET);
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(
            !head.contains("set-cookie"),
            "affinity is the cluster's: {head}"
        );
        assert_eq!(body, "ok");
        let sent = destination.head();
        let authority = destination.address;
        assert!(sent.starts_with("GET /base/a/b?c HTTP/1.1\r\n"), "{sent}");
        assert!(
            sent.contains(&format!("\r\nhost: {authority}\r\n")),
            "{sent}"
        );
        assert!(sent.contains("\r\nx-forwarded-host: client\r\n"), "{sent}");
    }
    assert_eq!(*destination.connections.lock().unwrap(), 1);
    let ended = running.stop();
    assert_eq!(ended.len(), 3);
    assert_eq!(ended[0].status, 200);
    assert_eq!(ended[0].error, None);
    assert_eq!(ended[0].destination.as_ref().unwrap().id(), prefix);
    assert_eq!(ended[0].route.as_ref().unwrap().config.route_id, "all");
}

#[test]
fn transforms_and_a_client_are_the_forwarders_own() {
    let destination = Destination::start();
    let client = HttpClientConfig {
        request_header_encoding: Some(HeaderEncoding::Latin1),
        ..HttpClientConfig::default()
    };
    let forwarder = DirectForwarder::builder(format!("http://{}", destination.address))
        .without_default_transforms()
        .transform([("PathPattern", "/v2/{**rest}")])
        .transform([("ResponseHeader", "X-From"), ("Set", "here")])
        .http_client(client)
        .build()
        .unwrap();
    let running = Running::start(forwarder);
    let (head, _) = running.ask(GET);
    assert!(head.contains("\r\nx-from: here"), "{head}");
    let sent = destination.head();
    assert!(sent.starts_with("GET /v2/a/b?c HTTP/1.1\r\n"), "{sent}");
    assert!(sent.contains("\r\nhost: client\r\n"), "{sent}");
    assert!(sent.contains("\r\nx-name: \u{e9}\r\n"), "{sent}");
    assert!(!sent.contains("x-forwarded"), "{sent}");
    running.stop();
}

#[test]
fn the_routes_policies_hold_and_failures_are_told() {
    let refusing = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let forwarder = DirectForwarder::builder(format!("http://{refusing}/"));
    let running = Running::start(forwarder.build().unwrap());
    let (head, _) = running.ask(GET);
    assert!(head.starts_with("HTTP/1.1 502"), "{head}");
    let large =
        b"POST /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody";
    let (head, _) = running.ask(large);
    assert!(head.starts_with("HTTP/1.1 413"), "{head}");
    let ended = running.stop();
    let errors: Vec<_> = ended.iter().map(|outcome| outcome.error).collect();
    // The refusal is no failure of forwarding, and is told all the same.
    assert_eq!(errors, [Some(ForwarderError::Request), None]);
}

#[test]
fn what_a_file_could_not_say_is_refused() {
    for (builder, problem) in [
        (DirectForwarder::builder("localhost:5000"), "Address"),
        (
            DirectForwarder::builder("ftp://x/"),
            "neither http nor https",
        ),
        (
            DirectForwarder::builder("http://x/").transform([("NoSuch", "1")]),
            "Transforms",
        ),
    ] {
        let error = builder.build().unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
}
