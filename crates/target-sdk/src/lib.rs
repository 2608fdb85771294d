//! Serve requests that an Ostler front delegates: the library an application links.
#![forbid(unsafe_code)]
