//! Rate limiters: too many requests are rejected or wait (reference A11.3).

use crate::support::{BothWays, Client, Front, Response, Sandbox, WAYS, eventually};
use crate::upgrades::{converse, say_goodbye, web_socket};

const ROUTE: &str = r#""RateLimiterPolicy": "p","#;

/// The section with one policy, `p`; `more` are further keys, each followed by a comma.
fn policy(more: &str, limiter: &str) -> String {
    format!(r#""RateLimiter": {{ {more} "Policies": {{ "P": {{ {limiter} }} }} }},"#)
}

const TWO_AN_HOUR: &str = r#""Type": "FixedWindow", "PermitLimit": 2, "Window": "01:00:00""#;
const ONE_AT_A_TIME: &str = r#""Type": "Concurrency", "PermitLimit": 1"#;

fn ask(client: &mut Client, path: &str, key: &str) -> Response {
    client.send(format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nX-Key: {key}\r\n\r\n"
    ));
    client.response()
}

#[test]
fn after_so_many_requests_of_a_partition_the_next_is_rejected() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let limiters = [
        TWO_AN_HOUR,
        r#""Type": "SlidingWindow", "PermitLimit": 2, "Window": "01:00:00", "SegmentsPerWindow": 4"#,
        r#""Type": "TokenBucket", "TokenLimit": 2, "TokensPerPeriod": 1, "ReplenishmentPeriod": "01:00:00""#,
    ];
    for limiter in limiters {
        let limiter = format!(r#"{limiter}, "PartitionBy": "Header:x-key""#);
        let section = policy(r#""RejectionStatusCode": 429,"#, &limiter);
        let front = sandbox.front(&both.configuration(ROUTE, &section));
        for way in WAYS {
            // One connection for all: a rejection does not end it.
            let mut client = front.connect();
            let path = format!("{way}/x");
            for key in ["one", "other"] {
                let key = format!("{key} {way}");
                assert_eq!(ask(&mut client, &path, &key).pid(), both.target.pid());
                assert_eq!(ask(&mut client, &path, &key).pid(), both.target.pid());
                let rejected = ask(&mut client, &path, &key);
                assert_eq!((rejected.status, rejected.text().as_str()), (429, ""));
                let after: u32 = rejected.field("retry-after").unwrap().parse().unwrap();
                assert!((1..=3600).contains(&after), "{after}");
            }
            assert_eq!(ask(&mut client, "/free/x", "one").status, 200);
        }
    }
}

#[test]
fn the_global_limiter_stands_before_all_routes_that_do_not_disable_it() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    for (route, permitted) in [
        ("", 3),
        (r#""RateLimiterPolicy": "Default","#, 3),
        (ROUTE, 2),
    ] {
        for way in WAYS {
            let global = TWO_AN_HOUR.replace('2', "3");
            let section = policy(&format!(r#""GlobalLimiter": {{ {global} }},"#), TWO_AN_HOUR);
            let front = sandbox.front(&both.configuration(route, &section));
            let path = format!("{way}/x");
            let statuses: Vec<_> = (0..5).map(|_| front.ask("GET", &path).status).collect();
            let mut wanted = vec![200; permitted];
            // 503 is ASP.NET's default (reference A11.3).
            wanted.resize(5, 503);
            assert_eq!(statuses, wanted, "{route} {way}");
            for _ in 0..5 {
                assert_eq!(front.ask("GET", "/free/x").status, 200);
            }
        }
    }
}

#[test]
fn a_rejected_request_with_a_body_leaves_the_connection_in_order() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let section = policy("", TWO_AN_HOUR);
    let front = sandbox.front(&both.configuration(ROUTE, &section));
    while front.ask("GET", "/delegated/x").status == 200 {}
    for way in WAYS {
        // A body that is here whole is passed over, and what is behind it is the next request.
        let mut client = front.connect();
        client.send(format!(
            "POST {way}/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 24\r\n\r\n\
             GET /free/evil HTTP/1.1\n\
             GET /free/echo HTTP/1.1\r\nHost: x\r\n\r\n"
        ));
        assert_eq!(client.response().status, 503);
        assert_eq!(client.response().json()["target"], "/free/echo");
        // Of any other, nobody knows where it ends: the connection does.
        for framing in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
            let mut client = front.connect();
            client.send(format!(
                "POST {way}/upload HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n5\r\nhello\r\n"
            ));
            let response = client.response();
            assert_eq!(response.status, 503);
            assert_eq!(response.field("connection"), Some("close"));
            assert!(client.is_closed());
        }
    }
}

/// Begins a request that is under way until [`end`].
fn begin(front: &Front, way: &str) -> Client {
    let mut client = front.connect();
    client.send(format!(
        "POST {way}/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello"
    ));
    client
}

/// The same once it has the only permit: the one before may just be on its way back.
fn hold(front: &Front, way: &str) -> Client {
    let mut holding = begin(front, way);
    eventually("the permit is taken", || {
        let rejected = front.ask("GET", &format!("{way}/x")).status == 503;
        if has_answer(&holding) {
            assert_eq!(holding.response().status, 503);
            holding = begin(front, way);
            return false;
        }
        rejected
    });
    holding
}

fn end(client: &mut Client) {
    client.send("world");
    assert_eq!(client.response().json()["length"], 10);
}

#[test]
fn a_permit_is_held_until_the_exchange_is_over() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let section = policy("", ONE_AT_A_TIME);
    // With several threads, the end of an exchange is known to another thread than the next is on.
    for threads in ["1", "2"] {
        let json = both.configuration(ROUTE, &section);
        let front = sandbox.front_with(&json, &["--threads", threads]);
        for way in WAYS {
            let mut uploading = hold(&front, way);
            let path = format!("{way}/x");
            let rejected = front.ask("GET", &path);
            // Nobody knows when it comes back.
            assert_eq!(
                (rejected.status, rejected.field("retry-after")),
                (503, None)
            );
            end(&mut uploading);
            // Its connection stays open and silent.
            eventually("the permit is given back", || {
                front.ask("GET", &path).status == 200
            });

            // The answer to one may be here a moment before its end is known.
            let mut delayed = front.connect();
            eventually("the permit is given back", || {
                delayed.ask("GET", &format!("{way}/delay/300")).status == 200
            });
            eventually("the permit is given back", || {
                front.ask("GET", &path).status == 200
            });

            // A client that goes away takes none with it.
            drop(hold(&front, way));
            eventually("the permit is given back", || {
                front.ask("GET", &path).status == 200
            });
        }
    }
}

