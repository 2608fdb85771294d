//! A client's connection: heads in, one exchange after the other, until one of the two ends it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use ostler_config::HttpProtocols;
use ostler_delegation::front::SlotKey;
use ostler_http1::{
    BodyDecoder, BodyProgress, Framing, HeadDecoder, HeadError, HeadProgress, RequestHead,
};
use tokio::io::AsyncReadExt;

use crate::answer::{self, Why};
use crate::client::{Client, Interest, READ};
use crate::client_side::{AfterExchange, ClientSide};
use crate::connection_counts::Counted;
use crate::data_rates::{DataRates, TooSlow};
use crate::exchange::exchange;
use crate::http2::{self, Preface};
use crate::limits::FrontLimits;
use crate::queues::{Channel, Handoff, NotTaken, Place, PlaceKey, RelayPlaces};
use crate::tls::{ClientFacts, TlsSession};
use crate::worker::Worker;

/// A client's connection and everything that belongs to it for longer than an exchange.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) client: Client,
    pub(crate) worker: Rc<Worker>,
    /// Bytes received that no head has claimed: the start of a body, or of the next request.
    pub(crate) input: Vec<u8>,
    /// The client has ended its stream.
    pub(crate) read_closed: bool,
    pub(crate) handoff: Rc<Handoff>,
    /// Connections to relayed targets, opened for this client.
    pub(crate) relays: RelayPlaces,
    pub(crate) watch: Rc<Watch>,
    decoder: HeadDecoder,
    places: Vec<Place>,
    /// The client has asked for something.
    is_used: bool,
}

/// What the worker knows of a connection: its deadline, and how to wake it.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Whose connection it is; none of a socket in the file system.
    client: Option<SocketAddr>,
    pub(crate) handoff: Rc<Handoff>,
    pub(crate) data_rates: DataRates,
    /// The connection's place among all there are.
    pub(crate) counted: Counted,
    deadline: Cell<Option<Instant>>,
    waker: RefCell<Option<Waker>>,
    /// A further request is here while one is with a target.
    has_more: Cell<bool>,
    is_with_target: Cell<bool>,
}

impl Watch {
    pub(crate) fn new(
        socket: Rc<OwnedFd>,
        client: Option<SocketAddr>,
        counted: Counted,
    ) -> Rc<Self> {
        Rc::new(Self {
            client,
            handoff: Rc::default(),
            data_rates: DataRates::new(socket),
            counted,
            deadline: Cell::new(None),
            waker: RefCell::new(None),
            has_more: Cell::new(false),
            is_with_target: Cell::new(false),
        })
    }

    /// Whether the connection is to end with the exchange it is in.
    pub(crate) fn is_ending(&self) -> bool {
        self.counted.ending().get()
    }

    /// Notes whether a further request is here.
    pub(crate) fn set_has_more(&self, has_more: bool) {
        self.has_more.set(has_more);
    }

    /// Notes whether a target has its exchange.
    pub(crate) fn set_with_target(&self, is_with_target: bool) {
        self.is_with_target.set(is_with_target);
    }

    /// Whether the front has anything left to do for the connection: all but where a target has its
    /// exchange, has not been heard of since, and no further request is here.
    pub(crate) fn needs_front(&self) -> bool {
        !self.is_with_target.get() || self.has_more.get() || self.handoff.has_event()
    }

    /// Wakes the connection if its time is up, or if it waits for a request and `draining`.
    pub(crate) fn check(&self, now: Instant, draining: bool) {
        self.handoff.rouse();
        if draining || self.is_expired(now) {
            self.wake();
        }
    }

    pub(crate) fn set_deadline(&self, deadline: Option<Instant>) {
        self.deadline.set(deadline);
    }

