//! Which route a request takes, asked of the real binary (reference A3, section by section).
//!
//! Every route has a cluster of its own, whose destination has the route's id as its base path, so
//! that what the one application behind them all echoes names the route.

use std::fmt::Write;

use crate::support::http2_client::{self, Http2Client};
use crate::support::{Front, Process, Sandbox};

/// Routes before one application.
struct Routing {
    front: Front,
    _target: Process,
    _sandbox: Sandbox,
}

impl Routing {
    /// Starts a front with these routes: an id, and what stands in the route besides `ClusterId`.
    fn new(routes: &[(&str, &str)]) -> Self {
        let sandbox = Sandbox::new();
        let (target, address) = sandbox.listening_target("routed");
        let (mut all, mut clusters) = (String::new(), String::new());
        for (id, route) in routes {
            write!(all, r#""{id}": {{ "ClusterId": "{id}", {route} }},"#).unwrap();
            write!(
                clusters,
                r#""{id}": {{ "Destinations": {{ "d": {{ "Address": "{address}took-{id}" }} }} }},"#
            )
            .unwrap();
        }
        let front = sandbox.front(&format!(
            r#"{{ "ReverseProxy": {{ "Routes": {{ {all} }}, "Clusters": {{ {clusters} }} }} }}"#
        ));
        Self {
            front,
            _target: target,
            _sandbox: sandbox,
        }
    }

    /// The id of the route that a request takes, or the status it is answered with.
    fn route_of(&self, line: &str, fields: &str) -> String {
        let mut client = self.front.connect();
        client.send(format!("{line} HTTP/1.1\r\n{fields}\r\n"));
        let response = match line.starts_with("HEAD ") {
            true => client.head_response(),
            false => client.response(),
        };
        if response.status != 200 {
            return response.status.to_string();
        }
        let echo = response.json();
        let target = echo["target"].as_str().unwrap();
        let taken = target.strip_prefix("/took-").unwrap();
        taken.split('/').next().unwrap().to_owned()
    }

    /// Compares a table: request line, fields, route or status.
    fn expect(&self, table: &[(&str, &str, &str)]) {
        for (line, fields, expected) in table {
            let host = if fields.contains("Host:") {
                ""
            } else {
                "Host: a.com\r\n"
            };
            let taken = self.route_of(line, &format!("{host}{fields}"));
            assert_eq!(taken, *expected, "{line} {fields:?}");
        }
    }
}

#[test]
fn methods_are_judged_before_hosts_and_filters_never_give_405() {
    // Reference A3.1.
    let routing = Routing::new(&[
        (
            "get",
            r#""Match": { "Path": "/x/echo", "Methods": ["GET", "PUT"], "Hosts": ["a.com"] }"#,
        ),
        (
            "header",
            r#""Match": { "Path": "/y/echo", "Headers": [ { "Name": "k", "Values": ["v"] } ] }"#,
        ),
    ]);
    routing.expect(&[
        ("GET /x/echo", "", "get"),
        (
            "POST /x/echo",
            "Content-Length: 0\r\nHost: b.com\r\n",
            "405",
        ),
        ("GET /x/echo", "Host: b.com\r\n", "404"),
        ("HEAD /x/echo", "", "405"),
        ("GET /y/echo", "k: v\r\n", "header"),
        ("GET /y/echo", "k: w\r\n", "404"),
        ("GET /z/echo", "", "404"),
    ]);
    let mut client = routing.front.connect();
    let response = client.ask("DELETE", "/x/echo");
    assert_eq!(response.status, 405);
    assert_eq!(response.field("allow"), Some("GET, PUT"));
}

#[test]
fn templates_match_as_asp_net_matches_them() {
    // Reference A3.2 and A3.5.
    let routing = Routing::new(&[
        ("literal", r#""Match": { "Path": "/api/users/echo" }"#),
        ("int", r#""Match": { "Path": "/api/{id:int}/echo" }"#),
        ("one", r#""Match": { "Path": "/api/{id}/echo" }"#),
        (
            "mixed",
            r#""Match": { "Path": "/files/{name}.{type}/echo" }"#,
        ),
        (
            "length",
            r#""Match": { "Path": "/len/{v:length(2,3)}/echo" }"#,
        ),
        (
            "regex",
            r#""Match": { "Path": "/re/{v:regex(^[a-c]+$)}/echo" }"#,
        ),
        ("rest", r#""Match": { "Path": "/rest/{**rest}" }"#),
        ("space", r#""Match": { "Path": "/a b/echo" }"#),
        ("optional", r#""Match": { "Path": "/opt/echo/{x?}" }"#),
    ]);
    routing.expect(&[
        ("GET /api/users/echo", "", "literal"),
        ("GET /api/17/echo", "", "int"),
        ("GET /api/seven/echo", "", "one"),
        ("GET /api//echo", "", "404"),
        ("GET /files/a.b.txt/echo", "", "mixed"),
        ("GET /files/txt/echo", "", "404"),
        ("GET /len/ab/echo", "", "length"),
        ("GET /len/abcd/echo", "", "404"),
        ("GET /re/abc/echo", "", "regex"),
        ("GET /re/abd/echo", "", "404"),
        ("GET /rest/a/b/../echo", "", "rest"),
        ("GET /rest/x%2Fy/echo", "", "rest"),
        ("GET /a%20b/echo", "", "space"),
        ("GET /opt/echo", "", "optional"),
    ]);
}

#[test]
fn hosts_are_chosen_by_key() {
    // Reference A3.3.
    let route = |hosts: &str| format!(r#""Match": {{ "Path": "/echo", "Hosts": [{hosts}] }}"#);
    let (port, exact, wild_port, wild, any_port, idn) = (
        route(r#""a.com:8080""#),
        route(r#""a.com""#),
        route(r#""*.a.com:8080""#),
        route(r#""*.a.com""#),
        route(r#""*:9999""#),
        route(r#""bücher.de""#),
    );
    let routing = Routing::new(&[
        ("port", &port),
        ("exact", &exact),
        ("wildport", &wild_port),
        ("wild", &wild),
        ("anyport", &any_port),
        ("idn", &idn),
        ("none", r#""Match": { "Path": "/{**rest}" }"#),
    ]);
    routing.expect(&[
        ("GET /echo", "Host: a.com:8080\r\n", "port"),
        ("GET /echo", "Host: A.COM\r\n", "exact"),
        ("GET /echo", "Host: x.y.a.com:8080\r\n", "wildport"),
        ("GET /echo", "Host: x.a.com\r\n", "wild"),
        ("GET /echo", "Host: b.com:9999\r\n", "anyport"),
        ("GET /echo", "Host: xn--bcher-kva.de\r\n", "idn"),
        ("GET /echo", "Host: b.com\r\n", "none"),
    ]);
}

#[test]
fn header_and_query_rules_follow_their_modes() {
    // Reference A3.4 and A3.6.
    let header = |mode: &str, values: &str| {
        format!(
            r#""Match": {{ "Path": "/{mode}/echo", "Headers": [ {{ "Name": "k", "Mode": "{mode}" {values} }} ] }}"#
        )
    };
    let query = |mode: &str, values: &str| {
        format!(
            r#""Match": {{ "Path": "/q-{mode}/echo", "QueryParameters": [ {{ "Name": "k", "Mode": "{mode}" {values} }} ] }}"#
        )
    };
    const ABC: &str = r#", "Values": ["abc"]"#;
    let routes = [
        ("exact", header("ExactHeader", ABC)),
        ("prefix", header("HeaderPrefix", ABC)),
        ("contains", header("Contains", ABC)),
        ("notcontains", header("NotContains", ABC)),
        ("exists", header("Exists", "")),
        ("notexists", header("NotExists", "")),
        ("qexact", query("Exact", ABC)),
        ("qprefix", query("Prefix", ABC)),
        ("qcontains", query("Contains", ABC)),
        ("qnotcontains", query("NotContains", ABC)),
        ("qexists", query("Exists", "")),
    ];
    let routes: Vec<_> = routes
        .iter()
        .map(|(id, route)| (*id, route.as_str()))
        .collect();
    let routing = Routing::new(&routes);
    routing.expect(&[
        ("GET /ExactHeader/echo", "k: ab, abc\r\n", "exact"),
        ("GET /ExactHeader/echo", "k: ABC\r\n", "exact"),
        ("GET /ExactHeader/echo", "k: ab; abc\r\n", "404"),
        ("GET /ExactHeader/echo", "k: def\r\nk: \"abc\"\r\n", "exact"),
        ("GET /HeaderPrefix/echo", "k: \"ab\", abc\"\r\n", "prefix"),
        ("GET /HeaderPrefix/echo", "k: \"ab, abc\"\r\n", "404"),
        ("GET /Contains/echo", "k: \"xabcx\r\n", "contains"),
        ("GET /NotContains/echo", "", "notcontains"),
        ("GET /NotContains/echo", "k: xabc\r\n", "404"),
        ("GET /Exists/echo", "k: x\r\n", "exists"),
        ("GET /Exists/echo", "k:\r\n", "404"),
        ("GET /NotExists/echo", "k:\r\n", "notexists"),
        ("GET /NotExists/echo", "k: x\r\n", "404"),
        ("GET /q-Exact/echo?k=x&K=%61bc", "", "qexact"),
        ("GET /q-Exact/echo?k=x,abc", "", "404"),
        ("GET /q-Prefix/echo?k=abcd", "", "qprefix"),
        ("GET /q-Contains/echo?k=xabcx", "", "qcontains"),
        ("GET /q-NotContains/echo", "", "qnotcontains"),
        ("GET /q-NotContains/echo?k=xabcx", "", "404"),
        ("GET /q-Exists/echo?k=1", "", "qexists"),
        ("GET /q-Exists/echo?k=", "", "404"),
    ]);
}

#[test]
fn order_precedes_precedence_and_ties_are_ambiguous() {
    // Reference A3.1, steps 5 and 3, and 3.9.
    let routing = Routing::new(&[
        ("late", r#""Order": 1, "Match": { "Path": "/a/echo" }"#),
        (
            "early",
            r#""Order": -1, "Match": { "Path": "/a/{**rest}" }"#,
        ),
        (
            "star",
            r#""Order": 1, "Match": { "Path": "/h/echo", "Hosts": ["*"] }"#,
        ),
        (
            "host",
            r#""Order": 10, "Match": { "Path": "/h/echo", "Hosts": ["a.com"] }"#,
        ),
        ("tie1", r#""Match": { "Path": "/tie/{a}" }"#),
        ("tie2", r#""Match": { "Path": "/tie/{b}" }"#),
    ]);
    routing.expect(&[
        ("GET /a/echo", "", "early"),
        ("GET /h/echo", "", "host"),
        ("GET /h/echo", "Host: b.com\r\n", "star"),
        ("GET /tie/echo", "", "500"),
    ]);
}

#[test]
fn a_head_is_told_the_length_of_an_empty_500_and_of_no_other_empty_answer() {
    // As Kestrel does.
    let sandbox = Sandbox::new();
    let front = sandbox.front(
        r#"{ "ReverseProxy": { "Routes": {
            "a": { "ClusterId": "c", "Match": { "Path": "/tie/{a}" } },
            "b": { "ClusterId": "c", "Match": { "Path": "/tie/{b}" } } }, "Clusters": { "c": {} } } }"#,
    );
    for (path, status, length) in [("/tie/x", 500, Some("0")), ("/other", 404, None)] {
        let mut client = front.connect();
        client.send(format!("HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        let response = client.head_response();
        assert_eq!(response.status, status);
        assert_eq!(response.field("content-length"), length, "{path}");
        let response = http2_client::run(async {
            let client = Http2Client::connect(front.port).await;
            let request = http::Request::head(http2_client::url(path));
            client.ask(request.body(()).unwrap()).await
        });
        assert_eq!(response.status(), status);
        let told = response.head.headers.get("content-length");
        assert_eq!(told.map(|value| value.to_str().unwrap()), length, "{path}");
    }
}

#[test]
fn a_route_without_a_cluster_or_destinations_answers_503() {
    // Reference A3.9 and A4.3.
    let sandbox = Sandbox::new();
    let front = sandbox.front(
        r#"{ "ReverseProxy": { "Routes": {
            "none": { "Match": { "Path": "/none" } },
            "unknown": { "ClusterId": "nobody", "Match": { "Path": "/unknown" } },
            "empty": { "ClusterId": "empty", "Match": { "Path": "/empty" } } },
          "Clusters": { "empty": { "LoadBalancingPolicy": "Random" } } } }"#,
    );
    for path in ["/none", "/unknown", "/empty"] {
        let response = front.ask("GET", path);
        assert_eq!(
            (response.status, response.text().as_str()),
            (503, ""),
            "{path}"
        );
    }
}
