//! Health checks (reference A7): destinations, forwarded to and delegated to, that fail are taken out
//! and come back.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::Request;
use axum::http::StatusCode;
use ostler_target::{Arrival, RequestInfo, RequestQueue};
use rustix::net::sockopt::set_socket_linger;

use crate::support::{Client, Front, PATIENCE, Process, Sandbox, eventually};

/// A destination that is forwarded to, and notes what it is asked.
#[derive(Clone)]
struct Destination(Arc<Inner>);

struct Inner {
    address: SocketAddr,
    name: &'static str,
    /// Status of answers to paths that begin with `/status`; others are answered 200.
    status: AtomicU16,
    heads: Mutex<Vec<Vec<String>>>,
    /// The connections of requests for `/hold` that are being held, unanswered.
    held: Mutex<Vec<TcpStream>>,
}

impl Destination {
    fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let destination = Self(Arc::new(Inner {
            address: listener.local_addr().unwrap(),
            name,
            status: AtomicU16::new(200),
            heads: Mutex::default(),
            held: Mutex::default(),
        }));
        let accepting = destination.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let serving = accepting.clone();
                std::thread::spawn(move || serving.serve(stream));
            }
        });
        destination
    }

    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut stream = stream;
        loop {
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                if !matches!(reader.read_line(&mut line), Ok(1..)) {
                    return;
                }
                match line.trim_end() {
                    "" => break,
                    line => head.push(line.to_owned()),
                }
            }
            let path = head[0].split(' ').nth(1).unwrap().to_owned();
            self.0.heads.lock().unwrap().push(head);
            if path.starts_with("/hold") {
                self.0.held.lock().unwrap().push(stream);
                return;
            }
            let status = match path.starts_with("/status") {
                true => self.0.status.load(Ordering::SeqCst),
                false => 200,
            };
            let (name, length) = (self.0.name, self.0.name.len());
            let response = format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\n\r\n{name}");
            if stream.write_all(response.as_bytes()).is_err() {
                return;
            }
        }
    }

    fn answers_probes_with(&self, status: u16) {
        self.0.status.store(status, Ordering::SeqCst);
    }

    fn url(&self) -> String {
        format!("http://{}", self.0.address)
    }

    fn heads(&self) -> Vec<Vec<String>> {
        self.0.heads.lock().unwrap().clone()
    }

    fn held(&self) -> usize {
        self.0.held.lock().unwrap().len()
    }

    /// Closes the connections of the requests that are held.
    fn let_go(&self) {
        self.0.held.lock().unwrap().clear();
    }

    /// Waits until the front has given up a request that is held.
    fn wait_until_given_up(&self) {
        let mut held = self.0.held.lock().unwrap();
        let mut connection = held.pop().expect("a request is held");
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        match connection.read(&mut [0]) {
            Ok(0) => {}
            Ok(_) => panic!("the front says more"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
}

/// A destination that has a queue.
fn queued(queue: &str, more: &str) -> String {
    format!(
        r#""{queue}": {{ "Address": "http://*:80/", {more}
            "Metadata": {{ "HttpSysDelegationQueue": "{queue}" }} }}"#
    )
}

fn forwarded(name: &str, address: &str) -> String {
    format!(r#""{name}": {{ "Address": "{address}" }}"#)
}

const PIPELINE: &str = r#"[ "LoadBalancing", "PassiveHealthChecks", "HttpSysDelegation" ]"#;

/// One route to one cluster, and settings of `Ostler:HealthChecks`.
fn configuration(pipeline: &str, settings: &str, cluster: &str, destinations: &[String]) -> String {
    let destinations = destinations.join(",");
    format!(
        r#"{{ "Ostler": {{ "HealthChecks": {{ {settings} }} }}, "ReverseProxy": {{ "Pipeline": {pipeline},
            "Routes": {{ "all": {{ "ClusterId": "all", "Match": {{ "Path": "{{**rest}}" }} }} }},
            "Clusters": {{ "all": {{ {cluster}, "Destinations": {{ {destinations} }} }} }} }} }}"#
    )
}

fn active(policy: &str, path: &str) -> String {
    format!(
        r#""LoadBalancingPolicy": "RoundRobin", "HealthCheck": {{ "AvailableDestinationsPolicy": "{policy}",
            "Active": {{ "Enabled": true, "Interval": "00:00:00.05", "Path": "{path}" }} }}"#
    )
}

fn passive(balancing: &str, more: &str) -> String {
    format!(
        r#""LoadBalancingPolicy": "{balancing}", "HealthCheck": {{
            "AvailableDestinationsPolicy": "HealthyAndUnknown", "Passive": {{ "Enabled": true {more} }} }}"#
    )
}

