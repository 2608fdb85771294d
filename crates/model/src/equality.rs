//! When a reload counts as a change (reference A1.15): many texts compare without case.
//!
//! Each object is brought into a form in which what compares without case is folded; two objects
//! are equal when those forms are. A field nobody has thought of here so compares exactly, which at
//! worst replaces something that could have stayed.
//!
//! A known oddity of YARP follows and is kept: a reload that changes nothing but the letter case of
//! an address, a path or a host keeps the old spelling.

use std::collections::BTreeMap;

use ostler_config::schema::{ClusterConfig, DestinationConfig, Metadata, RouteConfig};

use crate::ordinal::fold;

/// Whether two routes are the same.
pub(crate) fn same_route(left: &RouteConfig, right: &RouteConfig) -> bool {
    left == right || folded_route(left) == folded_route(right)
}

/// Whether two clusters are the same, destinations apart.
pub(crate) fn same_cluster(left: &ClusterConfig, right: &ClusterConfig) -> bool {
    folded_cluster(left) == folded_cluster(right)
}

/// Whether two destinations are the same.
pub(crate) fn same_destination(left: &DestinationConfig, right: &DestinationConfig) -> bool {
    left == right || folded_destination(left) == folded_destination(right)
}

/// Whether there are two that `is` calls the same, or none.
pub(crate) fn same<T>(
    left: &Option<T>,
    right: &Option<T>,
    is: impl FnOnce(&T, &T) -> bool,
) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => is(left, right),
        (None, None) => true,
        _ => false,
    }
}

fn folded_route(route: &RouteConfig) -> RouteConfig {
    let mut route = route.clone();
    fold_in_place(&mut route.route_id);
    let policies = [
        &mut route.cluster_id,
        &mut route.authorization_policy,
        &mut route.rate_limiter_policy,
        &mut route.output_cache_policy,
        &mut route.timeout_policy,
        &mut route.cors_policy,
        &mut route.matches.path,
    ];
    policies.into_iter().flatten().for_each(fold_in_place);
    route.matches.hosts.iter_mut().for_each(fold_in_place);
    route.matches.methods.iter_mut().for_each(fold_in_place);
    for rule in &mut route.matches.headers {
        fold_in_place(&mut rule.name);
        if !rule.is_case_sensitive {
            rule.values.iter_mut().for_each(fold_in_place);
        }
    }
    for rule in &mut route.matches.query_parameters {
        fold_in_place(&mut rule.name);
        if !rule.is_case_sensitive {
            rule.values.iter_mut().for_each(fold_in_place);
        }
    }
    fold_keys(&mut route.metadata);
    route
}

fn folded_cluster(cluster: &ClusterConfig) -> ClusterConfig {
    let mut cluster = ClusterConfig {
        destinations: Vec::new(),
        ..cluster.clone()
    };
    fold_in_place(&mut cluster.cluster_id);
    let checks = &mut cluster.health_check;
    let policies = [
        &mut cluster.load_balancing_policy,
        &mut checks.available_destinations_policy,
        &mut checks.active.policy,
        &mut checks.passive.policy,
    ];
    policies.into_iter().flatten().for_each(fold_in_place);
    if let Some(affinity) = &mut cluster.session_affinity {
        let domain = affinity.cookie.as_mut().map(|cookie| &mut cookie.domain);
        let policies = [&mut affinity.policy, &mut affinity.failure_policy];
        policies
            .into_iter()
            .chain(domain)
            .flatten()
            .for_each(fold_in_place);
    }
    fold_keys(&mut cluster.metadata);
    cluster
}

fn folded_destination(destination: &DestinationConfig) -> DestinationConfig {
    let mut destination = destination.clone();
    fold_in_place(&mut destination.destination_id);
    fold_in_place(&mut destination.address);
    let bases = [&mut destination.health, &mut destination.host];
    bases.into_iter().flatten().for_each(fold_in_place);
    fold_keys(&mut destination.metadata);
    destination
}

fn fold_in_place(text: &mut String) {
    *text = fold(text);
}

