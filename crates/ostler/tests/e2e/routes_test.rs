//! `ostler routes test`: where a request would go, and that the front sends it there.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::Sandbox;

/// What a mistake in the configuration exits with.
const EXIT_CONFIGURATION: i32 = 64;
/// What a mistake in the arguments exits with.
const EXIT_USAGE: i32 = 2;

/// The cluster `a` is delegated, `b` forwarded to an address.
fn configuration(forwarded: &str) -> String {
    json!({
        "AllowedHosts": "localhost;test;*.example.com",
        "ReverseProxy": {
            "Pipeline": ["SessionAffinity", "LoadBalancing", "HttpSysDelegation"],
            "Routes": {
                "all-a": { "ClusterId": "a", "Match": { "Path": "/a/{**rest}" }, "Timeout": "00:01:00" },
                "put": { "ClusterId": "b", "Order": -1, "Match": {
                    "Path": "/a/{id:int}", "Methods": ["PUT", "POST"], "Hosts": ["x.example.com"],
                    "Headers": [{ "Name": "X-A", "Values": ["1", "2"] }],
                    "QueryParameters": [{ "Name": "q", "Mode": "Exists" }] } },
                "get": { "ClusterId": "b", "Match": { "Path": "/b", "Methods": ["GET"] } },
                "lost": { "Match": { "Path": "/lost" } },
            },
            "Clusters": {
                "a": { "Destinations": { "one": { "Address": "http://*:80/",
                    "Metadata": { "HttpSysDelegationQueue": "q" } } } },
                "b": { "LoadBalancingPolicy": "RoundRobin",
                    "Destinations": { "two": { "Address": forwarded } } },
            },
        },
    })
    .to_string()
}

fn test(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    let file = sandbox.path().join("ostler.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ostler"));
    command.args(["routes", "test", "--config"]).arg(file);
    command.args(arguments).output().unwrap()
}

/// The exit code and what is said as JSON.
fn judged(sandbox: &Sandbox, arguments: &[&str]) -> (i32, Value) {
    let output = test(sandbox, &[arguments, &["--json"]].concat());
    let code = output.status.code().unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
    (code, serde_json::from_slice(&output.stdout).unwrap())
}

const PUT: [&str; 5] = [
    "https://x.example.com/a/1?q=3",
    "--method",
    "PUT",
    "--header",
    "X-A: 2",
];

#[test]
fn a_request_goes_to_the_route_that_matches_and_by_its_way() {
    let sandbox = Sandbox::new();
    sandbox.configuration(&configuration("http://127.0.0.1:9/"));
    let (code, said) = judged(&sandbox, &["/a/1"]);
    assert_eq!((code, &said["answer"]), (0, &Value::Null));
    let route = &said["route"];
    assert_eq!(
        (&route["id"], &route["cluster"]),
        (&json!("all-a"), &json!("a"))
    );
    assert_eq!(route["policies"], json!({ "Timeout": "60s" }));
    assert_eq!(
        route["destinations"],
        json!([{ "id": "one", "address": "http://*:80/", "way": "delegated", "queue": "q" }])
    );
    let (code, said) = judged(&sandbox, &PUT);
    let route = &said["route"];
    assert_eq!((code, &route["id"]), (0, &json!("put")));
    assert_eq!(route["loadBalancingPolicy"], "RoundRobin");
    assert_eq!(route["matches"].as_array().unwrap().len(), 5);
    assert_eq!(
        route["destinations"],
        json!([{ "id": "two", "address": "http://127.0.0.1:9/", "way": "forwarded" }])
    );
    // Without the step nothing is delegated, and that is said.
    let step = "ReverseProxy:Pipeline:2=PassiveHealthChecks";
    let (_, said) = judged(&sandbox, &["/a/1", step]);
    let destination = &said["route"]["destinations"][0];
    assert_eq!(destination["way"], "forwarded");
    assert_eq!(destination["why"], "Pipeline has no step HttpSysDelegation");
}

