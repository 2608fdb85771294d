//! The queue, and the exchanges that the program has not let go of, by number.

use std::cell::RefCell;
use std::fs::File;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use napi::bindgen_prelude::{Array, Buffer, Either4, Function, Null, Uint8Array, Undefined};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Status};
use napi_derive::napi;
use ostler_target::{RequestQueue, RequestQueueMode, Verbosity503};
use ostler_target_c::{Error, Event, EventKind, Exchange, Notice, Queue, Room};
use slab::Slab;

use crate::head;

/// How a queue is opened; what is left out has its default.
#[napi(object)]
pub struct QueueOptions {
    /// Its name.
    pub queue: String,
    /// URL prefixes.
    pub url_prefixes: Option<Vec<String>>,
    /// `create`, `attach` or `create-or-attach`.
    pub mode: Option<String>,
    /// A text for people.
    pub label: Option<String>,
    /// The runtime folder.
    pub runtime_folder: Option<String>,
    /// Most requests that may wait.
    pub limit: Option<u32>,
    /// `basic`, `limited` or `full`.
    pub verbosity: Option<String>,
    /// How long a request may wait, in milliseconds.
    pub wait_timeout: Option<u32>,
    /// Whether the queue stays after a clean stop.
    pub keep_queue: Option<bool>,
}

/// A queue that is open.
#[napi(js_name = "Queue")]
pub struct OpenQueue {
    queue: Queue,
    exchanges: RefCell<Slab<Arc<Exchange>>>,
}

/// Numbers of events in what [`OpenQueue::take`] returns.
mod kinds {
    pub(super) const REQUEST: u32 = 1;
    pub(super) const READABLE: u32 = 2;
    pub(super) const WRITABLE: u32 = 3;
    pub(super) const ENDED_WHOLE: u32 = 4;
    pub(super) const ENDED_EARLY: u32 = 5;
    pub(super) const STOPPED: u32 = 6;
    pub(super) const FAILED: u32 = 7;
}

/// Most events that are taken at a time: Node's other work gets its turn.
const BATCH: usize = 64;

/// Tells Node's thread that there are events.
struct Told(ThreadsafeFunction<(), (), (), Status, false, true>);

impl Notice for Told {
    fn raise(&self) {
        // Refused only while the process ends.
        let _ = self.0.call((), ThreadsafeFunctionCallMode::NonBlocking);
    }

    fn lower(&self) {}
}

#[napi]
impl OpenQueue {
    /// Opens it.
    #[napi(constructor)]
    pub fn new(options: QueueOptions) -> napi::Result<Self> {
        let mut builder = RequestQueue::builder(options.queue);
        for prefix in options.url_prefixes.unwrap_or_default() {
            builder = builder.url_prefix(prefix);
        }
        builder = builder.mode(match options.mode.as_deref() {
            Some("create") => RequestQueueMode::Create,
            Some("attach") => RequestQueueMode::Attach,
            Some("create-or-attach") | None => RequestQueueMode::CreateOrAttach,
            Some(other) => return Err(refused(format!("there is no mode {other:?}"))),
        });
        builder = builder.verbosity(match options.verbosity.as_deref() {
            Some("basic") | None => Verbosity503::Basic,
            Some("limited") => Verbosity503::Limited,
            Some("full") => Verbosity503::Full,
            Some(other) => return Err(refused(format!("there is no verbosity {other:?}"))),
        });
        if let Some(label) = options.label {
            builder = builder.label(label);
        }
        if let Some(folder) = options.runtime_folder {
            builder = builder.runtime_folder(folder);
        }
        if let Some(limit) = options.limit {
            builder = builder.limit(limit);
        }
        if let Some(milliseconds) = options.wait_timeout {
            builder = builder.wait_timeout(Duration::from_millis(milliseconds.into()));
        }
        builder = builder.keep_queue(options.keep_queue.unwrap_or_default());
        Ok(Self {
            queue: Queue::open(builder).map_err(failed)?,
            exchanges: RefCell::default(),
        })
    }

    /// Serves it from now on; `notice` is called when there are events.
    #[napi]
    pub fn serve(&self, notice: Function<'_, (), ()>) -> napi::Result<()> {
        let told = notice.build_threadsafe_function().weak::<true>().build()?;
        self.queue
            .serve_on_a_thread(Box::new(Told(told)))
            .map_err(failed)
    }

