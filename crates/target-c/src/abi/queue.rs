//! Queues as C sees them.

use std::ffi::{c_char, c_void};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ostler_target::{Builder, RequestQueue, RequestQueueMode, Verbosity503};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::abi::codes::guard_small;
use crate::abi::event::EventRecord;
use crate::abi::open_queue::OpenQueue;
use crate::abi::{handles, memory};
use crate::error::Error;
use crate::queue::Queue;

/// An open request queue; see `ostler_queue_open`.
pub type QueueHandle = u64;

/// What is called for each event; see `ostler_queue_run`.
pub type Callback = Option<extern "C" fn(event: *const EventRecord, context: *mut c_void)>;

/// Whether to make a queue, to join it, or either.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub enum Mode {
    /// Makes it; an error where another instance has it.
    Create = 0,
    /// Joins it; an error where there is none.
    Attach = 1,
    /// Either.
    CreateOrAttach = 2,
}

/// What a client sees when the queue is full.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub enum Verbosity {
    /// A reset.
    Basic = 0,
    /// 503.
    Limited = 1,
    /// 503, with the reason.
    Full = 2,
}

/// How a queue is opened. `OSTLER_QUEUE_OPTIONS_INIT` sets `size`, and all others to 0 or NULL, which stands for the
/// default. Everything it points to is the caller's, and needed during the call alone.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct QueueOptions {
    /// `sizeof(ostler_queue_options)`.
    pub size: usize,
    /// The queue's name, 1 to 260 characters, compared without case.
    pub name: *const c_char,
    /// URL prefixes: `http://*:80/` where there are none.
    pub url_prefixes: *const *const c_char,
    /// How many.
    pub url_prefix_count: usize,
    /// A text for people; the program's name by default.
    pub label: *const c_char,
    /// The runtime folder, by default the one that `$OSTLER_RUNTIME_DIR` or the system says.
    pub runtime_folder: *const c_char,
    /// One of `OSTLER_MODE_...`.
    pub mode: u32,
    /// One of `OSTLER_VERBOSITY_...`.
    pub verbosity: u32,
    /// Most requests that may wait; 1000 by default.
    pub limit: u32,
    /// Permissions of the queue's folder; 0750 by default.
    pub permissions: u32,
    /// How long a request may wait, in milliseconds; 120000 by default, as those that follow.
    pub wait_timeout_ms: u32,
    /// How long a client may send no byte of a body.
    pub body_timeout_ms: u32,
    /// How long the rest of an unread body may take.
    pub drain_timeout_ms: u32,
    /// How long a client may take no byte of a response.
    pub send_timeout_ms: u32,
    /// Not 0: the queue stays after a clean stop, so that requests wait for the next instance.
    pub keep_queue: u32,
    /// Always 0.
    pub reserved: u32,
}

impl QueueOptions {
    const DEFAULT: Self = Self {
        size: size_of::<Self>(),
        name: ptr::null(),
        url_prefixes: ptr::null(),
        url_prefix_count: 0,
        label: ptr::null(),
        runtime_folder: ptr::null(),
        mode: 0,
        verbosity: 0,
        limit: 0,
        permissions: 0,
        wait_timeout_ms: 0,
        body_timeout_ms: 0,
        drain_timeout_ms: 0,
        send_timeout_ms: 0,
        keep_queue: 0,
        reserved: 0,
    };
}

/// Opens a request queue, and gives its handle. It is served from `ostler_queue_descriptor` or
/// `ostler_queue_run` on; until then requests wait in the fronts. A process that forks opens its queues after
/// that.
///
/// Returns 0, or an error: OSTLER_ERROR_EXISTS, OSTLER_ERROR_NOT_FOUND, OSTLER_ERROR_ACCESS, OSTLER_ERROR_ARGUMENT,
/// OSTLER_ERROR_SYSTEM. Any thread may call.
///
/// # Safety
///
/// Pointers are NULL or point to what their types say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_queue_open(
    options: *const QueueOptions,
    queue: *mut QueueHandle,
) -> i32 {
    guard_small(|| {
        // SAFETY: the caller's promise.
        let builder = unsafe { builder(options) }?;
        let open = Queue::open(builder)?;
        let handle = handles::hold_queue(Arc::new(OpenQueue::new(open)));
        // SAFETY: the caller's promise.
        let given = unsafe { memory::give(queue, handle, "the place for the queue") };
        if given.is_err() {
            handles::release_queue(handle);
        }
        given.map(|()| 0)
    })
}

