//! Whole configurations: what is read, what is refused, and where it says so.

mod clusters;
mod endpoints;
mod limits;
mod routes;
mod rules;
mod settings;
mod transforms;

use proptest::prelude::*;

use super::*;

fn tree(text: &str) -> ConfigurationTree {
    let mut tree = ConfigurationTree::new();
    tree.add_json("ostler.json", text).unwrap();
    tree
}

/// Most texts here are about one thing, and their clusters have no destinations.
fn load_text(text: &str) -> Loaded {
    let mut loaded = load(&tree(text));
    loaded
        .diagnostics
        .retain(|said| !said.message.contains("has no destinations"));
    loaded
}

#[test]
fn a_cluster_without_destinations_is_a_warning() {
    let loaded = load(&tree(
        r#"{ "ReverseProxy": { "Clusters": { "c": { "Destinations": {} } } } }"#,
    ));
    assert!(!loaded.diagnostics.has_errors());
    assert_eq!(warning_paths(&loaded), ["ReverseProxy:Clusters:c"]);
}

#[test]
fn routes_and_clusters_may_stand_in_another_section() {
    let text = r#"{ "App": { "Gateway": { "Routes": { "r": { "ClusterId": "c", "Order": "x",
        "OutputCachePolicy": "p", "Match": { "Path": "/" } } }, "Clusters": {
        "c": { "Destinations": { "d": { "Address": "http://d/" } } } } } },
        "OutputCache": { "Policies": { "p": {} } } }"#;
    let loaded = load_section(&tree(text), "app:Gateway", &AnyRoute);
    assert_eq!(loaded.settings.proxy.routes[0].route_id, "r");
    assert_eq!(
        warning_paths(&loaded),
        ["App:Gateway:Routes:r:OutputCachePolicy"]
    );
    let errors: Vec<_> = loaded.diagnostics.errors().map(|said| &said.path).collect();
    assert_eq!(errors, ["App:Gateway:Routes:r:Order"]);
    let loaded = load_section(&tree(text), "Yarp", &AnyRoute);
    let errors: Vec<_> = loaded
        .diagnostics
        .errors()
        .map(ToString::to_string)
        .collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("there is no such section"), "{errors:?}");
    // What would have been meant is told beside it.
    assert!(
        loaded
            .diagnostics
            .warnings()
            .any(|said| said.to_string().contains("App:Gateway"))
    );
}

/// The paths and messages of the errors of a text, the messages with their remedies.
fn errors(text: &str) -> Vec<(String, String)> {
    let loaded = load_text(text);
    let errors = loaded.diagnostics.errors();
    errors
        .map(|error| (error.path.clone(), error.to_string()))
        .collect()
}

/// Checks that a text has one error, at `path` and with `words` in it.
#[track_caller]
fn one_error(rule: &str, text: &str, path: &str, words: &str) {
    let errors = errors(text);
    assert_eq!(errors.len(), 1, "{rule}: {errors:#?}");
    assert_eq!(errors[0].0, path, "{rule}: {errors:#?}");
    assert!(errors[0].1.contains(words), "{rule}: {errors:#?}");
}

fn warning_paths(loaded: &Loaded) -> Vec<&str> {
    let warnings = loaded.diagnostics.warnings();
    warnings.map(|warning| warning.path.as_str()).collect()
}

#[test]
fn the_sample_of_the_issue_loads_with_one_warning() {
    let loaded = load_text(
        r#"{ "ReverseProxy": {
      "Routes": { "route1" : { "ClusterId": "cluster1", "Match": { "Path": "{**catch-all}" }, } }, // comment
      "Clusters": { "cluster1": { "Destinations": { "cluster1/destination1": { "Address": "http://*:80/",
        "Metadata": { "HttpSysDelegationQueue": "TargetHttpSysQueueName" } } } } } } }"#,
    );
    assert!(!loaded.diagnostics.has_errors());
    let queue = "ReverseProxy:Clusters:cluster1:Destinations:cluster1/destination1:Metadata:HttpSysDelegationQueue";
    assert_eq!(warning_paths(&loaded), [queue]);
    let warning = loaded.diagnostics.warnings().next().unwrap();
    assert_eq!(
        warning.place.as_ref().unwrap().to_string(),
        "ostler.json:4:23"
    );
    assert!(
        warning
            .remedy
            .as_ref()
            .unwrap()
            .contains("HttpSysDelegation")
    );
    let proxy = &loaded.settings.proxy;
    assert_eq!(proxy.routes[0].route_id, "route1");
    assert_eq!(proxy.routes[0].cluster_id.as_deref(), Some("cluster1"));
    assert_eq!(
        proxy.routes[0].matches.path.as_deref(),
        Some("{**catch-all}")
    );
    assert_eq!(proxy.clusters[0].cluster_id, "cluster1");
    let destination = &proxy.clusters[0].destinations[0];
    assert_eq!(destination.destination_id, "cluster1/destination1");
    assert_eq!(destination.address, "http://*:80/");
    assert_eq!(
        destination.metadata["HttpSysDelegationQueue"],
        "TargetHttpSysQueueName"
    );
    assert_eq!(proxy.pipeline, None);
    assert_eq!(loaded.settings.endpoints[0].url, "http://localhost:5000");
}