#[test]
fn routes_that_nearly_match_are_told_with_what_they_lack() {
    let sandbox = Sandbox::new();
    sandbox.configuration(&configuration("http://127.0.0.1:9/"));
    let keys = |said: &Value| -> Vec<String> {
        let unmet = said["others"][0]["unmet"].as_array().unwrap();
        let keys = unmet.iter().map(|part| part["key"].as_str().unwrap());
        keys.map(str::to_owned).collect()
    };
    let (_, said) = judged(&sandbox, &["/a/1"]);
    assert_eq!(said["others"][0]["id"], "put");
    assert_eq!(
        keys(&said),
        [
            "Match:Hosts",
            "Match:Methods",
            "Match:Headers:0",
            "Match:QueryParameters:0"
        ]
    );
    let without_field = &PUT[..3];
    let without_method = [PUT[0], PUT[3], PUT[4]];
    for (arguments, lacking) in [
        (without_field, "Match:Headers:0"),
        (&without_method[..], "Match:Methods"),
    ] {
        let (_, said) = judged(&sandbox, arguments);
        assert_eq!(said["route"]["id"], "all-a");
        assert_eq!(keys(&said), [lacking]);
    }
    let (_, said) = judged(&sandbox, &PUT);
    assert_eq!(said["others"][0]["id"], "all-a");
    assert_eq!(said["others"][0]["why"], "Order 0 comes behind -1");
    // The same for people.
    let output = test(&sandbox, &["/b", "--method", "POST"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("405: "), "{text}");
    assert!(
        text.contains("not          get: Match:Methods GET\n"),
        "{text}"
    );
}

#[test]
fn where_no_route_matches_the_exit_code_says_so_and_mistakes_have_others() {
    let sandbox = Sandbox::new();
    sandbox.configuration(&configuration("http://127.0.0.1:9/"));
    for (url, code, status) in [
        ("/nowhere", 1, 404),
        ("http://other.test/b", 1, 400),
        ("/lost", 0, 503),
    ] {
        let (found, said) = judged(&sandbox, &[url]);
        assert_eq!(
            (found, &said["answer"]["status"]),
            (code, &json!(status)),
            "{url}"
        );
    }
    for (arguments, code, wanted) in [
        (&["nonsense"][..], EXIT_USAGE, "no http or https URL"),
        (&["ftp://x/"], EXIT_USAGE, "no http or https URL"),
        (&["/", "--header", "x"], EXIT_USAGE, "NAME: VALUE"),
        (&["/", "--method", "a b"], EXIT_USAGE, "--method"),
        (
            &["/", "ReverseProxy:Routes:get:Order=x"],
            EXIT_CONFIGURATION,
            "ReverseProxy:Routes:get:Order",
        ),
    ] {
        let output = test(&sandbox, arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(wanted), "{arguments:?}: {said}");
    }
}

#[test]
fn a_front_does_what_was_told_of_it() {
    let sandbox = Sandbox::new();
    let delegated = sandbox.target("q", &[]);
    let (forwarded, address) = sandbox.listening_target("other");
    // The front is the first of the sandbox: both read one file.
    let front = sandbox.front(&configuration(&address));
    for (method, path) in [
        ("GET", "/a/1"),
        ("GET", "/a/1?q=2"),
        ("GET", "/b"),
        ("POST", "/b"),
        ("GET", "/lost"),
        ("GET", "/c"),
        ("GET", "/a/%2e%2e/b"),
    ] {
        // As the client of these tests asks.
        let host = ["--header", "Host: test"];
        let (_, said) = judged(&sandbox, &[&[path, "--method", method][..], &host].concat());
        let response = front.ask(method, path);
        match (
            &said["answer"]["status"],
            said["route"]["destinations"][0]["way"].as_str(),
        ) {
            (Value::Null, Some("delegated")) => assert_eq!(response.pid(), delegated.pid()),
            (Value::Null, Some("forwarded")) => assert_eq!(response.pid(), forwarded.pid()),
            (status, _) => assert_eq!(*status, json!(response.status), "{method} {path}"),
        }
    }
}

#[test]
fn the_manual_has_a_page_for_it() {
    let sandbox = Sandbox::new();
    sandbox.output(&["manual", sandbox.path().to_str().unwrap()]);
    for page in ["ostler-proxy.1", "ostler-init.1", "ostler-routes-test.1"] {
        assert!(sandbox.path().join(page).exists(), "{page}");
    }
}
