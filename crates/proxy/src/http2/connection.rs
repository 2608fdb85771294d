//! A connection: its settings, the streams that come in, its idling, its end.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use h2::server::{self, SendResponse};
use h2::{PingPong, Reason, RecvStream};
use http::Request;
use ostler_config::Http2Limits;
use ostler_http1::RequestHead;
use tokio::io::{AsyncRead, AsyncWrite};

use super::head::head;
use super::stream::Stream;
use crate::connection::Watch;
use crate::delegation::RelayPlaces;
use crate::downstream::{BodyRead, Downstream};
use crate::exchange::exchange;
use crate::front::FrontLimits;
use crate::local_answer::report_refused;
use crate::tls::ClientFacts;
use crate::worker::Worker;

/// Bytes of responses that wait for the client, most of them of one stream.
const SEND_BUFFER: usize = 256 * 1024;

/// What the streams of a connection share.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) worker: Rc<Worker>,
    pub(super) facts: ClientFacts,
    pub(super) relays: RelayPlaces,
    pub(super) watch: Rc<Watch>,
    /// Exchanges under way.
    open: Cell<usize>,
    resets: Resets,
}

/// Counts exchanges that the client has taken back: it costs it less to open a stream and reset it
/// than it costs to begin the exchange (CVE-2023-44487).
#[derive(Debug)]
struct Resets {
    since: Cell<Instant>,
    count: Cell<u32>,
    most: u32,
}

impl Resets {
    /// Takes one in; true when there have been too many within a second.
    fn add(&self, now: Instant) -> bool {
        const WINDOW: std::time::Duration = std::time::Duration::from_secs(1);
        if now.saturating_duration_since(self.since.get()) >= WINDOW {
            self.since.set(now);
            self.count.set(0);
        }
        self.count.set(self.count.get().saturating_add(1));
        self.is_flood()
    }

    fn is_flood(&self) -> bool {
        self.count.get() > self.most
    }
}

/// Serves a connection until it is over.
pub(crate) async fn serve<T>(worker: Rc<Worker>, io: T, facts: ClientFacts, watch: Rc<Watch>)
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let limits = worker.limits();
    let handshake = settings(&limits).handshake::<_, Bytes>(io);
    let Ok(Ok(mut connection)) = tokio::time::timeout(limits.head_timeout, handshake).await else {
        return;
    };
    let client = facts.connection.client;
    let shared = Rc::new(Connection {
        facts,
        relays: RelayPlaces::default(),
        watch,
        open: Cell::new(0),
        resets: Resets {
            since: Cell::new(worker.now()),
            count: Cell::new(0),
            // A client may have every stream taken back, twice.
            most: limits.http2.max_streams_per_connection.saturating_mul(2),
        },
        worker,
    });
    let pings = connection.ping_pong();
    let mut unanswered = pin!(keep_alive(pings, limits.http2));
    let mut is_closing = false;
    loop {
        let next = poll_fn(|cx| {
            if unanswered.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Next::Over(None));
            }
            poll_next(&mut connection, &shared, is_closing, cx)
        });
        match next.await {
            Next::Request(request, response) => {
                let stream = Served(Rc::clone(&shared));
                if shared.open.replace(shared.open.get() + 1) == 0 {
                    shared.watch.data_rates.begin();
                    shared.watch.set_deadline(None);
                }
                tokio::task::spawn_local(stream.serve(*request, response));
            }
            Next::Close => {
                is_closing = true;
                connection.graceful_shutdown();
            }
            Next::Flood => {
                tracing::debug!(?client, "a client resets its streams too fast");
                connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                let _ = poll_fn(|cx| connection.poll_closed(cx)).await;
                return;
            }
            Next::Over(error) => {
                if let Some(error) = error {
                    tracing::debug!(?client, %error, "an HTTP/2 connection ends");
                }
                return;
            }
        }
    }
}

