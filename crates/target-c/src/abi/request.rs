//! Requests as C sees them.

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;

use http::{HeaderMap, Version, header};
use ostler_target::{Arrival, RequestInfo};

use crate::abi::codes::{guard, guard_small};
use crate::abi::event::ExchangeHandle;
use crate::abi::held_exchange::{Fields, View};
use crate::abi::memory::Field;
use crate::abi::{handles, memory};
use crate::error::Error;
use crate::exchange::Exchange;

/// How a request reached this process.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub enum Way {
    /// The client's own socket was handed over.
    Delegated = 1,
    /// The front passes the bytes on over a socket.
    Relayed = 2,
    /// The front passes the bytes on through memory that it shares with this process.
    Streamed = 3,
}

/// A request's head and what is known beyond it. What it points to is the exchange's, and stays until
/// `ostler_exchange_close`. Times are nanoseconds of CLOCK_MONOTONIC; 0 is unknown.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct RequestRecord {
    /// `sizeof(ostler_request)`, set by the program.
    pub size: usize,
    /// The method; ends with a zero.
    pub method: *const c_char,
    /// The request-target as the front has it; ends with a zero.
    pub target: *const c_char,
    /// The fields in the order in which their names came first; those of one name stand together.
    pub fields: *const Field,
    /// How many.
    pub field_count: usize,
    /// The client's address and port, as text: `192.0.2.7:4711`, `[2001:db8::7]:4711`; NULL for a request that no
    /// client has sent, as a front's health check.
    pub client_address: *const c_char,
    /// The address and port that the client connected to; NULL as before.
    pub local_address: *const c_char,
    /// The host that the client asked for in its TLS handshake; NULL without any.
    pub server_name: *const c_char,
    /// The TLS version as TLS writes it, 0x0303 or 0x0304; 0 is clear text.
    pub tls_version: u32,
    /// HTTP's version as major * 10 + minor: 10, 11, 20.
    pub http_version: u32,
    /// One of `OSTLER_WAY_...`.
    pub way: u32,
    /// 1 when the request asks for another protocol, so that 101 may answer it.
    pub wants_upgrade: u32,
    /// The body's length; -1 when it is not known before its end.
    pub content_length: i64,
    /// When the connection was accepted.
    pub connection_started_ns: u64,
    /// When the front had the whole head.
    pub head_received_ns: u64,
    /// When the front queued the request.
    pub queued_ns: u64,
    /// When this process took it.
    pub received_ns: u64,
}

fn record(view: &View, exchange: &Exchange) -> RequestRecord {
    let info = exchange.info();
    let pointer = |text: &Option<CString>| text.as_deref().map_or(ptr::null(), CStr::as_ptr);
    let time = |of: fn(&RequestInfo) -> u64| info.map_or(0, of);
    let way = match info.map(RequestInfo::arrival) {
        Some(Arrival::Delegated) => Way::Delegated,
        Some(Arrival::Streamed) => Way::Streamed,
        _ => Way::Relayed,
    };
    RequestRecord {
        size: size_of::<RequestRecord>(),
        method: view.method.as_ptr(),
        target: view.target.as_ptr(),
        fields: view.fields.0.as_ptr(),
        field_count: view.fields.0.len(),
        client_address: pointer(&view.client),
        local_address: pointer(&view.local),
        server_name: pointer(&view.server_name),
        tls_version: info
            .and_then(RequestInfo::tls)
            .map_or(0, |tls| tls.version().into()),
        http_version: version(exchange.request().version),
        way: way as u32,
        wants_upgrade: exchange.wants_upgrade().into(),
        content_length: content_length(&exchange.request().headers),
        connection_started_ns: time(RequestInfo::connection_started_ns),
        head_received_ns: time(RequestInfo::head_received_ns),
        queued_ns: time(RequestInfo::queued_ns),
        received_ns: time(RequestInfo::received_ns),
    }
}

fn version(version: Version) -> u32 {
    match version {
        Version::HTTP_10 => 10,
        Version::HTTP_2 => 20,
        Version::HTTP_3 => 30,
        _ => 11,
    }
}

/// The front has refused lengths that are none: without one, a body is chunked, or there is none.
fn content_length(fields: &HeaderMap) -> i64 {
    if fields.contains_key(header::TRANSFER_ENCODING) {
        return -1;
    }
    let stated = fields.get(header::CONTENT_LENGTH);
    let stated = stated.and_then(|value| value.to_str().ok()?.parse().ok());
    stated.unwrap_or(0)
}