#[test]
fn an_empty_configuration_is_valid() {
    let loaded = load(&ConfigurationTree::new());
    assert!(loaded.diagnostics.is_empty());
    assert_eq!(loaded.settings.proxy, ProxyConfig::default());
}

const TWENTY_MISTAKES: &str = r#"{
  "Kestrel": { "Limits": { "MaxRequestHeadersTotalSize": 7000000 } },
  "Ostler": {
    "Threads": "many"
  },
  "ReverseProxy": {
    "Pipeline": [ "LoadBalancing", "loadbalancing",
                  "HttpSysDelegations" ],
    "Routes": {
      "r1": {
        "Order": 1.5,
        "Timeout": "24:00:00",
        "CorsPolicy": "mine",
        "Match": {
          "Path": "/bad",
          "Hosts": [ "a.com", "xn--a.com", "bad" ],
          "Methods": [ "GET", "FETCH" ],
          "Headers": [ { "Name": "h", "Mode": "Matches" } ],
          "QueryParameters": [ { "Values": [ "v" ] } ]
        },
        "Transforms": [ { "PathSett": "/" } ]
      },
      "r2": { "ClusterId": "c1" }
    },
    "Clusters": {
      "c1": {
        "LoadBalancingPolicy": "RoundRobbin",
        "SessionAffinity": { "Enabled": true },
        "HealthCheck": { "Active": { "Enabled": true, "Interval": "0" } },
        "HttpClient": { "MaxConnectionsPerServer": 0 },
        "HttpRequest": { "Version": "1.2" },
        "Destinations": {
          "d1": {}
        }
      }
    }
  }
}"#;

#[test]
fn twenty_mistakes_are_twenty_errors_each_with_its_place() {
    let loaded = load_with(&tree(TWENTY_MISTAKES), &NothingBad);
    let found: Vec<_> = loaded
        .diagnostics
        .errors()
        .map(|error| {
            let place = error.place.as_ref().unwrap();
            assert_eq!(place.origin, "ostler.json");
            let path = error
                .path
                .strip_prefix("ReverseProxy:")
                .unwrap_or(&error.path);
            (place.line, place.column, path.to_owned())
        })
        .collect();
    let wanted = [
        (2, 28, "Kestrel:Limits:MaxRequestHeadersTotalSize"),
        (4, 5, "Ostler:Threads"),
        (7, 36, "Pipeline:1"),
        (8, 19, "Pipeline:2"),
        (11, 9, "Routes:r1:Order"),
        (12, 9, "Routes:r1:Timeout"),
        (13, 9, "Routes:r1:CorsPolicy"),
        (15, 11, "Routes:r1:Match:Path"),
        (16, 31, "Routes:r1:Match:Hosts:1"),
        (16, 44, "Routes:r1:Match:Hosts:2"),
        (17, 31, "Routes:r1:Match:Methods:1"),
        (18, 39, "Routes:r1:Match:Headers:0:Mode"),
        (19, 32, "Routes:r1:Match:QueryParameters:0:Name"),
        (21, 25, "Routes:r1:Transforms:0"),
        (23, 7, "Routes:r2:Match"),
        (27, 9, "Clusters:c1:LoadBalancingPolicy"),
        (28, 9, "Clusters:c1:SessionAffinity:AffinityKeyName"),
        (29, 55, "Clusters:c1:HealthCheck:Active:Interval"),
        (30, 25, "Clusters:c1:HttpClient:MaxConnectionsPerServer"),
        (31, 26, "Clusters:c1:HttpRequest:Version"),
        (33, 11, "Clusters:c1:Destinations:d1:Address"),
    ];
    assert_eq!(wanted.len(), 21);
    let wanted: Vec<_> = wanted
        .map(|(line, column, path)| (line, column, path.to_owned()))
        .into();
    assert_eq!(found, wanted);
}

