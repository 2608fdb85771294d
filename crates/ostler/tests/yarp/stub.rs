//! Destinations: what they answer is written in the records, and what they get is kept.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::record::{Fields, Reply, UpstreamView};
use crate::wire::{
    Body, Framing, Read, Trouble, Wire, bytes_of, framing, is_token, lines_of, text,
};

/// Words of a tunnel, its three parts.
const HELLO: &[u8] = b"hello from the stub";
pub(crate) const WORDS: &[u8] = b"words of the client";
const BYE: &[u8] = b"bye from the stub";

/// What the destinations of a front share: one request is under way at a time.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    now: Mutex<Now>,
}

#[derive(Debug, Default)]
struct Now {
    reply: Map<String, Value>,
    requests: Vec<Arc<Mutex<Received>>>,
    problems: Vec<String>,
    busy: usize,
}

/// One request as a destination got it.
#[derive(Debug)]
struct Received {
    stub: String,
    method: String,
    target: String,
    version: String,
    fields: Fields,
    body: Body,
    trailers: Fields,
    complete: bool,
}

impl Stage {
    /// Begins with a request that is to be answered so.
    pub(crate) fn begin(&self, reply: &Map<String, Value>) {
        *self.now.lock().unwrap() = Now {
            reply: reply.clone(),
            ..Now::default()
        };
    }

    /// How many requests have come.
    pub(crate) fn requests(&self) -> usize {
        self.now.lock().unwrap().requests.len()
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.now.lock().unwrap().busy > 0
    }

    /// What has come, and what of it was not HTTP/1.1.
    pub(crate) fn seen(&self) -> (Vec<UpstreamView>, Vec<String>) {
        let now = self.now.lock().unwrap();
        let views = now.requests.iter().map(|received| {
            let received = received.lock().unwrap();
            let (method, target, version) = (&received.method, &received.target, &received.version);
            UpstreamView {
                stub: received.stub.clone(),
                line: format!("{method} {target} {version}"),
                headers: received.fields.clone(),
                body: received.body.shown(),
                trailers: received.trailers.clone(),
                complete: received.complete,
            }
        });
        (views.collect(), now.problems.clone())
    }
}

/// A destination; it ends when it is let go of.
#[derive(Debug)]
pub(crate) struct Stub {
    pub(crate) address: String,
    _serving: JoinSet<()>,
}

impl Stub {
    /// Listens. `always` is what it answers whatever a request says.
    pub(crate) async fn start(
        label: String,
        always: Map<String, Value>,
        stage: Arc<Stage>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (label, always, stage) = (label.clone(), always.clone(), Arc::clone(&stage));
                connections.spawn(serve(Wire::new(stream), label, always, stage));
            }
        });
        Self {
            address,
            _serving: serving,
        }
    }
}

async fn serve(mut wire: Wire, label: String, always: Map<String, Value>, stage: Arc<Stage>) {
    loop {
        let received = match read_head(&mut wire, &label).await {
            Ok(Some(received)) => received,
            Err(Trouble::Protocol(problem)) => {
                return stage.now.lock().unwrap().problems.push(problem);
            }
            _ => return,
        };
        let shared = Arc::new(Mutex::new(received));
        let reply = {
            let mut now = stage.now.lock().unwrap();
            now.requests.push(Arc::clone(&shared));
            now.busy += 1;
            let mut reply = now.reply.clone();
            reply.extend(always.clone());
            serde_json::from_value(Value::Object(reply)).unwrap()
        };
        let goes_on = perform(&mut wire, &label, &shared, &reply).await;
        let mut now = stage.now.lock().unwrap();
        now.busy = now.busy.saturating_sub(1);
        match goes_on {
            Ok(true) => {}
            Err(Trouble::Protocol(problem)) => return now.problems.push(problem),
            _ => return,
        }
    }
}

