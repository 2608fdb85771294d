//! Session affinity: four policies, two ways to reach a destination (reference A6).

use serde_json::{Value, json};

use crate::support::{Front, Process, Sandbox, eventually};

const ID: [&str; 2] = ["d1", "dest-B"];
const KEY: &str = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=";
const OTHER_KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// Two applications, each behind a queue and on an address.
struct Applications {
    sandbox: Sandbox,
    targets: Vec<Process>,
    addresses: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Delegated,
    Forwarded,
}

const WAYS: [Way; 2] = [Way::Delegated, Way::Forwarded];

impl Applications {
    fn start() -> Self {
        let sandbox = Sandbox::new();
        let (mut targets, mut addresses) = (Vec::new(), Vec::new());
        for queue in ["q0", "q1"] {
            let (target, address) = sandbox.listening_target(queue);
            addresses.push(address);
            targets.push(target);
        }
        Self {
            sandbox,
            targets,
            addresses,
        }
    }

    fn front(&self, way: Way, affinity: Value, keys: &[&str]) -> Front {
        let destination = |at: usize| match way {
            Way::Delegated => json!({ "Address": "http://*:80/",
                "Metadata": { "HttpSysDelegationQueue": format!("q{at}") } }),
            Way::Forwarded => json!({ "Address": self.addresses[at] }),
        };
        let keys: Vec<_> = keys.iter().map(|key| json!({ "Key": key })).collect();
        let mut all = json!({ "Enabled": true, "AffinityKeyName": "My.Key" });
        let fields = all.as_object_mut().unwrap();
        fields.extend(affinity.as_object().unwrap().clone());
        self.sandbox.front(
            &json!({
                "Ostler": { "DataProtection": { "Keys": keys } },
                "ReverseProxy": {
                    "Pipeline": ["SessionAffinity", "LoadBalancing", "PassiveHealthChecks", "HttpSysDelegation"],
                    "Routes": { "all": { "ClusterId": "c", "Match": { "Path": "{**rest}" } } },
                    "Clusters": { "c": {
                        "LoadBalancingPolicy": "RoundRobin",
                        "SessionAffinity": all,
                        "Destinations": { (ID[0]): destination(0), (ID[1]): destination(1) },
                    } },
                },
            })
            .to_string(),
        )
    }
}

/// What an answer says: who gave it, and the key it carries.
#[derive(Debug, PartialEq)]
struct Answer {
    pid: u32,
    key: Option<String>,
}

/// Asks with a key: as a cookie, or as the header field `My.Key`.
fn ask(front: &Front, key: Option<&str>, header: bool) -> Answer {
    let mut client = front.connect();
    let field = match key {
        None => String::new(),
        Some(key) if header => format!("My.Key: {key}\r\n"),
        Some(key) => format!("Cookie: a=b; My.Key={key}\r\n"),
    };
    client.send(format!("GET / HTTP/1.1\r\nHost: x\r\n{field}\r\n"));
    let response = client.response();
    assert_eq!(response.status, 200);
    let name = if header { "my.key" } else { "set-cookie" };
    Answer {
        pid: response.pid(),
        key: response.field(name).map(str::to_owned),
    }
}

/// The value in a `Set-Cookie` with the default attributes.
fn cookie_value(set_cookie: &str) -> &str {
    let rest = set_cookie.strip_prefix("My.Key=").unwrap();
    rest.strip_suffix("; path=/; httponly").unwrap()
}

#[test]
fn hash_cookies_are_yarps_and_are_sent_once() {
    let applications = Applications::start();
    for (policy, keys) in [
        ("HashCookie", ["3ca257a575bfff71", "53c079ed4c377b0d"]),
        (
            "ArrCookie",
            [
                "E1A81620F938713C58BD2D3627E2FD60538B502CCE1E2DF25C6D79F2F7F8EDAF",
                "920A160FA519353932B655488361A944531650016793761EE7224DE632863B13",
            ],
        ),
    ] {
        for way in WAYS {
            let front = applications.front(way, json!({ "Policy": policy }), &[]);
            let first = ask(&front, None, false);
            let key = first.key.unwrap();
            let at = (0..2).find(|at| keys[*at] == cookie_value(&key)).unwrap();
            assert_eq!(first.pid, applications.targets[at].pid());
            // One that YARP has set is honoured, and a client that has one is not sent it again.
            for (at, target) in applications.targets.iter().enumerate() {
                for _ in 0..3 {
                    let answer = ask(&front, Some(keys[at]), false);
                    let expected = Answer {
                        pid: target.pid(),
                        key: None,
                    };
                    assert_eq!(answer, expected, "{policy} {way:?}");
                }
            }
        }
    }
}

