//! The data path: listeners, connections, exchanges, delegation and forwarding.
#![forbid(unsafe_code)]
