//! Responses that are files, sent by the kernel where the client's socket was handed over and copied
//! where the bytes pass through the front.

use std::convert::Infallible;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;

use http::Request;
use ostler_target::{RequestQueue, SendFile};
use tokio::sync::oneshot;

use crate::support::http2_client::{Http2Client, run, url};
use crate::support::{Front, Sandbox, delegating_to};

/// A target in this process, stopped when it is let go of.
struct Target {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Target {
    /// Answers `/` with a file, `/part` with a part of it, and `/large` with one that is longer than any
    /// socket's buffer.
    fn start(sandbox: &Sandbox) -> Self {
        let small = file(sandbox.path(), "small", 1000);
        let large = file(sandbox.path(), "large", LARGE);
        let service = tower::service_fn(move |request: Request<ostler_target::Body>| {
            let file = match request.uri().path() {
                "/part" => SendFile::part(small.try_clone().unwrap(), 100..200),
                "/large" => SendFile::new(large.try_clone().unwrap()),
                _ => SendFile::new(small.try_clone().unwrap()),
            };
            let mut response = http::Response::new("not this".to_owned());
            response.extensions_mut().insert(file.unwrap());
            response
                .headers_mut()
                .insert("etag", http::HeaderValue::from_static("\"1\""));
            std::future::ready(Ok::<_, Infallible>(response))
        });
        let builder = RequestQueue::builder("q").runtime_folder(sandbox.runtime());
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let queue = builder.bind().unwrap();
                ready.send(()).unwrap();
                ostler_target::serve(queue, service)
                    .with_graceful_shutdown(async {
                        let _ = stopped.await;
                    })
                    .await
                    .unwrap();
            });
        });
        is_ready.recv().unwrap();
        Self {
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

const LARGE: usize = 20_000_000;

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

fn file(folder: &Path, name: &str, length: usize) -> Arc<File> {
    let path = folder.join(name);
    let mut file = File::create(&path).unwrap();
    file.write_all(&pattern(length)).unwrap();
    File::open(path).unwrap().into()
}

fn start() -> (Sandbox, Target, Front) {
    let sandbox = Sandbox::new();
    let target = Target::start(&sandbox);
    let front = sandbox.front(&delegating_to(&["q"]));
    (sandbox, target, front)
}

#[test]
fn a_file_is_a_response_and_the_connection_goes_on() {
    let (_sandbox, _target, front) = start();
    let mut client = front.connect();
    for _ in 0..2 {
        let response = client.ask("GET", "/");
        assert_eq!(response.status, 200);
        assert_eq!(response.field("accept-ranges"), Some("bytes"));
        assert_eq!(response.body, pattern(1000));
        let response = client.ask("GET", "/large");
        assert!(response.body == pattern(LARGE));
        let response = client.ask("HEAD", "/");
        assert_eq!(response.field("content-length"), Some("1000"));
        assert_eq!(client.ask("GET", "/part").body, pattern(1000)[100..200]);
    }
}

#[test]
fn ranges_are_the_librarys_on_every_way() {
    let (_sandbox, _target, front) = start();
    let cases = [
        ("/", "bytes=10-19", "\"1\"", 206, "bytes 10-19/1000", 10..20),
        (
            "/",
            "bytes=-5",
            "\"1\"",
            206,
            "bytes 995-999/1000",
            995..1000,
        ),
        ("/", "bytes=1000-", "\"1\"", 416, "bytes */1000", 0..0),
        ("/", "bytes=10-19", "\"2\"", 200, "", 0..1000),
        (
            "/part",
            "bytes=1-2",
            "\"1\"",
            206,
            "bytes 1-2/100",
            101..103,
        ),
    ];
    let mut client = front.connect();
    for (path, range, tag, status, said, bytes) in cases.clone() {
        client.send(format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nRange: {range}\r\nIf-Range: {tag}\r\n\r\n"
        ));
        let response = client.response();
        assert_eq!(response.status, status, "{range} {tag}");
        assert_eq!(response.field("content-range").unwrap_or(""), said);
        assert_eq!(response.body, pattern(1000)[bytes]);
    }
    run(async {
        let client = Http2Client::connect(front.port).await;
        for (path, range, tag, status, said, bytes) in cases {
            let request = Request::get(url(path))
                .header("range", range)
                .header("if-range", tag);
            let response = client.ask(request.body(()).unwrap()).await;
            assert_eq!(response.status(), status, "{range} {tag}");
            let field = response.head.headers.get("content-range");
            assert_eq!(field.map_or("", |field| field.to_str().unwrap()), said);
            assert_eq!(response.body, pattern(1000)[bytes]);
        }
        let response = client.get("/large").await;
        assert!(response.body == pattern(LARGE));
    });
}

#[test]
fn a_client_that_goes_in_the_middle_of_a_file_hurts_nobody() {
    let (_sandbox, _target, front) = start();
    for _ in 0..3 {
        let mut client = front.connect();
        client.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(client.try_head().unwrap().0, 200);
        assert_eq!(client.read(1000), pattern(1000));
    }
    assert_eq!(front.ask("GET", "/").body, pattern(1000));
}