fn settings(limits: &FrontLimits) -> server::Builder {
    /// What a field counts beside its name and value (RFC 9113 section 6.5.2).
    const FIELD: usize = 32;
    let http1 = &limits.http1;
    let header_list = http1
        .head
        .saturating_add(http1.fields.saturating_mul(FIELD));
    let limits: &Http2Limits = &limits.http2;
    let mut builder = server::Builder::new();
    builder
        .max_concurrent_streams(limits.max_streams_per_connection)
        .header_table_size(limits.header_table_size)
        .max_frame_size(limits.max_frame_size)
        .max_header_list_size(u32::try_from(header_list).unwrap_or(u32::MAX))
        .initial_connection_window_size(limits.initial_connection_window_size)
        .initial_window_size(limits.initial_stream_window_size)
        .max_send_buffer_size(SEND_BUFFER)
        .enable_connect_protocol();
    builder
}

/// Pings the client, if it is to be pinged. Completes when an answer has not come in time.
async fn keep_alive(pings: Option<PingPong>, limits: Http2Limits) {
    let (Some(mut pings), Some(delay)) = (pings, limits.keep_alive_ping_delay) else {
        return pending().await;
    };
    loop {
        tokio::time::sleep(delay).await;
        let answer = pings.ping(h2::Ping::opaque());
        match tokio::time::timeout(limits.keep_alive_ping_timeout, answer).await {
            Ok(Ok(_pong)) => {}
            // The connection's own end tells of it.
            Ok(Err(_)) => return pending().await,
            Err(_elapsed) => return,
        }
    }
}

enum Next {
    Request(Box<Request<RecvStream>>, SendResponse<Bytes>),
    /// No further stream is to come: the front is stopping, or nothing has for too long.
    Close,
    Flood,
    Over(Option<h2::Error>),
}

fn poll_next<T>(
    connection: &mut server::Connection<T, Bytes>,
    shared: &Connection,
    is_closing: bool,
    cx: &mut Context<'_>,
) -> Poll<Next>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let watch = &shared.watch;
    if shared.resets.is_flood() {
        return Poll::Ready(Next::Flood);
    }
    match connection.poll_accept(cx) {
        Poll::Ready(Some(Ok((request, response)))) => {
            return Poll::Ready(Next::Request(Box::new(request), response));
        }
        Poll::Ready(Some(Err(error))) => return Poll::Ready(Next::Over(Some(error))),
        Poll::Ready(None) => return Poll::Ready(Next::Over(None)),
        Poll::Pending => {}
    }
    if shared.open.get() == 0 && !is_closing && !watch.has_deadline() {
        let idle = shared.worker.limits().keep_alive_timeout;
        watch.set_deadline(Some(shared.worker.now() + idle));
    }
    watch.wake_by(cx.waker());
    if !is_closing && (shared.worker.is_draining() || watch.is_expired(shared.worker.now())) {
        watch.set_deadline(None);
        return Poll::Ready(Next::Close);
    }
    Poll::Pending
}

/// An exchange that is under way on a stream.
struct Served(Rc<Connection>);

impl Served {
    async fn serve(self, request: Request<RecvStream>, response: SendResponse<Bytes>) {
        let (parts, body) = request.into_parts();
        let has_body = !body.is_end_stream();
        let worker = &self.0.worker;
        let limits = worker.limits();
        let longest_field = limits.http2.max_request_header_field_size;
        let read = head(&parts, has_body, &limits.http1, longest_field);
        drop(parts);
        let mut stream = Stream::new(&self.0, body, response);
        let mut downstream = Downstream::Http2(&mut stream);
        match read {
            Ok(head) => {
                exchange(&mut downstream, &head).await;
            }
            Err(error) => {
                let client = downstream.facts().client;
                tracing::debug!(?client, %error, "a request is refused");
                let (head, read) = (RequestHead::default(), BodyRead::Nothing);
                let answered = downstream.answer(&head, read, error.status(), &[], b"");
                let bytes_sent = answered.await.bytes_sent;
                report_refused(&worker.pipeline(), error.status(), bytes_sent);
            }
        }
        if !stream.is_taken_back() {
            stream.linger().await;
        } else if self.0.resets.add(worker.now()) {
            self.0.watch.wake();
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let open = self.0.open.get().saturating_sub(1);
        self.0.open.set(open);
        if open == 0 {
            self.0.watch.data_rates.end();
            // The connection counts its idling from here.
            self.0.watch.wake();
        }
    }
}