/// Refuses what is called `bad`.
struct NothingBad;

impl RouteValidator for NothingBad {
    fn validate_path(&self, template: &str) -> Result<(), String> {
        match template.trim_start_matches('/') {
            "bad" => Err("it is bad".to_owned()),
            _ => Ok(()),
        }
    }

    fn validate_host(&self, host: &str) -> Result<(), String> {
        self.validate_path(host)
    }
}

#[test]
fn an_error_from_another_source_names_that_source() {
    let mut tree = tree(
        "{ \"ReverseProxy\": { \"Routes\": { \"r\": {\n \"ClusterId\": \"c\", \"Order\": 1, \"Match\": { \"Path\": \"/\" } } }, \"Clusters\": { \"c\": { \"Destinations\": { \"d\": { \"Address\": \"http://d/\" } } } } } }",
    );
    let name = "reverseproxy__ROUTES__r__order".to_owned();
    tree.add_environment([(name, "first".to_owned())]);
    let loaded = load(&tree);
    let errors: Vec<_> = loaded
        .diagnostics
        .errors()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        errors,
        [
            "error: ReverseProxy:Routes:r:Order: \"first\" is not a whole number of 32 bits \
          (environment variable reverseproxy__ROUTES__r__order); correct it, or remove Order \
          for its default"
        ]
    );
    tree.add_command_line(&["ReverseProxy:Routes:r:Order=7".to_owned()])
        .unwrap();
    let loaded = load(&tree);
    assert!(loaded.diagnostics.is_empty());
    assert_eq!(loaded.settings.proxy.routes[0].order, Some(7));
}

#[test]
fn an_unknown_key_is_a_warning_with_the_nearest_known_one() {
    let loaded = load_text(
        r#"{ "Logging": { "LogLevel": {} }, "AllowedHosts": "*", "Kestrel": { "EndPoints": {}, "Limits": { "MaxRequestLineSizes": 1 } },
            "Ostler": { "Thread": 1 },
            "ReverseProxy": { "Route": {}, "Routes": { "r": { "ClusterId": "c", "Mach": {}, "Match": { "Path": "/", "Verb": "GET" } } },
            "Clusters": { "c": { "ClusterId": "old", "HttpRequest": { "Timeout": "00:00:01" },
                "SessionAffinity": { "Settings": {} }, "Destinations": { "d": { "Adress": "x", "Address": "http://d/" } } } } } }"#,
    );
    assert!(!loaded.diagnostics.has_errors());
    let warnings: Vec<_> = loaded
        .diagnostics
        .warnings()
        .map(|warning| (warning.path.as_str(), warning.remedy.as_deref()))
        .collect();
    assert_eq!(
        warnings,
        [
            (
                "Logging",
                Some("use --log or OSTLER_LOG, for instance --log debug")
            ),
            (
                "Kestrel:Limits:MaxRequestLineSizes",
                Some("did you mean MaxRequestLineSize?")
            ),
            ("Ostler:Thread", Some("did you mean Threads?")),
            ("ReverseProxy:Route", Some("did you mean Routes?")),
            ("ReverseProxy:Routes:r:Mach", Some("did you mean Match?")),
            ("ReverseProxy:Routes:r:Match:Verb", None),
            (
                "ReverseProxy:Clusters:c:HttpRequest:Timeout",
                Some("it is called ActivityTimeout now")
            ),
            (
                "ReverseProxy:Clusters:c:SessionAffinity:Settings",
                Some(
                    "write the name of the cookie or header as AffinityKeyName, and a cookie's \
                     attributes in Cookie"
                )
            ),
            (
                "ReverseProxy:Clusters:c:Destinations:d:Adress",
                Some("did you mean Address?")
            ),
        ]
    );
}