/// Whom so many requests in a row are answered by.
fn answering(front: &Front) -> BTreeSet<String> {
    let mut client = front.connect();
    (0..8)
        .map(|_| {
            let response = client.ask("GET", "/");
            match response.status {
                // A target says who it is in front of its process id.
                200 => response.text().split(' ').next().unwrap().to_owned(),
                status => status.to_string(),
            }
        })
        .collect()
}

fn eventually_answered_by(front: &Front, wanted: &[&str]) {
    let wanted: BTreeSet<_> = wanted.iter().map(|name| (*name).to_owned()).collect();
    eventually(&format!("{wanted:?} answer"), || answering(front) == wanted);
}

/// Reference A7.3.
#[test]
fn probes_take_a_forwarded_destination_out_and_bring_it_back() {
    let sandbox = Sandbox::new();
    let (left, right) = (Destination::start("left"), Destination::start("right"));
    let destinations = [
        forwarded("left", &left.url()),
        forwarded("right", &right.url()),
    ];
    let cluster = active("HealthyOrPanic", "/status");
    let front = sandbox.front(&configuration(PIPELINE, "", &cluster, &destinations));
    eventually_answered_by(&front, &["left", "right"]);
    left.answers_probes_with(500);
    eventually_answered_by(&front, &["right"]);
    left.answers_probes_with(302);
    let seen = left.heads().len();
    // The second of them is not sent before the policy has judged the first.
    eventually("it is probed again", || left.heads().len() > seen + 2);
    assert_eq!(answering(&front).len(), 1, "a redirect is no success");
    // With nobody left, everybody is asked (reference A7.2).
    right.answers_probes_with(500);
    eventually_answered_by(&front, &["left", "right"]);
    right.answers_probes_with(204);
    eventually_answered_by(&front, &["right"]);
    left.answers_probes_with(299);
    eventually_answered_by(&front, &["left", "right"]);
}

/// Reference A7.3: the probe's URL and fields.
#[test]
fn probes_have_the_right_path_query_and_fields() {
    let sandbox = Sandbox::new();
    let destination = Destination::start("d");
    let other = Destination::start("other");
    let destinations = [
        format!(
            r#""a": {{ "Address": "{}/base?dropped", "Host": "inner.example" }}"#,
            destination.url()
        ),
        format!(
            r#""b": {{ "Address": "http://127.0.0.1:1/", "Health": "{}/h/" }}"#,
            other.url()
        ),
    ];
    let cluster = r#""HealthCheck": { "Active": { "Enabled": true, "Interval": "00:00:00.05",
        "Path": "/status?x", "Query": "?key=value" } }"#;
    let _front = sandbox.front(&configuration(PIPELINE, "", cluster, &destinations));
    eventually("both are probed twice", || {
        destination.heads().len() > 1 && other.heads().len() > 1
    });
    let agent = format!(
        "user-agent: ostler/{} (active health check monitor)",
        env!("CARGO_PKG_VERSION")
    );
    for (destination, path, host) in [
        (
            &destination,
            "/base/status%3Fx?key=value",
            "host: inner.example".to_owned(),
        ),
        (
            &other,
            "/h/status%3Fx?key=value",
            format!("host: {}", other.0.address),
        ),
    ] {
        for head in destination.heads() {
            assert_eq!(head[0], format!("GET {path} HTTP/1.1"));
            let mut fields: Vec<_> = head[1..].iter().map(|line| line.to_lowercase()).collect();
            fields.sort();
            assert_eq!(fields, [host.clone(), agent.clone()]);
        }
    }
}

/// An application behind a queue, in this process, that notes how it is probed.
fn recording_target(sandbox: &Sandbox, queue: &str) -> Arc<Mutex<Vec<String>>> {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&notes);
    let queue = RequestQueue::builder(queue)
        .url_prefix("http://*:80/app/")
        .runtime_folder(sandbox.runtime());
    let (sender, bound) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let queue = queue.bind().unwrap();
            sender.send(()).unwrap();
            let app = axum::Router::new().fallback(move |request: Request| {
                let (head, _) = request.into_parts();
                let field = |name| head.headers[name].to_str().unwrap().to_owned();
                let arrival = head
                    .extensions
                    .get::<RequestInfo>()
                    .map(RequestInfo::arrival);
                noted.lock().unwrap().push(format!(
                    "{} {} {} {} {}",
                    head.method,
                    head.uri,
                    field("host"),
                    field("user-agent"),
                    matches!(arrival, Some(Arrival::Relayed))
                ));
                std::future::ready(StatusCode::NO_CONTENT)
            });
            let _ = ostler_target::serve(queue, app).await;
        });
    });
    bound.recv().unwrap();
    notes
}

