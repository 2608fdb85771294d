use std::sync::Arc;

use super::*;
use crate::keys::tests::{self as described, ID};
use crate::keys::{ROOT, visit};
use crate::load::load;

/// Every key of a route and of a cluster, none at its default.
const EVERYTHING: &str = r#"{ "ReverseProxy": {
    "Pipeline": [ "LoadBalancing" ],
    "Routes": { "r": { "ClusterId": "c", "Order": -5, "AuthorizationPolicy": "anonymous", "RateLimiterPolicy": "Default",
        "CorsPolicy": "disable", "Timeout": "1.02:03:04.5678901", "MaxRequestBodySize": -1,
        "Metadata": { "a": 42, "b": true, "c:d": "e" },
        "Match": { "Path": "/a/{b}", "Hosts": [ "a.com", "*.b.com:80" ], "Methods": [ "get", "POST" ],
            "Headers": [ { "Name": "h", "Values": [ "1", "2" ], "Mode": "HeaderPrefix", "IsCaseSensitive": true },
                { "Name": "i", "Mode": "NotExists" } ],
            "QueryParameters": [ { "Name": "q", "Values": [ "v" ], "Mode": "Prefix" } ] },
        "Transforms": [ { "PathSet": "/x" }, { "RequestHeadersCopy": false } ] },
      "s": { "TimeoutPolicy": "Disable", "Match": { "Path": "/" } } },
    "Clusters": { "c": { "LoadBalancingPolicy": "LeastRequests", "Metadata": { "k": "v" },
        "SessionAffinity": { "Enabled": true, "Policy": "Cookie", "FailurePolicy": "Return503Error", "AffinityKeyName": "key",
            "Cookie": { "Path": "/p", "Domain": "d", "HttpOnly": false, "SecurePolicy": "Always", "SameSite": "Lax",
                "Expiration": "1", "MaxAge": "00:01", "IsEssential": true } },
        "HealthCheck": { "AvailableDestinationsPolicy": "HealthyAndUnknown",
            "Active": { "Enabled": true, "Interval": "00:00:05", "Timeout": "00:00:02", "Policy": "ConsecutiveFailures", "Path": "/h", "Query": "?q" },
            "Passive": { "Enabled": true, "Policy": "TransportFailureRate", "ReactivationPeriod": "00:01:00" } },
        "HttpClient": { "SslProtocols": [ "Tls12", "Tls13" ], "DangerousAcceptAnyServerCertificate": true, "MaxConnectionsPerServer": 7,
            "EnableMultipleHttp2Connections": false, "RequestHeaderEncoding": "utf-8", "ResponseHeaderEncoding": "latin1",
            "WebProxy": { "Address": "http://p:1/", "BypassOnLocal": true, "UseDefaultCredentials": false } },
        "Ostler": { "TryOtherDestinations": false, "PooledConnectionLifetime": "00:01:00", "Leases": false },
        "HttpRequest": { "ActivityTimeout": "00:00:10", "Version": "1.1", "VersionPolicy": "RequestVersionExact", "AllowResponseBuffering": true },
        "Destinations": { "d/1": { "Address": "http://d/", "Health": "http://h/", "Host": "host", "Metadata": { "m": 1 } } } },
      "d": { "HttpRequest": { "ActivityTimeout": "-00:00:00.001" } } } } }"#;

struct AnyRoute;

