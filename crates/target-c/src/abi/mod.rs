//! The C ABI. What its users read is `include/ostler_target.h`, which is made of this and kept in step by a
//! test.
//!
//! How it keeps its promises: a handle is a number that is looked up in a table, so that one which was closed, or
//! never was, is an error and never a pointer; every function runs inside `codes::guard`, which makes a panic an
//! error; memory of the caller's is read and written in `memory` alone.
#![allow(
    unsafe_code,
    reason = "C gives pointers, and calls functions by their names"
)]

mod codes;
mod event;
mod handles;
mod held_exchange;
mod memory;
mod open_queue;
mod queue;
mod request;
mod response;

pub use codes::{
    ErrorCode, OSTLER_VERSION_MAJOR, OSTLER_VERSION_MINOR, ostler_error_name, ostler_error_text,
    ostler_version,
};
pub use event::{EventCode, EventRecord, ExchangeHandle};
pub use memory::Field;
pub use queue::{
    Callback, Mode, QueueHandle, QueueOptions, Verbosity, ostler_queue_add_url_prefix,
    ostler_queue_close, ostler_queue_descriptor, ostler_queue_open, ostler_queue_remove_url_prefix,
    ostler_queue_run, ostler_queue_stop, ostler_queue_take, ostler_queue_wait,
};
pub use request::{
    RequestRecord, Way, ostler_exchange_cancel, ostler_exchange_close, ostler_exchange_request,
    ostler_exchange_set_data, ostler_request_read, ostler_request_trailers,
};
pub use response::{
    ostler_response_end, ostler_response_send, ostler_response_send_file, ostler_response_start,
    ostler_response_write,
};
