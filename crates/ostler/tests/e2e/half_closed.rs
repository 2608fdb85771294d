//! Clients that end their own direction behind a request: they are answered for as long as anybody is
//! there, whichever way the request goes.

use std::os::fd::AsFd as _;

use crate::support::{BothWays, Client, Front, Sandbox, WAYS, eventually};

/// How many requests the one instance of a queue has and has not finished.
fn active(sandbox: &Sandbox) -> u64 {
    let queues: serde_json::Value =
        serde_json::from_str(&sandbox.output(&["queues", "--json"])).unwrap();
    queues[0]["instances"][0]["active"].as_u64().unwrap_or(0)
}

fn half_closed(front: &Front, request: &str) -> Client {
    let mut client = front.connect();
    client.send(request);
    client.shutdown_write();
    client
}

/// Before, it was given up after 1.1 s.
#[test]
fn a_half_closed_client_is_answered_however_long_it_takes() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let front = sandbox.front(&both.configuration("", ""));
    let waiting: Vec<_> = WAYS
        .into_iter()
        .flat_map(|way| {
            let get = format!("GET {way}/delay/4000 HTTP/1.1\r\nHost: x\r\n\r\n");
            let post = format!(
                "POST {way}/delay/4000 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
            );
            [half_closed(&front, &get), half_closed(&front, &post)]
        })
        .collect();
    for mut client in waiting {
        assert_eq!(client.response().status, 200);
        assert!(client.is_closed());
    }
}

/// So is one whose request waits for a target.
#[test]
fn a_half_closed_client_waits_in_the_queue() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let front = sandbox.front(&both.configuration("", ""));
    assert_eq!(front.ask("GET", "/delegated/").status, 200);
    both.target.signal("STOP");
    let mut client = half_closed(&front, "GET /delegated/ HTTP/1.1\r\nHost: x\r\n\r\n");
    std::thread::sleep(std::time::Duration::from_secs(3));
    both.target.signal("CONT");
    assert_eq!(client.response().status, 200);
}

/// A reset shows at once; that a client of this host has closed is seen, too.
#[test]
fn a_half_closed_client_that_leaves_takes_its_request_along() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let front = sandbox.front(&both.configuration("", ""));
    for resets in [true, false] {
        let request = "GET /delegated/delay/600000 HTTP/1.1\r\nHost: x\r\n\r\n";
        let client = half_closed(&front, request);
        eventually("the target has it", || active(&sandbox) == 1);
        if resets {
            rustix::net::sockopt::set_socket_linger(
                client.socket().as_fd(),
                Some(std::time::Duration::ZERO),
            )
            .unwrap();
        }
        drop(client);
        eventually("the target is rid of it", || active(&sandbox) == 0);
    }
}