/// Probes reach the application of a queue as ordinary requests.
#[test]
fn the_application_behind_a_queue_sees_a_get() {
    let sandbox = Sandbox::new();
    let notes = recording_target(&sandbox, "q");
    let destination = queued("q", "").replace("http://*:80/", "http://*:80/app/");
    let cluster = r#""HealthCheck": { "Active": { "Enabled": true, "Interval": "00:00:00.05",
        "Path": "/alive", "Query": "?now" } }"#;
    let _front = sandbox.front(&configuration(PIPELINE, "", cluster, &[destination]));
    eventually("it is probed twice", || notes.lock().unwrap().len() > 1);
    for note in notes.lock().unwrap().iter() {
        let agent = format!(
            "Ostler/{} (Active Health Check Monitor)",
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(*note, format!("GET /app/alive?now localhost {agent} true"));
    }
}

#[test]
fn a_delegated_destination_is_probed_through_its_queue() {
    let sandbox = Sandbox::new();
    let _good = sandbox.target("good", &["--label", "good"]);
    let destinations = [queued("good", ""), queued("empty", "")];
    let cluster = active("HealthyAndUnknown", "/status/204");
    let front = sandbox.front(&configuration(PIPELINE, "", &cluster, &destinations));
    // A queue that nobody has opened is unhealthy.
    eventually_answered_by(&front, &["good"]);
    let late = sandbox.target("empty", &["--label", "late"]);
    eventually_answered_by(&front, &["good", "late"]);
    // And so is one whose instances are dead, although requests would wait for the next one.
    late.kill();
    let asked = || {
        let mut client = front.connect();
        client
            .socket()
            .set_read_timeout(Some(std::time::Duration::from_millis(500)))
            .unwrap();
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
        client.try_response().is_ok() && client.try_response().is_ok()
    };
    eventually("requests wait for nobody", asked);
    let again = sandbox.target("empty", &["--label", "again", "--mode", "create-or-attach"]);
    eventually_answered_by(&front, &["again", "good"]);
    drop(again);
}

#[test]
fn a_delegated_destination_whose_path_fails_is_unhealthy() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &["--label", "q"]);
    let cluster = active("HealthyAndUnknown", "/status/500");
    let front = sandbox.front(&configuration(PIPELINE, "", &cluster, &[queued("q", "")]));
    eventually_answered_by(&front, &["503"]);
    // A reload, to a path that answers otherwise.
    let cluster = active("HealthyAndUnknown", "/status/204");
    sandbox.configuration(&configuration(PIPELINE, "", &cluster, &[queued("q", "")]));
    eventually_answered_by(&front, &["q"]);
}

/// `Health` of a delegated destination is asked over HTTP like any other.
#[test]
fn a_delegated_destination_is_probed_at_its_health_url_if_it_has_one() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &["--label", "q"]);
    let elsewhere = Destination::start("elsewhere");
    elsewhere.answers_probes_with(500);
    let health = format!(r#""Health": "{}","#, elsewhere.url());
    let cluster = active("HealthyAndUnknown", "/status/204");
    let destinations = [queued("q", &health)];
    let front = sandbox.front(&configuration(PIPELINE, "", &cluster, &destinations));
    eventually_answered_by(&front, &["503"]);
    elsewhere.answers_probes_with(200);
    eventually_answered_by(&front, &["q"]);
}

/// An address that nobody listens on, for as long as the listener's port is not given out again.
fn refusing() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Reference A7.4: with defaults, ten failures in a row are answered 502, and then it is out.
#[test]
fn a_forwarded_destination_that_refuses_is_out_after_ten_failures() {
    let sandbox = Sandbox::new();
    let address = format!("http://{}/", refusing());
    let json = configuration(PIPELINE, "", &passive("", ""), &[forwarded("d", &address)]);
    let front = sandbox.front(&json);
    let mut client = front.connect();
    let statuses: Vec<_> = (0..12).map(|_| client.ask("GET", "/").status).collect();
    assert_eq!(statuses, [[502; 10].as_slice(), &[503, 503]].concat());
}

/// Reference A7.4: any status is a success.
#[test]
fn statuses_are_no_failures() {
    let sandbox = Sandbox::new();
    let destination = Destination::start("d");
    destination.answers_probes_with(500);
    let _target = sandbox.target("q", &[]);
    let destinations = [forwarded("d", &destination.url()), queued("q", "")];
    let json = configuration(PIPELINE, "", &passive("RoundRobin", ""), &destinations);
    let front = sandbox.front(&json);
    let mut client = front.connect();
    for _ in 0..40 {
        assert_eq!(client.ask("GET", "/status/500").status, 500);
    }
}

