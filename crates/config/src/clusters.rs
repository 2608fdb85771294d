//! `ReverseProxy:Clusters`: reading, and rules C1 to C14.

use crate::diagnostics::Diagnostics;
use crate::leaf;
use crate::not_yet;
use crate::reader::{Reader, nearest};
use crate::schema::{ClusterConfig, DestinationConfig};
use crate::tree::Section;

const LOAD_BALANCING: [&str; 5] = [
    "FirstAlphabetical",
    "Random",
    "RoundRobin",
    "LeastRequests",
    "PowerOfTwoChoices",
];
const AFFINITY: [&str; 4] = ["HashCookie", "ArrCookie", "Cookie", "CustomHeader"];
const AFFINITY_FAILURE: [&str; 2] = ["Redistribute", "Return503Error"];
const AVAILABLE: [&str; 2] = ["HealthyOrPanic", "HealthyAndUnknown"];

/// The destination metadata that names a request queue.
pub(crate) const QUEUE: &str = "HttpSysDelegationQueue";

pub(crate) fn read(
    clusters: &Section<'_>,
    delegates: bool,
    diagnostics: &mut Diagnostics,
) -> Vec<ClusterConfig> {
    clusters
        .children()
        .map(|(id, section)| cluster(id, section, delegates, diagnostics))
        .collect()
}

fn cluster(
    id: &str,
    section: Section<'_>,
    delegates: bool,
    diagnostics: &mut Diagnostics,
) -> ClusterConfig {
    let mut reader = Reader::new(section, diagnostics);
    let at = reader.section.clone();
    if id.is_empty() {
        reader.error(&at, "the cluster has no id", None); // C1
    }
    reader.child("ClusterId");
    let destinations = reader.child("Destinations");
    let destinations = destinations
        .children()
        .map(|(name, item)| destination(id, name, item, delegates, reader.diagnostics))
        .collect();
    let load_balancing_policy = reader.text("LoadBalancingPolicy");
    check_name(
        &mut reader,
        &at.child("LoadBalancingPolicy"),
        &LOAD_BALANCING,
        "load balancing policy",
    ); // C3
    let affinity = reader.child("SessionAffinity");
    session_affinity(&mut reader, &affinity);
    let health = reader.child("HealthCheck");
    health_check(&mut reader, &health);
    let client = reader.child("HttpClient");
    let max_connections_per_server = http_client(&mut reader, &client);
    let request = reader.child("HttpRequest");
    let activity_timeout = http_request(&mut reader, &request);
    let metadata = reader.map("Metadata");
    not_yet::cluster(&mut reader);
    reader.finish();
    ClusterConfig {
        cluster_id: id.to_owned(),
        destinations,
        load_balancing_policy,
        activity_timeout,
        max_connections_per_server,
        metadata,
    }
}

fn destination(
    cluster: &str,
    id: &str,
    section: Section<'_>,
    delegates: bool,
    diagnostics: &mut Diagnostics,
) -> DestinationConfig {
    let mut reader = Reader::new(section, diagnostics);
    let config = DestinationConfig {
        destination_id: id.to_owned(),
        address: reader.text("Address").unwrap_or_default(),
        health: reader.text("Health"),
        host: reader.text("Host"),
        metadata: reader.map("Metadata"),
    };
    let at = reader.section.clone();
    if config.address.is_empty() {
        let message = format!("there is no address for destination {id} on cluster {cluster}");
        reader.error(
            &at,
            message,
            Some("set Address to a URL such as http://localhost:5001/".to_owned()),
        ); // C2
    }
    let metadata = at.child("Metadata").child(QUEUE);
    match metadata.value() {
        Some(queue) if !delegates => {
            let message =
                format!("the pipeline has no HttpSysDelegation, so queue {queue:?} is not used");
            let remedy = "add it to ReverseProxy:Pipeline, behind LoadBalancing".to_owned();
            reader.warn(&metadata, message, Some(remedy));
        }
        Some(queue) if queue.is_empty() || queue.chars().count() > 260 => {
            reader.error(&metadata, "a queue's name has 1 to 260 characters", None);
        }
        Some(_) => {}
        None if config.address.to_ascii_lowercase().starts_with("https:") => {
            not_yet::https(&at.child("Address"), reader.diagnostics);
        }
        None => {}
    }
    reader.finish();
    config
}

