//! Names of destinations (YARP's `IDestinationResolver`): looked up in DNS, followed as their addresses
//! change, and put in the place of the destinations that have them.
//!
//! [`Names`] stands between whoever reads a configuration and the provider that the proxy follows:
//!
//! ```text
//!  configuration --> Names --(one destination for each address)--> InMemoryConfigProvider --> proxy
//!                    ^   |
//!            answers |   | a task for each name: look up, wait, look up again
//!                    DNS <
//! ```
//!
//! A destination `d1` whose name has the address 192.0.2.1 becomes `d1[192.0.2.1]`. Health, counts and
//! affinity belong to that id, and so stay with the address from one answer to the next.
#![forbid(unsafe_code)]

mod address;
mod dns;
mod follow;
mod lookup;
mod names;
mod query;
mod resolve;

pub use names::Names;
