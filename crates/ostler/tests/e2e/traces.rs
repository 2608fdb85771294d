//! Traces: what whoever answers sees is a child of the front's own span, whichever way a request goes; the span
//! reaches a collector, and agrees with metrics, with the access log and with what the client saw.

use http::{Request, StatusCode};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value, json};

use crate::relay::{shared_sandbox, target_of_a_stranger};
use crate::support::admin::Admin;
use crate::support::collector::{Collector, attribute, hex};
use crate::support::http2_client::{Http2Client, run, url};
use crate::support::{BothWays, Front, Response, Sandbox, delegating_to};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

fn parent(flags: &str) -> String {
    format!("00-{TRACE}-{SPAN}-{flags}")
}

/// The sections of a front that tells all it knows, and where its log is.
fn telling(
    sandbox: &Sandbox,
    collector: &Collector,
    protocol: &str,
) -> (String, std::path::PathBuf) {
    let log = sandbox.path().join("access.log");
    let section = json!({
        "Admin": { "Url": "http://127.0.0.1:0" },
        "AccessLog": { "Format": "Json", "Path": log },
        "Traces": { "Endpoint": format!("http://{}", collector.address), "Protocol": protocol,
            "ServiceName": "edge", "Headers": { "api-key": "secret" } }
    });
    (format!(r#""Ostler": {section},"#), log)
}

/// A request with these fields, over HTTP/1.1.
fn ask(front: &Front, path: &str, fields: &str) -> Response {
    let mut client = front.connect();
    client.send(format!(
        "GET {path} HTTP/1.1\r\nHost: h.example\r\n{fields}\r\n"
    ));
    client.response()
}

/// The values of a field that whoever answered saw.
fn seen(echo: &Value, name: &str) -> Vec<String> {
    let fields = echo["fields"].as_array().unwrap().iter();
    let named = fields.filter(|field| field[0] == name);
    named
        .map(|field| field[1].as_str().unwrap().to_owned())
        .collect()
}

/// The span's id in the one `traceparent` that whoever answered saw, which says this trace and these flags.
fn child_of(echo: &Value, trace: &str, flags: &str) -> String {
    let [value] = &seen(echo, "traceparent")[..] else {
        panic!("not one: {echo}");
    };
    let parts: Vec<_> = value.split('-').collect();
    assert_eq!(
        (parts[0], parts[1], parts[3]),
        ("00", trace, flags),
        "{value}"
    );
    assert_ne!(parts[2], SPAN);
    parts[2].to_owned()
}

/// What the client, metrics, trace and log of one exchange of this way say is the same.
fn agree(way: &str, path: &str, span: &Span, own: &str, line: &Value) {
    assert_eq!(hex(&span.trace_id), TRACE, "{way}");
    assert_eq!(hex(&span.parent_span_id), SPAN, "{way}");
    assert_eq!(
        hex(&span.span_id),
        own,
        "{way}: its span is what the other side saw"
    );
    assert_eq!(span.trace_state, "a=1", "{way}");
    assert_eq!(attribute(span, "ostler.way"), way);
    assert_eq!(attribute(span, "url.path"), path);
    assert_eq!(attribute(span, "http.request.method"), "GET");
    assert_eq!(attribute(span, "http.response.status_code"), "200");
    assert_eq!(line["mode"], way);
    assert_eq!(line["trace"], TRACE);
    assert_eq!(line["target"], path);
    assert_eq!(line["status"], 200);
    assert_eq!(
        line["route"].as_str().unwrap_or_default(),
        attribute(span, "ostler.route")
    );
    assert_eq!(
        line["reason"].as_str().unwrap_or_default(),
        attribute(span, "ostler.reason")
    );
    assert_eq!(
        line["bytes_sent"].to_string(),
        attribute(span, "http.response.size")
    );
    let micros = (span.end_time_unix_nano - span.start_time_unix_nano) / 1000;
    assert_eq!(line["micros"], micros, "{way}");
    assert!(
        span.events
            .iter()
            .any(|event| event.name == "ostler.decided"),
        "{way}"
    );
    assert!(
        span.events
            .iter()
            .any(|event| event.name == "ostler.first_byte"),
        "{way}"
    );
}

fn lines(path: &std::path::Path, count: usize) -> Vec<Value> {
    let read = || std::fs::read_to_string(path).unwrap_or_default();
    crate::support::eventually("the log has the lines", || read().lines().count() >= count);
    read()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn of_way<'a>(lines: &'a [Value], way: &str) -> &'a Value {
    lines.iter().find(|line| line["mode"] == way).unwrap()
}

fn span_of<'a>(spans: &'a [Span], way: &str) -> &'a Span {
    spans
        .iter()
        .find(|span| attribute(span, "ostler.way") == way)
        .unwrap()
}

