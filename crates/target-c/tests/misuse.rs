//! What a C program can do wrong and still be told so.
#![expect(unsafe_code, reason = "it is C's part that is played here")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

use std::ffi::{CStr, c_char};
use std::ptr::{null, null_mut};

use ostler_target_c::abi::*;

const HANDLE: i32 = ErrorCode::Handle as i32;
const ARGUMENT: i32 = ErrorCode::Argument as i32;
const STATE: i32 = ErrorCode::State as i32;

fn text() -> String {
    // SAFETY: it is never NULL, and stays until the next error on this thread.
    let text = unsafe { CStr::from_ptr(ostler_error_text()) };
    text.to_str().unwrap().to_owned()
}

fn options(name: *const c_char, folder: *const c_char) -> QueueOptions {
    // SAFETY: numbers that are 0 and pointers that are NULL.
    let mut options: QueueOptions = unsafe { std::mem::zeroed() };
    options.size = size_of::<QueueOptions>();
    options.name = name;
    options.runtime_folder = folder;
    options
}

/// An open queue, and the folder that it is in.
fn open() -> (QueueHandle, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = format!("{}/run\0", folder.path().display());
    let mut queue = 0;
    let options = options(c"q".as_ptr(), path.as_ptr().cast());
    // SAFETY: both are whole.
    let opened = unsafe { ostler_queue_open(&raw const options, &raw mut queue) };
    assert_eq!(opened, 0, "{}", text());
    (queue, folder)
}

fn no_event() -> EventRecord {
    EventRecord {
        kind: 0,
        error: 0,
        exchange: 0,
        data: null_mut(),
    }
}

#[test]
fn handles_that_stand_for_nothing_are_errors() {
    let (queue, _folder) = open();
    let mut event = no_event();
    // The queue's handle is no exchange's; others never were.
    for handle in [0, 1, queue, queue + 1, queue ^ 1 << 33, u64::MAX] {
        assert_eq!(ostler_exchange_close(handle), HANDLE);
        assert_eq!(ostler_exchange_cancel(handle), HANDLE);
        assert_eq!(ostler_exchange_set_data(handle, null_mut()), HANDLE);
        // SAFETY: nothing is pointed to.
        let asked = unsafe { ostler_exchange_request(handle, null_mut()) };
        // SAFETY: as above.
        let read = unsafe { ostler_request_read(handle, null_mut(), 0) };
        // SAFETY: as above.
        let sent = unsafe { ostler_response_send(handle, 200, null(), 0, null(), 0) };
        // SAFETY: as above.
        let ended = unsafe { ostler_response_end(handle, null(), 0) };
        assert_eq!([asked, sent, ended], [HANDLE; 3]);
        assert_eq!(read, i64::from(HANDLE));
        assert_eq!(
            text(),
            "this handle stands for no exchange: it was closed, or never one"
        );
    }
    assert_eq!(ostler_queue_close(queue), 0);
    assert_eq!(ostler_queue_close(queue), HANDLE);
    assert_eq!(ostler_queue_stop(queue), HANDLE);
    assert_eq!(ostler_queue_descriptor(queue), HANDLE);
    // SAFETY: there is room for an event.
    assert_eq!(unsafe { ostler_queue_take(queue, &raw mut event) }, HANDLE);
    let (again, _folder) = open();
    assert_ne!(again, queue, "what was closed does not come to life");
    assert_eq!(ostler_queue_stop(queue), HANDLE);
    assert_eq!(ostler_queue_close(again), 0);
}

#[test]
fn what_is_missing_is_named() {
    let folder = c"/nowhere".as_ptr();
    let mut queue = 0;
    // SAFETY: what is not NULL is whole.
    let mut tried = |options: *const QueueOptions| unsafe {
        (ostler_queue_open(options, &raw mut queue), text())
    };
    assert_eq!(
        tried(null()),
        (ARGUMENT, "the options is NULL, and not empty".to_owned())
    );
    let nameless = options(null(), folder);
    assert_eq!(
        tried(&raw const nameless),
        (ARGUMENT, "the queue's name is NULL".to_owned())
    );
    let mut sizeless = options(c"q".as_ptr(), folder);
    sizeless.size = 0;
    let (code, said) = tried(&raw const sizeless);
    assert!(code == ARGUMENT && said.contains("sizeof"), "{said}");
    let mut odd = options(c"q".as_ptr(), folder);
    odd.mode = 3;
    assert_eq!(
        tried(&raw const odd),
        (ARGUMENT, "there is no mode 3".to_owned())
    );
    let mut prefixed = options(c"q".as_ptr(), folder);
    prefixed.url_prefix_count = 1;
    let (code, said) = tried(&raw const prefixed);
    assert!(
        code == ARGUMENT && said.contains("array of prefixes"),
        "{said}"
    );
}

#[test]
fn an_older_program_knows_less_of_the_options() {
    let folder = tempfile::tempdir().unwrap();
    let path = format!("{}/run\0", folder.path().display());
    let mut older = options(c"q".as_ptr(), path.as_ptr().cast());
    // What is behind its end is none of ours.
    older.size = std::mem::offset_of!(QueueOptions, mode);
    older.mode = 77;
    let mut queue = 0;
    // SAFETY: both are whole, the options as far as they say.
    let opened = unsafe { ostler_queue_open(&raw const older, &raw mut queue) };
    assert_eq!(opened, 0, "{}", text());
    assert_eq!(ostler_queue_close(queue), 0);
}

#[test]
fn a_queue_is_served_one_way() {
    extern "C" fn never(_: *const EventRecord, _: *mut std::ffi::c_void) {}
    let (queue, _folder) = open();
    let mut event = no_event();
    assert!(ostler_queue_descriptor(queue) >= 0);
    // SAFETY: nothing is called.
    let run = unsafe { ostler_queue_run(queue, None, null_mut()) };
    assert_eq!(run, ARGUMENT);
    // SAFETY: the callback does nothing.
    let run = unsafe { ostler_queue_run(queue, Some(never), null_mut()) };
    assert_eq!(run, STATE);
    // SAFETY: nothing is pointed to.
    assert_eq!(unsafe { ostler_queue_take(queue, null_mut()) }, ARGUMENT);
    // SAFETY: there is room for an event.
    let mut wait = |time| unsafe { ostler_queue_wait(queue, &raw mut event, time) };
    assert_eq!((wait(0), wait(10)), (0, 0));
    assert_eq!(ostler_queue_stop(queue), 0);
    assert_eq!(wait(-1), 1);
    assert_eq!((event.kind, event.error), (EventCode::Stopped as u32, 0));
    assert_eq!(ostler_queue_close(queue), 0);
}

#[test]
fn errors_have_names() {
    for code in -14..=1 {
        // SAFETY: it is never NULL.
        let name = unsafe { CStr::from_ptr(ostler_error_name(code)) };
        assert!(!name.is_empty());
    }
    assert_eq!(ostler_version() >> 16, OSTLER_VERSION_MAJOR);
}