#[test]
fn an_upgraded_connection_holds_its_permit_while_it_passes_through_the_front() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let section = policy("", ONE_AT_A_TIME);
    let front = sandbox.front(&both.configuration(ROUTE, &section));
    let mut forwarded = web_socket(front.port, "/forwarded");
    converse(&mut forwarded);
    assert_eq!(front.ask("GET", "/forwarded/x").status, 503);
    say_goodbye(forwarded);
    eventually("the permit is given back", || {
        front.ask("GET", "/forwarded/x").status == 200
    });
    // One that is delegated is the target's alone: the front sees nothing of its end.
    let mut delegated = web_socket(front.port, "/delegated");
    converse(&mut delegated);
    eventually("the permit is given back", || {
        front.ask("GET", "/delegated/x").status == 200
    });
    converse(&mut delegated);
}

/// A connection that is known to the front's thread, on which a request is sent.
fn send(front: &Front, path: &str) -> Client {
    let mut client = front.connect();
    assert_eq!(client.ask("GET", "/nowhere").status, 404);
    client.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
    client
}

fn has_answer(client: &Client) -> bool {
    let socket = client.socket();
    socket.set_nonblocking(true).unwrap();
    let peeked = socket.peek(&mut [0]);
    socket.set_nonblocking(false).unwrap();
    peeked.is_ok()
}

/// Two requests with room for one to wait: the one that waits, once the other was rejected.
fn one_of_two_waits(front: &Front, path: &str) -> Option<Client> {
    let mut two = [send(front, path), send(front, path)];
    eventually("one is rejected", || two.iter().any(has_answer));
    // The front answers this itself, and so has seen by then what was sent before.
    assert_eq!(front.ask("GET", "/nowhere").status, 404);
    let waiting = two.iter().position(|client| !has_answer(client));
    let rejected = waiting.map_or(0, |waiting| 1 - waiting);
    assert_eq!(two[rejected].response().status, 503);
    let [first, second] = two;
    waiting.map(|waiting| if waiting == 0 { first } else { second })
}

const ONE_AT_A_TIME_AND_ONE_WAITING: &str =
    r#""Type": "Concurrency", "PermitLimit": 1, "QueueLimit": 1"#;

