//! Every request transform and every rule of the outgoing request, row by row: the exact bytes that
//! a destination gets (reference B2.3 to B2.5, B3, B6 and B7).

mod fields;
mod targets;
mod who;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Map, Value, json};

use crate::support::{PATIENCE, Sandbox};

/// One request and what becomes of it. `HOST` stands for the client's host (with its port), `DEST` for
/// the authority of the destination, `FRONT` and `CLIENT` for the ports of the client's connection,
/// `_RANDOM` for an obfuscated identifier; a line ends with `\n`, also where CR LF is sent.
struct Row {
    /// `key: value | key: value + key: value`.
    transforms: String,
    /// The route's path.
    path: &'static str,
    /// What stands behind the authority in the destination's address, and its `Host`.
    base: &'static str,
    destination_host: &'static str,
    request: String,
    expected: String,
    /// The order of fields of different names is not what it is about.
    in_any_order: bool,
}

impl Row {
    fn new(
        transforms: impl Into<String>,
        request: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self {
            transforms: transforms.into(),
            path: "/api/{id}/{**rest}",
            base: "",
            destination_host: "",
            request: request.into(),
            expected: expected.into(),
            in_any_order: false,
        }
    }
}

/// What every request gets that is not told otherwise (reference B2.4).
const DEFAULTS: &str =
    "x-forwarded-for: 127.0.0.1\nx-forwarded-host: HOST\nx-forwarded-proto: http\n";

/// The transforms of a row as the configuration has them.
fn items(transforms: &str) -> Value {
    let items = transforms.split(" + ").filter(|item| !item.is_empty());
    let item = |item: &str| -> Value {
        let pairs = item.split(" | ").map(|pair| {
            let (key, value) = pair.split_once(": ").unwrap_or_else(|| panic!("{pair}"));
            (key.to_owned(), json!(value))
        });
        Value::Object(pairs.collect())
    };
    items.map(item).collect()
}

/// Gives what it gets, one request a connection.
fn destination() -> (String, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    let (sender, requests) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if sender.send(answered(stream)).is_err() {
                return;
            }
        }
    });
    (authority, requests)
}

fn answered(stream: TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = BufReader::new(stream);
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        assert!(stream.read_until(b'\n', &mut request).unwrap() > 0);
    }
    let head = String::from_utf8_lossy(&request).into_owned();
    let length = head.split("content-length: ").nth(1);
    if let Some(length) = length.and_then(|rest| rest.split("\r\n").next()) {
        let mut body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).unwrap();
        request.extend(body);
    } else if head.contains("\r\ntransfer-encoding: chunked\r\n") {
        while !request.ends_with(b"\r\n0\r\n\r\n") {
            assert!(stream.read_until(b'\n', &mut request).unwrap() > 0);
        }
    }
    let response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    stream.get_mut().write_all(response).unwrap();
    request
}

/// `_` and nine characters that say nothing become `_RANDOM` (reference B3.7).
fn without_randomness(text: &str) -> String {
    let is_one = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('_') {
        out.push_str(before);
        let count = behind.chars().take_while(|c| is_one(*c)).count();
        if count == 9 {
            out.push_str("_RANDOM");
            rest = &behind[9..];
        } else {
            out.push('_');
            rest = behind;
        }
    }
    out + rest
}

/// A request with its field lines in order of their names, those of one name as they came.
fn by_name(request: &str) -> String {
    let mut lines: Vec<_> = request.split_inclusive("\r\n").collect();
    let end = lines.iter().position(|line| *line == "\r\n");
    if let Some(fields) = lines.get_mut(1..end.unwrap_or(1)) {
        fields.sort_by_key(|line| line.split(':').next());
    }
    lines.concat()
}

fn check(rows: Vec<Row>) {
    check_on("127.0.0.1", rows);
}

/// Sends each row's request to a front that listens on `ip`, and compares what the destination gets.
fn check_on(ip: &str, rows: Vec<Row>) {
    let (authority, requests) = destination();
    let (mut routes, mut clusters) = (Map::new(), Map::new());
    for (at, row) in rows.iter().enumerate() {
        let id = format!("r{at}");
        let mut destination = json!({ "Address": format!("http://{authority}{}", row.base) });
        if !row.destination_host.is_empty() {
            destination["Host"] = json!(row.destination_host);
        }
        let matches = json!({ "Path": row.path, "Hosts": [ format!("{id}.test") ] });
        let route =
            json!({ "ClusterId": id, "Match": matches, "Transforms": items(&row.transforms) });
        routes.insert(id.clone(), route);
        clusters.insert(id, json!({ "Destinations": { "d": destination } }));
    }
    let sandbox = Sandbox::new();
    let proxy = json!({ "ReverseProxy": { "Routes": routes, "Clusters": clusters } });
    let file = sandbox.configuration(&proxy.to_string());
    let urls = format!("http://{ip}:0");
    let front = sandbox.ostler(&[
        "run",
        "--config",
        file.to_str().unwrap(),
        "--urls",
        &urls,
        "--threads",
        "1",
    ]);
    let line = front.line();
    let port = line.rsplit(':').next().unwrap().to_owned();

    let mut wrong = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let mut client = TcpStream::connect(format!("{ip}:{port}")).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let client_port = client.local_addr().unwrap().port().to_string();
        let filled = |text: &str| {
            text.replace("HOST", &format!("r{at}.test:81"))
                .replace("DEST", &authority)
                .replace("FRONT", &port)
                .replace("CLIENT", &client_port)
                .replace('\n', "\r\n")
        };
        client.write_all(filled(&row.request).as_bytes()).unwrap();
        let mut response = [0; 12];
        client.read_exact(&mut response).unwrap();
        let expected = filled(&row.expected);
        let sent = match &response {
            b"HTTP/1.1 200" => String::from_utf8(requests.recv_timeout(PATIENCE).unwrap()).unwrap(),
            other => String::from_utf8_lossy(other).into_owned(),
        };
        let (sent, expected) = match row.in_any_order {
            true => (by_name(&sent), by_name(&expected)),
            false => (sent, expected),
        };
        let sent = without_randomness(&sent);
        if sent != expected {
            let (transforms, request) = (&row.transforms, &row.request);
            wrong.push(format!(
                "{transforms:?} of {request:?}\n  sends    {sent:?}\n  expected {expected:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A request with these fields, and the fields that the destination gets; lines end with `\n`.
fn fields(transforms: &str, own: &str, sent: &str) -> Row {
    Row::new(
        transforms,
        format!("GET /api/7/a%20b/c HTTP/1.1\nHost: HOST\n{own}\n"),
        format!("GET /api/7/a%20b/c HTTP/1.1\n{sent}\n"),
    )
}

/// The same where the order of fields of different names is not what a row is about.
fn unordered(transforms: &str, own: &str, sent: &str) -> Row {
    Row {
        in_any_order: true,
        ..fields(transforms, own, &format!("host: DEST\n{sent}"))
    }
}