/// The step of the pipeline is what watches.
#[test]
fn without_the_step_nothing_is_judged() {
    let sandbox = Sandbox::new();
    let address = format!("http://{}/", refusing());
    let json = configuration(
        r#"[ "LoadBalancing" ]"#,
        "",
        &passive("", ""),
        &[forwarded("d", &address)],
    );
    let front = sandbox.front(&json);
    let mut client = front.connect();
    for _ in 0..20 {
        assert_eq!(client.ask("GET", "/").status, 502);
    }
}

/// Few exchanges and a short window, so that a test sees a destination come back.
fn quick(count: u32) -> String {
    format!(r#""Passive": {{ "MinimalTotalCount": {count}, "DetectionWindow": "00:00:03" }}"#)
}

#[test]
fn a_forwarded_destination_comes_back_after_the_reactivation_period() {
    let sandbox = Sandbox::new();
    let address = refusing();
    let cluster = passive("", r#", "ReactivationPeriod": "00:00:03""#);
    let destinations = [forwarded("d", &format!("http://{address}/"))];
    let front = sandbox.front(&configuration(PIPELINE, &quick(2), &cluster, &destinations));
    let mut client = front.connect();
    eventually("it is out", || client.ask("GET", "/").status == 503);
    // Unknown again, so that it is asked, in vain.
    eventually("it is asked again", || client.ask("GET", "/").status == 502);
    eventually("it is out again", || client.ask("GET", "/").status == 503);
    let listener = TcpListener::bind(address).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut line = String::new();
            let mut reader = BufReader::new(stream);
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {}
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = reader.get_mut().write_all(answer);
        }
    });
    eventually("it is back", || client.ask("GET", "/").status == 200);
}

/// A request that its destination has and does not answer.
fn held(front: &Front, path: &str) -> Client {
    let mut client = front.connect();
    client.send(format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    ));
    client
}

/// How many requests the one instance of a queue has and has not finished.
fn active_requests(sandbox: &Sandbox) -> u64 {
    let output = sandbox.output(&["queues", "--json"]);
    let queues: serde_json::Value = serde_json::from_str(&output).unwrap();
    let instances = queues[0]["instances"].as_array().unwrap().iter();
    instances
        .filter_map(|instance| instance["active"].as_u64())
        .sum()
}

fn kill_with_requests(sandbox: &Sandbox, front: &Front, target: &Process, count: u64) {
    let clients: Vec<_> = (0..count).map(|_| held(front, "/delay/60000")).collect();
    eventually("the target has them", || active_requests(sandbox) == count);
    target.kill();
    for mut client in clients {
        assert_eq!(client.response().status, 503);
    }
}

