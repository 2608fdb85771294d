//! `HttpSys`: the same limits by the names that `HttpSysOptions` has for them.
//!
//! Where `Kestrel:Limits` says something else, that is in force and this is warned of.

use std::time::Duration;

use super::data_rate::DataRate;
use super::limits::{LimitsConfig, connections};
use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::leaf::{self, TimeSpan};
use crate::reader::Reader;
use crate::tree::Section;

/// Options that are not a front's, and where what they are about is decided.
const ELSEWHERE: &[(&str, &str)] = &[
    ("RequestQueueLimit", OF_THE_QUEUE),
    ("Http503Verbosity", OF_THE_QUEUE),
    ("RequestQueueMode", OF_THE_QUEUE),
    ("RequestQueueName", OF_THE_QUEUE),
    ("RequestQueueSecurityDescriptor", OF_THE_QUEUE),
    (
        "UrlPrefixes",
        "listen with Urls; prefixes of a request queue are its target's",
    ),
    ("Authentication", "name an AuthorizationPolicy in the route"),
    ("ClientCertificateMethod", NOTHING),
    ("EnableResponseCaching", NOTHING),
    ("EnableKernelResponseBuffering", NOTHING),
    ("MaxAccepts", NOTHING),
    ("AllowSynchronousIO", NOTHING),
    ("ThrowWriteExceptions", NOTHING),
    ("UnsafePreferInlineScheduling", NOTHING),
    ("UseLatin1RequestHeaders", NOTHING),
];

const OF_THE_QUEUE: &str = "it is decided where the queue is created, in the target";
const NOTHING: &str = "remove it; there is nothing like it here";

/// Reads `HttpSys` into what `Kestrel:Limits` has said; `kestrel` is that section.
pub(super) fn read(
    section: Section<'_>,
    kestrel: &Section<'_>,
    limits: &mut LimitsConfig,
    diagnostics: &mut Diagnostics,
) {
    let mut reader = Reader::new(section, &keys::HTTP_SYS, diagnostics);
    if let Some(most) = reader.parsed("MaxConnections", most_connections) {
        let place = ("MaxConnections", "MaxConcurrentConnections");
        settle(
            &mut reader,
            kestrel,
            place,
            most,
            &mut limits.max_concurrent_connections,
        );
    }
    let at = reader.section.child("MaxRequestBodySize");
    let size = match at.is_null() {
        true => Some(None),
        false => reader.parsed("MaxRequestBodySize", super::limits::body_size),
    };
    if let Some(size) = size {
        let place = ("MaxRequestBodySize", "MaxRequestBodySize");
        settle(
            &mut reader,
            kestrel,
            place,
            size,
            &mut limits.max_request_body_size,
        );
    }
    for (key, remedy) in ELSEWHERE {
        let option = reader.child(key);
        if option.has_children() || option.value().is_some_and(|text| !text.is_empty()) {
            let message = "this has no effect on a front";
            reader.warn(&option, message, Some((*remedy).to_owned()));
        }
    }
    let timeouts = reader.child("Timeouts");
    reader.finish();
    read_timeouts(timeouts, kestrel, limits, diagnostics);
}

/// `Timeouts`. Zero is the default, as in http.sys.
fn read_timeouts(
    section: Section<'_>,
    kestrel: &Section<'_>,
    limits: &mut LimitsConfig,
    diagnostics: &mut Diagnostics,
) {
    let mut reader = Reader::new(section, &keys::HTTP_SYS_TIMEOUTS, diagnostics);
    if let Some(Some(idle)) = reader.parsed("IdleConnection", timeout) {
        let place = ("IdleConnection", "KeepAliveTimeout");
        settle(
            &mut reader,
            kestrel,
            place,
            idle,
            &mut limits.keep_alive_timeout,
        );
    }
    if let Some(Some(wait)) = reader.parsed("HeaderWait", timeout) {
        let place = ("HeaderWait", "RequestHeadersTimeout");
        settle(&mut reader, kestrel, place, wait, &mut limits.head_timeout);
    }
    if let Some(timeout) = reader.parsed("EntityBody", timeout) {
        limits.entity_body_timeout = timeout;
    }
    if let Some(Some(rate)) = reader.parsed("MinSendBytesPerSecond", least_sent) {
        let place = ("MinSendBytesPerSecond", "MinResponseDataRate");
        settle(
            &mut reader,
            kestrel,
            place,
            rate,
            &mut limits.min_response_data_rate,
        );
    }
    for key in ["DrainEntityBody", "RequestQueue"] {
        let set = reader.parsed(key, timeout).flatten().is_some();
        if set {
            let at = reader.section.child(key);
            let message = "this has no effect on a front";
            reader.warn(&at, message, Some(OF_THE_QUEUE.to_owned()));
        }
    }
    reader.finish();
}

/// Takes a value over unless `Kestrel:Limits` has the say, and warns where the two disagree.
fn settle<T: PartialEq>(
    reader: &mut Reader<'_, '_>,
    kestrel: &Section<'_>,
    (key, kestrels): (&'static str, &'static str),
    value: T,
    limit: &mut T,
) {
    let other = kestrel.child(kestrels);
    if !other.is_empty() || other.is_null() {
        if *limit != value {
            let at = reader.section.child(key);
            let message = format!("without effect, because {} says otherwise", other.path());
            reader.warn(&at, message, Some("keep one of the two".to_owned()));
        }
    } else {
        *limit = value;
    }
}

/// -1 is any number (`HttpSysOptions.MaxConnections`).
fn most_connections(text: &str) -> Result<Option<usize>, String> {
    match leaf::int64(text)? {
        -1 => Ok(None),
        _ => connections(text)
            .map(Some)
            .map_err(|_| format!("{text:?} is neither positive nor -1, any number")),
    }
}

/// http.sys counts seconds in 16 bits; zero is the default.
fn timeout(text: &str) -> Result<Option<Duration>, String> {
    const MOST: Duration = Duration::from_secs(65_535);
    match TimeSpan::parse(text)?.duration() {
        Some(Duration::ZERO) => Ok(None),
        Some(timeout) if timeout <= MOST => Ok(Some(timeout)),
        _ => Err(format!("{text:?} is not from 0 to 18:12:15")),
    }
}

/// Zero is the default; all 32 bits set is no least rate.
fn least_sent(text: &str) -> Result<Option<Option<DataRate>>, String> {
    let rate = leaf::int64(text)
        .ok()
        .and_then(|rate| u32::try_from(rate).ok());
    match rate {
        Some(0) => Ok(None),
        Some(u32::MAX) => Ok(Some(None)),
        Some(rate) => Ok(Some(Some(DataRate {
            bytes_per_second: u64::from(rate),
            ..DataRate::default()
        }))),
        None => Err(format!("{text:?} is not from 0 to {}", u32::MAX)),
    }
}
