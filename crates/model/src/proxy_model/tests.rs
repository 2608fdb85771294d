use ostler_config::schema::{ClusterConfig, DestinationConfig, MatchConfig};

use super::*;
use crate::route::testing::Request;
use crate::{DestinationHealth, DestinationState, Found};

fn cluster(id: &str, destinations: &[&str]) -> ClusterConfig {
    ClusterConfig {
        cluster_id: id.into(),
        destinations: destinations
            .iter()
            .map(|id| destination(id, "http://a/"))
            .collect(),
        ..Default::default()
    }
}

fn destination(id: &str, address: &str) -> DestinationConfig {
    DestinationConfig {
        destination_id: id.into(),
        address: address.into(),
        ..Default::default()
    }
}

fn route(id: &str, cluster: &str, path: &str) -> RouteConfig {
    RouteConfig {
        route_id: id.into(),
        cluster_id: Some(cluster.into()),
        matches: MatchConfig {
            path: Some(path.into()),
            ..Default::default()
        },
        ..Default::default()
    }
}

fn config(routes: Vec<RouteConfig>, clusters: Vec<ClusterConfig>) -> ProxyConfig {
    ProxyConfig {
        routes,
        clusters,
        ..Default::default()
    }
}

fn found(snapshot: &Snapshot, path: &str) -> Arc<RouteModel> {
    match snapshot.routes.find(&Request::to(path)) {
        Found::Route(route) => Arc::clone(route),
        other => panic!("{path}: {other:?}"),
    }
}

fn ids(destinations: &[Arc<DestinationState>]) -> Vec<&str> {
    destinations
        .iter()
        .map(|destination| destination.id())
        .collect()
}

#[test]
fn an_empty_model_finds_no_route() {
    let model = ProxyModel::new();
    assert_eq!(model.revision(), 0);
    assert!(matches!(
        model.snapshot().routes.find(&Request::to("/")),
        Found::NotFound
    ));
}

#[test]
fn routes_are_bound_to_their_clusters_without_case() {
    let model = ProxyModel::new();
    let snapshot = model
        .apply(&config(
            vec![
                route("r1", "CLUSTER1", "/a"),
                route("r2", "nowhere", "/b"),
                route("r3", "", "/c"),
            ],
            vec![cluster("cluster1", &["d1", "d2"])],
        ))
        .unwrap();
    assert_eq!(snapshot.revision, 1);
    assert_eq!(model.revision(), 1);
    let cluster = found(&snapshot, "/a").cluster.clone().unwrap();
    assert_eq!(cluster.id(), "cluster1");
    assert_eq!(ids(&cluster.destinations().all), ["d1", "d2"]);
    assert_eq!(ids(&cluster.destinations().available), ["d1", "d2"]);
    // No cluster of that name, and none at all: the proxy answers 503.
    assert!(found(&snapshot, "/b").cluster.is_none());
    assert!(found(&snapshot, "/c").cluster.is_none());
    assert!(Arc::ptr_eq(
        snapshot.clusters.find("Cluster1").unwrap(),
        &cluster
    ));
    assert_eq!(snapshot.clusters.iter().len(), 1);
}

#[test]
fn a_reload_without_a_change_keeps_the_snapshot() {
    let model = ProxyModel::new();
    let mut config = config(vec![route("r", "c", "/a")], vec![cluster("c", &["d"])]);
    let first = model.apply(&config).unwrap();
    assert!(Arc::ptr_eq(&first, &model.apply(&config).unwrap()));
    // Letter case of a path is no change (the quirk of reference A1.15).
    config.routes[0].matches.path = Some("/A".into());
    assert!(Arc::ptr_eq(&first, &model.apply(&config).unwrap()));
    assert_eq!(model.revision(), 1);
}

