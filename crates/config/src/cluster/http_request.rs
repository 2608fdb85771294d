//! `HttpRequest` of a cluster: reading, and rule C14.

use std::time::Duration;

use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::leaf::{self, Members, TimeSpan};
use crate::reader::Reader;
use crate::schema::{ActivityTimeout, HttpRequestConfig, HttpVersion, HttpVersionPolicy};
use crate::tree::Section;

const VERSION_POLICIES: &Members<HttpVersionPolicy> = &[
    (
        "RequestVersionOrLower",
        0,
        HttpVersionPolicy::RequestVersionOrLower,
    ),
    (
        "RequestVersionOrHigher",
        1,
        HttpVersionPolicy::RequestVersionOrHigher,
    ),
    (
        "RequestVersionExact",
        2,
        HttpVersionPolicy::RequestVersionExact,
    ),
];

/// Reads `HttpRequest`, and with it `ActivityTimeout`.
pub(super) fn read(
    section: Section<'_>,
    diagnostics: &mut Diagnostics,
) -> (HttpRequestConfig, Option<ActivityTimeout>) {
    let mut reader = Reader::new(section, &keys::HTTP_REQUEST, diagnostics);
    let activity_timeout = activity_timeout(&mut reader);
    let config = HttpRequestConfig {
        // An empty text is an absent version (reference A1.1).
        version: reader
            .parsed("Version", |text| match text {
                "" => Ok(None),
                text => leaf::http_version(text).map(Some),
            })
            .flatten(), // C14
        version_policy: reader.parsed("VersionPolicy", |text| leaf::member(text, VERSION_POLICIES)),
        allow_response_buffering: reader.parsed("AllowResponseBuffering", leaf::boolean),
    };
    if config.version == Some(HttpVersion::Http10) {
        let at = reader.section.child("Version");
        let message = "HTTP/1.0 has no chunked bodies: requests with one are answered 502";
        reader.warn(&at, message, Some("set it to 1.1".to_owned()));
    }
    reader.finish();
    (config, activity_timeout)
}

/// YARP takes any time span. Zero cancels at once, and a negative one fails each request, for
/// which zero stands here.
fn activity_timeout(reader: &mut Reader<'_, '_>) -> Option<ActivityTimeout> {
    let span = reader.parsed("ActivityTimeout", TimeSpan::parse)?;
    if span == TimeSpan::INFINITE {
        return Some(ActivityTimeout::Infinite);
    }
    if span.positive().is_none() {
        let at = reader.section.child("ActivityTimeout");
        let message =
            "the time is not positive, so every request that is not answered at once fails";
        let remedy = "set a positive time, or -00:00:00.001 for none".to_owned();
        reader.warn(&at, message, Some(remedy));
    }
    Some(ActivityTimeout::After(
        span.positive().unwrap_or(Duration::ZERO),
    ))
}
