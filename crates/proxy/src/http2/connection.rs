//! A connection: its settings, the streams that come in, its idling, its end.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{self, Handshake, SendResponse};
use h2::{PingPong, Reason, RecvStream};
use http::Request;
use ostler_config::Http2Limits;
use tokio::io::{AsyncRead, AsyncWrite};

use super::ending::{Lingering, Taking};
use super::head::head;
use super::pace::{Due, Pace, Step};
use super::shared::{Http2Connection, Resets};
use super::stream::Stream;
use crate::answer::{self, Why};
use crate::client_side::ClientSide;
use crate::exchange::exchange;
use crate::limits::FrontLimits;
use crate::queues::RelayPlaces;
use crate::tls::ClientFacts;
use crate::watch::{NEXT_REQUEST, Watch};
use crate::worker::{Registered, Worker};

/// Bytes of responses that wait for the client, most of them of one stream.
const SEND_BUFFER: usize = 256 * 1024;

/// Serves a connection until it is over.
pub(crate) fn serve<T>(
    worker: Rc<Worker>,
    io: T,
    facts: ClientFacts,
    watch: Rc<Watch>,
    registered: Registered,
) -> impl Future<Output = ()>
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    // On the heap, since a connection lasts longer than its beginning.
    let begun = Box::pin(begin_connection(worker, io, facts, watch));
    async move {
        let _registered = registered;
        let begun = begun.await;
        if let Some((connection, shared)) = begun {
            serve_streams(connection, shared).await;
        }
    }
}

/// A connection that has begun as HTTP/2 does, and what its streams share.
async fn begin_connection<T>(
    worker: Rc<Worker>,
    io: T,
    facts: ClientFacts,
    watch: Rc<Watch>,
) -> Option<(
    Box<server::Connection<Lingering<T>, Bytes>>,
    Rc<Http2Connection>,
)>
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let limits = worker.limits();
    let last_exchange = Rc::default();
    let io = Lingering::new(io, watch.data_rates.socket(), Rc::clone(&last_exchange));
    let handshake = settings(&limits).handshake::<_, Bytes>(io);
    let mut connection = Box::new(begun(&worker, &watch, handshake).await?);
    // What a stream's window lets in is held, and holds up no other stream.
    connection.set_connection_window_on_receipt();
    let shared = Rc::new(Http2Connection {
        facts,
        relays: RelayPlaces::default(),
        watch,
        open: Cell::new(0),
        is_closing: Cell::new(false),
        last_exchange,
        resets: Resets::new(worker.now(), most_resets(&limits.http2)),
        worker,
    });
    Some((connection, shared))
}

/// Serves the streams of a connection, until it is over.
async fn serve_streams<T>(
    mut connection: Box<server::Connection<T, Bytes>>,
    shared: Rc<Http2Connection>,
) where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let limits = shared.worker.limits();
    let pings = connection.ping_pong();
    let mut unanswered = pin!(keep_alive(pings, limits.http2));
    let mut pace = Pace::new(shared.worker.now());
    let ended = loop {
        let next = poll_fn(|cx| {
            if unanswered.as_mut().poll(cx).is_ready() {
                return Poll::Ready(NextEvent::Over(None));
            }
            poll_next(&mut connection, &shared, &mut pace, cx)
        });
        match next.await {
            NextEvent::Request(request, response) => begin(&shared, *request, response),
            NextEvent::Step(Step::Announce) => {
                shared.close();
                pace.announced(shared.worker.now());
                connection.graceful_shutdown();
            }
            NextEvent::Step(Step::Refuse) => {
                pace.refused(Taking::new(shared.watch.data_rates.socket()));
                connection.graceful_shutdown_without_pong();
            }
            NextEvent::Step(Step::Over) => break None,
            NextEvent::Step(Step::TooLate(due)) => {
                let (reason, what) = too_late(due);
                Box::pin(cut_off(&mut connection, &shared, reason, what)).await;
                break None;
            }
            NextEvent::Flood => {
                let what = "fewer streams that it resets";
                let reason = Reason::ENHANCE_YOUR_CALM;
                Box::pin(cut_off(&mut connection, &shared, reason, what)).await;
                break None;
            }
            NextEvent::Over(error) => break error,
        }
    };
    if let Some(error) = ended {
        let client = shared.facts.connection.client;
        tracing::debug!(?client, %error, "an HTTP/2 connection ends");
    }
}

/// Why a client is cut off, and what it has not sent in time.
fn too_late(due: Due) -> (Reason, &'static str) {
    match due {
        Due::Settings => (Reason::SETTINGS_TIMEOUT, "its SETTINGS"),
        Due::Fields | Due::Nothing => (Reason::ENHANCE_YOUR_CALM, "the rest of a request's fields"),
    }
}

/// A connection that has begun as HTTP/2 does; `None` when that takes too long.
async fn begun<T>(
    worker: &Worker,
    watch: &Watch,
    handshake: Handshake<T, Bytes>,
) -> Option<server::Connection<T, Bytes>>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    watch.set_deadline(Some(worker.now() + worker.limits().head_timeout));
    let mut handshake = pin!(handshake);
    let mut is_last = false;
    let begun = poll_fn(|cx| {
        if let Poll::Ready(begun) = handshake.as_mut().poll(cx) {
            return Poll::Ready(begun.ok());
        }
        if watch.is_ending() && !std::mem::replace(&mut is_last, true) {
            watch.set_deadline(Some(worker.now() + NEXT_REQUEST));
        }
        watch.wake_by(cx.waker());
        match watch.is_expired(worker.now()) {
            true => Poll::Ready(None),
            false => Poll::Pending,
        }
    });
    let begun = begun.await;
    watch.set_deadline(None);
    begun
}