#[test]
fn counters_health_and_the_round_survive_a_reload() {
    let model = ProxyModel::new();
    let before = model
        .apply(&config(
            vec![route("r", "c", "/a")],
            vec![cluster("c", &["d1", "d2"])],
        ))
        .unwrap();
    let state = before.clusters.find("c").unwrap();
    let destinations = state.destinations();
    let guard = destinations.all[0].begin_request();
    destinations.all[0].set_active_health(DestinationHealth::Unhealthy);
    assert_eq!(state.next_in_round(), 0);

    // Everything changes but the ids.
    let mut changed = cluster("C", &[]);
    changed.load_balancing_policy = Some("RoundRobin".into());
    changed.destinations = vec![
        destination("d3", "http://b/"),
        destination("D1", "http://b/"),
    ];
    let after = model
        .apply(&config(vec![route("r", "c", "/b")], vec![changed]))
        .unwrap();

    let state_after = after.clusters.find("c").unwrap();
    assert!(Arc::ptr_eq(state, state_after));
    assert_eq!(state_after.id(), "c");
    assert_eq!(state_after.model().load_balancing.name(), "RoundRobin");
    assert_eq!(state_after.next_in_round(), 1);
    assert_eq!(state_after.concurrent_requests(), 1);
    let all = Arc::clone(&state_after.destinations().all);
    assert_eq!(ids(&all), ["d3", "d1"]);
    assert!(Arc::ptr_eq(&all[1], &destinations.all[0]));
    assert_eq!(all[1].model().config.address, "http://b/");
    assert_eq!(all[1].concurrent_requests(), 1);
    assert_eq!(all[1].active_health(), DestinationHealth::Unhealthy);
    drop(guard);
    assert_eq!(
        (
            all[1].concurrent_requests(),
            state_after.concurrent_requests()
        ),
        (0, 0)
    );
}

#[test]
fn what_leaves_and_comes_back_starts_from_scratch() {
    let model = ProxyModel::new();
    let with = config(
        vec![route("r", "c", "/a")],
        vec![cluster("c", &["d1", "d2"])],
    );
    let first = model.apply(&with).unwrap();
    let cluster_before = Arc::clone(first.clusters.find("c").unwrap());
    let d1 = Arc::clone(&cluster_before.destinations().all[0]);
    d1.set_passive_health(DestinationHealth::Unhealthy);
    let _guard = d1.begin_request();

    model
        .apply(&config(
            vec![route("r", "c", "/a")],
            vec![cluster("c", &["d2"])],
        ))
        .unwrap();
    let again = model.apply(&with).unwrap();
    let d1_again = Arc::clone(&again.clusters.find("c").unwrap().destinations().all[0]);
    assert!(!Arc::ptr_eq(&d1, &d1_again));
    assert_eq!(d1_again.passive_health(), DestinationHealth::Unknown);
    assert_eq!(d1_again.concurrent_requests(), 0);

    model.apply(&config(vec![], vec![])).unwrap();
    let again = model.apply(&with).unwrap();
    assert!(!Arc::ptr_eq(
        &cluster_before,
        again.clusters.find("c").unwrap()
    ));
}

#[test]
fn a_route_whose_cluster_leaves_matches_on_and_is_rebound_when_it_returns() {
    let model = ProxyModel::new();
    let routes = || vec![route("r", "c", "/a"), route("other", "x", "/x")];
    let clusters = || vec![cluster("x", &["d"])];
    let with = || [clusters(), vec![cluster("c", &["d"])]].concat();
    let first = model.apply(&config(routes(), with())).unwrap();
    let second = model.apply(&config(routes(), clusters())).unwrap();
    assert!(found(&second, "/a").cluster.is_none());
    // Who started before the reload keeps what was.
    assert!(found(&first, "/a").cluster.is_some());
    let third = model.apply(&config(routes(), with())).unwrap();
    assert!(found(&third, "/a").cluster.is_some());
    // The route that had nothing to do with it is the same object throughout.
    assert!(Arc::ptr_eq(&found(&first, "/x"), &found(&third, "/x")));
}

