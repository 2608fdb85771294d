//! `Kestrel:Limits:Http2`: what a client may ask of an HTTP/2 connection (reference B20.2).

use std::time::Duration;

use super::timeout::{self, A_CENTURY};
use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::leaf::{self, TimeSpan};
use crate::reader::Reader;
use crate::tree::Section;

/// What a client may ask of an HTTP/2 connection, with Kestrel's names and defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Http2Limits {
    /// `MaxStreamsPerConnection`: 100; a stream beyond is refused with `REFUSED_STREAM`.
    pub max_streams_per_connection: u32,
    /// `HeaderTableSize` in bytes, of the table that compresses request fields: 4096; 0 is none.
    pub header_table_size: u32,
    /// `MaxFrameSize`, the longest payload that is received: 16384, which is also the least
    /// (RFC 9113 section 6.5.2); 16777215 at most.
    pub max_frame_size: u32,
    /// `MaxRequestHeaderFieldSize` in bytes, of one field's name and value: 32768.
    pub max_request_header_field_size: u32,
    /// `InitialConnectionWindowSize` in bytes, of all bodies under way on a connection: 1048576;
    /// from 65535, and not less than a stream's.
    pub initial_connection_window_size: u32,
    /// `InitialStreamWindowSize` in bytes, of one body under way: 786432; from 65535.
    pub initial_stream_window_size: u32,
    /// `KeepAlivePingDelay`: how long a connection is silent before it is pinged; at least a second.
    /// `None`, which is the default, is never.
    pub keep_alive_ping_delay: Option<Duration>,
    /// `KeepAlivePingTimeout`: how long the answer to a ping may take until the connection is
    /// closed: 20 seconds.
    pub keep_alive_ping_timeout: Duration,
}

impl Default for Http2Limits {
    fn default() -> Self {
        Self {
            max_streams_per_connection: 100,
            header_table_size: 4096,
            max_frame_size: LEAST_FRAME,
            max_request_header_field_size: 32 * 1024,
            initial_connection_window_size: 1024 * 1024,
            initial_stream_window_size: 768 * 1024,
            keep_alive_ping_delay: None,
            keep_alive_ping_timeout: Duration::from_secs(20),
        }
    }
}

/// RFC 9113 section 6.5.2.
const LEAST_FRAME: u32 = 1 << 14;
const MOST_FRAME: u32 = (1 << 24) - 1;
/// What a window begins with before anything is said, RFC 9113 section 6.9.2.
const LEAST_WINDOW: u32 = (1 << 16) - 1;

/// Reads `Kestrel:Limits:Http2`.
pub(super) fn read(section: Section<'_>, diagnostics: &mut Diagnostics) -> Http2Limits {
    let defaults = Http2Limits::default();
    let mut reader = Reader::new(section, &keys::HTTP2_LIMITS, diagnostics);
    let any = i32::MAX.unsigned_abs();
    let mut limits = Http2Limits {
        max_streams_per_connection: reader
            .parsed("MaxStreamsPerConnection", |text| between(text, 1, any))
            .unwrap_or(defaults.max_streams_per_connection),
        header_table_size: reader
            .parsed("HeaderTableSize", |text| between(text, 0, any))
            .unwrap_or(defaults.header_table_size),
        max_frame_size: reader
            .parsed("MaxFrameSize", |text| {
                between(text, LEAST_FRAME, MOST_FRAME)
            })
            .unwrap_or(defaults.max_frame_size),
        max_request_header_field_size: reader
            .parsed("MaxRequestHeaderFieldSize", |text| between(text, 1, any))
            .unwrap_or(defaults.max_request_header_field_size),
        initial_connection_window_size: reader
            .parsed("InitialConnectionWindowSize", |text| {
                between(text, LEAST_WINDOW, any)
            })
            .unwrap_or(defaults.initial_connection_window_size),
        initial_stream_window_size: reader
            .parsed("InitialStreamWindowSize", |text| {
                between(text, LEAST_WINDOW, any)
            })
            .unwrap_or(defaults.initial_stream_window_size),
        keep_alive_ping_delay: reader
            .parsed("KeepAlivePingDelay", ping_delay)
            .unwrap_or(defaults.keep_alive_ping_delay),
        keep_alive_ping_timeout: reader
            .parsed("KeepAlivePingTimeout", timeout::parse)
            .unwrap_or(defaults.keep_alive_ping_timeout),
    };
    let (connection, stream) = (
        limits.initial_connection_window_size,
        limits.initial_stream_window_size,
    );
    if connection < stream {
        let at = reader.section.child("InitialConnectionWindowSize");
        let message =
            format!("the connection's window of {connection} is less than a stream's of {stream}");
        let remedy = "make it as large as InitialStreamWindowSize, or that smaller".to_owned();
        reader.error(&at, message, Some(remedy));
        limits.initial_connection_window_size = stream;
    }
    reader.finish();
    limits
}

fn between(text: &str, least: u32, most: u32) -> Result<u32, String> {
    match u32::try_from(leaf::int32(text)?) {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("{text:?} is not from {least} to {most}")),
    }
}

/// Kestrel's own check: a second at least, and .NET's "for ever" is never.
fn ping_delay(text: &str) -> Result<Option<Duration>, String> {
    match TimeSpan::parse(text)? {
        TimeSpan::INFINITE => Ok(None),
        span => match span.duration() {
            Some(delay) if delay >= A_CENTURY => Ok(None),
            Some(delay) if delay >= Duration::from_secs(1) => Ok(Some(delay)),
            _ => Err(format!(
                "{text:?} is neither a second or more nor -00:00:00.001, never"
            )),
        },
    }
}