    pub(crate) fn has_deadline(&self) -> bool {
        self.deadline.get().is_some()
    }

    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        self.deadline.get().is_some_and(|deadline| now >= deadline)
    }

    /// Whom [`check`](Self::check) wakes.
    pub(crate) fn wake_by(&self, waker: &Waker) {
        let mut known = self.waker.borrow_mut();
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }

    pub(crate) fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Acts on a client that sends or takes too slowly: its body is given up, which is answered
    /// where that is possible; a response that it does not take is cut off.
    pub(crate) fn judge_data_rate(&self, now: Instant, limits: &FrontLimits) {
        let rates = &self.data_rates;
        match rates.judge(now, limits, self.handoff.awaits_body()) {
            None => {}
            Some(TooSlow::Body) => {
                tracing::info!(
                    client = self.client.map(tracing::field::display),
                    "a client sends its body too slowly"
                );
                if rates.front_awaits_body() {
                    rates.give_body_up();
                } else {
                    self.handoff.body_is_too_slow();
                }
            }
            Some(TooSlow::Response) => {
                tracing::info!(
                    client = self.client.map(tracing::field::display),
                    "a client takes its response too slowly"
                );
                rates.reset();
            }
        }
    }
}

/// How long the first request of a connection may take when the front is stopping.
pub(crate) const FIRST_REQUEST: Duration = Duration::from_secs(1);

enum Next {
    Head,
    /// The connection is over, with nothing to say.
    Over,
    Malformed(HeadError),
    TimedOut,
    /// The client speaks HTTP/2 from the start (RFC 9113 section 3.3).
    Http2,
    /// It does not, and nothing else is spoken here.
    NotHttp2,
}

/// A connection that has been accepted, and shaken hands with if it speaks TLS.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) socket: OwnedFd,
    pub(crate) facts: ClientFacts,
    pub(crate) session: Option<TlsSession>,
    /// What may be spoken in clear text.
    pub(crate) protocols: HttpProtocols,
    pub(crate) counted: Counted,
}

/// Serves a connection until it is over: over its TLS session, if there is one.
pub(crate) async fn serve(worker: Rc<Worker>, accepted: Accepted) {
    let Accepted {
        socket,
        facts,
        session,
        protocols,
        counted,
    } = accepted;
    // Over TLS the handshake has said what is spoken.
    let mut begins_with = match session {
        None => protocols,
        Some(_) => HttpProtocols::Http1,
    };
    let _ = ostler_shm::set_no_delay(std::os::fd::AsFd::as_fd(&socket));
    let Ok(client) = Client::new(socket, facts, session) else {
        return;
    };
    let watch = Watch::new(client.socket(), client.facts().client, counted);
    let handoff = Rc::clone(&watch.handoff);
    let _registered = worker.register(Rc::clone(&watch));
    let decoder = HeadDecoder::new(worker.limits().http1);
    let mut connection = Connection {
        client,
        worker,
        input: Vec::new(),
        read_closed: false,
        handoff,
        relays: RelayPlaces::default(),
        watch,
        decoder,
        places: Vec::new(),
        is_used: false,
    };
    let mut head = RequestHead::default();
    let lingers = loop {
        let next = connection.next_head(&mut head, begins_with).await;
        begins_with = HttpProtocols::Http1;
        match next {
            Next::Head => match exchange(&mut ClientSide::Http1(&mut connection), &head).await {
                AfterExchange::Keep => {}
                // What the client sends before it has heard of the end would destroy the response on
                // its way.
                AfterExchange::Close => break connection.watch.is_ending(),
                AfterExchange::Linger => break true,
                AfterExchange::Detached => return connection.let_go(),
            },
            Next::Over => break false,
            Next::Malformed(error) => {
                connection.refuse(Why::MalformedHead(error)).await;
                break true;
            }
            Next::TimedOut => {
                connection.refuse(Why::HeadTooSlow).await;
                break true;
            }
            Next::Http2 => return connection.serve_http2().await,
            Next::NotHttp2 => {
                connection.refuse(Why::NotHttp2).await;
                break true;
            }
        }
    };
    if lingers {
        connection.client.linger().await;
    }
    connection.close().await;
}

