//! The `ostler` program.
#![forbid(unsafe_code)]

fn main() {}
