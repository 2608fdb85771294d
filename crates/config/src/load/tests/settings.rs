//! Settings outside `ReverseProxy`.

use std::time::Duration;

use super::*;
use crate::settings::DataProtectionConfig;
use crate::settings::{
    AccessLogConfig, AccessLogFilter, AccessLogFormat, AdminAddress, AdminConfig, AllowedHosts,
    ApplicationConfig, ApplicationInstances, ApplicationListen, ApplicationRecycle,
    DestinationResolverConfig, HealthCheckDefaults, KernelTls, LimitsConfig, OstlerConfig,
    OtlpProtocol, TracesConfig,
};

#[test]
fn our_own_section_and_the_limits_are_read() {
    let loaded = load_text(
        r#"{ "Ostler": { "Threads": 3, "RuntimeFolder": "/run/x", "TrustedUsers": [ "app", 1000 ], "QueueGroup": "www-data", "KernelTls": "OFF",
                "AccessLog": { "Format": "w3c", "Path": "access.log", "StatusFrom": 400, "SlowerThan": "00:00:02", "Sample": 0.5 }, "Admin": { "Url": "http://[::1]:9090" },
                "Traces": { "Endpoint": "http://c:4317", "Protocol": "grpc", "Sample": 0.25, "ServiceName": "edge", "Headers": { "a": "b" } },
                "Tls": { "ClientCertificateAuthorities": "roots.pem" },
                "HealthChecks": { "Active": { "DefaultInterval": "00:00:01", "DefaultTimeout": "00:00:02" },
                    "Passive": { "DetectionWindow": "00:00:03", "MinimalTotalCount": 4 } } },
            "Kestrel": { "Limits": { "MaxRequestLineSize": 100, "MaxRequestHeadersTotalSize": "1048576", "MaxRequestHeaderCount": 5,
                "KeepAliveTimeout": "00:01:00", "RequestHeadersTimeout": "-00:00:00.001" } } }"#,
    );
    assert!(loaded.diagnostics.is_empty(), "{:#?}", loaded.diagnostics);
    assert_eq!(
        loaded.settings.ostler,
        OstlerConfig {
            destination_resolver: DestinationResolverConfig::default(),
            etcd: None,
            client_certificate_authorities: Some("roots.pem".into()),
            threads: 3,
            runtime_folder: Some("/run/x".into()),
            trusted_users: vec!["app".into(), "1000".into()],
            queue_group: Some("www-data".into()),
            data_protection: DataProtectionConfig::default(),
            health_checks: HealthCheckDefaults {
                active_default_interval: Duration::from_secs(1),
                active_default_timeout: Duration::from_secs(2),
                passive_detection_window: Duration::from_secs(3),
                passive_minimal_total_count: 4,
            },
            access_log: Some(AccessLogConfig {
                format: AccessLogFormat::W3C,
                path: Some("access.log".into()),
                filter: AccessLogFilter {
                    status_from: Some(400),
                    slower_than: Some(Duration::from_secs(2)),
                    sample: Some(0.5),
                },
            }),
            applications: Vec::new(),
            admin: Some(AdminConfig {
                address: AdminAddress::Loopback("[::1]:9090".parse().unwrap()),
            }),
            traces: Some(TracesConfig {
                endpoint: "http://c:4317".into(),
                protocol: OtlpProtocol::Grpc,
                sample: 0.25,
                service_name: "edge".into(),
                headers: [("a".to_owned(), "b".to_owned())].into_iter().collect(),
            }),
            kernel_tls: KernelTls::Off,
            limits: LimitsConfig {
                request_line: 100,
                field_lines: 1_048_576,
                fields: 5,
                keep_alive_timeout: Duration::from_secs(60),
                head_timeout: Duration::from_secs(100 * 365 * 86_400),
                max_request_body_size: Some(30_000_000),
                ..LimitsConfig::default()
            },
            allowed_hosts: AllowedHosts::default(),
            forwarded_headers: None,
            error_pages: None,
            https_redirection: None,
            hsts: None,
        }
    );
}

