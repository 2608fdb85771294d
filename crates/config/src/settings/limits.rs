//! `Kestrel:Limits`: what clients may send, named as ASP.NET names it (reference part B, 20.2).

use std::time::Duration;

use super::http2_limits::{self, Http2Limits};
use crate::diagnostics::Diagnostics;
use crate::leaf::{self, TimeSpan};
use crate::not_yet;
use crate::reader::Reader;
use crate::tree::Section;

/// Offsets into a head have 16 bits, in the parser and in the entries handed to targets.
const LONGEST_HEAD: usize = 65_535;

/// What stands for "no limit" where ASP.NET has an infinite time: so long that nobody waits for it,
/// and no clock overflows.
pub(super) const A_CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);

/// What clients may send, and how long they may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrontLimits {
    /// `MaxRequestLineSize` in bytes: 8192; 65535 at most.
    pub request_line: usize,
    /// `MaxRequestHeadersTotalSize` in bytes: 32768; 65535 at most. The request line counts, which
    /// it does not in ASP.NET.
    pub head: usize,
    /// `MaxRequestHeaderCount`: 100.
    pub fields: usize,
    /// `KeepAliveTimeout`: 2 minutes, as in http.sys (Kestrel: 10 seconds more).
    pub keep_alive_timeout: Duration,
    /// `RequestHeadersTimeout`: 30 seconds.
    pub head_timeout: Duration,
    /// `MaxRequestBodySize` in bytes; 30,000,000; `None`, written -1, is no limit. Routes may
    /// say otherwise.
    pub max_request_body_size: Option<u64>,
    /// `Http2`.
    pub http2: Http2Limits,
}

impl Default for FrontLimits {
    fn default() -> Self {
        Self {
            request_line: 8 * 1024,
            head: 32 * 1024,
            fields: 100,
            keep_alive_timeout: Duration::from_secs(120),
            head_timeout: Duration::from_secs(30),
            max_request_body_size: Some(30_000_000),
            http2: Http2Limits::default(),
        }
    }
}

/// Reads `Kestrel:Limits`.
pub(super) fn read(section: Section<'_>, diagnostics: &mut Diagnostics) -> FrontLimits {
    let defaults = FrontLimits::default();
    let mut reader = Reader::new(section, diagnostics);
    reader.allow(not_yet::keys_of("Kestrel:Limits"));
    let http2 = http2_limits::read(reader.child("Http2"), reader.diagnostics);
    let limits = FrontLimits {
        request_line: reader
            .parsed("MaxRequestLineSize", head_size)
            .unwrap_or(defaults.request_line),
        head: reader
            .parsed("MaxRequestHeadersTotalSize", head_size)
            .unwrap_or(defaults.head),
        fields: reader
            .parsed("MaxRequestHeaderCount", size)
            .unwrap_or(defaults.fields),
        keep_alive_timeout: reader
            .parsed("KeepAliveTimeout", timeout)
            .unwrap_or(defaults.keep_alive_timeout),
        head_timeout: reader
            .parsed("RequestHeadersTimeout", timeout)
            .unwrap_or(defaults.head_timeout),
        max_request_body_size: reader
            .parsed("MaxRequestBodySize", body_size)
            .unwrap_or(defaults.max_request_body_size),
        http2,
    };
    reader.finish();
    limits
}

fn size(text: &str) -> Result<usize, String> {
    match usize::try_from(leaf::int32(text)?) {
        Ok(size) if size > 0 => Ok(size),
        _ => Err(format!("{text:?} is not positive")),
    }
}

fn body_size(text: &str) -> Result<Option<u64>, String> {
    match leaf::int64(text)? {
        -1 => Ok(None),
        size => u64::try_from(size)
            .map(Some)
            .map_err(|_| format!("{text:?} is negative and not -1, no limit")),
    }
}

fn head_size(text: &str) -> Result<usize, String> {
    match size(text)? {
        size if size > LONGEST_HEAD => Err(format!(
            "{text:?} is more than {LONGEST_HEAD}, and offsets into a head have 16 bits"
        )),
        size => Ok(size),
    }
}

pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    match TimeSpan::parse(text)? {
        TimeSpan::INFINITE => Ok(A_CENTURY),
        span => span
            .positive()
            .map(|timeout| timeout.min(A_CENTURY))
            .ok_or_else(|| format!("{text:?} is neither positive nor -00:00:00.001, no timeout")),
    }
}
