//! One request and its answer, as a program that is not called but asks sees them.

use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use http::header::HeaderMap;
use http::{Request, StatusCode, request};
use hyper::upgrade::OnUpgrade;
use ostler_target::{Body, RequestInfo, SendFile};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::error::Error;
use crate::events::{EventKind, Events};
use crate::incoming::Incoming;
use crate::outgoing::{Outgoing, Room};

/// The beginning of a response.
#[derive(Debug, Default, Clone)]
pub struct Head {
    /// Its status.
    pub status: StatusCode,
    /// Its fields.
    pub fields: HeaderMap,
}

/// A request that has come, and its answer.
///
/// No call waits, and any thread may call. Letting go of an exchange does not end it: its response's end,
/// [`cancel`](Self::cancel) or [`close`](Self::close) do.
#[derive(Debug)]
pub struct Exchange {
    events: Arc<Events>,
    runtime: Handle,
    request: request::Parts,
    target: OnceLock<String>,
    incoming: Mutex<Incoming>,
    /// Wakes whoever reads.
    readable: OnceLock<Waker>,
    outgoing: Arc<Outgoing>,
    answer: Mutex<Option<oneshot::Sender<Answer>>>,
    upgrade: Mutex<Option<OnUpgrade>>,
    /// The library has let go of it.
    over: AtomicBool,
    /// The program has.
    closed: AtomicBool,
    /// A number of the program's.
    tag: AtomicU64,
    /// What it is called by where it is called by a number.
    name: OnceLock<u64>,
}

/// How an exchange is answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    pub(crate) body: AnswerBody,
}

/// What follows the head of an answer.
#[derive(Debug)]
pub(crate) enum AnswerBody {
    /// What the program gives; its length, where all of it is here.
    Given(Option<u64>),
    /// A file.
    File(SendFile),
    /// The connection, whose protocol is switched.
    Switched(OnUpgrade),
}

impl Exchange {
    pub(crate) fn new(
        request: Request<Body>,
        events: Arc<Events>,
    ) -> (Arc<Self>, oneshot::Receiver<Answer>) {
        let (mut request, body) = request.into_parts();
        let upgrade = request.extensions.remove::<OnUpgrade>();
        let (answer, answered) = oneshot::channel();
        let exchange = Arc::new(Self {
            events,
            runtime: Handle::current(),
            request,
            target: OnceLock::new(),
            incoming: Mutex::new(Incoming::new(body)),
            readable: OnceLock::new(),
            outgoing: Arc::default(),
            answer: Mutex::new(Some(answer)),
            upgrade: Mutex::new(upgrade),
            over: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            tag: AtomicU64::new(0),
            name: OnceLock::new(),
        });
        (exchange, answered)
    }

    /// Method, version and fields.
    pub fn request(&self) -> &request::Parts {
        &self.request
    }

    /// The request-target.
    pub fn target(&self) -> &str {
        self.target.get_or_init(|| self.request.uri.to_string())
    }

    /// The client, and how the request came.
    pub fn info(&self) -> Option<&RequestInfo> {
        self.request.extensions.get()
    }

    /// Whether the request asks for another protocol, so that it can be answered with a 101.
    pub fn wants_upgrade(&self) -> bool {
        lock(&self.upgrade).is_some()
    }

    /// A number of the program's own, 0 at first.
    pub fn tag(&self) -> u64 {
        self.tag.load(Ordering::Relaxed)
    }

    /// Sets it.
    pub fn set_tag(&self, tag: u64) {
        self.tag.store(tag, Ordering::Relaxed);
    }

    /// Puts bytes of the body, or of the switched connection, into a buffer that has room for some. 0 is the
    /// end.
    ///
    /// # Errors
    ///
    /// [`Error::Again`] where none are here, and [`EventKind::Readable`] follows; what is wrong with the body.
    pub fn read(self: &Arc<Self>, buffer: &mut [u8]) -> Result<usize, Error> {
        self.poll_incoming(|incoming, cx| incoming.poll_read(cx, buffer))
    }