#[test]
fn applications_are_read() {
    let loaded = load_text(
        r#"{ "Ostler": { "Applications": {
            "plain": { "Command": "serve" },
            "shop": { "Command": "gunicorn", "Arguments": [ "app:app", 3 ], "Queue": "q", "UrlPrefixes": [ "http://*:81/" ],
                "Listen": "port", "Protocol": "http2", "Environment": { "A": "b", "C": 4 }, "WorkingDirectory": "/srv",
                "User": "www-data", "Instances": { "Min": 2, "Max": 4, "Concurrency": 8 }, "IdleTimeout": "00:00:00",
                "StartTimeout": "00:00:05", "StopTimeout": "00:00:06", "ReadyWhen": "/health?x",
                "Recycle": { "Requests": 7, "Memory": 5000000000, "Time": "01:00:00" }, "Watch": [ "app" ] } } } }"#,
    );
    assert!(loaded.diagnostics.is_empty(), "{:#?}", loaded.diagnostics);
    let plain = ApplicationConfig {
        name: "plain".into(),
        command: "serve".into(),
        arguments: Vec::new(),
        queue: "plain".into(),
        url_prefixes: Vec::new(),
        listen: ApplicationListen::Fd,
        is_http2: false,
        environment: std::collections::BTreeMap::new(),
        working_directory: None,
        user: None,
        instances: ApplicationInstances {
            min: 0,
            max: 1,
            concurrency: None,
        },
        idle_timeout: Some(Duration::from_secs(1200)),
        start_timeout: Duration::from_secs(60),
        stop_timeout: Duration::from_secs(30),
        ready_path: None,
        recycle: ApplicationRecycle::default(),
        watch: Vec::new(),
    };
    let text = |text: &str| text.to_owned();
    let shop = ApplicationConfig {
        name: "shop".into(),
        command: "gunicorn".into(),
        arguments: vec!["app:app".into(), "3".into()],
        queue: "q".into(),
        url_prefixes: vec!["http://*:81/".into()],
        listen: ApplicationListen::Port,
        is_http2: true,
        environment: [("A", "b"), ("C", "4")]
            .map(|(name, value)| (text(name), text(value)))
            .into(),
        working_directory: Some("/srv".into()),
        user: Some("www-data".into()),
        instances: ApplicationInstances {
            min: 2,
            max: 4,
            concurrency: Some(8),
        },
        idle_timeout: None,
        start_timeout: Duration::from_secs(5),
        stop_timeout: Duration::from_secs(6),
        ready_path: Some("/health?x".into()),
        recycle: ApplicationRecycle {
            requests: Some(7),
            memory: Some(5_000_000_000),
            time: Some(Duration::from_secs(3600)),
        },
        watch: vec!["app".into()],
    };
    assert_eq!(loaded.settings.ostler.applications, [plain, shop]);
}