async fn read_head(wire: &mut Wire, label: &str) -> Read<Option<Received>> {
    let line = match wire.line().await {
        Ok(line) => text(&line),
        Err(Trouble::Ended(_)) if wire.buffer.is_empty() => return Ok(None),
        Err(Trouble::Ended(_)) => {
            let start = text(&wire.buffer);
            return Err(Trouble::Protocol(format!(
                "connection ended inside a request line: '{start}'"
            )));
        }
        Err(trouble) => return Err(trouble),
    };
    let parts: Vec<&str> = line.split(' ').collect();
    let [method, target, version @ ("HTTP/1.1" | "HTTP/1.0")] = parts[..] else {
        return Err(Trouble::Protocol(format!("bad request line '{line}'")));
    };
    if !is_token(method.as_bytes()) {
        return Err(Trouble::Protocol(format!("bad request line '{line}'")));
    }
    let fields = wire.fields().await?;
    framing(&fields)?;
    let hosts: Vec<_> = lines_of(&fields, "Host").collect();
    if hosts.len() != 1 {
        return Err(Trouble::Protocol(format!("Host lines: {hosts:?}")));
    }
    Ok(Some(Received {
        stub: label.to_owned(),
        method: method.to_owned(),
        target: target.to_owned(),
        version: version.to_owned(),
        fields,
        body: Body::default(),
        trailers: Fields::new(),
        complete: false,
    }))
}

async fn read_body(wire: &mut Wire, received: &Mutex<Received>) -> Read<()> {
    let framing = framing(&received.lock().unwrap().fields)?;
    let mut body = Body::default();
    let read = match framing {
        Framing::Chunked => wire.chunked(&mut body).await,
        Framing::Length(length) => wire.take(length, &mut body).await.map(|()| Fields::new()),
        Framing::Unsaid => Ok(Fields::new()),
    };
    let mut received = received.lock().unwrap();
    received.body = body;
    received.trailers = read?;
    received.complete = true;
    Ok(())
}

/// Answers; true when the connection may carry another request.
async fn perform(
    wire: &mut Wire,
    label: &str,
    received: &Mutex<Received>,
    reply: &Reply,
) -> Read<bool> {
    let (is_head, keeps) = {
        let received = received.lock().unwrap();
        let closes = lines_of(&received.fields, "Connection").any(|value| {
            value
                .split(',')
                .any(|option| option.trim().eq_ignore_ascii_case("close"))
        });
        (
            received.method == "HEAD",
            received.version == "HTTP/1.1" && !closes,
        )
    };
    let fault = reply.fault.as_deref();
    if !reply.early {
        let expects = lines_of(&received.lock().unwrap().fields, "Expect")
            .any(|value| value.to_ascii_lowercase().contains("100-continue"));
        if expects {
            let _ = wire.send(b"HTTP/1.1 100 Continue\r\n\r\n").await;
        }
        read_body(wire, received).await?;
    }
    tokio::time::sleep(Duration::from_secs_f64(reply.delay)).await;
    for interim in &reply.interim {
        let _ = wire.send(&bytes_of(interim)).await;
    }
    match fault {
        Some("close_before_head") => return Ok(false),
        Some("reset_before_head") => {
            wire.reset();
            return Ok(false);
        }
        Some("never") => {
            while wire.more().await {}
            return Ok(false);
        }
        _ => {}
    }
    if let Some(raw) = &reply.raw {
        let _ = wire.send(&bytes_of(raw)).await;
        return Ok(!reply.close);
    }
    let answer = Answer::new(reply, label, is_head);
    if fault == Some("close_in_head") {
        let _ = wire.send(&answer.head[..answer.head.len() / 2]).await;
        return Ok(false);
    }
    let _ = wire.send(&answer.head).await;
    if reply.status == Some(101) {
        return tunnel(wire, received).await;
    }
    if let Some("close_after_head" | "reset_after_head" | "never_body") = fault {
        // Long enough for the head to be passed on, if it is.
        tokio::time::sleep(Duration::from_millis(50)).await;
        if fault == Some("reset_after_head") {
            wire.reset();
        }
        while fault == Some("never_body") && wire.more().await {}
        return Ok(false);
    }
    tokio::time::sleep(Duration::from_secs_f64(reply.body_delay)).await;
    if fault == Some("truncate") {
        let _ = wire.send(&answer.payload[..answer.payload.len() / 2]).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        return Ok(false);
    }
    let _ = wire.send(&answer.payload).await;
    if reply.early {
        // What still comes is read, so that no reset overtakes the answer.
        let wait = Duration::from_millis(if reply.close { 200 } else { 4000 });
        let _ = tokio::time::timeout(wait, read_body(wire, received)).await;
    }
    let is_http10 = reply.version.as_deref() == Some("HTTP/1.0");
    Ok(!(reply.close || answer.ends_by_close || is_http10) && keeps)
}

