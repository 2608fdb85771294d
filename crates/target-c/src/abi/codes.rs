//! What functions return, and the text of the last error.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use ostler_target::{BodyError, QueueError};

use crate::error::Error;

/// Why a function has failed; every function that can fail returns one of these, or what it was asked for,
/// which is never negative. The text is `ostler_error_text()`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// A handle that was closed, or is not of the kind that the function wants.
    Handle = -1,
    /// An argument that cannot be right.
    Argument = -2,
    /// It cannot be done now, or not any more: the response was begun, the queue is served.
    State = -3,
    /// It would have to wait. An event says when to try again.
    Again = -4,
    /// The client is gone, or the exchange is over.
    Gone = -5,
    /// A queue of this name has an instance already, or the URL prefix was registered.
    Exists = -6,
    /// There is no queue of this name, and it was not to be made.
    NotFound = -7,
    /// This user may not open the queue.
    Access = -8,
    /// The body is malformed.
    Malformed = -9,
    /// The body is larger than the front allows.
    TooLarge = -10,
    /// The client sends the body too slowly, or not at all.
    TooSlow = -11,
    /// The system refuses.
    System = -12,
    /// A fault of the library's.
    Fault = -13,
}

impl Error {
    /// The number that C knows it by: one of [`ErrorCode`].
    pub fn code(&self) -> i32 {
        ErrorCode::of(self) as i32
    }
}

impl ErrorCode {
    fn of(error: &Error) -> Self {
        match error {
            Error::Handle(_) => Self::Handle,
            Error::Argument(_) => Self::Argument,
            Error::State(_) => Self::State,
            Error::Again => Self::Again,
            Error::Gone => Self::Gone,
            Error::Body(BodyError::TooLarge(_)) => Self::TooLarge,
            Error::Body(BodyError::TooSlow | BodyError::TimedOut(_)) => Self::TooSlow,
            Error::Body(BodyError::Malformed(_)) => Self::Malformed,
            // A relayed body breaks off where its client's does.
            Error::Body(_) => Self::Gone,
            Error::Io(_) => Self::System,
            Error::Fault(_) => Self::Fault,
            Error::Bind(_) => match error.queue_error() {
                Some(QueueError::AlreadyExists(_) | QueueError::PrefixAlreadyRegistered(_)) => {
                    Self::Exists
                }
                Some(QueueError::NotFound(_)) => Self::NotFound,
                Some(QueueError::AccessDenied { .. }) => Self::Access,
                Some(QueueError::Io { .. }) | None => Self::System,
                Some(_) => Self::Argument,
            },
        }
    }
}

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
}

/// The text of the last error on this thread, for people: never NULL, and empty before the first. It stays
/// until the next call of this library on this thread that fails.
#[unsafe(no_mangle)]
pub extern "C" fn ostler_error_text() -> *const c_char {
    // While the thread ends there is none any more.
    LAST.try_with(|last| last.borrow().as_ptr())
        .unwrap_or(c"".as_ptr())
}

/// Runs a function's body. A panic, which would be a fault of ours, ends here: nothing unwinds into C.
pub(super) fn guard(call: impl FnOnce() -> Result<i64, Error>) -> i64 {
    // What the call owned is dropped by the unwinding; what it shares is behind locks that do not stay
    // poisoned.
    let done = catch_unwind(AssertUnwindSafe(call));
    let error = match done {
        Ok(Ok(value)) => return value,
        Ok(Err(error)) => error,
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Error::Fault(text.unwrap_or_else(|| "no message".to_owned()))
        }
    };
    let code = ErrorCode::of(&error);
    if code != ErrorCode::Again {
        remember(&error);
    }
    i64::from(code as i32)
}

/// The same for functions whose results are small.
pub(super) fn guard_small(call: impl FnOnce() -> Result<i32, Error>) -> i32 {
    let result = guard(|| call().map(i64::from));
    i32::try_from(result).unwrap_or(ErrorCode::Fault as i32)
}

fn remember(error: &Error) {
    let text = error.to_string().replace('\0', " ");
    let text = CString::new(text).unwrap_or_default();
    let _ = LAST.try_with(|last| last.replace(text));
}

/// The library's version, as `major * 65536 + minor`. A program that was compiled with the same major number runs
/// with it; `OSTLER_VERSION_MAJOR` and `OSTLER_VERSION_MINOR` are the header's.
#[unsafe(no_mangle)]
pub extern "C" fn ostler_version() -> u32 {
    OSTLER_VERSION_MAJOR << 16 | OSTLER_VERSION_MINOR
}

/// The major number changes when something that exists changes or goes; it is the shared library's number, too.
pub const OSTLER_VERSION_MAJOR: u32 = 0;
/// The minor number changes when something is added.
pub const OSTLER_VERSION_MINOR: u32 = 1;

/// Words for a code: what the constant says, for logs. Never NULL; it stays for ever.
#[unsafe(no_mangle)]
pub extern "C" fn ostler_error_name(code: i32) -> *const c_char {
    let name: &CStr = match code {
        0.. => c"no error",
        -1 => c"handle",
        -2 => c"argument",
        -3 => c"state",
        -4 => c"again",
        -5 => c"gone",
        -6 => c"exists",
        -7 => c"not found",
        -8 => c"access",
        -9 => c"malformed",
        -10 => c"too large",
        -11 => c"too slow",
        -12 => c"system",
        -13 => c"fault",
        _ => c"unknown",
    };
    name.as_ptr()
}
