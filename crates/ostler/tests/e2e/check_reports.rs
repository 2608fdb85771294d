//! What `check` says of files as people have them, and how it says it.

use std::process::{Command, Output};

use crate::support::{Sandbox, delegating_to};

const PROXY: &str = r#"{ "Routes": { "r": { "ClusterId": "c", "Match": { "Path": "/{**rest}" } } },
    "Clusters": { "c": { "Destinations": { "d": { "Address": "http://127.0.0.1:1/" } } } } }"#;

/// `ostler check` with arguments of all files by their names in the sandbox.
fn check(sandbox: &Sandbox, files: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ostler"));
    command.arg("check").args(arguments);
    for (name, text) in files {
        let path = sandbox.path().join(name);
        std::fs::write(&path, text).unwrap();
        command.arg("--config").arg(path);
    }
    command.output().unwrap()
}

fn texts(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let code = output.status.code().unwrap();
    (code, text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_section_of_another_name_is_named_and_read_when_asked_for() {
    let sandbox = Sandbox::new();
    let file = format!(r#"{{ "Yarp": {PROXY} }}"#);
    let files = [("a.json", file.as_str())];
    let (code, out, err) = texts(&check(&sandbox, &files, &[]));
    assert_eq!(code, 0);
    assert!(
        out.contains("ok, 0 route(s), 0 cluster(s), 1 warning(s)"),
        "{out}"
    );
    assert!(err.contains("--section Yarp"), "{err}");
    let (code, out, err) = texts(&check(&sandbox, &files, &["--section", "yarp"]));
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(
        out.contains("ok, 1 route(s), 1 cluster(s), 0 warning(s)"),
        "{out}"
    );
    let (code, _, err) = texts(&check(&sandbox, &files, &["--section", "Yapr"]));
    assert_eq!(code, 64);
    assert!(
        err.contains("error: Yapr: there is no such section"),
        "{err}"
    );
}

#[test]
fn several_files_are_laid_over_each_other_in_their_order() {
    let sandbox = Sandbox::new();
    let routes = format!(r#"{{ "ReverseProxy": {PROXY} }}"#);
    let later = r#"{ "ReverseProxy": { "Routes": { "r": { "Order": "b" } } } }"#;
    let latest = r#"{ "ReverseProxy": { "Routes": { "r": { "Order": "c" } } } }"#;
    // The environment's file of each stands right over it.
    std::fs::write(sandbox.path().join("a.Production.json"), later).unwrap();
    let files = [("a.json", routes.as_str()), ("b.json", latest)];
    let (code, _, err) = texts(&check(&sandbox, &files, &[]));
    assert_eq!(code, 64);
    assert!(err.contains(r#"Order: "c" is not a whole number"#), "{err}");
    let files = [
        ("a.json", routes.as_str()),
        ("b.json", r#"{ "Urls": "http://*:1" }"#),
    ];
    let (_, _, err) = texts(&check(&sandbox, &files, &[]));
    assert!(err.contains(r#"Order: "b" is not a whole number"#), "{err}");
    assert!(err.contains("a.Production.json:1:"), "{err}");
}

#[test]
fn strict_fails_for_warnings() {
    let sandbox = Sandbox::new();
    let file = format!(r#"{{ "ReverseProxy": {PROXY}, "Logging": {{ "x": 1 }} }}"#);
    let files = [("a.json", file.as_str())];
    assert_eq!(texts(&check(&sandbox, &files, &[])).0, 0);
    let (code, out, err) = texts(&check(&sandbox, &files, &["--strict"]));
    assert_eq!((code, out.as_str()), (64, ""));
    assert!(err.contains("0 error(s), 1 warning(s)"), "{err}");
    let clean = format!(r#"{{ "ReverseProxy": {PROXY} }}"#);
    let (code, ..) = texts(&check(&sandbox, &[("a.json", &clean)], &["--strict"]));
    assert_eq!(code, 0);
}

#[test]
fn json_says_the_same_for_programs() {
    let sandbox = Sandbox::new();
    let file = format!(
        "{{ \"ReverseProxy\": {},\n  \"Kestral\": {{ \"x\": 1 }} }}",
        PROXY.replace("\"ClusterId\"", "\"Order\": \"soon\", \"ClusterId\"")
    );
    let files = [("a.json", file.as_str())];
    let (code, out, err) = texts(&check(&sandbox, &files, &["--format", "json"]));
    assert_eq!((code, err.as_str()), (64, ""));
    let said: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(said["ok"], false);
    assert_eq!(
        (said["errors"].as_u64(), said["warnings"].as_u64()),
        (Some(1), Some(1))
    );
    assert_eq!(
        (said["routes"].as_u64(), said["clusters"].as_u64()),
        (Some(1), Some(1))
    );
    let error = &said["diagnostics"][0];
    assert_eq!(error["severity"], "error");
    assert_eq!(error["path"], "ReverseProxy:Routes:r:Order");
    assert_eq!(error["line"], 1);
    assert!(
        error["origin"].as_str().unwrap().ends_with("a.json"),
        "{error}"
    );
    let warning = &said["diagnostics"][1];
    assert_eq!(warning["path"], "Kestral");
    assert_eq!(warning["line"], 3);
    assert_eq!(warning["remedy"], "did you mean Kestrel?");
    // So is a file that cannot be read.
    let (code, out, _) = texts(&check(
        &sandbox,
        &[("b.json", "{ \"a\": }")],
        &["--format", "json"],
    ));
    assert_eq!(code, 64);
    let said: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(said["diagnostics"][0]["severity"], "error");
    assert_eq!(said["diagnostics"][0]["column"], 8);
}

#[test]
fn check_takes_the_options_of_run() {
    let sandbox = Sandbox::new();
    let file = format!(r#"{{ "ReverseProxy": {PROXY} }}"#);
    let options = [
        "--urls",
        "http://127.0.0.1:0",
        "--threads",
        "2",
        "--drain-timeout",
        "5",
    ];
    let (code, _, err) = texts(&check(&sandbox, &[("a.json", &file)], &options));
    assert_eq!((code, err.as_str()), (0, ""));
    let (code, _, err) = texts(&check(
        &sandbox,
        &[("a.json", &file)],
        &["--urls", "ftp://x"],
    ));
    assert_eq!(code, 64);
    assert!(err.contains("error: Urls: "), "{err}");
}

#[test]
fn yaml_hears_that_json_is_read() {
    let sandbox = Sandbox::new();
    let yaml = "ReverseProxy:\n  Routes:\n    r:\n      ClusterId: c\n";
    let (code, _, err) = texts(&check(&sandbox, &[("proxy.yaml", yaml)], &[]));
    assert_eq!(code, 64);
    assert!(
        err.contains("YAML") && err.contains("proxy.yaml:1:1"),
        "{err}"
    );
}

#[test]
fn another_way_to_authenticate_is_refused() {
    let sandbox = Sandbox::new();
    for (section, path) in [
        (
            r#"{ "Schemes": { "OpenIdConnect": { "Authority": "https://x" } } }"#,
            "Schemes:OpenIdConnect",
        ),
        (r#"{ "Google": { "ClientId": "x" } }"#, "Google"),
        (r#"{ "DefaultScheme": "Cookies" }"#, "DefaultScheme"),
    ] {
        let file = format!(r#"{{ "ReverseProxy": {PROXY}, "Authentication": {section} }}"#);
        let (code, _, err) = texts(&check(&sandbox, &[("a.json", &file)], &[]));
        assert_eq!(code, 64, "{section}");
        assert!(
            err.contains(&format!("error: Authentication:{path}: ")),
            "{err}"
        );
        assert!(err.contains("Authentication:Schemes:Bearer"), "{err}");
    }
}

#[test]
fn a_policy_that_is_not_there_says_where_it_is_defined() {
    let sandbox = Sandbox::new();
    for (key, section) in [
        ("RateLimiterPolicy", "RateLimiter"),
        ("CorsPolicy", "Cors"),
        ("AuthorizationPolicy", "Authorization"),
        ("TimeoutPolicy", "RequestTimeouts"),
        ("OutputCachePolicy", "OutputCache"),
    ] {
        let proxy = PROXY.replace("\"Match\"", &format!("\"{key}\": \"mine\", \"Match\""));
        let file = format!(r#"{{ "ReverseProxy": {proxy} }}"#);
        let (code, _, err) = texts(&check(&sandbox, &[("a.json", &file)], &[]));
        assert_eq!(code, 64, "{key}");
        assert!(
            err.contains(&format!("define {section}:Policies:mine")),
            "{err}"
        );
    }
}

#[test]
fn what_will_not_do_what_it_seems_to_is_warned_of() {
    let sandbox = Sandbox::new();
    let with =
        |from: &str, to: &str| format!(r#"{{ "ReverseProxy": {} }}"#, PROXY.replace(from, to));
    let alike =
        "\"Routes\": { \"q\": { \"ClusterId\": \"c\", \"Match\": { \"Path\": \"{**all}\" } },";
    for (file, words) in [
        (with("/{**rest}", "/api/*"), "write /api/{**rest}"),
        (with("\"Routes\": {", alike), "answered 500"),
        (
            with("\"d\": { \"Address\": \"http://127.0.0.1:1/\" }", ""),
            "has no destinations",
        ),
        (
            with("http://127.0.0.1:1/", "http://*:80/"),
            "HttpSysDelegationQueue",
        ),
        (
            format!(
                r#"{{ "ReverseProxy": {PROXY}, "Kestrel": {{ "Limit": {{}}, "Url": "http://*:1" }} }}"#
            ),
            "Kestrel:Url",
        ),
    ] {
        let (code, _, err) = texts(&check(&sandbox, &[("a.json", &file)], &[]));
        assert_eq!(code, 0, "{file}: {err}");
        assert!(
            err.contains("warning: ") && err.contains(words),
            "{file}: {err}"
        );
    }
}

#[test]
fn what_no_message_can_carry_is_refused() {
    let sandbox = Sandbox::new();
    let transforms = r#""Transforms": [ { "ResponseHeader": "X-A", "Set": "a\nb" } ], "Match""#;
    let file = format!(
        r#"{{ "ReverseProxy": {} }}"#,
        PROXY.replace("\"Match\"", transforms)
    );
    let (code, _, err) = texts(&check(&sandbox, &[("a.json", &file)], &[]));
    assert_eq!(code, 64);
    assert!(
        err.contains("Transforms:0:Set: the value holds U+000A"),
        "{err}"
    );
}

#[test]
fn a_queues_name_may_be_as_long_as_http_sys_lets_it() {
    let sandbox = Sandbox::new();
    let name = "q".repeat(260);
    let target = sandbox.target(&name, &[]);
    let front = sandbox.front(&delegating_to(&[&name]));
    assert_eq!(front.ask("GET", "/").pid(), target.pid());
    let queues = sandbox.output(&["queues", "--json"]);
    assert!(queues.contains(&name), "{queues}");
}
