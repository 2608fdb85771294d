//! A client's connection: heads in, one exchange after the other, until one of the two ends it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Instant;

use http::StatusCode;
use ostler_delegation::front::SlotKey;
use ostler_http1::{
    Framing, HeadDecoder, HeadError, HeadProgress, RequestFacts, RequestHead, Version,
};

use crate::client::{Client, Interest, READ};
use crate::delegation::{Channel, Handoff, NotTaken, Place, PlaceKey, RelayPlace, place_key};
use crate::exchange::{After, exchange};
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
    pub(crate) relays: Vec<RelayPlace>,
    pub(crate) watch: Rc<Watch>,
    decoder: HeadDecoder,
    places: Vec<Place>,
}

/// What the worker knows of a connection: its deadline, and how to wake it.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) handoff: Rc<Handoff>,
    deadline: Cell<Option<Instant>>,
    waker: RefCell<Option<Waker>>,
}

impl Watch {
    /// Wakes the connection if its time is up, or if it waits for a request and `draining`.
    pub(crate) fn check(&self, now: Instant, draining: bool) {
        self.handoff.rouse();
        if (draining || self.deadline.get().is_some_and(|deadline| now >= deadline))
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }
}

enum Next {
    Head,
    /// The connection is over, with nothing to say.
    Over,
    Malformed(HeadError),
    TimedOut,
}

/// Serves a connection until it is over: over its TLS session, if there is one.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    socket: OwnedFd,
    facts: ClientFacts,
    session: Option<TlsSession>,
) {
    let _ = ostler_shm::set_no_delay(std::os::fd::AsFd::as_fd(&socket));
    let Ok(client) = Client::new(socket, facts, session) else {
        return;
    };
    let handoff = Rc::new(Handoff::default());
    let watch = Rc::new(Watch {
        handoff: Rc::clone(&handoff),
        deadline: Cell::new(None),
        waker: RefCell::new(None),
    });
    let _registered = worker.register(Rc::clone(&watch));
    let decoder = HeadDecoder::new(worker.limits().http1);
    let mut connection = Connection {
        client,
        worker,
        input: Vec::new(),
        read_closed: false,
        handoff,
        relays: Vec::new(),
        watch,
        decoder,
        places: Vec::new(),
    };
    let mut head = RequestHead::default();
    loop {
        match connection.next_head(&mut head).await {
            Next::Head => match exchange(&mut connection, &head).await {
                After::Keep if connection.worker.is_draining() => break,
                After::Keep => {}
                After::Close => break,
                After::Detached => return connection.let_go(),
            },
            Next::Over => break,
            Next::Malformed(error) => {
                connection.refuse(&error).await;
                break;
            }
            Next::TimedOut => {
                let status = StatusCode::REQUEST_TIMEOUT;
                crate::respond::refuse(&mut connection, refused_facts(), status, "").await;
                break;
            }
        }
    }
    connection.close().await;
}

/// The request of a head that could not be read: an answer to it closes the connection.
fn refused_facts() -> RequestFacts {
    RequestFacts {
        is_head: false,
        is_connect: false,
        version: Version::Http11,
        keep_alive: false,
    }
}

impl Connection {
    /// Reads until a whole head is here.
    async fn next_head(&mut self, head: &mut RequestHead) -> Next {
        self.decoder.reset();
        if self.client.set_interest(self.reading_interest()).is_err() {
            return Next::Over;
        }
        let limits = *self.worker.limits();
        self.watch
            .deadline
            .set(Some(self.worker.now() + limits.keep_alive_timeout));
        let mut begun = false;
        loop {
            if !self.input.is_empty() {
                match self.decoder.decode(&self.input, head) {
                    Ok(HeadProgress::Complete { consumed }) => {
                        self.consume(consumed);
                        self.watch.deadline.set(None);
                        return Next::Head;
                    }
                    Ok(HeadProgress::Incomplete) if !begun => {
                        // The clock of the head starts with its first byte.
                        begun = true;
                        self.watch
                            .deadline
                            .set(Some(self.worker.now() + limits.head_timeout));
                    }
                    Ok(HeadProgress::Incomplete) => {}
                    Err(error) => return Next::Malformed(error),
                }
            }
            if self.read_closed {
                return Next::Over;
            }
            match self.recv_or_deadline(begun).await {
                Some(Ok(0)) | Some(Err(_)) => return Next::Over,
                Some(Ok(_)) => {}
                None if begun => return Next::TimedOut,
                None => return Next::Over,
            }
        }
    }

    /// Bytes from the client; `None` when there are none by the deadline.
    async fn recv_or_deadline(&mut self, begun: bool) -> Option<std::io::Result<usize>> {
        let (client, input, watch, worker) =
            (&self.client, &mut self.input, &self.watch, &self.worker);
        poll_fn(|cx| {
            if let Poll::Ready(received) = client.poll_recv(cx, input, READ) {
                return Poll::Ready(Some(received));
            }
            let expired = watch
                .deadline
                .get()
                .is_some_and(|deadline| worker.now() >= deadline);
            if expired || (worker.is_draining() && !begun) {
                return Poll::Ready(None);
            }
            let mut waker = watch.waker.borrow_mut();
            if !waker
                .as_ref()
                .is_some_and(|waker| waker.will_wake(cx.waker()))
            {
                *waker = Some(cx.waker().clone());
            }
            Poll::Pending
        })
        .await
    }

    /// Waiting to write is not given up between two forwarded exchanges: registering costs.
    fn reading_interest(&self) -> Interest {
        match self.client.interest() {
            Interest::ReadsAndWrites => Interest::ReadsAndWrites,
            Interest::Reads | Interest::Breaks => Interest::Reads,
        }
    }

    fn consume(&mut self, consumed: usize) {
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
        if let Some(place) = self
            .places
            .iter()
            .find(|place| Rc::ptr_eq(&place.channel, channel))
        {
            return Ok(place.slot);
        }
        // Those of targets that are gone hold memory for nothing.
        self.places.retain(|place| !place.channel.is_dead());
        let place = channel.open_connection(&self.client)?;
        let slot = place.slot;
        self.places.push(place);
        Ok(slot)
    }

    /// The slot is spent, or both sides have let go of it.
    pub(crate) fn forget_place(&mut self, key: PlaceKey) {
        self.places.retain(|place| place_key(place) != key);
    }

    async fn refuse(&mut self, error: &HeadError) {
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
        tracing::debug!(client = ?self.client.facts().client, status = status.as_u16(), %error, "a request is refused");
        crate::respond::refuse(self, refused_facts(), status, &error.to_string()).await;
    }

    /// The target has the connection now: only this process' descriptor closes.
    fn let_go(mut self) {
        self.places.clear();
    }

    async fn close(mut self) {
        self.client.close_records().await;
        // Targets hold the socket too, so closing it here would not end it.
        self.client.shutdown();
        self.places.clear();
    }
}
