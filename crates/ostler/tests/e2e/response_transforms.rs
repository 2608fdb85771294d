//! Response and trailer transforms: what a client sees of a delegated response is what it sees of a
//! forwarded one (reference B2.3, B2.5, B2.6 and B4).

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;

use ostler_config::schema::{
    ClusterConfig, DestinationConfig, MatchConfig, ProxyConfig, RouteConfig,
};
use ostler_delegation::QueueName;
use ostler_delegation::control::{FrontMessage, TargetMessage};
use ostler_delegation::runtime::RuntimeFolder;
use ostler_model::transforms::{OutgoingResponse, ResponseTransform, TransformsBuilder};
use ostler_model::{PolicyRegistry, ProxyModel};
use ostler_proxy::{
    ActiveHealthOptions, Endpoint, Front, FrontLimits, FrontOptions, ListenUrl, Pipeline,
};
use ostler_shm::OwnRegion;

use crate::failures::{at_rest, until_received};
use crate::support::routes_both_ways::{RoutesBothWays, WAYS};
use crate::support::{Client, OldTarget, Sandbox, eventually};
use crate::timeouts::stop;

/// A response as it came: status line, sorted field lines, everything behind the head.
#[derive(Debug, PartialEq, Eq)]
struct Raw {
    status: String,
    fields: Vec<String>,
    body: String,
}

impl Raw {
    fn of(bytes: &[u8]) -> Self {
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no head: {text:?}"));
        let mut lines = head.split("\r\n").map(str::to_owned);
        let status = lines.next().unwrap();
        // Two responses may fall into two seconds.
        let dated = |line: String| match line.strip_prefix("date: ") {
            Some(date) if date.ends_with(" GMT") => "date: NOW".to_owned(),
            _ => line,
        };
        let mut fields: Vec<_> = lines.map(dated).collect();
        fields.sort();
        let body = body.to_owned();
        Self {
            status,
            fields,
            body,
        }
    }

    /// The field lines whose names begin with `x-`.
    fn own(&self) -> Vec<&str> {
        let lines = self.fields.iter().map(String::as_str);
        lines.filter(|line| line.starts_with("x-")).collect()
    }
}

fn ask(port: u16, method: &str, path: &str) -> Raw {
    let mut client = Client::connect(port);
    client.send(format!(
        "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
    ));
    Raw::of(&client.rest())
}

/// The routes, each with its transforms.
fn routes(items: &[&str]) -> RoutesBothWays {
    let routes: Vec<_> = items
        .iter()
        .enumerate()
        .map(|(at, item)| (at.to_string(), format!(r#""Transforms": [ {item} ]"#)))
        .collect();
    let routes: Vec<_> = routes
        .iter()
        .map(|(name, policies)| (name.as_str(), policies.as_str()))
        .collect();
    RoutesBothWays::new("", &routes)
}

/// Transforms, the fields `x-...` of a 200, and those of a 404 where these are others.
type Row<'a> = (&'a str, &'a [&'a str], Option<&'a [&'a str]>);

