//! Answers of a step's own over the wire: what it says arrives byte for byte, what it cannot know is
//! not believed, and its end is told once.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use ostler_config::{ConfigurationTree, load};
use ostler_model::ProxyModel;
use ostler_proxy::{
    Endpoint, ExchangeContext, Flow, Front, FrontOptions, ListenUrl, Mode, Outcome, Pipeline,
    PipelineStep, StepFuture,
};

/// No UTF-8, and fit for a field all the same (RFC 9110 section 5.5: `obs-text`).
const LATIN1: &[u8] = b"caf\xe9";

/// Answers everything, and notes what it is told.
struct Answers {
    ended: Arc<Mutex<Vec<Outcome>>>,
}

impl PipelineStep for Answers {
    fn name(&self) -> &str {
        "Answers"
    }

    fn run<'a>(&'a self, exchange: &'a mut ExchangeContext<'_>) -> StepFuture<'a> {
        let latin1 = HeaderValue::from_bytes(LATIN1).unwrap();
        let added = HeaderName::from_static("x-added");
        assert!(exchange.add_response_field(&added, &latin1));
        let mut response = Response::new(Bytes::from_static(b"no"));
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        let fields = response.headers_mut();
        fields.insert("x-said", latin1);
        fields.insert(CONTENT_LENGTH, 99.into());
        fields.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        Box::pin(async { Flow::Respond(response) })
    }

    fn ended(&self, outcome: &Outcome) {
        self.ended.lock().unwrap().push(outcome.clone());
    }
}

struct Running {
    front: Front,
    ended: Arc<Mutex<Vec<Outcome>>>,
}

impl Running {
    fn start() -> Self {
        let mut tree = ConfigurationTree::new();
        let json = r#"{ "ReverseProxy": {
            "Routes": { "all": { "ClusterId": "none", "Match": { "Path": "/a" } } },
            "Clusters": { "none": {} } } }"#;
        tree.add_json("a.json", json).unwrap();
        let model = Arc::new(ProxyModel::new());
        model.apply(&load(&tree).settings.proxy).unwrap();
        let ended = Arc::<Mutex<Vec<Outcome>>>::default();
        let step = Answers {
            ended: Arc::clone(&ended),
        };
        let url = ListenUrl::parse("http://127.0.0.1:0").unwrap();
        let options = FrontOptions {
            endpoints: vec![Endpoint::clear(url)],
            threads: 1,
            ..FrontOptions::default()
        };
        let front = Front::start(model, Pipeline::new().use_step(step), &options).unwrap();
        Self { front, ended }
    }

    fn address(&self) -> SocketAddr {
        self.front.addresses()[0]
    }

    /// What has been told when the front has ended: all there was.
    fn told(self) -> Vec<Outcome> {
        self.front.drain();
        self.front.stop();
        self.front.join();
        std::mem::take(&mut *self.ended.lock().unwrap())
    }
}

fn said_over_http1(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request).unwrap();
    let mut said = Vec::new();
    stream.read_to_end(&mut said).unwrap();
    said
}

/// The values of a field, in the bytes of an answer.
fn values<'a>(said: &'a [u8], name: &str) -> Vec<&'a [u8]> {
    let mut lines = said.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines
        .by_ref()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix(name.as_bytes())?.strip_prefix(b": "))
        .collect()
}

#[test]
fn what_a_step_answers_arrives_as_it_is_over_http1() {
    let running = Running::start();
    let request = b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let said = said_over_http1(running.address(), request);
    assert_eq!(values(&said, "x-said"), [LATIN1]);
    assert_eq!(values(&said, "x-added"), [LATIN1]);
    assert_eq!(values(&said, "content-length"), [b"2"]);
    assert!(values(&said, "transfer-encoding").is_empty());
    assert!(said.ends_with(b"\r\n\r\nno"));
    let told = running.told();
    let [outcome] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!((outcome.mode, outcome.status), (Mode::Local, 418));
    assert_eq!(outcome.bytes_sent, said.len() as u64);
}

#[test]
fn what_a_step_answers_arrives_as_it_is_over_http2() {
    let running = Running::start();
    let address = running.address();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (fields, body) = runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::get("http://x/a").body(()).unwrap();
        let (response, _) = client.send_request(request, true).unwrap();
        let (parts, mut body) = response.await.unwrap().into_parts();
        let body = body.data().await.unwrap().unwrap();
        (parts.headers, body)
    });
    assert_eq!(fields["x-said"].as_bytes(), LATIN1);
    assert_eq!(fields["x-added"].as_bytes(), LATIN1);
    assert_eq!(fields["content-length"], "2");
    assert_eq!(&body[..], b"no");
    let told = running.told();
    let [outcome] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!((outcome.mode, outcome.status), (Mode::Local, 418));
}

#[test]
fn answers_before_the_pipeline_are_told_once_too() {
    let running = Running::start();
    for (request, status) in [
        (
            &b"GET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"[..],
            404,
        ),
        (b"GET /a HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", 400),
    ] {
        let said = said_over_http1(running.address(), request);
        let line = format!("HTTP/1.1 {status} ");
        assert!(said.starts_with(line.as_bytes()), "{}", said.escape_ascii());
    }
    let told: Vec<_> = running.told().iter().map(|told| told.status).collect();
    assert_eq!(told, [404, 400]);
}
