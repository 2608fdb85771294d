//! `ReverseProxy:Clusters`: reading, and the rules C1 to C14 of reference 2.2.

mod address;
mod destination;
mod health_check;
mod http_client;
mod http_request;
mod session_affinity;

use crate::diagnostics::Diagnostics;
use crate::reader::Reader;
use crate::schema::ClusterConfig;
use crate::tree::Section;

/// The names of load balancing policies.
const LOAD_BALANCING_POLICIES: [&str; 5] = [
    "FirstAlphabetical",
    "Random",
    "RoundRobin",
    "LeastRequests",
    "PowerOfTwoChoices",
];

/// Reads one entry of `Clusters`. `delegates` says whether the pipeline has that step.
pub(crate) fn read(
    id: &str,
    section: Section<'_>,
    delegates: bool,
    diagnostics: &mut Diagnostics,
) -> ClusterConfig {
    let mut reader = Reader::new(section, diagnostics);
    let at = reader.section.clone();
    if id.is_empty() {
        let remedy = "give it a key that is not empty".to_owned();
        reader.error(&at, "the cluster has no id", Some(remedy)); // C1
    }
    // Of an older format, and ignored by YARP (reference 1.1).
    reader.allow(["ClusterId"]);
    let destinations = reader.entries("Destinations").into_iter();
    let destinations = destinations
        .map(|(name, item)| destination::read(id, name, item, delegates, reader.diagnostics))
        .collect();
    let load_balancing_policy = reader.name(
        "LoadBalancingPolicy",
        "load balancing policy",
        &LOAD_BALANCING_POLICIES,
    ); // C3
    let affinity = reader.child("SessionAffinity");
    let health = reader.child("HealthCheck");
    let client = reader.child("HttpClient");
    let request = reader.child("HttpRequest");
    let session_affinity = session_affinity::read(affinity, reader.diagnostics);
    let health_check = health_check::read(health, reader.diagnostics);
    let (http_client, max_connections_per_server) = http_client::read(client, reader.diagnostics);
    let (http_request, activity_timeout) = http_request::read(request, reader.diagnostics);
    let metadata = reader.map("Metadata");
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
        metadata,
    }
}
