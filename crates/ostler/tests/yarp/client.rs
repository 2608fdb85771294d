//! The client: sends a request's bytes as they stand in the record, and tells what comes back.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

use crate::record::{ClientView, Fields, Item};
use crate::stub::WORDS;
use crate::wire::{self, Body, Framing, Read, Trouble, Wire, framing, lines_of, text};

/// For one exchange; then it counts as no answer. Some records hold such exchanges.
const LIMIT: Duration = Duration::from_secs(4);
/// In which a server that closes after a response, without a word, is seen to close.
const QUIET: Duration = Duration::from_millis(20);

/// A client of one front.
#[derive(Debug, Default)]
pub(crate) struct Client {
    /// Left open by a request with `keep`.
    kept: Option<Wire>,
    /// The fields of the responses so far.
    pub(crate) answers: Vec<Fields>,
}

#[derive(Debug, Default)]
struct Response {
    status: u16,
    reason: String,
    fields: Fields,
    body: Body,
    trailers: Fields,
    interim: Vec<u16>,
    aborted: Option<String>,
}

impl Client {
    /// Sends a request; `expected` is what YARP did with the connection, which is waited for. The
    /// second value is the client's own port.
    pub(crate) async fn ask(
        &mut self,
        port: u16,
        raw: Vec<u8>,
        item: &Item,
        expected: &str,
    ) -> (ClientView, u16) {
        let mut view = ClientView {
            outcome: "response".to_owned(),
            ..ClientView::default()
        };
        let wire = match self.kept.take() {
            Some(wire) => Ok(wire),
            None => Wire::connect(port).await,
        };
        let Ok(mut wire) = wire else {
            view.outcome = "no connection".to_owned();
            self.answers.push(Fields::new());
            return (view, 0);
        };
        let own_port = wire.stream.local_addr().map_or(0, |address| address.port());
        let mut response = Response::default();
        let sent = self
            .converse(&mut wire, raw, item, &mut response, &mut view)
            .await;
        if view.outcome == "response" && response.status != 101 {
            view.connection = state(&mut wire, &response, expected).await;
        }
        sent.abort();
        if item.keep && view.connection == "kept" {
            self.kept = Some(wire);
        }
        self.answers.push(response.fields.clone());
        if response.status >= 200 || response.status == 101 {
            view.status = response.status;
            view.headers = response.fields;
        }
        view.reason = response.reason;
        view.interim = response.interim;
        view.body = response.body.shown();
        view.trailers = response.trailers;
        view.aborted = response.aborted;
        (view, own_port)
    }

    /// Sends, reads the response, and goes through a tunnel. Gives the task that sends.
    async fn converse(
        &self,
        wire: &mut Wire,
        raw: Vec<u8>,
        item: &Item,
        response: &mut Response,
        view: &mut ClientView,
    ) -> tokio::task::JoinHandle<()> {
        let head_end = raw.windows(4).position(|four| four == b"\r\n\r\n");
        let first = match head_end {
            Some(at) if item.hold => at + 4,
            _ => raw.len(),
        };
        let method = item.method.clone().unwrap_or_else(|| {
            let start = text(&raw);
            start
                .trim_start()
                .split(' ')
                .next()
                .unwrap_or_default()
                .to_owned()
        });
        let go_on = Arc::new(Notify::new());
        let (stream, told) = (Arc::clone(&wire.stream), Arc::clone(&go_on));
        // A server that answers early may stop reading: its answer tells what it thinks.
        let sending = tokio::spawn(async move {
            let (first, rest) = raw.split_at(first);
            let _ = wire::send(&stream, first).await;
            if !rest.is_empty() {
                let _ = timeout(Duration::from_secs(1), told.notified()).await;
                let _ = wire::send(&stream, rest).await;
            }
        });
        let deadline = Instant::now() + LIMIT;
        let read = async {
            read_response(wire, &method, response, &go_on).await?;
            if response.status == 101 {
                view.tunnel = Some(tunnel(wire).await);
            }
            Ok(())
        };
        let outcome = match timeout_at(deadline, read).await {
            Ok(Ok(())) => None,
            Err(_) if response.status < 200 => Some("no answer".to_owned()),
            Err(_) => Some("answer incomplete after 4 s".to_owned()),
            Ok(Err(Trouble::Nothing)) if wire.ended.as_deref() == Some("closed") => {
                Some("closed without an answer".to_owned())
            }
            Ok(Err(Trouble::Nothing)) => Some("reset without an answer".to_owned()),
            Ok(Err(Trouble::Protocol(error))) => Some(format!("malformed: {error}")),
            Ok(Err(Trouble::Ended(end))) => Some(format!("incomplete head: {end}")),
        };
        if let Some(outcome) = outcome {
            view.outcome = outcome;
        }
        sending
    }
}