/// Nothing in it is looked at unless it is enabled.
fn session_affinity(reader: &mut Reader<'_, '_>, section: &Section<'_>) {
    if !enabled(reader, section) {
        return;
    }
    check_name(
        reader,
        &section.child("Policy"),
        &AFFINITY,
        "session affinity policy",
    ); // C4
    check_name(
        reader,
        &section.child("FailurePolicy"),
        &AFFINITY_FAILURE,
        "failure policy",
    ); // C5
    if section
        .child("AffinityKeyName")
        .value()
        .is_none_or(str::is_empty)
    {
        reader.error(
            section,
            "AffinityKeyName is not set",
            Some("name the cookie or header".to_owned()),
        ); // C6
    }
    for key in ["Expiration", "MaxAge"] {
        check_positive(reader, &section.child("Cookie").child(key)); // C7, C8
    }
}

fn health_check(reader: &mut Reader<'_, '_>, section: &Section<'_>) {
    check_name(
        reader,
        &section.child("AvailableDestinationsPolicy"),
        &AVAILABLE,
        "available destinations policy",
    ); // C9
    let active = section.child("Active");
    if enabled(reader, &active) {
        check_name(
            reader,
            &active.child("Policy"),
            &["ConsecutiveFailures"],
            "active health check policy",
        ); // C10
        check_positive(reader, &active.child("Interval"));
        check_positive(reader, &active.child("Timeout"));
    }
    let passive = section.child("Passive");
    if enabled(reader, &passive) {
        check_name(
            reader,
            &passive.child("Policy"),
            &["TransportFailureRate"],
            "passive health check policy",
        ); // C11
        check_positive(reader, &passive.child("ReactivationPeriod"));
    }
}

fn http_client(reader: &mut Reader<'_, '_>, section: &Section<'_>) -> Option<u32> {
    for key in ["RequestHeaderEncoding", "ResponseHeaderEncoding"] {
        const KNOWN: [&str; 10] = [
            "utf-8",
            "utf-16",
            "utf-16le",
            "utf-16be",
            "utf-32",
            "us-ascii",
            "ascii",
            "iso-8859-1",
            "latin1",
            "utf-32le",
        ];
        check_name(reader, &section.child(key), &KNOWN, "encoding"); // C13
    }
    let connections = section.child("MaxConnectionsPerServer");
    let text = connections.value()?;
    match leaf::int32(text).map(u32::try_from) {
        Ok(Ok(most)) if most > 0 => Some(most),
        Ok(_) => {
            reader.error(&connections, format!("{text:?} is not positive"), None); // C12
            None
        }
        Err(message) => {
            reader.error(&connections, message, None);
            None
        }
    }
}

fn http_request(
    reader: &mut Reader<'_, '_>,
    section: &Section<'_>,
) -> Option<crate::schema::ActivityTimeout> {
    let version = section.child("Version");
    if let Some(text) = version.value().filter(|text| !text.is_empty()) {
        if !matches!(text, "1.0" | "1.1" | "2" | "2.0" | "3" | "3.0" | "1") {
            reader.error(
                &version,
                format!("{text:?} is not one of 1.0, 1.1, 2 and 3"),
                None,
            ); // C14
        } else if matches!(text, "1" | "1.0") {
            reader.warn(&version, "HTTP/1.0 to destinations is seldom wanted", None);
        }
    }
    const POLICIES: [&str; 3] = [
        "RequestVersionOrLower",
        "RequestVersionOrHigher",
        "RequestVersionExact",
    ];
    check_name(
        reader,
        &section.child("VersionPolicy"),
        &POLICIES,
        "version policy",
    );
    let timeout = section.child("ActivityTimeout");
    match leaf::activity_timeout(timeout.value()?) {
        Ok(timeout) => Some(timeout),
        Err(message) => {
            reader.error(&timeout, message, None);
            None
        }
    }
}

fn enabled(reader: &mut Reader<'_, '_>, section: &Section<'_>) -> bool {
    let enabled = section.child("Enabled");
    match enabled.value().map(leaf::boolean) {
        None => false,
        Some(Ok(enabled)) => enabled,
        Some(Err(message)) => {
            reader.error(&enabled, message, None);
            false
        }
    }
}

fn check_name(reader: &mut Reader<'_, '_>, at: &Section<'_>, known: &[&str], what: &str) {
    let Some(name) = at.value().filter(|name| !name.is_empty()) else {
        return;
    };
    if known.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return;
    }
    let remedy = match nearest(name, known) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("known are {}", known.join(", ")),
    };
    reader.error(at, format!("there is no {what} {name:?}"), Some(remedy));
}

fn check_positive(reader: &mut Reader<'_, '_>, at: &Section<'_>) {
    match at.value().map(leaf::time_span) {
        None => {}
        Some(Ok((negative, span))) if negative || span.is_zero() => {
            reader.error(at, "it is not positive", None);
        }
        Some(Ok(_)) => {}
        Some(Err(message)) => reader.error(at, message, None),
    }
}
