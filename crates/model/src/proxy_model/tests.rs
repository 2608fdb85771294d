use ostler_config::schema::{ClusterConfig, DestinationConfig, MatchConfig, RouteConfig};

use super::*;
use crate::route::testing::Request;
use crate::{DestinationHealth, DestinationState, Found, RouteModel};

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
        routes: routes.into(),
        clusters: clusters.into(),
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

/// Random sequences of changes, carried out one after the other and from scratch.
mod changes {
    use ostler_config::schema::List;
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    /// What is done to a configuration; ids and paths are few, so that they meet.
    #[derive(Debug, Clone)]
    enum Change {
        PutRoute(Index, u8, u8, u8),
        RemoveRoute(Index),
        AlterRoute(Index, u8, u8),
        PutCluster(Index, u8, u8),
        RemoveCluster(Index),
        AlterCluster(Index, u8),
    }

    fn change() -> impl Strategy<Value = Change> {
        let at = any::<Index>;
        prop_oneof![
            (at(), 0..8u8, 0..4u8, 0..6u8)
                .prop_map(|(at, id, c, p)| Change::PutRoute(at, id, c, p)),
            at().prop_map(Change::RemoveRoute),
            (at(), 0..4u8, 0..6u8).prop_map(|(at, c, p)| Change::AlterRoute(at, c, p)),
            (at(), 0..4u8, 0..4u8).prop_map(|(at, id, d)| Change::PutCluster(at, id, d)),
            at().prop_map(Change::RemoveCluster),
            (at(), 0..4u8).prop_map(|(at, d)| Change::AlterCluster(at, d)),
        ]
    }

    fn some_cluster(id: &str, destinations: u8) -> ClusterConfig {
        let ids = ["a", "b", "a"];
        let from = usize::from(destinations % 2);
        cluster(id, &ids[from..from + usize::from(destinations > 1) + 1])
    }

    fn carry_out(change: &Change, config: &mut ProxyConfig) {
        let name = |kind: &str, number: u8| format!("{kind}{number}");
        let path = |number: u8| format!("/p{}/{{x}}", number);
        let (routes, clusters) = (&mut config.routes, &mut config.clusters);
        match *change {
            Change::PutRoute(at, id, cluster, number) => {
                let new = route(&name("r", id), &name("c", cluster), &path(number));
                routes.insert(at.index(routes.len() + 1), new);
            }
            Change::RemoveRoute(at) if !routes.is_empty() => {
                routes.remove(at.index(routes.len()));
            }
            Change::AlterRoute(at, cluster, number) if !routes.is_empty() => {
                let at = at.index(routes.len());
                let route = &mut routes[at];
                route.cluster_id = Some(name("c", cluster));
                route.matches.path = Some(path(number));
            }
            Change::PutCluster(at, id, destinations) => {
                let new = some_cluster(&name("c", id), destinations);
                clusters.insert(at.index(clusters.len() + 1), new);
            }
            Change::RemoveCluster(at) if !clusters.is_empty() => {
                clusters.remove(at.index(clusters.len()));
            }
            Change::AlterCluster(at, destinations) if !clusters.is_empty() => {
                let at = at.index(clusters.len());
                let cluster = &mut clusters[at];
                *cluster = some_cluster(&cluster.cluster_id, destinations);
            }
            _ => {}
        }
    }