#[test]
fn metrics_trace_and_log_of_a_request_agree_with_each_other_and_with_its_client() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let collector = Collector::start();
    let (sections, log) = telling(&sandbox, &collector, "HttpProtobuf");
    let front = sandbox.front(&both.configuration("", &sections));
    let admin = Admin::of(&front);
    let fields = format!(
        "traceparent: {}\r\ntracestate: a=1\r\nbaggage: k=v;p=1\r\n",
        parent("01")
    );
    let mut seen_by = Vec::new();
    for way in ["forwarded", "delegated"] {
        let response = ask(&front, &format!("/{way}/echo"), &fields);
        assert_eq!(response.status, 200);
        let echo = response.json();
        assert_eq!(seen(&echo, "tracestate"), ["a=1"], "{way}");
        assert_eq!(seen(&echo, "baggage"), ["k=v;p=1"], "{way}");
        seen_by.push((way, format!("/{way}/echo"), child_of(&echo, TRACE, "01")));
    }
    let echo = run(async {
        let client = Http2Client::connect(front.port).await;
        let request = Request::get(url("/delegated/echo"))
            .header("traceparent", parent("01"))
            .header("tracestate", "a=1");
        let response = client.ask(request.body(()).unwrap()).await;
        assert_eq!(response.status(), 200);
        serde_json::from_slice::<Value>(&response.body).unwrap()
    });
    seen_by.push((
        "streamed",
        "/delegated/echo".to_owned(),
        child_of(&echo, TRACE, "01"),
    ));
    assert_eq!(ask(&front, "/nowhere", &fields).status, 404);
    let (spans, lines) = (collector.spans(4), lines(&log, 4));
    for (way, path, own) in &seen_by {
        agree(way, path, span_of(&spans, way), own, of_way(&lines, way));
    }
    let local = span_of(&spans, "local");
    assert_eq!(attribute(local, "http.response.status_code"), "404");
    assert_eq!(attribute(local, "ostler.reason"), "no_route");
    assert_eq!(of_way(&lines, "local")["reason"], "no_route");
    assert_eq!(local.name, "GET");
    assert_eq!(span_of(&spans, "delegated").name, "GET /delegated/{**rest}");
    assert_eq!(collector.field("api-key").as_deref(), Some("secret"));
    let counted = |way: &str| {
        let way = [("ostler_way", way)];
        admin.scrape().sum("ostler_exchanges_total", &way)
    };
    for (way, ..) in &seen_by {
        assert_eq!(counted(way), 1.0, "{way}");
    }
    let sent = [("ostler_result", "sent")];
    assert_eq!(admin.scrape().sum("ostler_traces_spans_total", &sent), 4.0);
}

#[test]
fn a_relayed_request_is_a_child_too() {
    let Some(sandbox) = shared_sandbox() else {
        return;
    };
    let _target = target_of_a_stranger(&sandbox, "q", "create");
    let collector = Collector::start();
    let (sections, log) = telling(&sandbox, &collector, "Grpc");
    let configuration = delegating_to(&["q"]).replacen('{', &format!("{{ {sections}"), 1);
    let front = sandbox.front(&configuration);
    let fields = format!("traceparent: {}\r\ntracestate: a=1\r\n", parent("01"));
    let response = ask(&front, "/echo", &fields);
    let own = child_of(&response.json(), TRACE, "01");
    let (spans, lines) = (collector.spans(1), lines(&log, 1));
    agree("relayed", "/echo", &spans[0], &own, &lines[0]);
    assert_eq!(collector.field("api-key").as_deref(), Some("secret"));
}

#[test]
fn a_trace_begins_here_where_the_client_has_none_and_what_is_not_sampled_is_not_told() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let collector = Collector::start();
    let (sections, _) = telling(&sandbox, &collector, "HttpProtobuf");
    let front = sandbox.front(&both.configuration("", &sections));
    for way in ["/forwarded/echo", "/delegated/echo"] {
        // Not sampled by the client: its flags go on, and nobody is told.
        let fields = format!("Traceparent: {}\r\n", parent("00"));
        child_of(&ask(&front, way, &fields).json(), TRACE, "00");
        let b3 = format!("b3: {TRACE}-{SPAN}-0\r\n");
        let echo = ask(&front, way, &b3).json();
        child_of(&echo, TRACE, "00");
        assert_eq!(seen(&echo, "b3"), [format!("{TRACE}-{SPAN}-0")]);
        let fields = "traceparent: nonsense\r\ntracestate: a=1\r\n";
        let echo = ask(&front, way, fields).json();
        assert!(
            seen(&echo, "tracestate").is_empty(),
            "it belongs to nothing"
        );
        let value = seen(&echo, "traceparent").remove(0);
        assert!(value.ends_with("-01") && !value.contains(TRACE), "{value}");
    }
    for span in collector.spans(2) {
        assert!(span.parent_span_id.is_empty());
    }
}

#[test]
fn without_traces_no_field_is_changed() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let front = sandbox.front(&both.configuration("", ""));
    for way in ["/forwarded/echo", "/delegated/echo"] {
        let fields = format!("traceparent: {}\r\ntracestate: a=1\r\n", parent("01"));
        let echo = ask(&front, way, &fields).json();
        assert_eq!(seen(&echo, "traceparent"), [parent("01")]);
        assert!(seen(&ask(&front, way, "").json(), "traceparent").is_empty());
    }
}

#[test]
fn a_collector_that_is_away_holds_up_nothing_and_gets_its_spans_when_it_is_back() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let collector = Collector::start();
    collector.set_away(Some(StatusCode::SERVICE_UNAVAILABLE));
    let (sections, _) = telling(&sandbox, &collector, "HttpProtobuf");
    let front = sandbox.front(&both.configuration("", &sections));
    for _ in 0..3 {
        assert_eq!(ask(&front, "/delegated/echo", "").status, 200);
    }
    let said = |text: &str| {
        front
            .process
            .errors()
            .iter()
            .any(|line| line.contains(text))
    };
    crate::support::eventually("it is said", || said("the collector does not take spans"));
    collector.set_away(None);
    collector.spans(3);
    // A front that ends sends the last ones.
    assert_eq!(ask(&front, "/forwarded/echo", "").status, 200);
    front.process.signal("TERM");
    assert!(front.process.wait().success());
    assert!(said("the collector takes spans again"));
    collector.spans(4);
}
