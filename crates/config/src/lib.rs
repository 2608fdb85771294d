//! YARP-compatible configuration: read, layered, validated.
#![forbid(unsafe_code)]

pub mod schema;
