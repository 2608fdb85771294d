//! How large a request's body may be (reference A11.6), by either framing and either way.

use crate::support::routes_both_ways::{RoutesBothWays, WAYS};

const ROUTES: &[(&str, &str)] = &[
    ("server", ""),
    ("small", r#""MaxRequestBodySize": 10"#),
    ("none", r#""MaxRequestBodySize": 0"#),
    ("any", r#""MaxRequestBodySize": -1"#),
    ("wrong", r#""MaxRequestBodySize": -2"#),
];

fn of_server() -> RoutesBothWays {
    RoutesBothWays::new(
        r#""Kestrel": { "Limits": { "MaxRequestBodySize": 100000 } }"#,
        ROUTES,
    )
}

/// Limits, what fits exactly, and what is one byte too much.
const CASES: [(&str, usize); 3] = [("server", 100_000), ("small", 10), ("none", 0)];

#[test]
fn a_length_within_the_limit_is_answered_and_one_beyond_it_is_413() {
    let both = of_server();
    for way in WAYS {
        for (route, limit) in CASES {
            let path = format!("/{way}/{route}/upload");
            let mut client = both.front.connect();
            let answer = client.post(&path, &vec![b'x'; limit]);
            assert_eq!(answer.json()["length"], limit, "{path}");
            // No byte of the body is waited for, and none is taken in as the next request.
            client.send(format!(
                "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
                limit + 1
            ));
            assert_eq!(client.response().status, 413, "{path}");
            assert!(client.is_closed(), "{path}");
            assert_eq!(both.front.connect().post(&path, b"").status, 200, "{path}");
        }
    }
}

#[test]
fn who_asks_whether_to_send_too_much_is_told_not_to() {
    let both = of_server();
    for way in WAYS {
        let mut client = both.front.connect();
        client.send(format!(
            "PUT /{way}/small/upload HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\
             Content-Length: 11\r\n\r\n"
        ));
        assert_eq!(client.response().status, 413, "{way}");
    }
}

#[test]
fn a_chunked_body_within_the_limit_is_answered_and_one_beyond_it_is_413() {
    let both = of_server();
    for way in WAYS {
        for (route, limit) in CASES {
            let path = format!("/{way}/{route}/upload");
            let head =
                format!("POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
            let chunk = |size: usize| {
                [
                    format!("{size:x}\r\n").as_bytes(),
                    &vec![b'x'; size],
                    b"\r\n",
                ]
                .concat()
            };
            let mut client = both.front.connect();
            client.send(&head);
            if limit > 0 {
                client.send(chunk(limit));
            }
            client.send("0\r\n\r\n");
            assert_eq!(client.response().json()["length"], limit, "{path}");
            // The connection carries another request, which is the one that is too large: in one
            // piece with its head, and in two.
            client.send([head.as_bytes(), &chunk(limit + 1)].concat());
            assert_eq!(client.response().status, 413, "{path}");
            assert!(client.is_closed(), "{path}");
            let mut client = both.front.connect();
            client.send(&head);
            if limit > 0 {
                client.send(chunk(limit));
            }
            client.send(chunk(1));
            assert_eq!(client.response().status, 413, "{path}");
            assert!(client.is_closed(), "{path}");
            assert_eq!(both.front.connect().post(&path, b"").status, 200, "{path}");
        }
    }
}

/// A client that reads nothing before it has sent everything: the answer waits for it, however much
/// comes behind.
#[test]
fn the_413_of_a_body_that_is_sent_to_its_end_is_not_lost() {
    const CHUNKS: usize = 160;
    let both = of_server();
    let chunk = [&b"10000\r\n"[..], &[b'x'; 0x10000], b"\r\n"].concat();
    for way in WAYS {
        for framing in ["Transfer-Encoding: chunked", "Content-Length: 10487360"] {
            let mut client = both.front.connect();
            client.send(format!(
                "POST /{way}/server/upload HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n"
            ));
            for _ in 0..CHUNKS {
                client.send(&chunk);
            }
            assert_eq!(client.response().status, 413, "{way} {framing}");
        }
    }
}

#[test]
fn a_handler_that_does_not_read_a_body_answers_whatever_its_size() {
    let both = of_server();
    for way in WAYS {
        let mut client = both.front.connect();
        client.send(format!(
            "GET /{way}/small/status/201 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
             1\r\nx\r\n0\r\n\r\n"
        ));
        assert_eq!(client.response().status, 201, "{way}");
    }
}

#[test]
fn a_limit_of_minus_one_is_none_and_other_negative_ones_are_500() {
    let both = of_server();
    for way in WAYS {
        let body = vec![b'x'; 300_000];
        let answer = both
            .front
            .connect()
            .post(&format!("/{way}/any/upload"), &body);
        assert_eq!(answer.json()["length"], body.len(), "{way}");
        let path = format!("/{way}/wrong/upload");
        assert_eq!(both.front.ask("GET", &path).status, 500, "{way}");
    }
}

#[test]
fn without_a_word_the_limit_is_that_of_aspnet() {
    let both = RoutesBothWays::new("", &[("x", "")]);
    for way in WAYS {
        for (length, status) in [(30_000_001, 413), (30_000_000, 100)] {
            let mut client = both.front.connect();
            client.send(format!(
                "POST /{way}/x/upload HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\
                 Content-Length: {length}\r\n\r\n"
            ));
            assert_eq!(client.response().status, status, "{way} {length}");
        }
    }
}