#[test]
fn each_transform_gives_the_same_fields_delegated_and_forwarded() {
    let long = "v".repeat(4000);
    let long = format!(r#"{{ "ResponseHeader": "X-A", "Set": "{long}" }}"#);
    let rows: &[Row<'_>] = &[
        ("", &["x-a: 1", "x-a: 2", "x-b: 3"], None),
        (
            r#"{ "ResponseHeader": "X-A", "Set": "v" }"#,
            &["x-a: v", "x-b: 3"],
            Some(&["x-a: 1", "x-a: 2", "x-b: 3"]),
        ),
        (
            r#"{ "ResponseHeader": "X-A", "Set": "" }"#,
            &["x-a: ", "x-b: 3"],
            Some(&["x-a: 1", "x-a: 2", "x-b: 3"]),
        ),
        (
            r#"{ "ResponseHeader": "X-N", "Set": "v", "When": "Success" }"#,
            &["x-a: 1", "x-a: 2", "x-b: 3", "x-n: v"],
            Some(&["x-a: 1", "x-a: 2", "x-b: 3"]),
        ),
        (
            r#"{ "ResponseHeader": "X-N", "Set": "v", "When": "failure" }"#,
            &["x-a: 1", "x-a: 2", "x-b: 3"],
            Some(&["x-a: 1", "x-a: 2", "x-b: 3", "x-n: v"]),
        ),
        (
            r#"{ "ResponseHeader": "X-N", "Set": "v", "When": "Always" }"#,
            &["x-a: 1", "x-a: 2", "x-b: 3", "x-n: v"],
            None,
        ),
        (
            r#"{ "ResponseHeader": "X-A", "Append": "v" }"#,
            &["x-a: 1", "x-a: 2", "x-a: v", "x-b: 3"],
            Some(&["x-a: 1", "x-a: 2", "x-b: 3"]),
        ),
        (
            r#"{ "ResponseHeader": "X-N", "Append": "v", "When": "Always" }"#,
            &["x-a: 1", "x-a: 2", "x-b: 3", "x-n: v"],
            None,
        ),
        (
            r#"{ "ResponseHeaderRemove": "X-A" }"#,
            &["x-b: 3"],
            Some(&["x-a: 1", "x-a: 2", "x-b: 3"]),
        ),
        (
            r#"{ "ResponseHeaderRemove": "x-a", "When": "Failure" }"#,
            &["x-a: 1", "x-a: 2", "x-b: 3"],
            Some(&["x-b: 3"]),
        ),
        (
            r#"{ "ResponseHeaderRemove": "x-a", "When": "Always" }"#,
            &["x-b: 3"],
            None,
        ),
        (r#"{ "ResponseHeadersCopy": "false" }"#, &[], None),
        (
            r#"{ "ResponseHeadersCopy": "false" }, { "ResponseHeader": "X-A", "Append": "v" }"#,
            &["x-a: 1", "x-a: 2", "x-a: v"],
            Some(&[]),
        ),
        (
            r#"{ "ResponseHeadersCopy": "true" }"#,
            &["x-a: 1", "x-a: 2", "x-b: 3"],
            None,
        ),
        (
            r#"{ "ResponseHeadersAllowed": " x-b ;; X-None" }"#,
            &["x-b: 3"],
            None,
        ),
        (
            r#"{ "ResponseHeadersAllowed": "x-b" }, { "ResponseHeader": "X-A", "Append": "v" }"#,
            &["x-a: v", "x-b: 3"],
            Some(&["x-b: 3"]),
        ),
        (
            r#"{ "ResponseHeadersAllowed": "" }, { "ResponseHeader": "X-A", "Append": "v" }"#,
            &["x-a: v"],
            Some(&[]),
        ),
        // Order counts, and the last flag wins wherever it stands.
        (
            r#"{ "ResponseHeader": "X-A", "Set": "v" }, { "ResponseHeaderRemove": "X-A" }"#,
            &["x-b: 3"],
            Some(&["x-a: 1", "x-a: 2", "x-b: 3"]),
        ),
        (
            r#"{ "ResponseHeaderRemove": "X-A" }, { "ResponseHeader": "X-A", "Append": "v" }"#,
            &["x-a: v", "x-b: 3"],
            Some(&["x-a: 1", "x-a: 2", "x-b: 3"]),
        ),
        (
            r#"{ "ResponseHeadersAllowed": "X-B" }, { "ResponseHeadersCopy": "true" }"#,
            &["x-a: 1", "x-a: 2", "x-b: 3", "x-b: 3"],
            None,
        ),
        // What the library would say of a response by itself.
        (
            r#"{ "ResponseHeader": "Date", "Set": "never" }"#,
            &["x-a: 1", "x-a: 2", "x-b: 3"],
            None,
        ),
        (
            r#"{ "ResponseHeader": "Date", "Append": "never" }"#,
            &["x-a: 1", "x-a: 2", "x-b: 3"],
            None,
        ),
        (
            r#"{ "ResponseHeaderRemove": "Date" }, { "ResponseHeaderRemove": "Content-Length" }"#,
            &["x-a: 1", "x-a: 2", "x-b: 3"],
            None,
        ),
        (
            r#"{ "ResponseHeader": "Content-Length", "Set": "3" }"#,
            &["x-a: 1", "x-a: 2", "x-b: 3"],
            None,
        ),
        (
            r#"{ "ResponseHeader": "Content-Length", "Append": "3" }"#,
            &["x-a: 1", "x-a: 2", "x-b: 3"],
            None,
        ),
        (
            r#"{ "ResponseHeader": "Transfer-Encoding", "Set": "gzip" }"#,
            &["x-a: 1", "x-a: 2", "x-b: 3"],
            None,
        ),
        (
            r#"{ "ResponseHeader": "Connection", "Set": "keep-alive" }"#,
            &["x-a: 1", "x-a: 2", "x-b: 3"],
            None,
        ),
        (
            r#"{ "ResponseHeader": "X-N", "Set": "é" }"#,
            &["x-a: 1", "x-a: 2", "x-b: 3", "x-n: Ã©"],
            Some(&["x-a: 1", "x-a: 2", "x-b: 3"]),
        ),
        (&long, &[], None),
    ];
    let items: Vec<_> = rows.iter().map(|(items, ..)| *items).collect();
    let both = routes(&items);
    for (at, (items, ok, bad)) in rows.iter().enumerate() {
        for (status, expected) in [(200, *ok), (404, bad.unwrap_or(ok))] {
            for method in ["GET", "HEAD"] {
                let rest = format!("{at}/fields/{status}?X-A=1&X-A=2&X-B=3");
                let [delegated, forwarded] =
                    WAYS.map(|way| ask(both.front.port, method, &format!("/{way}/{rest}")));
                assert_eq!(delegated, forwarded, "{method} {status} {items}");
                if **items != long {
                    assert_eq!(delegated.own(), expected, "{method} {status} {items}");
                }
            }
        }
    }
}

#[test]
fn a_response_that_is_streamed_is_transformed() {
    let both = routes(&[
        r#"{ "ResponseHeader": "X-N", "Set": "v" }, { "ResponseHeader": "Content-Length", "Set": "3" }"#,
        r#"{ "ResponseHeadersCopy": "false" }"#,
    ]);
    for (at, own) in [(0, &["x-n: v"][..]), (1, &[])] {
        let [delegated, forwarded] =
            WAYS.map(|way| ask(both.front.port, "GET", &format!("/{way}/{at}/stream/1000")));
        assert_eq!(delegated.fields, forwarded.fields);
        assert_eq!(delegated.own(), own);
        let chunked = "transfer-encoding: chunked".to_owned();
        assert!(delegated.fields.contains(&chunked), "{delegated:?}");
    }
}

#[test]
fn trailers_of_a_delegated_response_are_transformed() {
    let all = "x-trailer: 1\r\nx-trailer: 2\r\nx-other: 3\r\n";
    let rows = [
        ("", all),
        (
            r#"{ "ResponseTrailer": "X-Trailer", "Set": "v" }"#,
            "x-trailer: v\r\nx-other: 3\r\n",
        ),
        (
            r#"{ "ResponseTrailer": "X-Other", "Append": "v" }"#,
            "x-trailer: 1\r\nx-trailer: 2\r\nx-other: 3\r\nx-other: v\r\n",
        ),
        (
            r#"{ "ResponseTrailer": "X-Other", "Append": "v", "When": "Failure" }"#,
            all,
        ),
        (
            r#"{ "ResponseTrailerRemove": "X-Trailer" }"#,
            "x-other: 3\r\n",
        ),
        (
            r#"{ "ResponseTrailerRemove": "X-Trailer", "When": "failure" }"#,
            all,
        ),
        (
            r#"{ "ResponseTrailersAllowed": "X-Other" }"#,
            "x-other: 3\r\n",
        ),
        (r#"{ "ResponseTrailersCopy": "false" }"#, ""),
    ];
    let both = routes(&rows.map(|(items, _)| items));
    for (at, (items, trailers)) in rows.iter().enumerate() {
        let raw = ask(both.front.port, "GET", &format!("/d/{at}/trailers"));
        assert_eq!(raw.status, "HTTP/1.1 200 OK");
        let body = format!("5\r\nwith \r\n9\r\ntrailers\n\r\n0\r\n{trailers}\r\n");
        assert_eq!(raw.body, body, "{items}");
    }
}

#[test]
fn trailers_are_added_to_a_chunked_response_that_has_none() {
    let both = routes(&[r#"{ "ResponseTrailer": "X-T", "Append": "v" }"#]);
    for way in WAYS {
        let raw = ask(both.front.port, "GET", &format!("/{way}/0/stream/16"));
        assert!(raw.body.ends_with("0\r\nx-t: v\r\n\r\n"), "{way}: {raw:?}");
        // With a length there is no room for them.
        let raw = ask(both.front.port, "GET", &format!("/{way}/0/fields/200"));
        assert_eq!(raw.body, "fields\n");
    }
}

#[test]
fn a_connection_goes_on_behind_transformed_responses() {
    let both = routes(&[r#"{ "ResponseHeadersCopy": "false" }"#]);
    for way in WAYS {
        let mut client = both.front.connect();
        for _ in 0..3 {
            let response = client.ask("GET", &format!("/{way}/0/fields/200?X-A=1"));
            assert_eq!((response.status, response.field("x-a")), (200, None));
            let response = client.post(&format!("/{way}/0/upload"), b"hello");
            assert_eq!(response.json()["length"], 5);
            assert_eq!(response.field("content-type"), None);
        }
    }
}

#[test]
fn what_the_library_answers_itself_is_transformed_too() {
    // A handler that fails is a 500 of the library; forwarded, the connection breaks: 502.
    let both = routes(&[r#"{ "ResponseHeader": "X-F", "Set": "v", "When": "Failure" }"#]);
    for way in WAYS {
        let raw = ask(both.front.port, "GET", &format!("/{way}/0/panic"));
        assert_eq!(raw.own(), ["x-f: v"], "{way}: {raw:?}");
    }
}

#[test]
fn an_answer_of_the_fronts_own_is_transformed_where_a_destination_was_chosen() {
    // Reference B2.6: a timeout of the route's, and no destination.
    let transforms =
        r#""Transforms": [ { "ResponseHeader": "X-F", "Set": "v", "When": "Always" } ]"#;
    let timeout = format!(r#""Timeout": "00:00:00.3", {transforms}"#);
    let both = RoutesBothWays::new("", &[("slow", &timeout), ("gone", transforms)]);
    for way in WAYS {
        let raw = ask(both.front.port, "GET", &format!("/{way}/slow/delay/20000"));
        assert_eq!(raw.status, "HTTP/1.1 504 Gateway Timeout");
        assert_eq!(raw.own(), ["x-f: v"], "{way}");
    }
    // Nobody takes it in time: the front answers in the target's place.
    at_rest(&both.sandbox, &both.target);
    stop(&both.target);
    let raw = ask(both.front.port, "GET", "/d/slow/x");
    assert_eq!(raw.status, "HTTP/1.1 504 Gateway Timeout");
    assert_eq!(raw.own(), ["x-f: v"]);
    both.target.signal("CONT");
    // A target that dies with a request: that request was with a destination.
    let mut client = both.front.connect();
    client.send("POST /d/gone/delay/20000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    until_received(&both.sandbox);
    both.target.kill();
    let raw = Raw::of(&client.rest());
    assert_eq!(raw.status, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(raw.own(), ["x-f: v"]);
}

#[test]
fn a_503_without_a_destination_is_not_transformed() {
    let sandbox = Sandbox::new();
    let front = sandbox.front(
        r#"{ "ReverseProxy": { "Pipeline": [ "HttpSysDelegation" ],
            "Routes": { "r": { "ClusterId": "c", "Match": { "Path": "/{**rest}" },
                "Transforms": [ { "ResponseHeader": "X-F", "Set": "v", "When": "Always" } ] } },
            "Clusters": { "c": { "Destinations": { "d": { "Address": "http://*:80/",
                "Metadata": { "HttpSysDelegationQueue": "nobody" } } } } } } }"#,
    );
    let raw = ask(front.port, "GET", "/");
    assert_eq!(raw.status, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(raw.own(), Vec::<&str>::new());
}

#[test]
fn a_switch_of_protocols_is_transformed() {
    // The last ones do not fit into an entry, so that the target is relayed to.
    let long = format!(
        r#"{{ "ResponseHeader": "X-N", "Set": "v" }}, {{ "ResponseHeader": "X-Long", "Set": "{}" }}"#,
        "v".repeat(9_000)
    );
    let both = routes(&[
        r#"{ "ResponseHeader": "X-N", "Set": "v" }"#,
        r#"{ "ResponseHeadersAllowed": "Sec-WebSocket-Accept" }, { "ResponseHeader": "X-N", "Append": "w" }"#,
        &long,
    ]);
    for (at, own) in [(0, "x-n: v"), (1, "x-n: w"), (2, "x-n: v")] {
        let [delegated, forwarded] = WAYS.map(|way| {
            let mut client = both.front.connect();
            client.send(format!(
                "GET /{way}/{at}/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n\
                 Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            ));
            let (status, mut fields) = client.try_head().unwrap();
            assert_eq!(status, 101);
            // The tunnel is there: a masked empty ping comes back as a pong.
            client.send([0x89, 0x80, 0, 0, 0, 0]);
            assert_eq!(client.read(2), [0x8a, 0]);
            fields.retain(|(name, _)| name != "date");
            for (_, value) in &mut fields {
                value.make_ascii_lowercase();
            }
            fields.sort();
            fields
        });
        assert_eq!(delegated, forwarded);
        let (name, value) = own.split_once(": ").unwrap();
        assert!(delegated.contains(&(name.to_owned(), value.to_owned())));
    }
}

#[test]
fn a_field_that_is_added_comes_behind_the_routes_transforms() {
    // CORS adds its fields to whatever the response is.
    let cors = r#""Cors": { "Policies": { "p": { "Origins": [ "http://a" ] } } }"#;
    let policies = r#""CorsPolicy": "p", "Transforms": [
        { "ResponseHeader": "Access-Control-Allow-Origin", "Set": "http://b" },
        { "ResponseHeadersCopy": "false" } ]"#;
    let both = RoutesBothWays::new(cors, &[("r", policies)]);
    let [delegated, forwarded] = WAYS.map(|way| {
        let mut client = both.front.connect();
        client.send(format!(
            "GET /{way}/r/fields/200?Vary=a HTTP/1.1\r\nHost: x\r\nOrigin: http://a\r\n\
             Connection: close\r\n\r\n"
        ));
        Raw::of(&client.rest())
    });
    assert_eq!(delegated, forwarded);
    let origin = "access-control-allow-origin: http://a".to_owned();
    assert!(delegated.fields.contains(&origin), "{delegated:?}");
}

/// One route to a queue, with these transforms.
fn delegating(transforms: &str) -> String {
    format!(
        r#"{{ "ReverseProxy": {{ "Pipeline": [ "HttpSysDelegation" ],
            "Routes": {{ "r": {{ "ClusterId": "c", "Match": {{ "Path": "/{{**rest}}" }},
                "Transforms": [ {transforms} ] }},
                "plain": {{ "ClusterId": "c", "Match": {{ "Path": "/plain/{{**rest}}" }} }} }},
            "Clusters": {{ "c": {{ "Destinations": {{ "d": {{ "Address": "http://*:80/",
                "Metadata": {{ "HttpSysDelegationQueue": "q" }} }} }} }} }} }} }}"#
    )
}

#[test]
fn the_longest_transforms_fit_beside_the_longest_head() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let long = "v".repeat(8_150);
    let front = sandbox.front(&delegating(&format!(
        r#"{{ "ResponseHeader": "X-Long", "Set": "{long}" }}"#
    )));
    let mut client = front.connect();
    let mut head = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n".to_owned();
    for _ in 0..90 {
        head += &format!("X-Filler: {}\r\n", "f".repeat(345));
    }
    head += "\r\n";
    assert!((32_000..32_768).contains(&head.len()), "{}", head.len());
    client.send(head + &"b".repeat(100_000));
    let response = client.response();
    assert_eq!(response.field("x-long"), Some(long.as_str()));
    assert_eq!(response.json()["arrival"], "delegated");
    assert_eq!(response.json()["length"], 100_000);
}

#[test]
fn transforms_that_do_not_fit_into_an_entry_make_exchanges_streams() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let long = "v".repeat(20_000);
    let front = sandbox.front(&delegating(&format!(
        r#"{{ "ResponseHeader": "X-Long", "Set": "{long}" }}"#
    )));
    let mut client = front.connect();
    for _ in 0..3 {
        let response = client.ask("GET", "/echo");
        assert_eq!(response.field("x-long"), Some(long.as_str()));
        assert_eq!(response.json()["arrival"], "streamed");
        assert_eq!(response.json()["pid"], target.pid());
        let client_address = client.local_address().to_string();
        assert_eq!(response.json()["client"], client_address);
        let response = client.ask("GET", "/plain/echo");
        assert_eq!(response.json()["arrival"], "delegated");
    }
    let told = |line: &&String| line.contains("the response transforms are too long");
    let count = || front.process.errors().iter().filter(told).count();
    eventually("the reason is logged", || count() > 0);
    assert_eq!(count(), 1);
}

struct Signed;

impl ResponseTransform for Signed {
    fn apply(&self, response: &mut OutgoingResponse<'_>) {
        let seen = response
            .destination
            .is_some_and(|all| all.contains_key("x-a"));
        let value = if seen { "seen" } else { "not seen" };
        response.headers.insert("x-signed", value.parse().unwrap());
    }
}

#[test]
fn a_response_transform_that_is_code_makes_exchanges_relayed() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let mut registry = PolicyRegistry::default();
    registry.add_transform_provider(|route: &RouteConfig, transforms: &mut TransformsBuilder| {
        if route.route_id == "signed" {
            transforms.add_response_transform(Signed);
        }
    });
    let model = Arc::new(ProxyModel::with_policies(registry));
    let route = |id: &str, path: &str| RouteConfig {
        route_id: id.to_owned(),
        cluster_id: Some("c".to_owned()),
        matches: MatchConfig {
            path: Some(path.to_owned()),
            ..MatchConfig::default()
        },
        ..RouteConfig::default()
    };
    let queue = ("HttpSysDelegationQueue".to_owned(), "q".to_owned());
    let cluster = ClusterConfig {
        cluster_id: "c".to_owned(),
        destinations: vec![DestinationConfig {
            destination_id: "d".to_owned(),
            address: "http://*:80/".to_owned(),
            metadata: [queue].into_iter().collect(),
            ..DestinationConfig::default()
        }],
        ..ClusterConfig::default()
    };
    model
        .apply(&ProxyConfig {
            routes: vec![
                route("signed", "/s/{**rest}"),
                route("plain", "/p/{**rest}"),
            ]
            .into(),
            clusters: vec![cluster].into(),
            ..ProxyConfig::default()
        })
        .unwrap();
    let pipeline = Pipeline::new().use_http_sys_delegation();
    let options = FrontOptions {
        endpoints: vec![Endpoint::clear(
            ListenUrl::parse("http://127.0.0.1:0").unwrap(),
        )],
        kernel_tls: false,
        access_log: None,
        metrics: false,
        traces: None,
        threads: 1,
        limits: FrontLimits::default(),
        runtime: RuntimeFolder::new(sandbox.runtime()),
        trusted_uids: vec![own_uid()],
        active_health: ActiveHealthOptions::default(),
        static_files: None,
    };
    let front = Front::start(model, pipeline, &options).unwrap();
    let mut client = Client::connect(front.addresses()[0].port());
    for _ in 0..2 {
        let response = client.ask("GET", "/s/fields/200?X-A=1");
        assert_eq!(
            (response.status, response.field("x-signed")),
            (200, Some("seen"))
        );
        assert_eq!(client.ask("GET", "/s/echo").json()["arrival"], "streamed");
        let response = client.ask("GET", "/p/echo");
        assert_eq!(response.field("x-signed"), None);
        assert_eq!(response.json()["arrival"], "delegated");
    }
    drop(client);
    front.drain();
    front.stop();
    front.join();
}

fn own_uid() -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").unwrap().uid()
}

#[test]
fn a_target_that_knows_no_response_transforms_is_relayed_to() {
    let sandbox = Sandbox::new();
    let target = OldTarget::open(&sandbox);
    let serving = std::thread::spawn(move || target.serve());
    let front = sandbox.front(&delegating(r#"{ "ResponseHeader": "X-A", "Set": "v" }"#));
    let raw = ask(front.port, "GET", "/x");
    serving.join().unwrap();
    assert_eq!(raw.own(), ["x-a: v", "x-arrival: relayed"]);
    let told = |line: &String| line.contains("transforms_responses=false");
    eventually("the reason is logged", || {
        front.process.errors().iter().any(told)
    });
}

#[test]
fn a_front_that_knows_no_response_transforms_is_served() {
    // Its hello has a zero where newer ones have their minor version.
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let folder = RuntimeFolder::new(sandbox.runtime()).queue(&QueueName::new("q").unwrap());
    let control = folder.connect(&folder.instances()[0]).unwrap();
    let spec = ostler_shm::RegionSpec {
        ring_capacity: 64 * 1024,
        slots: 64 * 1024,
    };
    let own = OwnRegion::create("old-front", spec).unwrap();
    let wake = ostler_shm::event_descriptor().unwrap();
    let wake = std::os::fd::AsFd::as_fd(&wake);
    let (minor, pid) = (0, std::process::id());
    let hello = FrontMessage::HelloRings { minor, pid, spec };
    control
        .send(&hello.encode(), &[own.descriptor(), wake, wake, wake])
        .unwrap();
    let mut packet = Vec::new();
    eventually("it is welcomed", || control.receive(&mut packet).is_ok());
    assert!(matches!(
        TargetMessage::decode(&packet),
        Ok(TargetMessage::Welcome { minor: 0, .. })
    ));
}

#[test]
fn clients_that_go_away_end_their_own_exchanges_alone() {
    // The fields are made before the first byte is sent, so a client that goes away early only
    // ends its own exchange.
    let both = routes(&[r#"{ "ResponseHeader": "X-N", "Set": "v" }"#]);
    for _ in 0..20 {
        let mut stream = TcpStream::connect(("127.0.0.1", both.front.port)).unwrap();
        stream
            .write_all(b"GET /d/0/bytes/10000000 HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
    }
    let raw = ask(both.front.port, "GET", "/d/0/fields/200");
    assert_eq!(raw.own(), ["x-n: v"]);
    assert!(both.target.is_running());
}