#[test]
fn mistakes_in_applications_are_named() {
    for (application, path, words) in [
        ("{}", "", "has no command"),
        (
            r#"{ "Command": "x", "Listen": "socket" }"#,
            ":Listen",
            "none of \"Fd\"",
        ),
        (
            r#"{ "Command": "x", "Protocol": "uwsgi" }"#,
            ":Protocol",
            "neither \"Http1\"",
        ),
        (
            r#"{ "Command": "x", "ReadyWhen": "soon" }"#,
            ":ReadyWhen",
            "nor a path",
        ),
        (
            r#"{ "Command": "x", "Instances": { "Min": 257 } }"#,
            ":Instances:Min",
            "not from 0 to 256",
        ),
        (
            r#"{ "Command": "x", "Instances": { "Min": 3, "Max": 2 } }"#,
            ":Instances:Max",
            "fewer than the 3",
        ),
        (
            r#"{ "Command": "x", "Recycle": { "Requests": 0 } }"#,
            ":Recycle:Requests",
            "not positive",
        ),
        (
            r#"{ "Command": "x", "IdleTimeout": "-00:00:01" }"#,
            ":IdleTimeout",
            "negative",
        ),
        (
            r#"{ "Command": "x", "Environment": { "A=B": "c" } }"#,
            ":Environment:A=B",
            "cannot be a variable",
        ),
        (
            r#"{ "Command": "x" }, "b": { "Command": "x", "Queue": "A" }"#,
            "/b:Queue",
            "serves the queue \"A\" already",
        ),
    ] {
        let text = format!(r#"{{ "Ostler": {{ "Applications": {{ "a": {application} }} }} }}"#);
        let path = match path.strip_prefix('/') {
            Some(other) => format!("Ostler:Applications:{other}"),
            None => format!("Ostler:Applications:a{path}"),
        };
        one_error("Ostler", &text, &path, words);
    }
}

#[test]
fn the_defaults() {
    let ostler = load_text("{}").settings.ostler;
    assert_eq!(
        (
            ostler.threads,
            ostler.runtime_folder,
            ostler.trusted_users.len()
        ),
        (0, None, 0)
    );
    assert_eq!(ostler.kernel_tls, KernelTls::Auto);
    assert_eq!(ostler.access_log, None);
    let limits = ostler.limits;
    assert_eq!(
        (limits.request_line, limits.field_lines, limits.fields),
        (8192, 32_768, 100)
    );
    assert_eq!(limits.keep_alive_timeout, Duration::from_secs(120));
    assert_eq!(limits.head_timeout, Duration::from_secs(30));
    assert_eq!(limits.max_request_body_size, Some(30_000_000));
}

#[test]
fn a_body_limit_of_minus_one_is_none() {
    for (size, limit) in [("7", Some(7)), ("0", Some(0)), ("-1", None)] {
        let text =
            format!(r#"{{ "Kestrel": {{ "Limits": {{ "MaxRequestBodySize": {size} }} }} }}"#);
        let loaded = load_text(&text);
        assert!(loaded.diagnostics.is_empty(), "{:#?}", loaded.diagnostics);
        let limits = loaded.settings.ostler.limits;
        assert_eq!(limits.max_request_body_size, limit);
    }
}

#[test]
fn wrong_limits_are_errors() {
    for (key, value, words) in [
        ("MaxRequestHeadersTotalSize", "1048577", "more than 1048576"),
        ("MaxRequestLineSize", "2000000", "more than 1048576"),
        ("MaxRequestLineSize", "0", "not positive"),
        ("MaxRequestHeaderCount", "-1", "not positive"),
        ("MaxRequestHeaderCount", "1.5", "not a whole number"),
        ("KeepAliveTimeout", "\"00:00:00\"", "neither positive nor"),
        ("RequestHeadersTimeout", "\"30s\"", "not a time span"),
        ("MaxRequestBodySize", "-2", "negative"),
    ] {
        let text = format!(r#"{{ "Kestrel": {{ "Limits": {{ "{key}": {value} }} }} }}"#);
        one_error("20.2", &text, &format!("Kestrel:Limits:{key}"), words);
    }
    for (key, value, path, words) in [
        ("Threads", "-1", "Threads", "not from 0 to 1024"),
        ("Threads", "1025", "Threads", "not from 0 to 1024"),
        ("KernelTls", "\"on\"", "KernelTls", "neither \"auto\""),
        (
            "AccessLog",
            "{ \"Format\": \"Common\" }",
            "AccessLog:Format",
            "none of \"Off\", \"Combined\"",
        ),
        (
            "Traces",
            "{ \"Endpoint\": \"c:4317\" }",
            "Traces:Endpoint",
            "is not of the form",
        ),
        (
            "Traces",
            "{ \"Endpoint\": \"http://c\", \"Sample\": 2 }",
            "Traces:Sample",
            "not a number from 0 to 1",
        ),
        (
            "Admin",
            "{ \"Url\": \"http://0.0.0.0:9090\" }",
            "Admin:Url",
            "neither a loopback address nor a socket",
        ),
        (
            "TrustedUsers",
            "[ \"\" ]",
            "TrustedUsers:0",
            "the user is empty",
        ),
    ] {
        one_error(
            "Ostler",
            &format!(r#"{{ "Ostler": {{ "{key}": {value} }} }}"#),
            &format!("Ostler:{path}"),
            words,
        );
    }
}

/// A file, with a host's environment around it.
fn tree_in(json: &str, variables: &[(&str, &str)]) -> ConfigurationTree {
    let variables = variables.iter();
    let variables: Vec<_> = variables
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let mut tree = ConfigurationTree::new();
    tree.add_host_environment(&variables);
    tree.add_json("ostler.json", json).unwrap();
    tree.add_environment(variables);
    tree
}

#[test]
fn ports_of_containers_are_listened_on_on_all_addresses() {
    for (variables, wanted) in [
        (
            &[("ASPNETCORE_HTTP_PORTS", "8080;8081 ; ")][..],
            &["http://*:8080", "http://*:8081"][..],
        ),
        (&[("HTTP_PORTS", "1")], &["http://*:1"]),
        (
            &[("DOTNET_HTTP_PORTS", "2"), ("ASPNETCORE_HTTP_PORTS", "3")],
            &["http://*:2"],
        ),
        (&[("aspnetcore_http_ports", "4")], &["http://*:4"]),
        (&[("ASPNETCORE_HTTP_PORTS", "")], &["http://localhost:5000"]),
    ] {
        let loaded = load(&tree_in("{}", variables));
        assert!(loaded.diagnostics.is_empty(), "{variables:?}");
        assert_eq!(urls_of(&loaded), wanted, "{variables:?}");
    }
    let certificate = r#"{ "Kestrel": { "Certificates": { "Default": { "Path": "c.pem" } } } }"#;
    let both = [
        ("ASPNETCORE_HTTPS_PORTS", "8443"),
        ("ASPNETCORE_HTTP_PORTS", "8080"),
    ];
    let loaded = load(&tree_in(certificate, &both));
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    assert_eq!(urls_of(&loaded), ["http://*:8080", "https://*:8443"]);
    assert!(loaded.settings.endpoints[1].tls.is_some());
}

#[test]
fn urls_and_endpoints_come_before_ports_and_say_so() {
    let ports = ("ASPNETCORE_HTTP_PORTS", "8080");
    let endpoints = r#"{ "Kestrel": { "Endpoints": { "a": { "Url": "http://a:1" } } } }"#;
    for (json, variables, by) in [
        (
            "{}",
            &[ports, ("ASPNETCORE_URLS", "http://a:1")][..],
            "Urls",
        ),
        (r#"{ "Urls": "http://a:1" }"#, &[ports], "Urls"),
        (endpoints, &[ports], "Kestrel:Endpoints"),
    ] {
        let loaded = load(&tree_in(json, variables));
        assert_eq!(urls_of(&loaded), ["http://a:1"], "{json}");
        let said: Vec<_> = loaded.diagnostics.warnings().collect();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].message.contains(by), "{said:?}");
        assert!(
            said[0].to_string().contains("ASPNETCORE_HTTP_PORTS"),
            "{said:?}"
        );
    }
}

#[test]
fn what_is_no_port_is_an_error_that_names_the_variable() {
    for ports in ["http://*:80", "80,81", "65536", "-1", "+80", "any"] {
        let loaded = load(&tree_in("{}", &[("ASPNETCORE_HTTP_PORTS", ports)]));
        let said: Vec<_> = loaded
            .diagnostics
            .errors()
            .map(ToString::to_string)
            .collect();
        assert_eq!(said.len(), 1, "{ports}: {said:?}");
        assert!(
            said[0].contains("environment variable ASPNETCORE_HTTP_PORTS"),
            "{said:?}"
        );
    }
}

fn urls_of(loaded: &Loaded) -> Vec<String> {
    let endpoints = loaded.settings.endpoints.iter();
    endpoints.map(|endpoint| endpoint.url.clone()).collect()
}

#[test]
fn urls_come_from_the_first_that_says_any() {
    let urls = |json: &str, variables: &[(&str, &str)]| {
        let tree = tree_in(json, variables);
        let loaded = load(&tree);
        assert!(
            loaded.diagnostics.is_empty(),
            "{json}: {:?}",
            loaded.diagnostics
        );
        urls_of(&loaded)
    };
    assert_eq!(urls("{}", &[]), ["http://localhost:5000"]);
    assert_eq!(urls(r#"{ "Urls": "" }"#, &[]), ["http://localhost:5000"]);
    assert_eq!(
        urls(r#"{ "Urls": " http://localhost:1;HTTP://*:2 ;" }"#, &[]),
        ["http://localhost:1", "HTTP://*:2"]
    );
    assert_eq!(
        urls(r#"{ "Urls": "http://a" }"#, &[("URLS", "http://b")]),
        ["http://b"]
    );
    assert_eq!(
        urls(
            r#"{ "Urls": "http://a" }"#,
            &[("ASPNETCORE_URLS", "http://b")]
        ),
        ["http://a"]
    );
    assert_eq!(
        urls(
            "{}",
            &[("DOTNET_URLS", "http://b"), ("ASPNETCORE_URLS", "http://c")]
        ),
        ["http://b"]
    );
    assert_eq!(urls("{}", &[("DOTNET_URLS", "http://b")]), ["http://b"]);
    let kestrel = r#"{ "Kestrel": { "Endpoints": { "B": { "Url": "http://b" }, "A": { "Url": "http://a" } } } }"#;
    assert_eq!(urls(kestrel, &[]), ["http://a", "http://b"]);
}

#[test]
fn urls_that_leave_nothing_to_listen_on_are_errors() {
    one_error(
        "Urls",
        r#"{ "Urls": " ; " }"#,
        "Urls",
        "nothing left to listen on",
    );
    one_error(
        "Urls",
        r#"{ "Urls": "localhost:80" }"#,
        "Urls",
        "begins neither with http:// nor with https://",
    );
    let kestrel = r#"{ "Kestrel": { "Endpoints": { "a": { "Protocols": "Http1" } } } }"#;
    one_error("Kestrel", kestrel, "Kestrel:Endpoints:a:Url", "has no Url");
}

#[test]
fn urls_beside_endpoints_are_a_warning() {
    // Reference B20.3.
    let loaded = load_text(
        r#"{ "Urls": "http://a", "Kestrel": { "Endpoints": { "b": { "Url": "http://b" } } } }"#,
    );
    assert_eq!(urls_of(&loaded), ["http://b"]);
    assert_eq!(warning_paths(&loaded), ["Urls"]);
}

#[test]
fn defaults_of_health_checks_are_positive() {
    for (key, value) in [
        ("Active:DefaultInterval", "\"0\""),
        ("Active:DefaultTimeout", "\"-1\""),
        ("Passive:DetectionWindow", "\"soon\""),
        ("Passive:MinimalTotalCount", "0"),
        ("Passive:MinimalTotalCount", "-3"),
    ] {
        let (section, key) = key.split_once(':').unwrap();
        let text = format!(
            r#"{{ "Ostler": {{ "HealthChecks": {{ "{section}": {{ "{key}": {value} }} }} }} }}"#
        );
        let loaded = load_text(&text);
        let errors: Vec<_> = loaded.diagnostics.errors().collect();
        assert_eq!(errors.len(), 1, "{text}");
        assert_eq!(
            errors[0].path,
            format!("Ostler:HealthChecks:{section}:{key}")
        );
        assert!(errors[0].place.is_some());
    }
}

#[test]
fn output_cache_policies_are_known_by_name_and_warned_of() {
    let text = |name: &str| {
        format!(
            r#"{{ "OutputCache": {{ "Policies": {{ "Short": {{ "Duration": "00:00:10" }} }} }},
                "ReverseProxy": {{ "Routes": {{ "r": {{ "ClusterId": "c", "OutputCachePolicy": "{name}",
                    "Match": {{ "Path": "/" }} }} }}, "Clusters": {{ "c": {{}} }} }} }}"#
        )
    };
    let loaded = load_text(&text("sHort"));
    assert!(!loaded.diagnostics.has_errors());
    let warned = loaded.diagnostics.warnings().map(|warning| &warning.path);
    assert_eq!(
        warned.collect::<Vec<_>>(),
        ["ReverseProxy:Routes:r:OutputCachePolicy"]
    );
    assert!(load_text(&text("Long")).diagnostics.has_errors());
}
