//! `Destinations` of a cluster: rule C2, and what can be said of request queues.

use super::address;
use super::reading::Reading;
use super::services::Resolved;
use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::leaf;
use crate::metadata;
use crate::reader::Reader;
use crate::schema::DestinationConfig;
use crate::tree::Section;

/// The metadata that names a destination's request queue (reference A8).
const QUEUE: &str = "HttpSysDelegationQueue";

/// Longest name of a request queue, in characters (http.sys).
const LONGEST_QUEUE_NAME: usize = 260;

/// Reads one entry of `Destinations`: one destination, or those of the service that it names.
pub(super) fn read(
    cluster: &str,
    id: &str,
    section: Section<'_>,
    reading: &Reading<'_>,
    diagnostics: &mut Diagnostics,
) -> Vec<DestinationConfig> {
    let delegates = reading.delegates;
    let mut reader = Reader::new(section, &keys::DESTINATION, diagnostics);
    let config = DestinationConfig {
        destination_id: id.to_owned(),
        address: reader.text("Address").unwrap_or_default(),
        health: reader.text("Health"),
        host: reader
            .parsed("Host", leaf::field_value)
            .filter(|host| !host.is_empty()),
        metadata: reader.map("Metadata"),
    };
    let at = reader.section.clone();
    let meant = [(QUEUE, "delegationqueue")];
    metadata::warn_of_misspelt(&mut reader, &at.child("Metadata"), &meant);
    if config.address.is_empty() {
        let message = format!("no address for destination {id:?} on cluster {cluster:?}");
        let remedy = match at.split_from() {
            Some(key) => format!("choose an id without `:`, at which the key {key:?} is cut"),
            None => "set Address to a URL such as http://localhost:5001/".to_owned(),
        };
        reader.error(&at.child("Address"), message, Some(remedy)); // C2
    }
    let queue = at.child("Metadata").child(QUEUE);
    let is_prefix = delegates && queue.value().is_some();
    let resolved = match &reading.services {
        Some(services) if !is_prefix => {
            let warn = |message, remedy: &str| {
                reader.warn(&at.child("Address"), message, Some(remedy.to_owned()));
            };
            services.resolve(&config, warn)
        }
        _ => Resolved::AsItIs(config),
    };
    // What a section of services says was checked there.
    let config = match resolved {
        Resolved::Endpoints(destinations) => {
            reader.finish();
            return destinations;
        }
        Resolved::AsItIs(config) => config,
    };
    check_address(&mut reader, &config.address, is_prefix);
    if host_is_any(&config.address) && queue.value().is_none() {
        let message = format!(
            "{:?} names no host, so no request can be forwarded to it",
            config.address
        );
        let remedy = "name a host; or, for delegation, the request queue in \
                      Metadata:HttpSysDelegationQueue";
        reader.warn(&at.child("Address"), message, Some(remedy.to_owned()));
    }
    if let Some(name) = queue.value() {
        check_queue(&mut reader, &queue, name, delegates);
    }
    reader.finish();
    vec![config]
}

/// Checks what an address is taken for.
fn check_address(reader: &mut Reader<'_, '_>, address: &str, is_prefix: bool) {
    let (checked, kind, remedy) = match is_prefix {
        true => (
            address::check_url_prefix(address),
            "URL prefix",
            "write it as http://*:80/",
        ),
        false => (
            address::check_url(address),
            "URL",
            match address.split_once("://") {
                Some((schemes, _)) if schemes.contains('+') => {
                    "set Ostler:DestinationResolver:Type to ServiceDiscovery, which takes several schemes"
                }
                _ => "write it as http://host:port/",
            },
        ),
    };
    if let Err(reason) = checked
        && !address.is_empty()
    {
        let message = format!("{address:?} is no {kind}: {reason}");
        let at = reader.section.child("Address");
        reader.error(&at, message, Some(remedy.to_owned()));
    }
}

/// `*` and `+` are URL prefixes' words for any host.
fn host_is_any(address: &str) -> bool {
    let host = address.split_once("://").map(|(_, rest)| rest);
    host.is_some_and(|host| host.starts_with(['*', '+']))
}

fn check_queue(reader: &mut Reader<'_, '_>, at: &Section<'_>, name: &str, delegates: bool) {
    if name.chars().count() > LONGEST_QUEUE_NAME {
        let message = format!("the queue's name is longer than {LONGEST_QUEUE_NAME} characters");
        reader.error(at, message, Some("choose a shorter one".to_owned()));
    }
    if !delegates {
        let message = format!("queue {name:?} is not used: the pipeline does not delegate");
        let remedy = "set ReverseProxy:Pipeline to [ \"SessionAffinity\", \"LoadBalancing\", \
                      \"PassiveHealthChecks\", \"HttpSysDelegation\" ]";
        reader.warn(at, message, Some(remedy.to_owned()));
    } else if name.is_empty() {
        // YARP takes any text, even an empty one, for the wish to delegate (reference A8, step 3).
        let message = "no queue has an empty name, so requests are answered 503";
        reader.warn(
            at,
            message,
            Some("name a queue, or remove the key".to_owned()),
        );
    }
}
