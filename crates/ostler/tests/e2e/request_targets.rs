//! Request-targets with characters that no URI has: taken, and escaped once, in every way.

use serde_json::json;

use crate::support::{BothWays, Sandbox, TlsSettings, WAYS};
use crate::tls::{authority, kestrel, start};

/// Raw, and as an application and a destination see it.
const ODD: [(&str, &str); 2] = [
    ("/a\"<>\\^`{|}/echo", "/a%22%3C%3E%5C%5E%60%7B%7C%7D/echo"),
    (
        "/%5e%61/echo?q=\"<>\\^`{|}'[]",
        "/%5Ea/echo?q=%22%3C%3E%5C%5E%60%7B%7C%7D'[]",
    ),
];

fn request(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n")
}

#[test]
fn a_target_with_characters_that_no_uri_has_is_escaped_in_every_way() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let front = sandbox.front(&both.configuration("", ""));
    let mut client = front.connect();
    for way in WAYS {
        for (raw, seen) in ODD {
            client.send(request(&format!("{way}{raw}")));
            let echo = client.response().json();
            let arrival = match way {
                "/forwarded" => "direct",
                _ => "delegated",
            };
            assert_eq!(echo["arrival"], arrival);
            assert_eq!(echo["target"], format!("{way}{seen}"));
        }
    }
    for refused in ["/delegated/a#b", "/forwarded/a?b#c", "/delegated/\u{e9}"] {
        let mut client = front.connect();
        client.send(request(refused));
        assert_eq!(client.response().status, 400, "{refused}");
    }
}

#[test]
fn a_streamed_target_is_escaped_too() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let both = BothWays::new(&sandbox);
    let off = r#""Ostler": { "KernelTls": "off" },"#;
    let kestrel = kestrel(&sandbox, json!({}));
    let front = start(
        &sandbox,
        &both.configuration("", &format!("{off} {kestrel}")),
    );
    let mut client = TlsSettings::new(&authority).connect(front.port);
    for (raw, seen) in ODD {
        client.send(request(&format!("/delegated{raw}")));
        let echo = client.response().json();
        assert_eq!(echo["arrival"], "streamed");
        assert_eq!(echo["target"], format!("/delegated{seen}"));
    }
}