impl Connection {
    /// Reads until a whole head is here, or HTTP/2's preface where that may come.
    async fn next_head(&mut self, head: &mut RequestHead, begins_with: HttpProtocols) -> Next {
        self.decoder.reset();
        if self.client.set_interest(self.reading_interest()).is_err() {
            return Next::Over;
        }
        let limits = self.worker.limits();
        self.watch.data_rates.end();
        self.watch
            .deadline
            .set(Some(self.worker.now() + limits.keep_alive_timeout));
        let mut begun = false;
        loop {
            let preface = match begins_with {
                HttpProtocols::Http1 => Preface::Not,
                _ => http2::preface(&self.input),
            };
            let progress = match preface {
                Preface::Whole => {
                    self.watch.set_deadline(None);
                    return Next::Http2;
                }
                Preface::Begun => Ok(HeadProgress::Incomplete),
                Preface::Not if self.input.is_empty() => Ok(HeadProgress::Incomplete),
                Preface::Not if !begins_with.has_http1() => return Next::NotHttp2,
                Preface::Not => self.decoder.decode(&self.input, head),
            };
            match progress {
                Ok(HeadProgress::Complete { consumed }) => {
                    self.is_used = true;
                    self.consume(consumed);
                    self.watch.set_deadline(None);
                    self.watch.data_rates.begin();
                    return Next::Head;
                }
                Ok(HeadProgress::Incomplete) if !begun && !self.input.is_empty() => {
                    // The clock of the head starts with its first byte.
                    begun = true;
                    let deadline = self.worker.now() + limits.head_timeout;
                    self.watch.set_deadline(Some(deadline));
                }
                Ok(HeadProgress::Incomplete) => {}
                Err(error) => return Next::Malformed(error),
            }
            if self.read_closed {
                return Next::Over;
            }
            // Nothing has been asked yet where HTTP/2 begins.
            let is_http2 = preface == Preface::Begun && self.input.starts_with(b"PRI");
            match self.recv_or_deadline(begun && !is_http2).await {
                Some(Ok(0)) | Some(Err(_)) => return Next::Over,
                Some(Ok(_)) => {}
                None if begun && !(is_http2 && self.watch.is_ending()) => {
                    return Next::TimedOut;
                }
                None => return Next::Over,
            }
        }
    }

    /// Bytes from the client; `None` when there are none by the deadline, or no request has begun
    /// and the front is stopping: then a request that is on its way is waited for where it is the
    /// connection's first, or in the socket already.
    async fn recv_or_deadline(&mut self, begun: bool) -> Option<std::io::Result<usize>> {
        let (client, input, watch, worker) =
            (&self.client, &mut self.input, &self.watch, &self.worker);
        let mut is_last = false;
        poll_fn(|cx| {
            if let Poll::Ready(received) = client.poll_recv(cx, input, READ) {
                return Poll::Ready(Some(received));
            }
            if watch.is_ending() && !begun && !std::mem::replace(&mut is_last, true) {
                let time = match self.is_used {
                    true => Duration::ZERO,
                    false => FIRST_REQUEST,
                };
                watch.set_deadline(Some(worker.now() + time));
            }
            // What has just arrived may not have been told yet.
            if watch.is_expired(worker.now()) && !(is_last && client.has_unread()) {
                return Poll::Ready(None);
            }
            watch.wake_by(cx.waker());
            Poll::Pending
        })
        .await
    }

    /// Whether the connection ends with the exchange of `head`: the front is stopping, and nothing of
    /// a further request is here.
    pub(crate) fn is_last(&self, head: &RequestHead) -> bool {
        self.watch.is_ending() && !self.has_more(head)
    }

    /// Whether bytes are here that are not of the request of `head`, as far as can be seen.
    pub(crate) fn has_more(&self, head: &RequestHead) -> bool {
        let framing = head.framing();
        framing != Framing::Chunked && self.input.len() > self.body_prefix(framing).len()
    }

