//! SIGPIPE, which a program that is not written in Rust may not ignore.
#![allow(unsafe_code, reason = "the calls have no safe form")]

use std::mem::MaybeUninit;
use std::ptr;

/// Runs something that may write to connections whose other ends are gone. sendfile(2) raises SIGPIPE then,
/// and cannot be told not to; so this thread blocks the signal, and takes back what was raised.
pub(crate) fn without_broken_pipe<T>(call: impl FnOnce() -> T) -> T {
    let Some(before) = block() else {
        return call();
    };
    let result = call();
    take_back_and_restore(&before);
    result
}

/// Blocks it, and returns the mask from before; `None` where it was blocked already.
fn block() -> Option<libc::sigset_t> {
    let set = broken_pipe();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both sets are of this stack, and the second is written where the call succeeds.
    let failed =
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, before.as_mut_ptr()) };
    if failed != 0 {
        return None;
    }
    // SAFETY: the call has succeeded.
    let before = unsafe { before.assume_init() };
    // SAFETY: it is a whole set.
    let blocked = unsafe { libc::sigismember(&raw const before, libc::SIGPIPE) };
    (blocked == 0).then_some(before)
}

fn take_back_and_restore(before: &libc::sigset_t) {
    let set = broken_pipe();
    let at_once = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: set and time are of this stack; what was raised needs no description.
    while unsafe { libc::sigtimedwait(&raw const set, ptr::null_mut(), &raw const at_once) } > 0 {}
    // SAFETY: the set is whole, and the old one is not asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, ptr::null_mut()) };
}

fn broken_pipe() -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the call makes of it an empty set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: the call before has made it one.
    let mut set = unsafe { set.assume_init() };
    // SAFETY: the set is whole, and there is a signal of this number.
    unsafe { libc::sigaddset(&raw mut set, libc::SIGPIPE) };
    set
}