impl RouteValidator for AnyRoute {
    fn validate_path(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
    fn validate_host(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
}

fn sourced<T>(items: &[Arc<T>]) -> Vec<Sourced<'_, T>> {
    let sourced = |config| Sourced {
        origin: "memory",
        config,
    };
    items.iter().map(AsRef::as_ref).map(sourced).collect()
}

fn everything() -> crate::schema::ProxyConfig {
    let mut tree = ConfigurationTree::new();
    tree.add_json("a.json", EVERYTHING).unwrap();
    let loaded = load(&tree);
    assert!(!loaded.diagnostics.has_errors(), "{:?}", loaded.diagnostics);
    loaded.settings.proxy
}

fn errors(routes: &[Arc<RouteConfig>], clusters: &[Arc<ClusterConfig>]) -> Vec<String> {
    let items = Items {
        routes: &sourced(routes),
        clusters: &sourced(clusters),
        policies: &PoliciesConfig::default(),
        pipeline: None,
    };
    let found = validate(&items, &AnyRoute);
    found.errors().map(ToString::to_string).collect()
}

/// A key that were not written back could not be checked.
#[test]
fn what_is_written_back_is_read_as_it_was() {
    let before = everything();
    let (routes, clusters) = (sourced(&before.routes), sourced(&before.clusters));
    let mut tree = tree(&Items {
        routes: &routes,
        clusters: &clusters,
        policies: &before.policies,
        pipeline: None,
    });
    let pipeline = r#"{ "ReverseProxy": { "Pipeline": [ "LoadBalancing" ] } }"#;
    tree.add_json("pipeline.json", pipeline).unwrap();
    let after = load(&tree);
    assert_eq!(after.settings.proxy, before);
    assert!(errors(&before.routes, &before.clusters).is_empty());
}

#[test]
fn a_mistake_made_by_code_has_a_path_and_its_providers_name() {
    let mut config = everything();
    config.routes[0].matches.methods.push("FETCH".into()); // R10
    config.routes[0].timeout = Some(std::time::Duration::ZERO); // R29
    config.routes[0]
        .transforms
        .push([("PathSett".into(), "/".into())].into()); // R4
    config.routes[1].matches.path = None; // R3
    config.clusters[0].destinations[0].address = String::new(); // C2
    config.clusters[0].load_balancing_policy = Some("Mine".into()); // C3
    config.clusters[0].max_connections_per_server = Some(0); // C12
    let found = errors(&config.routes, &config.clusters);
    for path in [
        "Routes:r:Match:Methods:2",
        "Routes:r:Timeout",
        "Routes:r:Transforms:2",
        "Routes:s:Match",
        "Clusters:c:Destinations:d/1:Address",
        "Clusters:c:LoadBalancingPolicy",
        "Clusters:c:HttpClient:MaxConnectionsPerServer",
    ] {
        let beginning = format!("error: ReverseProxy:{path}: ");
        let error = found.iter().find(|error| error.starts_with(&beginning));
        assert!(
            error.is_some_and(|error| error.contains("(memory)")),
            "{path}: {found:#?}"
        );
    }
    assert_eq!(found.len(), 7, "{found:#?}");
    // R1 and C1, which a file can hardly say.
    let (route, cluster) = (RouteConfig::default(), ClusterConfig::default());
    assert_eq!(errors(&[route.into()], &[cluster.into()]).len(), 3);
}

#[test]
fn every_key_of_routes_and_clusters_that_is_described_is_written_back() {
    let mut read = ConfigurationTree::new();
    read.add_json("all.json", &described::everything(&ROOT).to_string())
        .unwrap();
    let settings = load(&read).settings;
    let proxy = &settings.proxy;
    let written = tree(&Items {
        routes: &[Sourced {
            origin: "code",
            config: &proxy.routes[0],
        }],
        clusters: &[Sourced {
            origin: "code",
            config: &proxy.clusters[0],
        }],
        policies: &proxy.policies,
        pipeline: None,
    });
    let mut count = 0;
    visit(&ROOT, String::new(), &mut |path, object| {
        let below = ["Routes:*", "Clusters:*"].map(|name| format!("ReverseProxy:{name}"));
        if !below.iter().any(|below| path.starts_with(below)) {
            return;
        }
        // Elements of arrays have numbers where entries have ids.
        let numbered = path
            .replace("Headers:*", "Headers:0")
            .replace("QueryParameters:*", "QueryParameters:0");
        let path = numbered.replace('*', ID);
        for key in object.keys.iter().filter(|key| !key.is_idle) {
            let at = format!("{path}:{}", key.name);
            assert!(!written.section(&at).is_empty(), "{at} is not written");
            count += 1;
        }
    });
    assert!(count > 60, "{count}");
}
