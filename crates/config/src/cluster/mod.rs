//! `ReverseProxy:Clusters`: reading, and the rules C1 to C14 of reference A2.2.

mod address;
mod destination;
mod header_encoding;
mod health_check;
mod http_client;
mod http_request;
mod ostler;
mod policy;
mod reading;
mod services;
mod session_affinity;
mod web_proxy;

pub(crate) use http_client::ssl_protocols;
pub(crate) use reading::Reading;
pub(crate) use services::Services;

use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::metadata;
use crate::policy_kind::PolicyKind;
use crate::reader::Reader;
use crate::schema::ClusterConfig;
use crate::tree::Section;

/// Metadata with a meaning, each with a word that none is without which means the same.
const METADATA: [(&str, &str); 2] = [
    (
        "ConsecutiveFailuresHealthPolicy.Threshold",
        "consecutivefailures",
    ),
    ("TransportFailureRateHealthPolicy.RateLimit", "failurerate"),
];

/// Reads one entry of `Clusters`.
pub(crate) fn read(
    id: &str,
    section: Section<'_>,
    reading: &Reading<'_>,
    diagnostics: &mut Diagnostics,
) -> ClusterConfig {
    let validator = reading.validator;
    let mut reader = Reader::new(section, &keys::CLUSTER, diagnostics);
    let at = reader.section.clone();
    if id.is_empty() {
        let remedy = "give it a key that is not empty".to_owned();
        reader.error(&at, "the cluster has no id", Some(remedy)); // C1
    }
    let destinations = reader.entries("Destinations").into_iter();
    let destinations = destinations
        .flat_map(|(name, item)| destination::read(id, name, item, reading, reader.diagnostics))
        .collect();
    let load_balancing_policy = policy::read(
        &mut reader,
        "LoadBalancingPolicy",
        PolicyKind::LoadBalancing,
        validator,
    ); // C3
    let affinity = reader.child("SessionAffinity");
    let health = reader.child("HealthCheck");
    let client = reader.child("HttpClient");
    let request = reader.child("HttpRequest");
    let own = reader.child("Ostler");
    let session_affinity = session_affinity::read(affinity, validator, reader.diagnostics);
    let health_check = health_check::read(health, validator, reader.diagnostics);
    let (http_client, max_connections_per_server) = http_client::read(client, reader.diagnostics);
    let (http_request, activity_timeout) = http_request::read(request, reader.diagnostics);
    let ostler = ostler::read(own, reader.diagnostics);
    let metadata = reader.map("Metadata");
    metadata::warn_of_misspelt(&mut reader, &at.child("Metadata"), &METADATA);
    reader.finish();
    ClusterConfig {
        cluster_id: id.to_owned(),
        destinations,
        load_balancing_policy,
        session_affinity,
        health_check,
        http_client,
        http_request,
        activity_timeout,
        max_connections_per_server,
        ostler,
        metadata,
    }
}