#[test]
fn a_misspelt_section_is_a_warning_and_so_is_a_foreign_one() {
    let loaded = load_text(r#"{ "ReversProxy": { "Routes": {} }, "Logging": { "x": 1 } }"#);
    assert_eq!(warning_paths(&loaded), ["ReversProxy", "Logging"]);
}

#[test]
fn null_and_empty_count_as_absent() {
    let loaded = load_text(
        r#"{ "ReverseProxy": { "Pipeline": [],
            "Routes": { "r": { "ClusterId": "c", "Order": null, "Timeout": null, "CorsPolicy": "", "Metadata": {},
                "Transforms": null, "Match": { "Path": "/", "Hosts": [], "Methods": null, "Headers": [] } } },
            "Clusters": { "c": { "LoadBalancingPolicy": "", "HealthCheck": null, "HttpRequest": { "Version": "" },
                "HttpClient": { "MaxConnectionsPerServer": null, "WebProxy": { "Address": "" } },
                "Destinations": { "d": { "Address": "http://d/", "Health": "", "Host": null } } } } } }"#,
    );
    assert!(loaded.diagnostics.is_empty(), "{:#?}", loaded.diagnostics);
    let proxy = loaded.settings.proxy;
    assert_eq!(proxy.pipeline, None);
    assert_eq!(
        (
            proxy.routes[0].order,
            proxy.routes[0].cors_policy.as_deref()
        ),
        (None, None)
    );
    assert_eq!(proxy.clusters[0].http_request.version, None);
    assert_eq!(proxy.clusters[0].http_client.web_proxy, None);
    assert_eq!(proxy.clusters[0].destinations[0].health, None);
    // An empty text is no number, unlike null.
    let text =
        r#"{ "ReverseProxy": { "Routes": { "r": { "Order": "", "Match": { "Path": "/" } } } } }"#;
    one_error(
        "1.1",
        text,
        "ReverseProxy:Routes:r:Order",
        "\"\" is not a whole number",
    );
}

#[test]
fn a_value_of_the_wrong_shape_has_no_effect_and_is_a_warning() {
    let loaded = load_text(
        r#"{ "ReverseProxy": { "Pipeline": "LoadBalancing",
            "Routes": { "r": { "ClusterId": "c", "Order": [ 1 ], "Metadata": "x",
                "Match": { "Path": "/", "Methods": "GET", "Hosts": "a.com" } } },
            "Clusters": { "c": { "HttpClient": { "SslProtocols": "Tls13" }, "HealthCheck": "on",
                "Metadata": { "a": { "b": 1 } }, "Destinations": "http://d/" } } } }"#,
    );
    assert!(!loaded.diagnostics.has_errors());
    assert_eq!(
        warning_paths(&loaded),
        [
            "ReverseProxy:Pipeline",
            "ReverseProxy:Routes:r:Order",
            "ReverseProxy:Routes:r:Metadata",
            "ReverseProxy:Routes:r:Match:Methods",
            "ReverseProxy:Routes:r:Match:Hosts",
            "ReverseProxy:Clusters:c:HttpClient:SslProtocols",
            "ReverseProxy:Clusters:c:HealthCheck",
            "ReverseProxy:Clusters:c:Metadata:a",
            "ReverseProxy:Clusters:c:Destinations",
        ]
    );
    let remedies = loaded
        .diagnostics
        .warnings()
        .filter_map(|warning| warning.remedy.as_deref());
    assert!(
        remedies
            .collect::<Vec<_>>()
            .contains(&"write it as [ \"GET\" ]")
    );
    assert!(loaded.settings.proxy.routes[0].matches.methods.is_empty());
    assert_eq!(loaded.settings.proxy.pipeline, None);
}