    /// Waiting to write is not given up between two forwarded exchanges: registering costs.
    fn reading_interest(&self) -> Interest {
        match self.client.interest() {
            Interest::ReadsAndWrites => Interest::ReadsAndWrites,
            Interest::Reads | Interest::Breaks => Interest::Reads,
        }
    }

    /// Lets go of bytes that have arrived.
    pub(crate) fn consume(&mut self, consumed: usize) {
        if consumed == self.input.len() {
            self.input.clear();
        } else {
            self.input.drain(..consumed);
        }
    }

    /// The client sends nothing more and nothing is left of what it sent.
    pub(crate) fn read_closed_and_empty(&self) -> bool {
        self.read_closed && self.input.is_empty()
    }

    /// The part of the body that arrived with the head. What follows it is the next request.
    pub(crate) fn body_prefix(&self, framing: Framing) -> &[u8] {
        match framing {
            Framing::None => &[],
            Framing::Length(length) => {
                let end = usize::try_from(length)
                    .unwrap_or(usize::MAX)
                    .min(self.input.len());
                &self.input[..end]
            }
            // Where a chunked body ends is for its reader to find.
            Framing::Chunked => &self.input,
        }
    }

    /// How many of the bytes that have arrived are a body that nobody has read, if it is all there and
    /// well formed.
    pub(crate) fn whole_body(&self, framing: Framing) -> Option<usize> {
        let mut decoder = BodyDecoder::new(framing);
        let mut length = 0;
        loop {
            match decoder.decode(&self.input[length..]).ok()? {
                BodyProgress::Data { consumed, .. } => length += consumed,
                BodyProgress::End { consumed } => return Some(length + consumed),
                BodyProgress::NeedMore { .. } => return None,
            }
        }
    }

    /// The exchange that was given the prefix is over; `leftover` comes behind it.
    pub(crate) fn consume_prefix(&mut self, framing: Framing, leftover: Vec<u8>) {
        let consumed = self.body_prefix(framing).len();
        self.consume(consumed);
        if !leftover.is_empty() {
            self.input.splice(0..0, leftover);
        }
    }

    /// This connection's slot in a channel, opened on first use.
    pub(crate) fn place_on(&mut self, channel: &Rc<Channel>) -> Result<SlotKey, NotTaken> {
        if let Some(place) = self.places.iter().find(|place| place.is_on(channel))
            && channel.holds(place.slot)
        {
            return Ok(place.slot);
        }
        // Those of targets that are gone hold memory for nothing, as do those that a target was to let go
        // of for others.
        self.places
            .retain(|place| place.is_of_use() && !place.is_on(channel));
        let place = channel.open_connection(&self.client)?;
        let slot = place.slot;
        self.places.push(place);
        Ok(slot)
    }

    /// The slot is spent, or both sides have let go of it.
    pub(crate) fn forget_place(&mut self, key: PlaceKey) {
        self.places.retain(|place| place.key() != key);
    }

    /// Answers what is no request.
    async fn refuse(&mut self, why: Why) {
        answer::refuse(&mut ClientSide::Http1(self), why).await;
    }

    /// The target has the connection now: only this process' descriptor closes.
    fn let_go(mut self) {
        self.places.clear();
    }

    /// The client's connection from here on is streams.
    async fn serve_http2(self) {
        let Self {
            client,
            worker,
            input,
            watch,
            ..
        } = self;
        let Ok((socket, facts)) = client.into_socket() else {
            return;
        };
        let Ok(socket) = tokio::net::TcpStream::from_std(socket.into()) else {
            return;
        };
        let (reader, writer) = socket.into_split();
        let reader = std::io::Cursor::new(input).chain(reader);
        http2::serve(worker, tokio::io::join(reader, writer), facts, watch).await;
    }

    async fn close(mut self) {
        self.client.close_records().await;
        // Targets hold the socket too, so closing it here would not end it.
        self.client.shutdown();
        self.places.clear();
    }
}