/// # Safety
///
/// As [`ostler_queue_open`].
unsafe fn builder(options: *const QueueOptions) -> Result<Builder, Error> {
    // SAFETY: the caller's promise; numbers and pointers are valid of any bytes.
    let options = unsafe { memory::sized(options, QueueOptions::DEFAULT, "the options") }?;
    // SAFETY: the caller's promise.
    let name = unsafe { memory::text(options.name, "the queue's name") }?;
    let name = name.ok_or_else(|| Error::Argument("the queue's name is NULL".to_owned()))?;
    let mut builder = RequestQueue::builder(name)
        .mode(mode(options.mode)?)
        .verbosity(verbosity(options.verbosity)?)
        .keep_queue(options.keep_queue != 0);
    let (prefixes, count) = (options.url_prefixes, options.url_prefix_count);
    // SAFETY: the caller's promise.
    for prefix in unsafe { memory::values(prefixes, count, "the array of prefixes") }? {
        // SAFETY: the caller's promise.
        let prefix = unsafe { memory::text(*prefix, "a URL prefix") }?;
        let none = || Error::Argument("a URL prefix is NULL".to_owned());
        builder = builder.url_prefix(prefix.ok_or_else(none)?);
    }
    // SAFETY: the caller's promise.
    if let Some(label) = unsafe { memory::text(options.label, "the label") }? {
        builder = builder.label(label);
    }
    // SAFETY: the caller's promise.
    if let Some(folder) = unsafe { memory::text(options.runtime_folder, "the runtime folder") }? {
        builder = builder.runtime_folder(folder);
    }
    Ok(with_numbers(builder, &options))
}

fn with_numbers(mut builder: Builder, options: &QueueOptions) -> Builder {
    let given = |number: u32| (number != 0).then_some(number);
    let time = |milliseconds: u32| given(milliseconds).map(|ms| Duration::from_millis(ms.into()));
    if let Some(limit) = given(options.limit) {
        builder = builder.limit(limit);
    }
    if let Some(permissions) = given(options.permissions) {
        builder = builder.permissions(permissions);
    }
    if let Some(time) = time(options.wait_timeout_ms) {
        builder = builder.wait_timeout(time);
    }
    if let Some(time) = time(options.body_timeout_ms) {
        builder = builder.body_timeout(time);
    }
    if let Some(time) = time(options.drain_timeout_ms) {
        builder = builder.drain_timeout(time);
    }
    if let Some(time) = time(options.send_timeout_ms) {
        builder = builder.send_timeout(time);
    }
    builder
}

fn mode(number: u32) -> Result<RequestQueueMode, Error> {
    match number {
        0 => Ok(RequestQueueMode::Create),
        1 => Ok(RequestQueueMode::Attach),
        2 => Ok(RequestQueueMode::CreateOrAttach),
        _ => Err(Error::Argument(format!("there is no mode {number}"))),
    }
}

fn verbosity(number: u32) -> Result<Verbosity503, Error> {
    match number {
        0 => Ok(Verbosity503::Basic),
        1 => Ok(Verbosity503::Limited),
        2 => Ok(Verbosity503::Full),
        _ => Err(Error::Argument(format!("there is no verbosity {number}"))),
    }
}

/// Registers a further URL prefix. Returns 0, or an error: OSTLER_ERROR_EXISTS, OSTLER_ERROR_ARGUMENT. Any thread
/// may call.
///
/// # Safety
///
/// The prefix is NULL or a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_queue_add_url_prefix(
    queue: QueueHandle,
    prefix: *const c_char,
) -> i32 {
    guard_small(|| {
        let open = handles::queue(queue)?;
        // SAFETY: the caller's promise.
        let prefix = unsafe { memory::text(prefix, "the URL prefix") }?.unwrap_or_default();
        open.queue.handle().add_url_prefix(prefix)?;
        Ok(0)
    })
}

/// Removes a URL prefix. Returns 1 when it was registered, 0 when it was not, or an error. Any thread may call.
///
/// # Safety
///
/// The prefix is NULL or a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_queue_remove_url_prefix(
    queue: QueueHandle,
    prefix: *const c_char,
) -> i32 {
    guard_small(|| {
        let open = handles::queue(queue)?;
        // SAFETY: the caller's promise.
        let prefix = unsafe { memory::text(prefix, "the URL prefix") }?.unwrap_or_default();
        Ok(open.queue.handle().remove_url_prefix(prefix)?.into())
    })
}

/// Has the queue served by a thread of the library's, the first time, and returns a descriptor that is readable while
/// `ostler_queue_take` has events: for poll(2), epoll(7) and their kin, level-triggered or edge-triggered (take until
/// there are none). It is the library's: it is neither read nor closed by the program, and stays until
/// `ostler_queue_close`.
///
/// Returns the descriptor, or an error: OSTLER_ERROR_STATE after `ostler_queue_run`. Any thread may call.
#[unsafe(no_mangle)]
pub extern "C" fn ostler_queue_descriptor(queue: QueueHandle) -> i32 {
    guard_small(|| Ok(handles::queue(queue)?.descriptor()?.as_raw_fd()))
}