    /// Everything that requests see of a configuration.
    fn seen(model: &ProxyModel) -> Vec<String> {
        let snapshot = model.snapshot();
        let clusters = snapshot.clusters.iter().map(|cluster| {
            let of_id = snapshot.clusters.find(cluster.id()).unwrap();
            assert!(Arc::ptr_eq(of_id, cluster));
            format!("{} {:?}", cluster.id(), ids(&cluster.destinations().all))
        });
        let found = (0..6).map(|number| {
            let path = format!("/p{number}/y");
            match snapshot.routes.find(&Request::to(&path)) {
                Found::Route(route) => {
                    let cluster = route.cluster.as_ref();
                    let of_id = route.config.cluster_id.as_deref();
                    let of_id = of_id.and_then(|id| snapshot.clusters.find(id));
                    assert!(match (cluster, of_id) {
                        (Some(cluster), Some(of_id)) => Arc::ptr_eq(cluster, of_id),
                        (cluster, of_id) => cluster.is_none() && of_id.is_none(),
                    });
                    format!("{path} {}", route.config.route_id)
                }
                other => format!("{path} {other:?}"),
            }
        });
        clusters.chain(found).collect()
    }

    /// The same configuration, with nothing of the one before in it.
    fn anew(config: &ProxyConfig) -> ProxyConfig {
        let routes: List<_> = config
            .routes
            .iter()
            .map(|it| RouteConfig::clone(it))
            .collect();
        let clusters = config.clusters.iter().map(|it| ClusterConfig::clone(it));
        ProxyConfig {
            routes,
            clusters: clusters.collect(),
            ..config.clone()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn one_after_the_other_they_come_to_what_they_come_to_from_scratch(
            turns in prop::collection::vec(prop::collection::vec(change(), 1..5), 1..10),
        ) {
            let (model, mut config) = (ProxyModel::new(), ProxyConfig::default());
            for changes in turns {
                let before = (config.clone(), seen(&model));
                changes.iter().for_each(|change| carry_out(change, &mut config));
                let scratch = ProxyModel::new();
                let from_scratch = scratch.apply(&anew(&config)).map(drop);
                let changed = model.apply(&config).map(drop);
                prop_assert_eq!(changed.is_ok(), from_scratch.is_ok(), "{:?}", changed);
                match changed {
                    Ok(()) => prop_assert_eq!(seen(&model), seen(&scratch)),
                    Err(_) => {
                        // A mistake changes nothing, and the next configuration is none the worse.
                        prop_assert_eq!(seen(&model), before.1);
                        config = before.0;
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_the_same_keeps_its_state_and_is_not_looked_at() {
    let model = ProxyModel::new();
    let before = config(
        vec![
            route("r", "c", "/a"),
            route("s", "d", "/b"),
            route("t", "d", "/t"),
        ],
        vec![cluster("c", &["1", "2"]), cluster("d", &["1"])],
    );
    let first = model.apply(&before).unwrap();
    let state = |snapshot: &Snapshot, id: &str| Arc::clone(snapshot.clusters.find(id).unwrap());
    let destination = Arc::clone(&state(&first, "c").destinations().all[0]);
    destination.set_active_health(DestinationHealth::Unhealthy);
    let under_way = destination.begin_request();

    let mut after = before.clone();
    after.routes[1].matches.path = Some("/changed".into());
    after.clusters[0].destinations[1].address = "http://other/".into();
    let second = model.apply(&after).unwrap();

    assert!(matches!(
        second.routes.find(&Request::to("/b")),
        Found::NotFound
    ));
    assert_eq!(found(&second, "/changed").config.route_id, "s");
    assert!(Arc::ptr_eq(&found(&first, "/a"), &found(&second, "/a")));
    assert!(Arc::ptr_eq(&found(&first, "/t"), &found(&second, "/t")));
    assert!(Arc::ptr_eq(&state(&first, "c"), &state(&second, "c")));
    let all = Arc::clone(&state(&second, "c").destinations().all);
    assert!(Arc::ptr_eq(&all[0], &destination));
    assert_eq!(all[0].active_health(), DestinationHealth::Unhealthy);
    assert_eq!(state(&second, "c").concurrent_requests(), 1);
    assert_eq!(all[1].model().config.address, "http://other/");
    drop(under_way);

    // What a request still has is kept, and goes when the request does.
    assert!(!model.release_retired());
    drop(first);
    assert!(model.release_retired());
}
