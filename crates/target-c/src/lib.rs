//! The target library for programs that are not written in Rust.
//!
//! Two layers. [`Queue`], [`Exchange`] and [`Event`] turn a service, which the Rust library calls and waits
//! for, inside out: a program takes events, asks and answers when it likes, from any thread, and nothing waits.
//! They are safe Rust, and what other languages' bindings that are written in Rust stand on. `abi` is the C
//! ABI over them, described to its users by `include/ostler_target.h`, which is made of it.
//!
//! Memory that a C program gives is read and written here, so this crate has unsafe code: in `abi`, and in
//! `signals`, alone.

pub mod abi;
mod error;
mod events;
mod exchange;
mod incoming;
mod outgoing;
mod queue;
mod response_body;
mod service;
mod signals;
mod switched;

pub use error::Error;
pub use events::{Event, EventKind};
pub use exchange::{Exchange, Head};
pub use outgoing::Room;
pub use queue::{Notice, Queue};