/// Takes the next event, without waiting. Returns 1 when there was one, 0 when there is none now, or an error. Any
/// thread may call, several at once: each event goes to one of them.
///
/// # Safety
///
/// There is room for an event, or it is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_queue_take(queue: QueueHandle, event: *mut EventRecord) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { ostler_queue_wait(queue, event, 0) }
}

/// Takes the next event, and waits for it: so many milliseconds, or for ever where they are negative. Returns 1
/// when there was one, 0 when the time is over or a signal came, or an error. Any thread may call, several at once.
///
/// # Safety
///
/// There is room for an event, or it is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_queue_wait(
    queue: QueueHandle,
    event: *mut EventRecord,
    timeout_ms: i32,
) -> i32 {
    guard_small(|| {
        if event.is_null() {
            return Err(Error::Argument(
                "the place for the event is NULL".to_owned(),
            ));
        }
        let open = handles::queue(queue)?;
        let descriptor = open.descriptor()?;
        let limit = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
        let begun = now();
        loop {
            if let Some(record) = next_event(&open.queue, queue) {
                // SAFETY: the caller's promise.
                unsafe { memory::give(event, record, "the place for the event") }?;
                return Ok(1);
            }
            let left = limit.map(|limit| limit.saturating_sub(now() - begun));
            if left.is_some_and(|left| left.is_zero()) || !wait_for(descriptor, left)? {
                return Ok(0);
            }
        }
    })
}

#[expect(clippy::disallowed_methods, reason = "the caller's time is real")]
fn now() -> Instant {
    Instant::now()
}

/// False when the time is over or a signal has come.
fn wait_for(descriptor: &OwnedFd, limit: Option<Duration>) -> Result<bool, Error> {
    let limit = limit.map(|limit| Timespec {
        tv_sec: limit.as_secs().cast_signed(),
        tv_nsec: limit.subsec_nanos().into(),
    });
    let mut polled = [PollFd::from_borrowed_fd(descriptor.as_fd(), PollFlags::IN)];
    match poll(&mut polled, limit.as_ref()) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(std::io::Error::from(error).into()),
    }
}

/// Serves the queue on the calling thread, and calls `callback` for each event, on this thread, until the queue was
/// stopped and everything is answered; its last event is OSTLER_EVENT_STOPPED. A request that the callback answers at
/// once goes out without waking any thread, so this is the cheapest way to serve. While the callback runs, nothing
/// else is served: it must not wait, and may hand the exchange to another thread. The event is valid during the call.
/// Neither an exception nor longjmp may leave the callback. Switched connections end when this returns.
///
/// Returns 0, or an error: OSTLER_ERROR_STATE where the queue is served already.
///
/// # Safety
///
/// The callback, and what it makes of the context, are the caller's responsibility.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_queue_run(
    queue: QueueHandle,
    callback: Callback,
    context: *mut c_void,
) -> i32 {
    guard_small(|| {
        let open = handles::queue(queue)?;
        let none = || Error::Argument("the callback is NULL".to_owned());
        let callback = callback.ok_or_else(none)?;
        // It is used on this thread alone, where it came from.
        let context = context.expose_provenance();
        open.queue.serve_here(move |event| {
            if let Some(record) = EventRecord::of(&event, queue) {
                callback(&raw const record, ptr::with_exposed_provenance_mut(context));
            }
        })?;
        Ok(0)
    })
}

/// Takes no new requests: those that the program was not given go to other instances, or wait in the fronts for the next
/// one. OSTLER_EVENT_STOPPED follows once all others are answered. Returns 0, or an error. Any thread may call, and
/// the callback; a signal handler must not.
#[unsafe(no_mangle)]
pub extern "C" fn ostler_queue_stop(queue: QueueHandle) -> i32 {
    guard_small(|| {
        handles::queue(queue)?.queue.stop();
        Ok(0)
    })
}

/// Closes the queue at once. Exchanges that are not over are cut off, and their handles closed with the queue's: what
/// they point to is gone. `ostler_queue_stop`, and OSTLER_EVENT_STOPPED, go before it where nothing is to be cut.
///
/// Returns 0, or an error: OSTLER_ERROR_STATE while `ostler_queue_run` has not returned. Any thread may call, while
/// no other is in a call about this queue or its exchanges.
#[unsafe(no_mangle)]
pub extern "C" fn ostler_queue_close(queue: QueueHandle) -> i32 {
    guard_small(|| {
        let open = handles::queue(queue)?;
        open.queue.close()?;
        for exchange in handles::release_queue(queue) {
            exchange.close();
        }
        Ok(0)
    })
}

/// The next event that the program is to be told.
fn next_event(queue: &Queue, handle: QueueHandle) -> Option<EventRecord> {
    loop {
        let event = queue.take()?;
        if let Some(record) = EventRecord::of(&event, handle) {
            return Some(record);
        }
    }
}