#[test]
fn a_request_waits_in_the_queue_until_there_is_a_permit() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let section = policy("", ONE_AT_A_TIME_AND_ONE_WAITING);
    for way in WAYS {
        let front = sandbox.front(&both.configuration(ROUTE, &section));
        let mut uploading = begin(&front, way);
        let path = format!("{way}/x");
        let waiting = one_of_two_waits(&front, &path);
        let mut waiting = waiting.expect("one is rejected, and one is not");
        // What a waiting client says next comes behind it.
        waiting.send("GET /free/echo HTTP/1.1\r\nHost: x\r\n\r\n");
        end(&mut uploading);
        assert_eq!(waiting.response().pid(), both.target.pid());
        assert_eq!(waiting.response().json()["target"], "/free/echo");
    }
}

#[test]
fn a_waiting_client_that_goes_away_leaves_the_queue() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let section = policy("", ONE_AT_A_TIME_AND_ONE_WAITING);
    for way in WAYS {
        let front = sandbox.front(&both.configuration(ROUTE, &section));
        let mut uploading = begin(&front, way);
        let path = format!("{way}/x");
        drop(one_of_two_waits(&front, &path).expect("one waits"));
        // Nobody gets a permit meanwhile, so it is its place that somebody else waits in.
        let mut waiting = None;
        eventually("its place is free", || {
            waiting = one_of_two_waits(&front, &path);
            waiting.is_some()
        });
        end(&mut uploading);
        assert_eq!(waiting.unwrap().response().pid(), both.target.pid());
    }
}

#[test]
fn time_alone_serves_the_queue() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let limiter =
        r#""Type": "FixedWindow", "PermitLimit": 1, "Window": "00:00:01", "QueueLimit": 2"#;
    for way in WAYS {
        let front = sandbox.front(&both.configuration(ROUTE, &policy("", limiter)));
        let path = format!("{way}/x");
        let mut clients = [(); 3].map(|()| send(&front, &path));
        for client in &mut clients {
            assert_eq!(client.response().pid(), both.target.pid());
        }
    }
}

#[test]
fn a_reload_keeps_the_counts_of_a_limiter_that_has_not_changed() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let front = sandbox.front(&both.configuration(ROUTE, &policy("", TWO_AN_HOUR)));
    for way in WAYS {
        assert_eq!(front.ask("GET", &format!("{way}/x")).status, 200);
    }
    // The status is in force at once, and the counts are as they were.
    let teapot = policy(r#""RejectionStatusCode": 418,"#, TWO_AN_HOUR);
    sandbox.configuration(&both.configuration(ROUTE, &teapot));
    front.process.signal("HUP");
    for way in WAYS {
        let path = format!("{way}/x");
        eventually("the reload is done", || {
            let status = front.ask("GET", &path).status;
            assert!([418, 503].contains(&status), "{status}");
            status == 418
        });
    }
    let changed = policy("", &TWO_AN_HOUR.replace("01:", "02:"));
    sandbox.configuration(&both.configuration(ROUTE, &changed));
    front.process.signal("HUP");
    let path = format!("{}/x", WAYS[1]);
    eventually("it counts anew", || front.ask("GET", &path).status == 200);
}

#[test]
fn check_reports_mistakes_at_their_places() {
    let sandbox = Sandbox::new();
    let path = sandbox.configuration(
        r#"{ "RateLimiter": { "RejectionStatusCode": 42, "GlobalLimiter": { "Type": "FixedWindow", "PermitLimit": 0 },
             "Policies": { "Default": { "Type": "Concurrency", "PermitLimit": 1, "QueueLimits": 1 } } },
  "ReverseProxy": { "Routes": { "r": { "RateLimiterPolicy": "p", "Match": { "Path": "/" } } } } }"#,
    );
    let check = sandbox.ostler(&["check", "--config", path.to_str().unwrap()]);
    assert_eq!(check.wait().code(), Some(64));
    for wanted in [
        "error: RateLimiter:RejectionStatusCode: \"42\" is not from 400 to 599",
        "error: RateLimiter:GlobalLimiter:PermitLimit: \"0\" is not positive",
        "error: RateLimiter:GlobalLimiter:Window: the limiter has no Window",
        "error: RateLimiter:Policies:Default: the name \"Default\" is reserved",
        "warning: RateLimiter:Policies:Default:QueueLimits: the key \"QueueLimits\" is unknown and has no effect",
        "error: ReverseProxy:Routes:r:RateLimiterPolicy: there is no policy \"p\"",
    ] {
        eventually("the mistake is told", || {
            let lines = check.errors();
            lines
                .iter()
                .any(|line| line.starts_with(wanted) && line.contains("ostler.json:"))
        });
    }
}
