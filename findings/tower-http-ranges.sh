#!/usr/bin/env bash
# tower-http's ServeDir answers 416 to ranges that RFC 9110 has a server ignore or shorten, and knows no If-Range.
#
# What surprises: RFC 9110 14.2 has a server ignore a Range whose unit it does not know, and 14.1.2 has a suffix
# longer than the file mean the whole file. ServeDir answers both with 416 (Range Not Satisfiable), so that a
# client gets an error where it would have got the file. Of an empty file `bytes=0-` is 206 with
# `Content-Range: bytes 0-0/0`, a byte that is not there. If-Range (13.1.5) is not looked at: a download that
# is resumed after the file changed gets the rest of another file, as 206.
# Whoever serves files with it has to judge the fields before ServeDir sees them.
#
# Versions: tower-http 0.7.1 (http-range-header 0.4). Seen 2026-11-29.
# Source: RFC 9110 sections 13.1.5, 14.1.2 and 14.2; tower-http's documentation of ServeDir.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/src" "$work/files"
cd "$work"
printf '0123456789' > files/ten
: > files/empty
cat > Cargo.toml <<'TOML'
[package]
name = "ranges"
version = "0.0.0"
edition = "2021"
[dependencies]
http = "1"
http-body-util = "0.1"
tokio = { version = "1", features = ["macros", "rt"] }
tower = { version = "0.5", features = ["util"] }
tower-http = { version = "=0.7.1", features = ["fs"] }
TOML
cat > src/main.rs <<'RS'
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_http::services::ServeDir;

async fn ask(file: &str, fields: &[(&str, &str)]) -> String {
    let mut request = http::Request::get(format!("/{file}"));
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(http_body_util::Empty::<&[u8]>::new()).unwrap();
    let response = ServeDir::new("files").oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let range = response.headers().get("content-range").map(|it| it.to_str().unwrap().to_owned());
    let body = response.into_body().collect().await.map(|it| it.to_bytes().len());
    format!("{status} {} {}", range.unwrap_or_else(|| "-".into()), body.map_or("body fails".into(), |it| it.to_string()))
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let cases: &[(&str, &[(&str, &str)], &str, &str)] = &[
        ("ten", &[("range", "bytes=2-4")], "a range", "206 bytes 2-4/10 3"),
        ("ten", &[("range", "bytes=-20")], "a suffix longer than the file", "416 bytes */10 0"),
        ("ten", &[("range", "lines=1-2")], "a unit nobody knows", "416 bytes */10 0"),
        ("empty", &[("range", "bytes=0-")], "an empty file from its start", "206 bytes 0-0/0 0"),
        ("ten", &[("range", "bytes=2-4"), ("if-range", "\"another\"")], "If-Range with another validator", "206 bytes 2-4/10 3"),
    ];
    let mut changed = false;
    for (file, fields, what, expected) in cases {
        let seen = ask(file, fields).await;
        println!("{what}: {seen}");
        if seen != *expected {
            println!("  CHANGED, expected {expected}");
            changed = true;
        }
    }
    std::process::exit(changed.into());
}
RS
cargo run --quiet
cargo tree --quiet --depth 1 | grep tower-http
echo "as described"