/// An exchange of its own for a request.
fn begin(
    shared: &Rc<Http2Connection>,
    request: Request<RecvStream>,
    response: SendResponse<Bytes>,
) {
    let stream = Served(Rc::clone(shared));
    if shared.open.replace(shared.open.get() + 1) == 0 {
        shared.watch.data_rates.begin();
        shared.watch.set_deadline(None);
    }
    tokio::task::spawn_local(stream.serve(request, response));
}

/// Ends a connection with all that is under way on it.
async fn cut_off<T>(
    connection: &mut server::Connection<T, Bytes>,
    shared: &Http2Connection,
    reason: Reason,
    awaited: &str,
) where
    T: AsyncRead + AsyncWrite + Unpin,
{
    /// How long the client may take to hear of it.
    const PATIENCE: Duration = Duration::from_secs(10);
    let client = shared.facts.connection.client;
    tracing::debug!(?client, awaited, "a client is cut off");
    connection.abrupt_shutdown(reason);
    let closed = poll_fn(|cx| connection.poll_closed(cx));
    let _ = tokio::time::timeout(PATIENCE, closed).await;
}

fn settings(limits: &FrontLimits) -> server::Builder {
    /// What a field counts beside its name and value (RFC 9113 section 6.5.2).
    const FIELD: usize = 32;
    const HEADER_TABLE: u32 = 4096;
    const FRAME: u32 = 16 * 1024;
    /// How long the client may go on sending on a stream that has been reset.
    const RESET: Duration = Duration::from_secs(10);
    let http1 = &limits.http1;
    let header_list = http1
        .field_lines
        .saturating_add(http1.fields.saturating_mul(FIELD));
    let limits: &Http2Limits = &limits.http2;
    let most_resets = most_resets(limits) as usize;
    // What small frames cost beside their bytes is bound as these are: by all streams' windows.
    let streams = limits.max_streams_per_connection as usize;
    let held = streams.saturating_mul(limits.initial_stream_window_size as usize);
    let mut builder = server::Builder::new();
    builder
        .max_concurrent_streams(limits.max_streams_per_connection)
        .max_header_list_size(u32::try_from(header_list).unwrap_or(u32::MAX))
        .initial_connection_window_size(limits.initial_connection_window_size)
        .initial_window_size(limits.initial_stream_window_size)
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(most_resets)
        .max_concurrent_reset_streams(most_resets)
        .reset_stream_duration(RESET)
        .data_frame_budget(held)
        .enable_connect_protocol();
    // What every client takes for granted is not said, as in Kestrel (RFC 9113 section 6.5.2).
    if limits.header_table_size != HEADER_TABLE {
        builder.header_table_size(limits.header_table_size);
    }
    if limits.max_frame_size != FRAME {
        builder.max_frame_size(limits.max_frame_size);
    }
    builder
}

/// How many requests a client may take back within a second: every stream, twice.
fn most_resets(limits: &Http2Limits) -> u32 {
    limits.max_streams_per_connection.saturating_mul(2)
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

/// What happens next on a connection of HTTP/2.
enum NextEvent {
    Request(Box<Request<RecvStream>>, SendResponse<Bytes>),
    Step(Step),
    Flood,
    Over(Option<h2::Error>),
}

fn poll_next<T>(
    connection: &mut server::Connection<T, Bytes>,
    shared: &Http2Connection,
    pace: &mut Pace,
    cx: &mut Context<'_>,
) -> Poll<NextEvent>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let (watch, worker) = (&shared.watch, &shared.worker);
    if shared.resets.is_flood() {
        return Poll::Ready(NextEvent::Flood);
    }
    match connection.poll_accept(cx) {
        Poll::Ready(Some(Ok((request, response)))) => {
            return Poll::Ready(NextEvent::Request(Box::new(request), response));
        }
        Poll::Ready(Some(Err(error))) => return Poll::Ready(NextEvent::Over(Some(error))),
        Poll::Ready(None) => return Poll::Ready(NextEvent::Over(None)),
        Poll::Pending => {}
    }
    let (now, limits) = (worker.now(), worker.limits());
    let is_unused = shared.open.get() == 0;
    if is_unused {
        // Most connections of a front rest most of the time.
        connection.release_buffers();
    }
    if is_unused && !pace.is_closing() && !watch.has_deadline() {
        watch.set_deadline(Some(now + limits.keep_alive_timeout));
    }
    watch.wake_by(cx.waker());
    let due = if !connection.has_remote_settings() {
        Due::Settings
    } else if connection.is_receiving_headers() {
        Due::Fields
    } else {
        Due::Nothing
    };
    let ends = watch.is_ending() || watch.is_expired(now);
    pace.poll(now, &limits, due, ends, is_unused, cx)
        .map(NextEvent::Step)
}

/// An exchange that is under way on a stream.
struct Served(Rc<Http2Connection>);

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
        let mut client_side = ClientSide::Http2(&mut stream);
        match read {
            Ok(head) => {
                exchange(&mut client_side, &head).await;
            }
            Err(error) => {
                let why = Why::MalformedStream(error.status(), Box::new(error));
                answer::refuse(&mut client_side, why).await;
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
        self.0.last_exchange.set(Some(self.0.worker.now()));
        if open == 0 {
            if !self.0.is_closing.get() {
                self.0.watch.data_rates.end();
            }
            // The connection counts its idling from here.
            self.0.watch.wake();
        }
    }
}
