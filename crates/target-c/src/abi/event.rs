//! Events as C sees them.

use std::ffi::c_void;

use crate::abi::codes::ErrorCode;
use crate::abi::handles;
use crate::abi::held_exchange::HeldExchange;
use crate::events::{Event, EventKind};

/// A request that has come; see `ostler_queue_take`.
pub type ExchangeHandle = u64;

/// What an event tells.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventCode {
    /// A request has come. The exchange is the program's until `ostler_exchange_close`.
    Request = 1,
    /// `ostler_request_read`, which has returned OSTLER_ERROR_AGAIN, can be tried again.
    Readable = 2,
    /// `ostler_response_write`, which has returned OSTLER_ERROR_AGAIN, can be tried again.
    Writable = 3,
    /// The exchange is over: `error` is 0 when the whole response was given to the client's connection, and
    /// OSTLER_ERROR_GONE when it was not. The handle is still to be closed. It does not come once a protocol was
    /// switched, unless writing failed.
    Ended = 4,
    /// The queue is served no more; `error` is 0 when it was stopped. The last event of all.
    Stopped = 5,
}

/// Something that a program is to know.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct EventRecord {
    /// One of `OSTLER_EVENT_...`.
    pub kind: u32,
    /// 0, or why it ended.
    pub error: i32,
    /// Whom it is about; 0 where that is the queue.
    pub exchange: ExchangeHandle,
    /// What `ostler_exchange_set_data` has set.
    pub data: *mut c_void,
}

impl EventRecord {
    /// What C is told of an event; `None` when it is about an exchange that the program has closed.
    pub(super) fn of(event: &Event, queue: u64) -> Option<Self> {
        let error = |failed: bool, code: ErrorCode| if failed { code as i32 } else { 0 };
        let (kind, error) = match event.kind {
            EventKind::Request => (EventCode::Request, 0),
            EventKind::Readable => (EventCode::Readable, 0),
            EventKind::Writable => (EventCode::Writable, 0),
            EventKind::Ended { whole } => (EventCode::Ended, error(!whole, ErrorCode::Gone)),
            EventKind::Stopped { failed } => (EventCode::Stopped, error(failed, ErrorCode::System)),
        };
        let mut record = Self {
            kind: kind as u32,
            error,
            exchange: 0,
            data: std::ptr::null_mut(),
        };
        if let Some(exchange) = &event.exchange {
            if exchange.is_closed() {
                return None;
            }
            record.exchange =
                exchange.name(|| handles::hold_exchange(HeldExchange::new(exchange, queue)));
            record.data = std::ptr::with_exposed_provenance_mut(exchange.tag() as usize);
        }
        Some(record)
    }
}
