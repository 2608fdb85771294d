//! Responses as C gives them.

use std::ffi::c_void;

use bytes::Bytes;
use http::StatusCode;

use crate::abi::codes::{guard, guard_small};
use crate::abi::event::ExchangeHandle;
use crate::abi::memory::Field;
use crate::abi::{handles, memory};
use crate::error::Error;
use crate::exchange::Head;

/// # Safety
///
/// As [`memory::fields`].
unsafe fn head(status: u32, fields: *const Field, count: usize) -> Result<Head, Error> {
    let status = u16::try_from(status).ok();
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    let status = status.ok_or_else(|| Error::Argument("a status has three digits".to_owned()))?;
    // SAFETY: the caller's promise.
    let fields = unsafe { memory::fields(fields, count) }?;
    Ok(Head { status, fields })
}

/// Gives a whole response. Status, fields and body are copied. The library frames it: it writes Content-Length, Date
/// and Connection, and keeps `Connection: close` and a Date that are given. This is the cheapest way to answer: head
/// and body go out in one call.
///
/// Returns 0, or an error: OSTLER_ERROR_ARGUMENT, and nothing has happened; OSTLER_ERROR_STATE where a response was
/// begun; OSTLER_ERROR_GONE. Any thread may call.
///
/// # Safety
///
/// `fields` are so many, and `body` has so many bytes; each may be NULL where that is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_response_send(
    exchange: ExchangeHandle,
    status: u32,
    fields: *const Field,
    field_count: usize,
    body: *const c_void,
    body_length: usize,
) -> i32 {
    guard_small(|| {
        let held = handles::exchange(exchange)?;
        // SAFETY: the caller's promise.
        let head = unsafe { head(status, fields, field_count) }?;
        // SAFETY: the caller's promise.
        let body = unsafe { memory::values(body.cast::<u8>(), body_length, "the body") }?;
        held.exchange.send(head, Bytes::copy_from_slice(body))?;
        Ok(0)
    })
}

/// Gives a response whose body is a file, or a part of it: from `offset` on, `length` bytes, or all there are where
/// that is UINT64_MAX. The kernel takes it to the client where it can. The library answers a `Range` of one part: with
/// status 200 it may send 206 or 416 in its place, and it compares `If-Range` with the `ETag` or `Last-Modified` among the
/// fields. The descriptor, of a regular file open for reading, stays the program's, which may close it when this
/// returns; its position is neither used nor moved.
///
/// Returns 0, or an error, as `ostler_response_send`; OSTLER_ERROR_SYSTEM where the file cannot be sent. Any thread
/// may call.
///
/// # Safety
///
/// `fields` are so many, or NULL where that is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_response_send_file(
    exchange: ExchangeHandle,
    status: u32,
    fields: *const Field,
    field_count: usize,
    descriptor: i32,
    offset: u64,
    length: u64,
) -> i32 {
    guard_small(|| {
        let held = handles::exchange(exchange)?;
        // SAFETY: the caller's promise.
        let head = unsafe { head(status, fields, field_count) }?;
        let file = memory::file(descriptor)?;
        let length = (length != u64::MAX).then_some(length);
        held.exchange.send_file(head, file, offset, length)?;
        Ok(0)
    })
}

/// Begins a response; `ostler_response_write` and `ostler_response_end` follow. Status and fields are copied. A
/// `Content-Length` among the fields is held to: a body that is not as long ends the connection. Without one the
/// library sends chunks.
///
/// With status 101, where the request has `wants_upgrade`, the protocol is switched: `ostler_request_read` and
/// `ostler_response_write` are the connection's two directions from then on, `ostler_response_end` ends the latter. The
/// connection is this process' alone, and goes on when the front is gone.
///
/// Returns 0, or an error, as `ostler_response_send`. Any thread may call.
///
/// # Safety
///
/// `fields` are so many, or NULL where that is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_response_start(
    exchange: ExchangeHandle,
    status: u32,
    fields: *const Field,
    field_count: usize,
) -> i32 {
    guard_small(|| {
        let held = handles::exchange(exchange)?;
        // SAFETY: the caller's promise.
        let head = unsafe { head(status, fields, field_count) }?;
        held.exchange.start(head)?;
        Ok(0)
    })
}

/// Gives bytes of the response's body, which are copied. What the client has not taken waits in the library, up to 256
/// KiB.
///
/// Returns how many bytes were taken, which may be fewer than were given, or an error: OSTLER_ERROR_AGAIN where there is
/// no room, and OSTLER_EVENT_WRITABLE follows; OSTLER_ERROR_STATE before the beginning or behind the end;
/// OSTLER_ERROR_GONE. Any thread may call.
///
/// # Safety
///
/// So many bytes stand there; NULL where that is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_response_write(
    exchange: ExchangeHandle,
    data: *const c_void,
    length: usize,
) -> i64 {
    guard(|| {
        let held = handles::exchange(exchange)?;
        // SAFETY: the caller's promise.
        let data = unsafe { memory::values(data.cast::<u8>(), length, "the data") }?;
        Ok(held.exchange.write(data)?.try_into().unwrap_or(i64::MAX))
    })
}

/// Ends a response that was begun, with trailer fields, which are copied. They are sent where the body is sent in chunks
/// and the head has named them in its field `Trailer`.
/// The exchange can be closed then: what was given is sent. Returns 0, or an error, as `ostler_response_write` but for
/// OSTLER_ERROR_AGAIN. Any thread may call.
///
/// # Safety
///
/// `trailers` are so many, or NULL where that is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_response_end(
    exchange: ExchangeHandle,
    trailers: *const Field,
    trailer_count: usize,
) -> i32 {
    guard_small(|| {
        let held = handles::exchange(exchange)?;
        // SAFETY: the caller's promise.
        let trailers = unsafe { memory::fields(trailers, trailer_count) }?;
        held.exchange.end_response(Some(trailers))?;
        Ok(0)
    })
}
