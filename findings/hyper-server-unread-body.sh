#!/usr/bin/env bash
# hyper's HTTP/1.1 server closes behind an answer whose handler left a long body unread, without saying so.
#
# What surprises: RFC 9112 9.6 has a server that will close say `Connection: close` in its last response, and
# 9.3 has it read the whole body if it does not close. hyper reads what is there of a small body and goes on;
# of a longer one it sends the response as one that keeps the connection, and then closes. A client, or a
# proxy with a pool, puts the connection back and sends the next request into its end. A POST there is lost,
# since nobody can know whether it was processed. An answer that leaves a body unread is best sent with
# `Connection: close` set by hand, and a connection with much unsent of a request not used again.
#
# Versions: hyper 1.12.0, hyper-util 0.1. Seen 2026-11-29.
# Source: RFC 9112 sections 9.3 and 9.6; hyper's http1 server connection.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/src"
cd "$work"
cat > Cargo.toml <<'TOML'
[package]
name = "unread"
version = "0.0.0"
edition = "2021"
[dependencies]
http-body-util = "0.1"
hyper = { version = "=1.12.0", features = ["http1", "server"] }
hyper-util = { version = "0.1", features = ["tokio"] }
tokio = { version = "1", features = ["io-util", "macros", "net", "rt", "time"] }
TOML
cat > src/main.rs <<'RS'
use std::convert::Infallible;
use std::time::Duration;
use hyper::{body::{Bytes, Incoming}, service::service_fn, Request, Response};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Answers without a look at the body.
async fn refuse(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"no"))))
}

/// What a client sees that sends `length` bytes, reads the answer, and asks again on the connection.
async fn ask(length: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service_fn(refuse)).await;
    });
    let (mut from, mut to) = TcpStream::connect(address).await.unwrap().into_split();
    let head = format!("POST /upload HTTP/1.1\r\nHost: shop.example\r\nContent-Length: {length}\r\n\r\n");
    let sending = tokio::spawn(async move {
        let _ = to.write_all(head.as_bytes()).await;
        let _ = to.write_all(&vec![b'x'; length]).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let _ = to.write_all(b"GET /next HTTP/1.1\r\nHost: shop.example\r\n\r\n").await;
        to
    });
    let mut heard = Vec::new();
    let reading = async {
        let mut piece = [0; 4096];
        while let Ok(read @ 1..) = from.read(&mut piece).await {
            heard.extend_from_slice(&piece[..read]);
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(2), reading).await.is_ok();
    let _to = sending.await;
    let heard = String::from_utf8_lossy(&heard).to_lowercase();
    format!(
        "{} answered, says close: {}, connection ended: {ended}",
        heard.matches("http/1.1 200").count(),
        heard.contains("connection: close")
    )
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut changed = false;
    for (length, expected) in [
        (10, "2 answered, says close: false, connection ended: false"),
        (4 << 20, "1 answered, says close: false, connection ended: true"),
    ] {
        let seen = ask(length).await;
        println!("a body of {length} bytes, left unread, then a GET: {seen}");
        changed |= seen != expected;
    }
    if changed {
        println!("CHANGED");
    }
    std::process::exit(changed.into());
}
RS
cargo run --quiet
echo "as described"