fn fold_keys(metadata: &mut Metadata) {
    let folded = std::mem::take(metadata)
        .into_iter()
        .map(|(key, value)| (fold(&key), value));
    *metadata = folded.collect::<BTreeMap<_, _>>();
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ostler_config::schema::{
        HeaderMatchConfig, HealthCheckConfig, MatchConfig, SessionAffinityConfig,
        SessionAffinityCookieConfig,
    };

    use super::*;

    fn route() -> RouteConfig {
        RouteConfig {
            route_id: "r".into(),
            cluster_id: Some("c".into()),
            matches: MatchConfig {
                path: Some("/path".into()),
                hosts: vec!["a.com".into(), "b.com".into()],
                methods: vec!["GET".into()],
                headers: vec![HeaderMatchConfig {
                    name: "h".into(),
                    values: vec!["v".into()],
                    ..Default::default()
                }],
                ..Default::default()
            },
            metadata: [("key".into(), "value".into())].into(),
            ..Default::default()
        }
    }

    type Change = fn(&mut RouteConfig);

    #[test]
    fn letter_case_does_not_change_a_route_where_it_does_not_matter() {
        let changes: [Change; 7] = [
            |r| r.route_id = "R".into(),
            |r| r.cluster_id = Some("C".into()),
            |r| r.matches.path = Some("/PATH".into()),
            |r| r.matches.hosts[0] = "A.com".into(),
            |r| r.matches.methods[0] = "get".into(),
            |r| r.matches.headers[0].values[0] = "V".into(),
            |r| r.metadata = [("KEY".into(), "value".into())].into(),
        ];
        for (at, change) in changes.iter().enumerate() {
            let mut changed = route();
            change(&mut changed);
            assert_ne!(changed, route(), "{at}");
            assert!(same_route(&changed, &route()), "{at}");
        }
    }

    #[test]
    fn everything_else_changes_a_route() {
        let changes: [Change; 7] = [
            |r| r.order = Some(0),
            |r| r.timeout = Some(Duration::from_secs(1)),
            |r| r.matches.hosts.reverse(),
            |r| r.matches.path = Some("/path/".into()),
            |r| r.metadata = [("key".into(), "VALUE".into())].into(),
            |r| r.matches.headers[0].is_case_sensitive = true,
            |r| r.transforms = vec![[("PathPrefix".into(), "/x".into())].into()],
        ];
        for (at, change) in changes.iter().enumerate() {
            let mut changed = route();
            change(&mut changed);
            assert!(!same_route(&changed, &route()), "{at}");
        }
    }

    #[test]
    fn values_of_a_case_sensitive_rule_compare_exactly() {
        let mut left = route();
        left.matches.headers[0].is_case_sensitive = true;
        let mut right = left.clone();
        assert!(same_route(&left, &right));
        right.matches.headers[0].values[0] = "V".into();
        assert!(!same_route(&left, &right));
    }

    #[test]
    fn destinations_are_no_part_of_a_cluster() {
        let left = ClusterConfig {
            load_balancing_policy: Some("random".into()),
            destinations: vec![DestinationConfig::default()],
            ..Default::default()
        };
        let right = ClusterConfig {
            load_balancing_policy: Some("Random".into()),
            ..Default::default()
        };
        assert!(same_cluster(&left, &right));
        let other = ClusterConfig {
            load_balancing_policy: None,
            ..right.clone()
        };
        assert!(!same_cluster(&right, &other));
    }

    #[test]
    fn a_destination_compares_its_texts_without_case_and_its_metadata_values_with() {
        let left = DestinationConfig {
            address: "http://a/x".into(),
            host: Some("h".into()),
            metadata: [("k".into(), "v".into())].into(),
            ..Default::default()
        };
        let same = DestinationConfig {
            address: "HTTP://A/X".into(),
            host: Some("H".into()),
            ..left.clone()
        };
        assert!(same_destination(&left, &same));
        let other = DestinationConfig {
            metadata: [("k".into(), "V".into())].into(),
            ..left.clone()
        };
        assert!(!same_destination(&left, &other));
        let other = DestinationConfig {
            health: Some(String::new()),
            ..left.clone()
        };
        assert!(!same_destination(&left, &other));
    }

    #[test]
    fn policies_of_a_cluster_compare_without_case_and_affinity_keys_with() {
        let cluster = |policy: &str, key: &str, domain: &str| ClusterConfig {
            health_check: HealthCheckConfig {
                available_destinations_policy: Some(policy.into()),
                ..Default::default()
            },
            session_affinity: Some(SessionAffinityConfig {
                policy: Some(policy.into()),
                affinity_key_name: key.into(),
                cookie: Some(SessionAffinityCookieConfig {
                    domain: Some(domain.into()),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        };
        let before = cluster("p", "k", "d");
        assert!(same_cluster(&before, &cluster("P", "k", "D")));
        assert!(!same_cluster(&before, &cluster("p", "K", "d")));
        assert!(!same_cluster(&before, &cluster("q", "k", "d")));
    }
}