/// The bytes of a well-formed answer.
struct Answer {
    head: Vec<u8>,
    payload: Vec<u8>,
    ends_by_close: bool,
}

impl Answer {
    fn new(reply: &Reply, label: &str, is_head: bool) -> Self {
        let status = reply.status.unwrap_or(200);
        let body = bytes_of(reply.body.as_deref().unwrap_or("stub body"));
        let mut lines = reply.headers.clone();
        let named = |name: &str| {
            reply.headers.iter().find_map(|line| {
                let (other, value) = line.split_once(':')?;
                other
                    .trim()
                    .eq_ignore_ascii_case(name)
                    .then(|| value.to_ascii_lowercase())
            })
        };
        let codings = named("transfer-encoding");
        let is_bodyless = matches!(status, 101 | 204 | 304);
        let kind = match reply.framing.as_deref().unwrap_or("auto") {
            "auto"
                if codings
                    .as_deref()
                    .is_some_and(|codings| codings.contains("chunked")) =>
            {
                "chunked"
            }
            "auto" if named("content-length").is_some() || is_bodyless => "given",
            "auto" => "length",
            other => other,
        };
        lines.push(format!("X-Stub: {label}"));
        if kind == "length" {
            lines.push(format!("Content-Length: {}", body.len()));
        } else if kind == "chunked" && codings.is_none() {
            lines.push("Transfer-Encoding: chunked".to_owned());
        }
        let version = reply.version.as_deref().unwrap_or("HTTP/1.1");
        let reason = reply.reason.as_deref().unwrap_or("OK");
        let mut head = bytes_of(&format!("{version} {status} {reason}\r\n"));
        for line in &lines {
            head.extend(bytes_of(line));
            head.extend(b"\r\n");
        }
        head.extend(b"\r\n");
        let payload = match kind {
            "none" => Vec::new(),
            _ if is_head || is_bodyless => Vec::new(),
            "chunked" => chunked(&body, reply),
            _ => body,
        };
        Self {
            head,
            payload,
            ends_by_close: kind == "close",
        }
    }
}

/// A body in two chunks.
fn chunked(body: &[u8], reply: &Reply) -> Vec<u8> {
    let extension = bytes_of(&reply.chunk_ext);
    let mut out = Vec::new();
    let (left, right) = body.split_at(body.len().div_ceil(2));
    for piece in [left, right].into_iter().filter(|piece| !piece.is_empty()) {
        out.extend(format!("{:x}", piece.len()).as_bytes());
        out.extend(&extension);
        out.extend(b"\r\n");
        out.extend(piece);
        out.extend(b"\r\n");
    }
    out.extend(b"0");
    out.extend(&extension);
    out.extend(b"\r\n");
    for line in &reply.trailers {
        out.extend(bytes_of(line));
        out.extend(b"\r\n");
    }
    out.extend(b"\r\n");
    out
}

async fn tunnel(wire: &mut Wire, received: &Mutex<Received>) -> Read<bool> {
    let _ = wire.send(HELLO).await;
    let mut body = Body::default();
    let taken = wire.take(WORDS.len() as u64, &mut body).await;
    {
        let mut received = received.lock().unwrap();
        received.body.content.extend_from_slice(&body.content);
        received.body.length += body.length;
    }
    taken?;
    let _ = wire.send(&[&body.content, BYE].concat()).await;
    Ok(false)
}
