//! Matching a request among 10 to 100 000 routes: by path, by host, and by both.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ostler_config::schema::{MatchConfig, RouteConfig};
use ostler_model::{FastRandom, Found, RandomSource, RequestView, RouteModel, RouteTable};

struct Request {
    path: String,
    authority: String,
}

impl RequestView for Request {
    fn method(&self) -> &str {
        "GET"
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn query(&self) -> Option<&str> {
        None
    }

    fn authority(&self) -> &str {
        &self.authority
    }

    fn is_https(&self) -> bool {
        false
    }

    fn for_each_field_value(&self, _name: &str, _visit: &mut dyn FnMut(&[u8])) {}
}

/// Path, hosts and methods of the route of a number, and a request that it matches.
type Shape = fn(usize) -> (String, Vec<String>, Vec<String>, Request);

fn by_path(number: usize) -> (String, Vec<String>, Vec<String>, Request) {
    let path = format!("/service-{number}/orders/{{id}}/{{**rest}}");
    let request = Request {
        path: format!("/service-{number}/orders/12345/lines/1"),
        authority: "example.com".to_owned(),
    };
    (path, Vec::new(), Vec::new(), request)
}

fn by_host(number: usize) -> (String, Vec<String>, Vec<String>, Request) {
    let host = format!("tenant-{number}.example.com");
    let request = Request {
        path: "/orders/12345/lines/1".to_owned(),
        authority: host.clone(),
    };
    ("/{**rest}".to_owned(), vec![host], Vec::new(), request)
}

fn by_all(number: usize) -> (String, Vec<String>, Vec<String>, Request) {
    let (tenant, service) = (number / 10, number % 10);
    let host = format!("*.tenant-{tenant}.example.com");
    let request = Request {
        path: format!("/api/service-{service}/orders/12345"),
        authority: format!("www.tenant-{tenant}.example.com:8080"),
    };
    let methods = vec!["GET".to_owned(), "POST".to_owned()];
    (
        format!("/api/service-{service}/{{**rest}}"),
        vec![host],
        methods,
        request,
    )
}

fn table(shape: Shape, routes: usize) -> (RouteTable, Vec<Request>) {
    let mut random = FastRandom::new(1);
    let mut requests = Vec::new();
    let mut models = Vec::new();
    for number in 0..routes {
        let (path, hosts, methods, request) = shape(number);
        let matches = MatchConfig {
            path: Some(path),
            hosts,
            methods,
            ..MatchConfig::default()
        };
        let route_id = number.to_string();
        let config = RouteConfig {
            route_id,
            matches,
            ..RouteConfig::default()
        };
        models.push(Arc::new(RouteModel {
            config: Arc::new(config),
            cluster: None,
            policies: Default::default(),
            action: None,
            transforms: None,
        }));
        requests.push(request);
    }
    // Requests come for routes all over the table, in no order.
    for at in (1..requests.len()).rev() {
        requests.swap(at, random.below(at + 1));
    }
    requests.truncate(1024);
    let table = RouteTable::build(&models).unwrap_or_else(|errors| panic!("{errors:?}"));
    (table, requests)
}

fn find(criterion: &mut Criterion) {
    let shapes: [(&str, Shape); 3] = [("path", by_path), ("host", by_host), ("all", by_all)];
    for (name, shape) in shapes {
        let mut group = criterion.benchmark_group(format!("find by {name}"));
        for routes in [10, 100, 10_000, 100_000] {
            let (table, requests) = table(shape, routes);
            let mut next = requests.iter().cycle();
            group.bench_function(BenchmarkId::from_parameter(routes), |bencher| {
                bencher.iter(|| {
                    let Some(request) = next.next() else { return };
                    let found = table.find(black_box(request));
                    assert!(matches!(found, Found::Route(_)));
                });
            });
        }
    }
}

fn build(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("build");
    group.sample_size(10);
    for routes in [100, 10_000] {
        let models: Vec<_> = (0..routes)
            .map(|number| {
                let (path, hosts, methods, _) = by_all(number);
                let matches = MatchConfig {
                    path: Some(path),
                    hosts,
                    methods,
                    ..MatchConfig::default()
                };
                let route_id = number.to_string();
                let config = RouteConfig {
                    route_id,
                    matches,
                    ..RouteConfig::default()
                };
                Arc::new(RouteModel {
                    config: Arc::new(config),
                    cluster: None,
                    policies: Default::default(),
                    action: None,
                    transforms: None,
                })
            })
            .collect();
        group.bench_function(BenchmarkId::from_parameter(routes), |bencher| {
            bencher.iter(|| RouteTable::build(black_box(&models)).is_ok());
        });
    }
}

criterion_group!(benches, find, build);
criterion_main!(benches);
