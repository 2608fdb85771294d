//! What one change of a large configuration costs, beside applying all of it as if nothing were known.
#![allow(missing_docs, reason = "criterion's macros write functions without")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use ostler_config::schema::{
    ClusterConfig, DestinationConfig, MatchConfig, ProxyConfig, RouteConfig,
};
use ostler_model::ProxyModel;

const ROUTES: usize = 100_000;
const CLUSTERS: usize = 50_000;

fn route(number: usize, path: &str) -> RouteConfig {
    RouteConfig {
        route_id: format!("r{number}"),
        cluster_id: Some(format!("c{}", number % CLUSTERS)),
        matches: MatchConfig {
            path: Some(format!("/{path}{number}/{{id}}/{{**rest}}")),
            ..MatchConfig::default()
        },
        ..RouteConfig::default()
    }
}

fn cluster(number: usize, address: &str) -> ClusterConfig {
    let destination = |id: &str| DestinationConfig {
        destination_id: id.to_owned(),
        address: format!("http://{address}-{number}-{id}/"),
        ..DestinationConfig::default()
    };
    ClusterConfig {
        cluster_id: format!("c{number}"),
        destinations: vec![destination("a"), destination("b")],
        ..ClusterConfig::default()
    }
}

fn configuration() -> ProxyConfig {
    ProxyConfig {
        routes: (0..ROUTES).map(|number| route(number, "r")).collect(),
        clusters: (0..CLUSTERS).map(|number| cluster(number, "d")).collect(),
        ..ProxyConfig::default()
    }
}

/// Each time another route or cluster in the middle is another one.
fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("100,000 routes, 100,000 destinations");
    group.sample_size(20);
    group.warm_up_time(Duration::from_millis(500));
    group.measurement_time(Duration::from_secs(3));
    let model = ProxyModel::new();
    let mut config = configuration();
    let applied = model.apply(&config);
    assert!(applied.is_ok(), "{applied:?}");
    drop(applied);
    let mut turn = 0;
    let mut one = |name: &str, change: &dyn Fn(&mut ProxyConfig, usize)| {
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || {
                    model.release_retired();
                    turn += 1;
                    change(&mut config, turn);
                    config.clone()
                },
                |config| black_box(model.apply(&config)).is_ok(),
                BatchSize::PerIteration,
            );
        });
    };
    one("one route's path", &|config, turn| {
        let at = turn * 7919 % ROUTES;
        config.routes[at] = route(at, &format!("turn{turn}-"));
    });
    one("one destination's address", &|config, turn| {
        let at = turn * 7919 % CLUSTERS;
        config.clusters[at] = cluster(at, &format!("turn{turn}"));
    });
    one("one route comes, one goes", &|config, turn| {
        config.routes.remove(turn * 7919 % ROUTES);
        let at = turn * 104_729 % ROUTES;
        config.routes.insert(at, route(ROUTES + turn, "new"));
    });
    one(
        "everything, though one route has changed",
        &|config, turn| {
            let at = turn * 7919 % ROUTES;
            config.routes[at] = route(at, &format!("turn{turn}-"));
            // Nothing is the very same any more: all is compared, and the table is built from scratch.
            config.routes = config
                .routes
                .iter()
                .map(|it| RouteConfig::clone(it))
                .collect();
            config.clusters = config
                .clusters
                .iter()
                .map(|it| ClusterConfig::clone(it))
                .collect();
        },
    );
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
