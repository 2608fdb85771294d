//! Affinity keys of clients: cookies and fields of any shape find a destination or none, and one that
//! is encrypted cannot be made up.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use ostler_config::schema::{ClusterConfig, DestinationConfig, ProxyConfig, SessionAffinityConfig};
use ostler_fuzz::Request;
use ostler_model::session_affinity::{Affinity, Cookie, CustomHeader, HashedCookie, KeyRing};
use ostler_model::{DestinationState, ProxyModel, SessionAffinityPolicy};

struct Affinities {
    destinations: Vec<Arc<DestinationState>>,
    config: SessionAffinityConfig,
    /// With whether its keys are encrypted.
    policies: Vec<(bool, Box<dyn SessionAffinityPolicy>)>,
}

static AFFINITIES: LazyLock<Affinities> = LazyLock::new(|| {
    let destination = |id: &str| DestinationConfig {
        destination_id: id.into(),
        address: "http://127.0.0.1/".into(),
        ..DestinationConfig::default()
    };
    let snapshot = ProxyModel::new().apply(&ProxyConfig {
        clusters: vec![ClusterConfig {
            cluster_id: "c".into(),
            destinations: vec![destination("d1"), destination("d2")],
            ..ClusterConfig::default()
        }]
        .into(),
        ..ProxyConfig::default()
    });
    let snapshot = snapshot.expect("it is a cluster");
    let cluster = snapshot.clusters.find("c").expect("it is there");
    Affinities {
        destinations: cluster.destinations().available.to_vec(),
        config: SessionAffinityConfig {
            policy: None,
            failure_policy: None,
            affinity_key_name: "key".into(),
            cookie: None,
        },
        policies: vec![
            (true, Box::new(Cookie::new(KeyRing::default()))),
            (true, Box::new(CustomHeader::new(KeyRing::default()))),
            (false, Box::new(HashedCookie::hash_cookie())),
            (false, Box::new(HashedCookie::arr_cookie())),
        ],
    }
});

fuzz_target!(|input: &[u8]| {
    let mut fields = Vec::new();
    for line in input.split(|byte| *byte == b'\n') {
        fields.extend([("cookie", line), ("key", line)]);
    }
    let request = Request {
        fields,
        ..Request::default()
    };
    for (is_encrypted, policy) in &AFFINITIES.policies {
        let found = policy.find(&request, &AFFINITIES.config, &AFFINITIES.destinations);
        assert!(!(*is_encrypted && matches!(found, Affinity::Found(_))));
    }
});
