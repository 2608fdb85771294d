//! How long an exchange may take (reference A11.4): before a target has it, in its handler, after
//! its response has begun.

use crate::failures::at_rest;
use crate::relay::{shared_sandbox, target_of_a_stranger};
use crate::support::routes_both_ways::{RoutesBothWays, WAYS};
use crate::support::{Process, Sandbox, delegating_to, eventually};
use crate::upgrades::{converse, web_socket};

const POLICIES: &str = r#""RequestTimeouts": { "Policies": {
    "brief": { "Timeout": "00:00:00.3", "TimeoutStatusCode": 503 } } }"#;

const ROUTES: &[(&str, &str)] = &[
    ("brief", r#""Timeout": "00:00:00.3""#),
    ("named", r#""TimeoutPolicy": "BRIEF""#),
    ("none", ""),
    ("never", r#""Timeout": "00:00:00.0005""#),
];

#[test]
fn a_handler_that_takes_too_long_is_answered_for() {
    let both = RoutesBothWays::new(POLICIES, ROUTES);
    for way in WAYS {
        for (route, status) in [("brief", 504), ("named", 503)] {
            let mut client = both.front.connect();
            let path = format!("/{way}/{route}/delay/60000");
            assert_eq!(client.ask("GET", &path).status, status, "{path}");
            // The connection is as good as before.
            let quick = format!("/{way}/{route}/status/204");
            assert_eq!(client.ask("GET", &quick).status, 204, "{quick}");
        }
        let path = format!("/{way}/none/delay/600");
        assert_eq!(both.front.ask("GET", &path).status, 200, "{path}");
    }
}

#[test]
fn less_than_a_millisecond_is_at_once() {
    let both = RoutesBothWays::new(POLICIES, ROUTES);
    for way in WAYS {
        let path = format!("/{way}/never/delay/60000");
        assert_eq!(both.front.ask("GET", &path).status, 504, "{path}");
    }
}

#[test]
fn a_client_that_does_not_send_its_body_is_answered() {
    let both = RoutesBothWays::new(POLICIES, ROUTES);
    for way in WAYS {
        for framing in ["Content-Length: 10", "Transfer-Encoding: chunked"] {
            let mut client = both.front.connect();
            client.send(format!(
                "POST /{way}/brief/upload HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n"
            ));
            assert_eq!(client.response().status, 504, "{way} {framing}");
            assert!(client.is_closed(), "{way} {framing}");
        }
    }
}

#[test]
fn a_response_that_has_begun_is_cut_off() {
    let both = RoutesBothWays::new(POLICIES, ROUTES);
    for way in WAYS {
        let mut client = both.front.connect();
        client.send(format!("GET /{way}/brief/sse HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(client.try_head().unwrap().0, 200, "{way}");
        let rest = client.rest();
        assert!(!rest.is_empty(), "{way}: the first event comes at once");
        assert!(
            !rest.ends_with(b"0\r\n\r\n"),
            "{way}: it must not look whole"
        );
    }
}

#[test]
fn a_client_that_takes_nothing_is_cut_off() {
    let both = RoutesBothWays::new(POLICIES, ROUTES);
    for way in WAYS {
        let mut client = both.front.connect();
        const ENDLESS: &str = "stream/100000000000";
        client.send(format!(
            "GET /{way}/brief/{ENDLESS} HTTP/1.1\r\nHost: x\r\n\r\n"
        ));
        // More than the sockets between the two hold is never asked for before it is over.
        let target = &both.target;
        assert_eq!(client.try_head().unwrap().0, 200, "{way}");
        eventually("the connection is over at both ends", || {
            client.try_send("x").is_err()
        });
        assert!(target.is_running());
    }
}

#[test]
fn an_accepted_upgrade_is_not_subject() {
    let both = RoutesBothWays::new(POLICIES, ROUTES);
    for way in WAYS {
        let mut socket = web_socket(both.front.port, &format!("/{way}/brief"));
        // Longer than the timeout, and than the front's patience with a target behind it.
        let path = format!("/{way}/none/delay/3000");
        assert_eq!(both.front.ask("GET", &path).status, 200);
        converse(&mut socket);
    }
}

/// Stops a process, and waits until each of its threads stands still.
pub(crate) fn stop(process: &Process) {
    process.signal("STOP");
    let tasks = format!("/proc/{}/task", process.pid());
    eventually("every thread stands still", || {
        std::fs::read_dir(&tasks).unwrap().all(|task| {
            let stat = std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap();
            // The state follows the name, which is in parentheses.
            stat.rsplit(") ").next().unwrap().starts_with('T')
        })
    });
}

#[test]
fn a_target_that_stands_still_does_not_hold_the_client() {
    let both = RoutesBothWays::new(POLICIES, ROUTES);
    for way in WAYS {
        let mut client = both.front.connect();
        let quick = format!("/{way}/brief/");
        assert_eq!(client.ask("GET", &quick).status, 200, "{way}");
        at_rest(&both.sandbox, &both.target);
        stop(&both.target);
        assert_eq!(client.ask("GET", &quick).status, 504, "{way}");
        both.target.signal("CONT");
        // What was withdrawn is not answered after all.
        assert_eq!(client.ask("GET", &quick).pid(), both.target.pid(), "{way}");
    }
}

#[test]
fn a_target_that_stands_still_with_the_request_is_given_up() {
    let both = RoutesBothWays::new(POLICIES, ROUTES);
    for way in WAYS {
        let mut client = both.front.connect();
        let events = format!("GET /{way}/brief/sse HTTP/1.1\r\nHost: x\r\n\r\n");
        client.send(events);
        assert_eq!(client.try_head().unwrap().0, 200, "{way}");
        stop(&both.target);
        client.rest();
        both.target.signal("CONT");
        let path = format!("/{way}/brief/");
        assert_eq!(both.front.ask("GET", &path).status, 200, "{way}");
    }
}

#[test]
fn a_request_that_waits_for_an_instance_waits_no_longer() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let json = delegating_to(&["q"]).replace(
        r#""all": { "ClusterId": "all","#,
        r#""all": { "ClusterId": "all", "Timeout": "00:00:00.3","#,
    );
    let front = sandbox.front(&json);
    assert_eq!(front.ask("GET", "/").status, 200);
    target.kill();
    // The queue's folder stays behind, so the request waits for somebody to come back.
    assert_eq!(front.ask("GET", "/").status, 504);
    let target = sandbox.target("q", &[]);
    eventually("the new instance is asked", || {
        let answer = front.ask("GET", "/");
        answer.status == 200 && answer.pid() == target.pid()
    });
}

#[test]
fn a_relayed_exchange_has_the_same_bounds() {
    let Some(sandbox) = shared_sandbox() else {
        return;
    };
    let _target = target_of_a_stranger(&sandbox, "q", "create");
    let json = delegating_to(&["q"]).replace(
        r#""all": { "ClusterId": "all","#,
        r#""all": { "ClusterId": "all", "Timeout": "00:00:00.3", "MaxRequestBodySize": 10,"#,
    );
    let front = sandbox.front(&json);
    let mut client = front.connect();
    assert_eq!(client.ask("GET", "/delay/60000").status, 504);
    assert_eq!(client.ask("GET", "/echo").json()["arrival"], "relayed");
    client.send("GET /sse HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.try_head().unwrap().0, 200);
    assert!(!client.rest().ends_with(b"0\r\n\r\n"));
    let chunked = "POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (chunks, status) in [
        ("a\r\n0123456789\r\n0\r\n\r\n", 200),
        ("b\r\n0123456789a\r\n", 413),
    ] {
        let mut client = front.connect();
        client.send([chunked, chunks].concat());
        assert_eq!(client.response().status, status, "{chunks:?}");
    }
}
