//! `Kestrel:Limits`: what clients may send, named as ASP.NET names it (reference B20.2).

use std::time::Duration;

use super::data_rate::{self, DataRate};
use super::http2_limits::{self, Http2Limits};
use super::timeout;
use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::leaf::{self, TimeSpan};
use crate::reader::Reader;
use crate::tree::Section;

/// What is longer is no head, whatever Kestrel would let pass.
const MOST_OF_A_HEAD: usize = 1024 * 1024;

/// What clients may send, and how long they may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitsConfig {
    /// `MaxRequestLineSize` in bytes: 8192; 1048576 at most.
    pub request_line: usize,
    /// `MaxRequestHeadersTotalSize` in bytes of field lines with their ends, as in ASP.NET: 32768;
    /// 1048576 at most.
    pub field_lines: usize,
    /// `MaxRequestHeaderCount`: 100.
    pub fields: usize,
    /// `KeepAliveTimeout`: 2 minutes, as in http.sys (Kestrel: 10 seconds more).
    pub keep_alive_timeout: Duration,
    /// `RequestHeadersTimeout`: 30 seconds.
    pub head_timeout: Duration,
    /// `MaxRequestBodySize` in bytes; 30,000,000; `None`, written null or -1, is no limit. Routes
    /// may say otherwise.
    pub max_request_body_size: Option<u64>,
    /// `MinRequestBodyDataRate`: the least a client must send of a body that is waited for. `None`,
    /// written null, is nothing.
    pub min_request_body_data_rate: Option<DataRate>,
    /// `MinResponseDataRate`: the least a client must take of a response. `None`, written null, is
    /// nothing.
    pub min_response_data_rate: Option<DataRate>,
    /// `HttpSys:Timeouts:EntityBody`: how long a body that is waited for may be silent. `None`, the
    /// default, leaves that to the rate above.
    pub entity_body_timeout: Option<Duration>,
    /// `MaxConcurrentConnections`, upgraded ones excepted. `None`, the default, is any number.
    pub max_concurrent_connections: Option<usize>,
    /// `MaxConcurrentUpgradedConnections`. `None`, the default, is any number.
    pub max_concurrent_upgraded_connections: Option<usize>,
    /// `Ostler:Limits:MaxConnectionsPerAddress`: of one IPv4 address, or one /64 of IPv6. `None`, the
    /// default, is any number.
    pub max_connections_per_address: Option<usize>,
    /// `Ostler:Limits:QueueRetention`: how long requests wait for a request queue whose last instance
    /// has left cleanly; 10 seconds. Zero has them answered 503 at once.
    pub queue_retention: Duration,
    /// `Http2`.
    pub http2: Http2Limits,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            request_line: 8 * 1024,
            field_lines: 32 * 1024,
            fields: 100,
            keep_alive_timeout: Duration::from_secs(120),
            head_timeout: Duration::from_secs(30),
            max_request_body_size: Some(30_000_000),
            min_request_body_data_rate: Some(DataRate::default()),
            min_response_data_rate: Some(DataRate::default()),
            entity_body_timeout: None,
            max_concurrent_connections: None,
            max_concurrent_upgraded_connections: None,
            max_connections_per_address: None,
            queue_retention: Duration::from_secs(10),
            http2: Http2Limits::default(),
        }
    }
}