#[test]
fn encrypted_keys_are_shared_and_rotated() {
    let applications = Applications::start();
    for (policy, header) in [("Cookie", false), ("CustomHeader", true)] {
        for way in WAYS {
            let affinity = json!({ "Policy": policy });
            let old = applications.front(way, affinity.clone(), &[KEY]);
            let first = ask(&old, None, header);
            let key = first.key.unwrap();
            let key = if header { &key } else { cookie_value(&key) };
            let expected = Answer {
                pid: first.pid,
                key: None,
            };
            for _ in 0..3 {
                assert_eq!(ask(&old, Some(key), header), expected, "{policy} {way:?}");
            }
            // Another front, with a newer key before the shared one.
            let new = applications.front(way, affinity.clone(), &[OTHER_KEY, KEY]);
            for _ in 0..3 {
                assert_eq!(ask(&new, Some(key), header), expected, "{policy} {way:?}");
            }
            // One without it gives the client a new destination, and a new key.
            let stranger = applications.front(way, affinity, &[OTHER_KEY]);
            assert!(ask(&stranger, Some(key), header).key.is_some());
        }
    }
}

#[test]
fn a_key_that_leads_nowhere_is_redistributed_or_answered_503() {
    let applications = Applications::start();
    for way in WAYS {
        let front = applications.front(way, json!({}), &[]);
        let answer = ask(&front, Some("0000000000000000"), false);
        assert!(cookie_value(&answer.key.unwrap()).len() == 16);
        let affinity = json!({ "FailurePolicy": "Return503Error" });
        let front = applications.front(way, affinity, &[]);
        let mut client = front.connect();
        client.send("GET / HTTP/1.1\r\nHost: x\r\nCookie: My.Key=0\r\n\r\n");
        let response = client.response();
        assert_eq!((response.status, response.text().as_str()), (503, ""));
        assert_eq!(response.field("set-cookie"), None);
        // The connection is as good as before.
        assert_eq!(client.ask("GET", "/").status, 200);
    }
}

#[test]
fn a_failed_request_still_binds_its_client() {
    // Reference A6.4.
    let sandbox = Sandbox::new();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", closed.local_addr().unwrap());
    drop(closed);
    let front = sandbox.front(
        &json!({ "ReverseProxy": {
            "Routes": { "all": { "ClusterId": "c", "Match": { "Path": "{**rest}" } } },
            "Clusters": { "c": {
                "SessionAffinity": { "Enabled": true, "AffinityKeyName": "My.Key" },
                "Destinations": { "d1": { "Address": address } },
            } },
        } })
        .to_string(),
    );
    let response = front.ask("GET", "/");
    assert_eq!(response.status, 502);
    let expected = "My.Key=3ca257a575bfff71; path=/; httponly";
    assert_eq!(response.field("set-cookie"), Some(expected));
}

#[test]
fn check_reports_keys_and_names_that_are_none() {
    let sandbox = Sandbox::new();
    let file = sandbox.configuration(
        r#"{ "Ostler": { "DataProtection": { "Keys": [ { "Key": "AAAA" }, {}, { "Key": "!" } ] } },
            "ReverseProxy": {
                "Routes": { "all": { "ClusterId": "c", "Match": { "Path": "{**rest}" } } },
                "Clusters": { "c": { "Destinations": { "d": { "Address": "http://localhost/" } },
                    "SessionAffinity": { "Enabled": true, "AffinityKeyName": "a b", "Policy": "HashCooky" } } } } }"#,
    );
    let check = sandbox.ostler(&["check", "--config", file.to_str().unwrap()]);
    assert!(!check.wait().success());
    for expected in [
        "Ostler:DataProtection:Keys:0:Key: the key has 3 bytes and not 32",
        "Ostler:DataProtection:Keys:1: the key is missing",
        "Ostler:DataProtection:Keys:2:Key: the key is not base64",
        "ReverseProxy:Clusters:c:SessionAffinity:AffinityKeyName: \"a b\" is no name for",
        "there is no session affinity policy \"HashCooky\"",
        "did you mean HashCookie?",
    ] {
        eventually(expected, || check.errors().join("\n").contains(expected));
    }
}
