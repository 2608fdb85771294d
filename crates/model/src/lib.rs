//! What the proxy knows and decides: routes, clusters, destinations, policies.
#![forbid(unsafe_code)]
