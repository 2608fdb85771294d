//! Which module of a crate imports which, read from its sources, and whether imports go down.
//!
//! A crate's modules stand on floors ([`table::CRATES`]). A module imports from floors below its own,
//! and from others of its floor as long as no two of them import each other, be it by way of a third.
//! `just floors` draws them. What a module's tests import does not count.
#![forbid(unsafe_code)]

pub mod architecture;
pub mod arrows;
pub mod drawing;
pub mod faults;
pub mod house;
pub mod modules;
mod scope;
pub mod table;
#[cfg(test)]
mod tests;

pub use house::House;