async fn read_response(
    wire: &mut Wire,
    method: &str,
    response: &mut Response,
    go_on: &Notify,
) -> Read<()> {
    loop {
        let line = match wire.line().await {
            Err(Trouble::Ended(_)) => return Err(Trouble::Nothing),
            line => text(&line?),
        };
        let bad = || Trouble::Protocol(format!("bad status line '{line}'"));
        let rest = line.strip_prefix("HTTP/1.1 ").ok_or_else(bad)?;
        let (status, reason) = rest.split_once(' ').ok_or_else(bad)?;
        response.fields = wire.fields().await?;
        response.status = status
            .parse()
            .ok()
            .filter(|s| (100..1000).contains(s))
            .ok_or_else(bad)?;
        response.reason = reason.to_owned();
        if response.status >= 200 || response.status == 101 {
            break;
        }
        response.interim.push(response.status);
        if response.status == 100 {
            go_on.notify_one();
        }
    }
    match read_body(wire, method, response).await {
        Err(Trouble::Ended(end)) => {
            let length = response.body.length;
            response.aborted = Some(format!("{end} ({length} body bytes received)"));
            Ok(())
        }
        other => other,
    }
}

async fn read_body(wire: &mut Wire, method: &str, response: &mut Response) -> Read<()> {
    let announced = framing(&response.fields)?;
    match (response.status, announced) {
        (101, _) => return Ok(()),
        (204, Framing::Chunked) => {
            return Err(Trouble::Protocol("204 with Transfer-Encoding".to_owned()));
        }
        (204 | 304, _) => {}
        _ if method == "HEAD" => {}
        (_, Framing::Chunked) => response.trailers = wire.chunked(&mut response.body).await?,
        (_, Framing::Length(length)) => wire.take(length, &mut response.body).await?,
        (_, Framing::Unsaid) => return wire.take_all(&mut response.body).await,
    }
    match wire.buffer.len() {
        0 => Ok(()),
        length => Err(Trouble::Protocol(format!(
            "{length} bytes after the end of the response"
        ))),
    }
}

/// What becomes of the connection behind a response. Where YARP closed it, that is waited for.
async fn state(wire: &mut Wire, response: &Response, expected: &str) -> String {
    let says_close = lines_of(&response.fields, "Connection")
        .any(|value| value.to_ascii_lowercase().contains("close"));
    let wait = match says_close || matches!(expected, "closed" | "reset") {
        true => Duration::from_secs(1),
        false => QUIET,
    };
    let ended = timeout(wait, async { while wire.more().await {} }).await;
    match (ended, wire.ended.as_deref()) {
        (Err(_), _) => "kept".to_owned(),
        (Ok(()), Some("closed")) => "closed".to_owned(),
        _ => "reset".to_owned(),
    }
}

async fn tunnel(wire: &mut Wire) -> String {
    let _ = wire.send(WORDS).await;
    let ended = timeout(Duration::from_millis(1500), async {
        while wire.more().await {}
    })
    .await;
    let end = match ended {
        Ok(()) => wire.ended.clone().unwrap_or_default(),
        Err(_) => "still open".to_owned(),
    };
    format!("{} ({end})", text(&wire.buffer))
}