/// Reads `Kestrel:Limits`.
pub(super) fn read(section: Section<'_>, diagnostics: &mut Diagnostics) -> LimitsConfig {
    let mut limits = LimitsConfig::default();
    let mut reader = Reader::new(section, &keys::LIMITS, diagnostics);
    limits.http2 = http2_limits::read(reader.child("Http2"), reader.diagnostics);
    set(
        &mut limits.request_line,
        reader.parsed("MaxRequestLineSize", head_size),
    );
    set(
        &mut limits.field_lines,
        reader.parsed("MaxRequestHeadersTotalSize", head_size),
    );
    set(
        &mut limits.fields,
        reader.parsed("MaxRequestHeaderCount", size),
    );
    set(
        &mut limits.keep_alive_timeout,
        reader.parsed("KeepAliveTimeout", timeout::parse),
    );
    set(
        &mut limits.head_timeout,
        reader.parsed("RequestHeadersTimeout", timeout::parse),
    );
    set(
        &mut limits.max_request_body_size,
        unless_null(&mut reader, "MaxRequestBodySize", body_size),
    );
    limits.min_request_body_data_rate = data_rate::read(&mut reader, "MinRequestBodyDataRate");
    limits.min_response_data_rate = data_rate::read(&mut reader, "MinResponseDataRate");
    let some = |text: &str| connections(text).map(Some);
    set(
        &mut limits.max_concurrent_connections,
        unless_null(&mut reader, "MaxConcurrentConnections", some),
    );
    set(
        &mut limits.max_concurrent_upgraded_connections,
        unless_null(&mut reader, "MaxConcurrentUpgradedConnections", |text| {
            upgrades(text).map(Some)
        }),
    );
    for key in ["MaxRequestBufferSize", "MaxResponseBufferSize"] {
        let at = reader.child(key);
        if at.value().is_some_and(|text| !text.is_empty()) {
            let message = "this has no effect: bodies are not buffered here, what is read at a time \
                           is passed on before more is read";
            reader.warn(&at, message, Some(format!("remove {key}")));
        }
    }
    reader.finish();
    limits
}

/// Reads `Ostler:Limits`, what ASP.NET has no limit for.
pub(super) fn read_own(
    section: Section<'_>,
    limits: &mut LimitsConfig,
    diagnostics: &mut Diagnostics,
) {
    let mut reader = Reader::new(section, &keys::OWN_LIMITS, diagnostics);
    let most = unless_null(&mut reader, "MaxConnectionsPerAddress", |text| {
        connections(text).map(Some)
    });
    set(&mut limits.max_connections_per_address, most);
    let retention = reader.parsed("QueueRetention", |text| {
        let time = TimeSpan::parse(text)?.duration();
        time.ok_or_else(|| format!("{text:?} is negative"))
    });
    set(&mut limits.queue_retention, retention);
    reader.finish();
}

fn set<T>(limit: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *limit = value;
    }
}

/// A value that null takes away, where ASP.NET's property may be null: `Some(None)`.
fn unless_null<T>(
    reader: &mut Reader<'_, '_>,
    key: &'static str,
    parse: impl FnOnce(&str) -> Result<Option<T>, String>,
) -> Option<Option<T>> {
    if reader.child(key).is_null() {
        return Some(None);
    }
    reader.parsed(key, parse)
}

fn size(text: &str) -> Result<usize, String> {
    match usize::try_from(leaf::int32(text)?) {
        Ok(size) if size > 0 => Ok(size),
        _ => Err(format!("{text:?} is not positive")),
    }
}

pub(super) fn body_size(text: &str) -> Result<Option<u64>, String> {
    match leaf::int64(text)? {
        -1 => Ok(None),
        size => u64::try_from(size)
            .map(Some)
            .map_err(|_| format!("{text:?} is negative and not -1, no limit")),
    }
}

/// A number of connections; Kestrel takes no zero here.
pub(super) fn connections(text: &str) -> Result<usize, String> {
    match usize::try_from(leaf::int64(text)?) {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("{text:?} is not positive; null is any number")),
    }
}

/// The same, of which zero is none.
fn upgrades(text: &str) -> Result<usize, String> {
    usize::try_from(leaf::int64(text)?)
        .map_err(|_| format!("{text:?} is negative; null is any number"))
}

fn head_size(text: &str) -> Result<usize, String> {
    match size(text)? {
        size if size > MOST_OF_A_HEAD => Err(format!("{text:?} is more than {MOST_OF_A_HEAD}")),
        size => Ok(size),
    }
}