/// Reference A8, side effects: the death of a target with its exchange is a failure.
#[test]
fn a_target_that_is_killed_repeatedly_is_taken_out_and_comes_back() {
    let sandbox = Sandbox::new();
    let cluster = passive("FirstAlphabetical", r#", "ReactivationPeriod": "00:00:03""#);
    let other = Destination::start("other");
    let destinations = [queued("dying", ""), forwarded("other", &other.url())];
    let settings = r#""Passive": { "MinimalTotalCount": 4, "DetectionWindow": "00:00:05" }"#;
    let front = sandbox.front(&configuration(PIPELINE, settings, &cluster, &destinations));
    for _ in 0..2 {
        let target = sandbox.target("dying", &["--mode", "create-or-attach"]);
        kill_with_requests(&sandbox, &front, &target, 2);
    }
    // The queue is there still, and requests would wait in it.
    eventually_answered_by(&front, &["other"]);
    let _again = sandbox.target("dying", &["--mode", "create-or-attach", "--label", "again"]);
    eventually_answered_by(&front, &["again"]);
}

/// One that dies while it responds has failed the exchange as well.
#[test]
fn a_target_that_dies_while_it_responds_has_failed() {
    let sandbox = Sandbox::new();
    let cluster = passive("FirstAlphabetical", "");
    let other = Destination::start("other");
    let destinations = [queued("dying", ""), forwarded("other", &other.url())];
    let settings = r#""Passive": { "MinimalTotalCount": 1 }"#;
    let front = sandbox.front(&configuration(PIPELINE, settings, &cluster, &destinations));
    let target = sandbox.target("dying", &[]);
    let mut client = front.connect();
    client.send("GET /bytes/1000000000 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.read(100_000).len(), 100_000);
    target.kill();
    client.rest();
    eventually_answered_by(&front, &["other"]);
}

/// One whose responses break off has failed, whichever way they come.
#[test]
fn a_destination_whose_bodies_break_off_has_failed() {
    for (way, path) in [("delegated", "/break/100000"), ("streamed", "/break/5")] {
        let sandbox = Sandbox::new();
        let cluster = passive("FirstAlphabetical", "");
        let other = Destination::start("other");
        let destinations = [queued("broken", ""), forwarded("other", &other.url())];
        let settings = r#""Passive": { "MinimalTotalCount": 3 }"#;
        let front = sandbox.front(&configuration(PIPELINE, settings, &cluster, &destinations));
        let _target = sandbox.target("broken", &[]);
        for _ in 0..3 {
            if way == "streamed" {
                crate::support::http2_client::run(async {
                    let client = crate::support::http2_client::Http2Client::connect(front.port);
                    let client = client.await;
                    let request = crate::support::http2_client::get(path);
                    let (response, _stream) = client.begin(request, true).await;
                    // The end of its body, or its head already, is a reset.
                    if let Ok(response) = response.await {
                        let mut body = response.into_body();
                        while let Some(Ok(_)) = body.data().await {}
                    }
                });
                continue;
            }
            let mut client = front.connect();
            client.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
            client.rest();
        }
        eventually_answered_by(&front, &["other"]);
    }
}

/// A client that goes away is no failure of the destination's.
#[test]
fn clients_that_go_away_are_no_failures() {
    let sandbox = Sandbox::new();
    let destination = Destination::start("forwarded");
    let _target = sandbox.target("q", &["--label", "q"]);
    let settings = r#""Passive": { "MinimalTotalCount": 1 }"#;
    let destinations = [forwarded("f", &destination.url()), queued("q", "")];
    let cluster = passive("LeastRequests", "");
    let front = sandbox.front(&configuration(PIPELINE, settings, &cluster, &destinations));
    // As long as the first is busy with one, the next goes to the other.
    let to_f = held(&front, "/hold");
    eventually("the destination has it", || destination.held() == 1);
    let to_q = held(&front, "/delay/60000");
    eventually("the target has it", || active_requests(&sandbox) == 1);
    // By a reset, which both ways hear of at once.
    for client in [&to_f, &to_q] {
        set_socket_linger(client.socket(), Some(std::time::Duration::ZERO)).unwrap();
    }
    drop(to_f);
    drop(to_q);
    eventually("the target is rid of it", || active_requests(&sandbox) == 0);
    // Had the destination closed the connection first, it would have failed.
    destination.wait_until_given_up();
    eventually_answered_by(&front, &["forwarded"]);
    let _busy = held(&front, "/hold");
    eventually("the destination has it", || destination.held() == 1);
    eventually_answered_by(&front, &["q"]);
    destination.let_go();
}

/// One cluster, one destination forwarded to and one delegated to: both are counted, both are taken
/// out, both come back.
#[test]
fn forwarded_and_delegated_destinations_of_one_cluster_behave_alike() {
    let sandbox = Sandbox::new();
    let destination = Destination::start("forwarded");
    let target = sandbox.target("q", &["--label", "delegated"]);
    let cluster = passive("LeastRequests", r#", "ReactivationPeriod": "00:00:03""#);
    let destinations = [forwarded("f", &destination.url()), queued("q", "")];
    let front = sandbox.front(&configuration(PIPELINE, &quick(2), &cluster, &destinations));
    let both_are_busy_by_turns = |sandbox: &Sandbox, front: &Front| {
        let mut clients = Vec::new();
        for count in 1..=2 {
            clients.push(held(front, "/hold/delay/60000"));
            eventually("the one has it", || destination.held() == count);
            clients.push(held(front, "/hold/delay/60000"));
            eventually("the other has it", || {
                active_requests(sandbox) == count as u64
            });
        }
        clients
    };
    let clients = both_are_busy_by_turns(&sandbox, &front);
    target.kill();
    destination.let_go();
    let mut statuses: Vec<_> = clients
        .into_iter()
        .map(|mut client| client.response().status)
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [502, 502, 503, 503]);
    assert_eq!(answering(&front), BTreeSet::from(["503".to_owned()]));
    let _again = sandbox.target("q", &["--mode", "create-or-attach", "--label", "again"]);
    // A tie goes to the first; while that is busy, to the second.
    eventually_answered_by(&front, &["forwarded"]);
    let busy = both_are_busy_by_turns(&sandbox, &front);
    drop(busy);
    destination.let_go();
}