    /// Events, three elements each: kind, exchange, and a request's head. There may be more when 64 are returned.
    #[napi]
    pub fn take<'env>(&self, env: &'env Env) -> napi::Result<Array<'env>> {
        let mut all = env.create_array(0)?;
        for _ in 0..BATCH {
            let Some(event) = self.queue.take() else {
                break;
            };
            let (kind, exchange) = self.number(&event);
            all.insert(kind)?;
            all.insert(exchange)?;
            match &event.exchange {
                Some(exchange) if kind == kinds::REQUEST => {
                    all.insert(env.create_string_latin1(head::request_text(exchange))?)?;
                }
                _ => all.insert(Undefined::default())?,
            }
        }
        Ok(all)
    }

    fn number(&self, event: &Event) -> (u32, u32) {
        let kind = match event.kind {
            EventKind::Request => kinds::REQUEST,
            EventKind::Readable => kinds::READABLE,
            EventKind::Writable => kinds::WRITABLE,
            EventKind::Ended { whole: true } => kinds::ENDED_WHOLE,
            EventKind::Ended { whole: false } => kinds::ENDED_EARLY,
            EventKind::Stopped { failed: false } => kinds::STOPPED,
            EventKind::Stopped { failed: true } => kinds::FAILED,
        };
        let Some(exchange) = &event.exchange else {
            return (kind, 0);
        };
        if event.kind == EventKind::Request {
            let at = self.exchanges.borrow_mut().insert(Arc::clone(exchange));
            exchange.set_tag(at as u64 + 1);
        }
        // What is about an exchange that was let go of is about none: its number may be another's by now.
        let at = exchange.tag().wrapping_sub(1) as usize;
        let exchanges = self.exchanges.borrow();
        let known = exchanges
            .get(at)
            .is_some_and(|known| Arc::ptr_eq(known, exchange));
        (kind, if known { at as u32 + 1 } else { 0 })
    }

    fn exchange(&self, number: u32) -> Result<Arc<Exchange>, Error> {
        let exchanges = self.exchanges.borrow();
        let exchange = exchanges.get((number as usize).wrapping_sub(1));
        exchange.cloned().ok_or(Error::Gone)
    }

    /// Bytes of the body or of a switched connection; null is the end, undefined that there are none now, a
    /// number an error.
    #[napi]
    pub fn read(&self, exchange: u32) -> Either4<Buffer, Null, Undefined, i32> {
        match self
            .exchange(exchange)
            .and_then(|exchange| exchange.read_piece())
        {
            Ok(Some(piece)) => Either4::A(Vec::from(piece).into()),
            Ok(None) => Either4::B(Null),
            Err(Error::Again) => Either4::C(()),
            Err(error) => Either4::D(error.code()),
        }
    }

    /// The fields behind a body that has been read.
    #[napi]
    pub fn trailers(&self, exchange: u32) -> Buffer {
        let trailers = self
            .exchange(exchange)
            .ok()
            .and_then(|exchange| exchange.trailers());
        head::fields_text(&trailers.unwrap_or_default()).into()
    }

    /// Gives a whole response.
    #[napi]
    pub fn send(
        &self,
        exchange: u32,
        status: u32,
        fields: Uint8Array,
        body: Uint8Array,
    ) -> napi::Result<i32> {
        let head = head::head(status, &fields).map_err(refused)?;
        let body = Bytes::copy_from_slice(&body);
        Ok(done(
            self.exchange(exchange)
                .and_then(|exchange| exchange.send(head, body)),
        ))
    }

    /// Gives a response that is a file.
    #[napi]
    pub fn send_file(
        &self,
        exchange: u32,
        status: u32,
        fields: Uint8Array,
        descriptor: i32,
        part: Option<Vec<i64>>,
    ) -> napi::Result<i32> {
        let head = head::head(status, &fields).map_err(refused)?;
        let file = file(descriptor)?;
        let part = part.unwrap_or_default();
        let number = |at: usize| part.get(at).map(|number| number.cast_unsigned());
        let (offset, length) = (number(0).unwrap_or(0), number(1));
        let sent = self
            .exchange(exchange)
            .and_then(|exchange| exchange.send_file(head, file, offset, length));
        match sent {
            Err(Error::Io(error)) => Err(refused(error.to_string())),
            sent => Ok(done(sent)),
        }
    }

    /// Begins a response, or with a status of 101 another protocol.
    #[napi]
    pub fn start(&self, exchange: u32, status: u32, fields: Uint8Array) -> napi::Result<i32> {
        let head = head::head(status, &fields).map_err(refused)?;
        Ok(done(
            self.exchange(exchange)
                .and_then(|exchange| exchange.start(head)),
        ))
    }

    /// Gives bytes: 1 when there is room for more, 0 when there is none, or an error.
    #[napi]
    pub fn write(&self, exchange: u32, bytes: Uint8Array) -> i32 {
        let bytes = Bytes::copy_from_slice(&bytes);
        match self
            .exchange(exchange)
            .and_then(|exchange| exchange.push(bytes))
        {
            Ok(Room::Left) => 1,
            Ok(Room::None) => 0,
            Err(error) => error.code(),
        }
    }

    /// Ends a response, with these trailers.
    #[napi]
    pub fn end(&self, exchange: u32, trailers: Uint8Array) -> napi::Result<i32> {
        let trailers = head::fields_of(&trailers).map_err(refused)?;
        let exchange = self.exchange(exchange);
        Ok(done(exchange.and_then(|exchange| {
            exchange.end_response(Some(trailers))
        })))
    }

    /// Lets go of an exchange: what was ended is sent, what was not is cancelled.
    #[napi]
    pub fn close(&self, exchange: u32) {
        let at = (exchange as usize).wrapping_sub(1);
        let held = self.exchanges.borrow_mut().try_remove(at);
        if let Some(exchange) = held {
            exchange.close();
        }
    }

    /// Takes no new requests; an event tells when all others are answered.
    #[napi]
    pub fn stop(&self) {
        self.queue.stop();
    }

    /// Ends it at once.
    #[napi]
    pub fn destroy(&self) {
        // It is never served by Node's thread, so this cannot be refused.
        let _ = self.queue.close();
    }
}

fn refused(text: impl Into<String>) -> napi::Error {
    napi::Error::new(Status::InvalidArg, text.into())
}

fn failed(error: Error) -> napi::Error {
    napi::Error::new(Status::GenericFailure, error.to_string())
}

fn done(result: Result<(), Error>) -> i32 {
    result.map_or_else(|error| error.code(), |()| 0)
}

/// A descriptor of our own for a file that the program has open.
fn file(descriptor: i32) -> napi::Result<File> {
    if descriptor < 0 {
        return Err(refused(format!("{descriptor} is no descriptor")));
    }
    // SAFETY: it is not -1, and borrowed for the call below alone, which finds out whether it is one.
    let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor) };
    let own = descriptor.try_clone_to_owned();
    own.map(File::from)
        .map_err(|error| refused(error.to_string()))
}