/// Gives a request's head, and what is known beyond it. The structure's `size` is set before. Returns 0, or an error.
/// Any thread may call.
///
/// # Safety
///
/// The structure is NULL, or has as many bytes as its `size` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_exchange_request(
    exchange: ExchangeHandle,
    request: *mut RequestRecord,
) -> i32 {
    guard_small(|| {
        let held = handles::exchange(exchange)?;
        let view = held.request.get_or_init(|| View::of(&held.exchange));
        let record = record(view, &held.exchange);
        // SAFETY: the caller's promise; every field is a number or a pointer.
        unsafe { memory::give_sized(request, &record, "the request") }?;
        Ok(0)
    })
}

/// Sets what events of this exchange carry as `data`. It is the program's: the library neither reads nor frees it.
/// Returns 0, or an error. Any thread may call.
#[unsafe(no_mangle)]
pub extern "C" fn ostler_exchange_set_data(exchange: ExchangeHandle, data: *mut c_void) -> i32 {
    let data = data.expose_provenance() as u64;
    guard_small(|| {
        handles::exchange(exchange)?.exchange.set_tag(data);
        Ok(0)
    })
}

/// Reads bytes of the request's body, as its framing says and without it; once the protocol was switched, bytes of
/// the connection. The first read tells a client that waits for it (`Expect: 100-continue`) to send the body. Bytes
/// leave the kernel only as they are read, so a program that reads slowly holds the client back.
///
/// Returns how many bytes it has put into the buffer, 0 at the end, or an error: OSTLER_ERROR_AGAIN, and
/// OSTLER_EVENT_READABLE follows; OSTLER_ERROR_GONE, OSTLER_ERROR_MALFORMED, OSTLER_ERROR_TOO_LARGE,
/// OSTLER_ERROR_TOO_SLOW. Any thread may call.
///
/// # Safety
///
/// The buffer has room for so many bytes, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_request_read(
    exchange: ExchangeHandle,
    buffer: *mut c_void,
    length: usize,
) -> i64 {
    guard(|| {
        let held = handles::exchange(exchange)?;
        // SAFETY: the caller's promise.
        let buffer = unsafe { memory::room(buffer, length) }?;
        Ok(held.exchange.read(buffer)?.try_into().unwrap_or(i64::MAX))
    })
}

/// Gives the trailer fields of a request whose body has been read to its end. They are the exchange's, and stay until
/// `ostler_exchange_close`. Returns how many there are, or an error: OSTLER_ERROR_STATE before the end. Any thread may
/// call.
///
/// # Safety
///
/// There is room for a pointer, or it is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_request_trailers(
    exchange: ExchangeHandle,
    fields: *mut *const Field,
) -> i64 {
    guard(|| {
        let held = handles::exchange(exchange)?;
        if held.trailers.get().is_none() {
            let trailers = held.exchange.trailers();
            let trailers = trailers.ok_or(Error::State("the body has not been read to its end"))?;
            // The names and values of a map stay where they are when the map moves.
            let view = Fields::of(&trailers);
            let _ = held.trailers.set((trailers, view));
        }
        let all = held.trailers.get().map_or(&[][..], |(_, view)| &view.0);
        // SAFETY: the caller's promise.
        unsafe { memory::give(fields, all.as_ptr(), "the place for the trailers") }?;
        Ok(all.len().try_into().unwrap_or(i64::MAX))
    })
}

/// Closes an exchange: the handle stands for nothing any more, and neither does what was given of it. A response that
/// was ended is sent, however long that takes; one that was not is cancelled, and so is a switched connection. Each
/// exchange that a program was given is closed by it once, whatever became of it. Returns 0, or OSTLER_ERROR_HANDLE.
/// Any thread may call, while no other uses what was given of it.
#[unsafe(no_mangle)]
pub extern "C" fn ostler_exchange_close(exchange: ExchangeHandle) -> i32 {
    guard_small(|| {
        handles::release_exchange(exchange)?.close();
        Ok(0)
    })
}

/// Gives up: a client that was not answered gets a 500; a response that was begun ends early, and the connection with
/// it, so that the client sees that it is not whole. After the response's end this does nothing. Returns 0, or
/// OSTLER_ERROR_HANDLE. Any thread may call.
#[unsafe(no_mangle)]
pub extern "C" fn ostler_exchange_cancel(exchange: ExchangeHandle) -> i32 {
    guard_small(|| {
        handles::exchange(exchange)?.exchange.cancel();
        Ok(0)
    })
}