#[test]
fn changing_only_destinations_keeps_every_route() {
    let model = ProxyModel::new();
    let routes = || vec![route("r", "c", "/a")];
    let first = model
        .apply(&config(routes(), vec![cluster("c", &["d1"])]))
        .unwrap();
    let second = model
        .apply(&config(routes(), vec![cluster("c", &["d1", "d2"])]))
        .unwrap();
    assert_eq!(second.revision, 2);
    assert!(Arc::ptr_eq(&found(&first, "/a"), &found(&second, "/a")));
    assert_eq!(
        second
            .clusters
            .find("c")
            .unwrap()
            .destinations()
            .available
            .len(),
        2
    );
}

#[test]
fn a_configuration_with_mistakes_changes_nothing_and_names_them_all() {
    let model = ProxyModel::new();
    let good = config(vec![route("r", "c", "/a")], vec![cluster("c", &["d1"])]);
    let before = model.apply(&good).unwrap();

    let mut changed = cluster("c", &["d1", "d2", "D2"]);
    changed.load_balancing_policy = Some("Random".into());
    changed.destinations[0].address = "http://changed/".into();
    let mut unknown = cluster("u", &[]);
    unknown.load_balancing_policy = Some("Best".into());
    let bad = config(
        vec![
            route("r", "c", "/{"),
            route("R", "c", "/a"),
            route("q", "c", "/{a:nothing}"),
        ],
        vec![changed, unknown, cluster("C", &[])],
    );
    let error = model.apply(&bad).unwrap_err();
    let text = error.to_string();
    for part in [
        r#"destination "D2" is there twice in cluster "c""#,
        r#"cluster "C" is there twice"#,
        r#"route "R" is there twice"#,
        r#"cluster "u" has no such load balancing policy as "Best""#,
        r#"route "r": Match:Path: "#,
        r#"route "q": Match:Path: "#,
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert_eq!(error.mistakes.len(), 6);

    assert!(Arc::ptr_eq(&before, &model.snapshot()));
    let state = before.clusters.find("c").unwrap();
    assert_eq!(state.model().load_balancing.name(), "PowerOfTwoChoices");
    assert_eq!(ids(&state.destinations().all), ["d1"]);
    assert_eq!(
        state.destinations().all[0].model().config.address,
        "http://a/"
    );
}

#[test]
fn health_changes_what_is_available_only_through_enabled_checks() {
    let model = ProxyModel::new();
    let with = |active: bool, policy: Option<&str>| {
        let mut cluster = cluster("c", &["d1", "d2"]);
        cluster.health_check.active.enabled = active;
        cluster.health_check.available_destinations_policy = policy.map(str::to_owned);
        config(vec![route("r", "c", "/a")], vec![cluster])
    };
    let snapshot = model.apply(&with(false, None)).unwrap();
    let state = snapshot.clusters.find("c").unwrap();
    let all = Arc::clone(&state.destinations().all);
    all[0].set_active_health(DestinationHealth::Unhealthy);
    state.refresh_available();
    // No check is enabled.
    assert_eq!(ids(&state.destinations().available), ["d1", "d2"]);

    // Enabling it makes what is stored count.
    model.apply(&with(true, None)).unwrap();
    assert_eq!(ids(&state.destinations().available), ["d2"]);
    assert_eq!(ids(&state.destinations().all), ["d1", "d2"]);

    // With none left, the policy decides.
    all[1].set_active_health(DestinationHealth::Unhealthy);
    state.refresh_available();
    assert_eq!(ids(&state.destinations().available), ["d1", "d2"]);
    model.apply(&with(true, Some("HealthyAndUnknown"))).unwrap();
    assert_eq!(ids(&state.destinations().available), [""; 0]);

    all[0].set_active_health(DestinationHealth::Healthy);
    state.refresh_available();
    assert_eq!(ids(&state.destinations().available), ["d1"]);

    let error = model
        .apply(&with(true, Some("Nobody")))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        r#"cluster "c" has no such available destinations policy as "Nobody""#
    );
}