    /// The next bytes, however many; `None` is the end.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_piece(self: &Arc<Self>) -> Result<Option<Bytes>, Error> {
        self.poll_incoming(Incoming::poll_piece)
    }

    fn poll_incoming<T>(
        self: &Arc<Self>,
        poll: impl FnOnce(&mut Incoming, &mut Context<'_>) -> Poll<Result<T, Error>>,
    ) -> Result<T, Error> {
        let waker = self
            .readable
            .get_or_init(|| Waker::from(Arc::new(Readable(Arc::downgrade(self)))));
        // Sockets and timers belong to the thread that serves, whoever asks for them.
        let _runtime = self.runtime.enter();
        match poll(&mut lock(&self.incoming), &mut Context::from_waker(waker)) {
            Poll::Ready(read) => read,
            Poll::Pending => Err(Error::Again),
        }
    }

    /// The fields behind the body; `None` before it has been read to its end.
    pub fn trailers(&self) -> Option<HeaderMap> {
        lock(&self.incoming).trailers().cloned()
    }

    /// Begins the response; [`write`](Self::write) and [`end_response`](Self::end_response) follow. A `Content-Length` among the
    /// fields is held to. With a status of 101 the protocol is switched: what is read and written from
    /// here on are the connection's bytes.
    ///
    /// # Errors
    ///
    /// [`Error::State`] where it was begun before, or no upgrade was asked for; [`Error::Gone`].
    pub fn start(self: &Arc<Self>, head: Head) -> Result<(), Error> {
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return self.switch(head);
        }
        if head.status.is_informational() {
            let text = format!("{} does not begin a response", head.status.as_u16());
            return Err(Error::Argument(text));
        }
        self.answer(head, AnswerBody::Given(None))
    }

    /// Gives the whole response.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn send(self: &Arc<Self>, head: Head, body: Bytes) -> Result<(), Error> {
        if head.status.is_informational() {
            let text = format!("{} is no whole response", head.status.as_u16());
            return Err(Error::Argument(text));
        }
        let answer = self.take_answer()?;
        let length = body.len() as u64;
        self.outgoing.push(body)?;
        self.outgoing.end(None)?;
        answer_with(answer, head, AnswerBody::Given(Some(length)))
    }

    /// Gives a response whose body is a file.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start); [`Error::Io`] where the file is none, or has no such part.
    pub fn send_file(
        self: &Arc<Self>,
        head: Head,
        file: File,
        offset: u64,
        length: Option<u64>,
    ) -> Result<(), Error> {
        let file = match (offset, length) {
            (0, None) => SendFile::new(file)?,
            (offset, length) => {
                let end = match length {
                    Some(length) => offset.saturating_add(length),
                    None => file.metadata()?.len(),
                };
                SendFile::part(file, offset..end)?
            }
        };
        let answer = self.take_answer()?;
        self.outgoing.end(None)?;
        answer_with(answer, head, AnswerBody::File(file))
    }

    /// Gives as many bytes of the response as there is room for, and says how many.
    ///
    /// # Errors
    ///
    /// [`Error::Again`] where there is no room, and [`EventKind::Writable`] follows; [`Error::State`] before the
    /// response was begun or behind its end; [`Error::Gone`].
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Error> {
        self.check_begun()?;
        self.outgoing.write(bytes)
    }

    /// Gives bytes of the response, all of them whether there is room or not, and says whether there is room
    /// for more.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write), but for [`Error::Again`].
    pub fn push(&self, bytes: Bytes) -> Result<Room, Error> {
        self.check_begun()?;
        self.outgoing.push(bytes)
    }

    /// Ends the response, or this direction of a switched connection.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write), but for [`Error::Again`].
    pub fn end_response(&self, trailers: Option<HeaderMap>) -> Result<(), Error> {
        self.check_begun()?;
        self.outgoing.end(trailers)
    }

    /// Gives up: a response that has not begun is a 500, one that has ends early, which the client sees.
    pub fn cancel(&self) {
        drop(lock(&self.answer).take());
        self.outgoing.cancel();
    }

    /// The program lets go of it and hears no more of it. What was ended is sent; what was not is cancelled.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.cancel();
        lock(&self.incoming).leave();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// The number that it is called by, made the first time.
    pub(crate) fn name(&self, make: impl FnOnce() -> u64) -> u64 {
        *self.name.get_or_init(make)
    }

    pub(crate) fn tell(self: &Arc<Self>, kind: EventKind) {
        if !self.is_closed() {
            self.events.about(self, kind);
        }
    }

    /// The library has let go of it.
    pub(crate) fn end(self: &Arc<Self>) {
        let whole = self.outgoing.leave();
        if !self.over.swap(true, Ordering::AcqRel) {
            lock(&self.incoming).leave();
            self.tell(EventKind::Ended { whole });
        }
    }

    pub(crate) fn outgoing(&self) -> &Arc<Outgoing> {
        &self.outgoing
    }

    pub(crate) fn incoming(&self) -> MutexGuard<'_, Incoming> {
        lock(&self.incoming)
    }

    fn switch(&self, head: Head) -> Result<(), Error> {
        let Some(upgrade) = lock(&self.upgrade).take() else {
            return Err(Error::State("the request asks for no other protocol"));
        };
        lock(&self.incoming).expect_stream();
        self.answer(head, AnswerBody::Switched(upgrade))
    }

    fn answer(&self, head: Head, body: AnswerBody) -> Result<(), Error> {
        answer_with(self.take_answer()?, head, body)
    }

    fn take_answer(&self) -> Result<oneshot::Sender<Answer>, Error> {
        if self.over.load(Ordering::Acquire) {
            return Err(Error::Gone);
        }
        lock(&self.answer)
            .take()
            .ok_or(Error::State("the response has been begun already"))
    }

    fn check_begun(&self) -> Result<(), Error> {
        match *lock(&self.answer) {
            Some(_) if self.over.load(Ordering::Acquire) => Err(Error::Gone),
            Some(_) => Err(Error::State("the response has not been begun")),
            None => Ok(()),
        }
    }
}

fn answer_with(answer: oneshot::Sender<Answer>, head: Head, body: AnswerBody) -> Result<(), Error> {
    let given = answer.send(Answer { head, body });
    given.map_err(|_ungiven| Error::Gone)
}

/// Tells the program that it can read.
struct Readable(std::sync::Weak<Exchange>);

impl Wake for Readable {
    fn wake(self: Arc<Self>) {
        if let Some(exchange) = self.0.upgrade() {
            exchange.tell(EventKind::Readable);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