#[test]
fn arrays_where_ids_are_expected_yield_numbers_and_route_ids_in_them_are_an_error() {
    let text = |id| {
        format!(
            r#"{{ "ReverseProxy": {{ "Routes": [ {{ {id} "ClusterId": "0", "Match": {{ "Path": "/" }} }} ],
                "Clusters": [ {{ "ClusterId": "c", "Destinations": [ {{ "Address": "http://d/" }} ] }} ] }} }}"#
        )
    };
    let loaded = load_text(&text(""));
    assert!(loaded.diagnostics.is_empty(), "{:#?}", loaded.diagnostics);
    let proxy = loaded.settings.proxy;
    assert_eq!(proxy.routes[0].route_id, "0");
    assert_eq!(proxy.clusters[0].destinations[0].destination_id, "0");
    one_error(
        "1.1",
        &text(r#""RouteId": "r","#),
        "ReverseProxy:Routes:0:RouteId",
        "older format",
    );
    assert!(errors(&text(r#""RouteId": "","#)).is_empty());
}

#[test]
fn an_id_that_is_written_twice_is_merged_with_a_warning_or_is_an_error() {
    let loaded = load_text(
        r#"{ "ReverseProxy": { "Routes": { "r": { "Match": { "Path": "/" } }, "R": { "ClusterId": "c" } },
            "Clusters": { "c": {} } } }"#,
    );
    assert_eq!(warning_paths(&loaded), ["ReverseProxy:Routes:r"]);
    assert_eq!(loaded.settings.proxy.routes.len(), 1);
    assert_eq!(
        loaded.settings.proxy.routes[0].cluster_id.as_deref(),
        Some("c")
    );
    let colliding = r#"{ "ReverseProxy": { "Clusters": { "c": { "LoadBalancingPolicy": "Random" }, "C": { "loadbalancingpolicy": "Random" } } } }"#;
    assert!(
        ConfigurationTree::new()
            .add_json("a.json", colliding)
            .is_err()
    );
}

#[test]
fn a_colon_in_an_id_is_pointed_out() {
    let loaded = load_text(
        r#"{ "ReverseProxy": { "Routes": { "a:b": { "ClusterId": "c", "Match": { "Path": "/" } } },
            "Clusters": { "c": { "Destinations": { "http://x:80": { "Address": "http://x/" } } }, "d:e": { "Destinations": {} } } } }"#,
    );
    let all: Vec<_> = loaded
        .diagnostics
        .errors()
        .chain(loaded.diagnostics.warnings())
        .collect();
    let about = |path: &str, words: &str| {
        let found = all
            .iter()
            .any(|one| one.path == path && one.to_string().contains(words));
        assert!(found, "{path} {words}: {all:#?}");
    };
    assert_eq!(loaded.diagnostics.errors().count(), 2);
    about(
        "ReverseProxy:Routes:a:Match",
        "choose an id without `:`, at which the key \"a:b\" is cut",
    );
    about("ReverseProxy:Routes:a:b", "cut at its `:`");
    about(
        "ReverseProxy:Clusters:c:Destinations:http:Address",
        "\"http://x:80\"",
    );
    about("ReverseProxy:Clusters:d:e", "choose an id without `:`");
}

#[test]
fn routes_and_clusters_come_in_dotnets_order() {
    let loaded = load_text(
        r#"{ "ReverseProxy": { "Clusters": { "b": {}, "_": {}, "10": {}, "A": {}, "9": {} } } }"#,
    );
    let clusters = loaded.settings.proxy.clusters.iter();
    let ids: Vec<_> = clusters
        .map(|cluster| cluster.cluster_id.as_str())
        .collect();
    assert_eq!(ids, ["9", "10", "A", "b", "_"]);
}

#[test]
fn the_pipeline_is_a_list_of_known_steps() {
    let pipeline = |steps: &str| format!(r#"{{ "ReverseProxy": {{ "Pipeline": {steps} }} }}"#);
    let loaded = load_text(&pipeline(
        r#"[ "sessionAffinity", "LoadBalancing", "PassiveHealthChecks", "HTTPSYSDELEGATION" ]"#,
    ));
    assert!(loaded.diagnostics.is_empty());
    let steps = loaded.settings.proxy.pipeline.unwrap();
    assert_eq!(
        steps,
        [
            "sessionAffinity",
            "LoadBalancing",
            "PassiveHealthChecks",
            "HTTPSYSDELEGATION"
        ]
    );
    let one =
        |steps: &str, path: &str, words: &str| one_error("Pipeline", &pipeline(steps), path, words);
    one(
        r#"[ "LoadBalancing", "LOADBALANCING" ]"#,
        "ReverseProxy:Pipeline:1",
        "twice",
    );
    one(
        r#"[ "Delegation" ]"#,
        "ReverseProxy:Pipeline:0",
        "known are SessionAffinity, LoadBalancing, ",
    );
    one(
        r#"[ "LoadBalancer" ]"#,
        "ReverseProxy:Pipeline:0",
        "did you mean LoadBalancing?",
    );
    one(
        "[ null ]",
        "ReverseProxy:Pipeline:0",
        "no pipeline step \"\"",
    );
    let loaded = load_text(&pipeline(r#"[ "HttpSysDelegation", "LoadBalancing" ]"#));
    assert_eq!(warning_paths(&loaded), ["ReverseProxy:Pipeline:0"]);
}

#[test]
fn a_route_without_a_cluster_is_answered_503_which_is_a_warning() {
    let loaded = load_text(
        r#"{ "ReverseProxy": { "Routes": { "a": { "Match": { "Path": "/" } },
            "b": { "ClusterId": "CLUSTER", "Match": { "Path": "/b" } },
            "c": { "ClusterId": "clutser", "Match": { "Path": "/c" } } }, "Clusters": { "cluster": {} } } }"#,
    );
    assert!(!loaded.diagnostics.has_errors());
    assert_eq!(
        warning_paths(&loaded),
        [
            "ReverseProxy:Routes:a:ClusterId",
            "ReverseProxy:Routes:c:ClusterId"
        ]
    );
    let last = loaded.diagnostics.warnings().last().unwrap();
    assert_eq!(last.remedy.as_deref(), Some("did you mean cluster?"));
}

#[test]
fn what_is_not_implemented_yet_is_a_warning() {
    let loaded = load_text(
        r#"{ "Kestrel": { "Limits": { "Http3": { "MaxRequestHeaderFieldSize": 1 } } }, "ReverseProxy": { "Pipeline": [ "HttpSysDelegation" ],
        "Routes": { "r": { "ClusterId": "c", "Match": { "Path": "/" }, "Transforms": [ { "ResponseHeader": "X", "Set": "x" } ] },
            "no": { "ClusterId": "c", "Match": { "Path": "/a" }, "Transforms": [ { "PathSet": "/x" } ] } },
        "Clusters": { "c": { "SessionAffinity": { "Enabled": true, "AffinityKeyName": "k" },
            "Destinations": { "d": { "Address": "https://localhost/" },
                "q": { "Address": "http://*:80/", "Metadata": { "HttpSysDelegationQueue": "q" } } } } } } }"#,
    );
    assert!(!loaded.diagnostics.has_errors());
    assert_eq!(warning_paths(&loaded), ["Kestrel:Limits:Http3"]);
}

/// A value of some shape where any of our keys may stand.
fn json(depth: u32) -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        "[-0-9:.a-zA-Z{}*/=]{0,12}".prop_map(|text| format!("{text:?}")),
    ];
    let keys = prop_oneof![
        "[a-c:\u{e4}0-2]{0,3}",
        prop::sample::select(vec![
            "ReverseProxy",
            "Routes",
            "Clusters",
            "Destinations",
            "Match",
            "Path",
            "Hosts",
            "Methods",
            "Headers",
            "Values",
            "Mode",
            "Transforms",
            "Metadata",
            "HttpSysDelegationQueue",
            "Timeout",
            "Enabled",
            "SessionAffinity",
            "HealthCheck",
            "Active",
            "Cookie",
            "MaxAge",
            "HttpClient",
            "HttpRequest",
            "Version",
            "Pipeline",
            "Kestrel",
            "Limits",
            "KeepAliveTimeout",
            "Ostler",
            "Threads",
            "Urls",
            "Endpoints",
            "Url",
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(depth, 64, 4, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            4 => prop::collection::vec((keys.clone(), inner), 0..4).prop_map(|members| {
                let members = members.iter().map(|(key, value)| format!("{key:?}:{value}"));
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,200}") {
        let mut tree = ConfigurationTree::new();
        if tree.add_json("x", &text).is_ok() {
            _ = load(&tree);
        }
    }

    #[test]
    fn near_misses_never_panic(text in r#"[{}\[\]":,/* a1\n\\u\u{e4}-]{0,80}"#) {
        let mut tree = ConfigurationTree::new();
        if tree.add_json("x", &text).is_ok() {
            _ = load(&tree);
        }
    }

    #[test]
    fn our_keys_in_any_arrangement_never_panic(routes in json(5), clusters in json(5), rest in json(4)) {
        let text = format!(
            r#"{{ "ReverseProxy": {{ "Routes": {routes}, "Clusters": {clusters} }}, "Kestrel": {rest}, "Ostler": {rest} }}"#
        );
        let mut tree = ConfigurationTree::new();
        if tree.add_json("x", &text).is_ok() {
            for diagnostic in load(&tree).diagnostics.errors() {
                prop_assert!(diagnostic.place.is_some());
            }
        }
    }

    #[test]
    fn variables_and_arguments_never_panic(name in "[a-zA-Z_:]{0,60}", value in "\\PC{0,20}") {
        let mut tree = ConfigurationTree::new();
        tree.add_environment([(name.clone(), value.clone())]);
        _ = tree.add_command_line(&[format!("--{name}={value}"), value]);
        _ = load(&tree);
    }
}
