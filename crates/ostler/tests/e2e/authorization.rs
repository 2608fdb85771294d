//! Who may use a route (reference A11.1), by either way: 401, 403, and keys that come and go.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::destinations::{Destination, Speaks};
use crate::support::routes_both_ways::{RoutesBothWays, WAYS};
use crate::support::{PATIENCE, Response, Sandbox, eventually};

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const SECRET_BASE64: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

const ROUTES: &[(&str, &str)] = &[
    ("open", ""),
    ("anonymous", r#""AuthorizationPolicy": "Anonymous""#),
    ("user", r#""AuthorizationPolicy": "defaulT""#),
    ("admin", r#""AuthorizationPolicy": "ADMIN""#),
];

/// The sections of a configuration whose Bearer scheme has these keys.
fn sections(keys: &str, more: &str) -> String {
    format!(
        r#""Authentication": {{ "Schemes": {{ "Bearer": {{
             "ValidIssuer": "issuer", "ValidAudience": "api", {keys} }} }} }},
           "Authorization": {{ {more} "Policies": {{ "admin": {{
             "RequireRoles": [ "admin" ], "RequireClaims": {{ "tenant": [ "a", "b" ] }} }} }} }}"#
    )
}

fn secret() -> String {
    format!(
        r#""SigningKeys": [ {{ "Id": "s", "Issuer": "issuer", "Value": "{SECRET_BASE64}", "Length": 32 }} ]"#
    )
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

fn claims(more: Value) -> Value {
    let mut claims = json!({ "iss": "issuer", "aud": "api", "exp": now() + 600 });
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn hs256(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET);
    encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
}

fn rsa(which: char) -> EncodingKey {
    EncodingKey::from_rsa_der(match which {
        'a' => include_bytes!("keys/rsa-a.der"),
        _ => include_bytes!("keys/rsa-b.der"),
    })
}

fn rs256(which: char) -> String {
    let mut header = Header::new(Algorithm::RS256);
    header.kid = Some(which.to_string());
    encode(&header, &claims(json!({})), &rsa(which)).unwrap()
}

/// A key set with these keys.
fn key_set(which: &[char]) -> String {
    let keys: Vec<_> = which
        .iter()
        .map(|which| {
            let mut jwk = Jwk::from_encoding_key(&rsa(*which), Algorithm::RS256).unwrap();
            jwk.common.key_id = Some(which.to_string());
            jwk
        })
        .collect();
    json!({ "keys": keys }).to_string()
}

fn ask(both: &RoutesBothWays, path: &str, token: Option<&str>) -> Response {
    let mut client = both.front.connect();
    let field = token.map_or_else(String::new, |token| {
        format!("Authorization: Bearer {token}\r\n")
    });
    client.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n{field}\r\n"));
    client.response()
}

fn status(both: &RoutesBothWays, path: &str, token: Option<&str>) -> u16 {
    ask(both, path, token).status
}

#[test]
fn who_is_let_in() {
    let both = RoutesBothWays::new(&sections(&secret(), ""), ROUTES);
    let user = hs256(&claims(json!({ "tenant": "a" })));
    let admin = hs256(&claims(json!({ "tenant": "b", "role": [ "x", "admin" ] })));
    let elsewhere = hs256(&claims(json!({ "tenant": "c", "role": "admin" })));
    for way in WAYS {
        for (route, [nobody, by_user, by_admin, by_other]) in [
            ("open", [200, 200, 200, 200]),
            ("anonymous", [200, 200, 200, 200]),
            ("user", [401, 200, 200, 200]),
            ("admin", [401, 403, 200, 403]),
        ] {
            let path = format!("/{way}/{route}/");
            let found = [None, Some(&user), Some(&admin), Some(&elsewhere)]
                .map(|token| status(&both, &path, token.map(String::as_str)));
            assert_eq!(found, [nobody, by_user, by_admin, by_other], "{path}");
        }
    }
}

#[test]
fn the_challenge_says_what_is_wrong_with_a_token() {
    let both = RoutesBothWays::new(&sections(&secret(), ""), ROUTES);
    let invalid = "Bearer error=\"invalid_token\"";
    for way in WAYS {
        let path = format!("/{way}/user/");
        let described = |text: &str| format!("{invalid}, error_description=\"{text}\"");
        for (token, challenge) in [
            (None, "Bearer".to_owned()),
            (Some("garbage".to_owned()), invalid.to_owned()),
            (
                Some(hs256(&claims(json!({ "exp": 86_400 })))),
                described("The token expired at '01/02/1970 00:00:00'"),
            ),
            (
                Some(hs256(&claims(json!({ "aud": "x\"\r\ny" })))),
                described("The audience 'xy' is invalid"),
            ),
            (
                Some(rs256('a')),
                described("The signature key was not found"),
            ),
        ] {
            let answer = ask(&both, &path, token.as_deref());
            assert_eq!(answer.status, 401, "{path}");
            assert_eq!(
                answer.field("www-authenticate"),
                Some(&*challenge),
                "{path}"
            );
        }
    }
    // Two tokens are as good as none, even if one of them is right.
    let mut client = both.front.connect();
    let token = hs256(&claims(json!({})));
    client.send(format!(
        "GET /d/user/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Authorization: Basic eDp5\r\n\r\n"
    ));
    assert_eq!(client.response().status, 401);
    // What was sent is not in the log, whatever became of it.
    for line in both.front.process.errors() {
        assert!(!line.contains(token.rsplit('.').next().unwrap()), "{line}");
    }
}

#[test]
fn a_connection_survives_a_refusal_and_a_refused_body_is_not_taken_for_a_request() {
    let both = RoutesBothWays::new(&sections(&secret(), ""), ROUTES);
    let token = hs256(&claims(json!({})));
    for way in WAYS {
        let mut client = both.front.connect();
        assert_eq!(client.ask("GET", &format!("/{way}/user/")).status, 401);
        client.send(format!(
            "GET /{way}/user/echo HTTP/1.1\r\nHost: x\r\nAuthorization: bearer {token}\r\n\r\n"
        ));
        let answer = client.response();
        assert_eq!(answer.status, 200, "{way}");
        // The application sees the token as it was sent.
        let fields = answer.json()["fields"].to_string();
        assert!(fields.contains(&format!("bearer {token}")), "{fields}");
        client.send(format!(
            "POST /{way}/user/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n\
             GET /{way}/open/ HTTP/1.1\r\nHost: x\r\n\r\n"
        ));
        assert_eq!(client.response().status, 401, "{way}");
        assert!(client.is_closed(), "{way}");
    }
}

#[test]
fn a_fallback_policy_is_for_routes_that_name_none() {
    let fallback = r#""FallbackPolicy": { "RequireAuthenticatedUser": true },"#;
    let both = RoutesBothWays::new(&sections(&secret(), fallback), ROUTES);
    let token = hs256(&claims(json!({})));
    for way in WAYS {
        let open = format!("/{way}/open/");
        assert_eq!(status(&both, &open, None), 401, "{way}");
        assert_eq!(status(&both, &open, Some(&token)), 200, "{way}");
        let anonymous = format!("/{way}/anonymous/");
        assert_eq!(status(&both, &anonymous, None), 200, "{way}");
    }
}

#[test]
fn a_policy_without_a_scheme_is_an_error_of_the_configuration() {
    let sandbox = Sandbox::new();
    let path = sandbox.configuration(
        r#"{ "ReverseProxy": { "Routes": { "r": { "ClusterId": "c", "AuthorizationPolicy": "Default",
             "Match": { "Path": "/" } } }, "Clusters": { "c": {} } } }"#,
    );
    let front = sandbox.ostler(&["run", "--config", path.to_str().unwrap()]);
    assert_eq!(front.wait().code(), Some(64));
    let errors = front.errors().join("\n");
    assert!(
        errors.contains("ReverseProxy:Routes:r:AuthorizationPolicy"),
        "{errors}"
    );
    assert!(
        errors.contains("configure Authentication:Schemes:Bearer"),
        "{errors}"
    );
}

/// Replaces a file in one step, as tools that rotate keys do.
fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(beside, path).unwrap();
}

#[test]
fn keys_of_a_file_are_read_again_when_it_changes() {
    let folder = Sandbox::new();
    let file = folder.path().join("keys.json");
    std::fs::write(&file, key_set(&['a'])).unwrap();
    let keys = format!(r#""JwksFile": {:?}"#, file.to_str().unwrap());
    let both = RoutesBothWays::new(&sections(&keys, ""), ROUTES);
    let (a, b) = (rs256('a'), rs256('b'));
    for way in WAYS {
        let path = format!("/{way}/user/");
        assert_eq!(status(&both, &path, Some(&a)), 200, "{way}");
        assert_eq!(status(&both, &path, Some(&b)), 401, "{way}");
        replace(&file, &key_set(&['b']));
        eventually("the new key is in force", || {
            status(&both, &path, Some(&b)) == 200
        });
        assert_eq!(status(&both, &path, Some(&a)), 401, "{way}");
        // What is no key set changes nothing.
        replace(&file, "{ \"keys\": [");
        eventually("the file is said to be wrong", || {
            let errors = both.front.process.errors();
            errors
                .iter()
                .any(|line| line.contains("signing keys cannot be had"))
        });
        assert_eq!(status(&both, &path, Some(&b)), 200, "{way}");
        replace(&file, &key_set(&['a']));
        eventually("the old key is in force", || {
            status(&both, &path, Some(&a)) == 200
        });
    }
}

#[test]
fn an_issuers_key_that_is_too_small_is_told_when_it_is_read() {
    let folder = Sandbox::new();
    let file = folder.path().join("keys.json");
    let modulus = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode([0xc5; 128]);
    let small = json!({ "kty": "RSA", "kid": "small", "n": modulus, "e": "AQAB" });
    std::fs::write(&file, json!({ "keys": [small] }).to_string()).unwrap();
    let keys = format!(r#""JwksFile": {:?}"#, file.to_str().unwrap());
    let both = RoutesBothWays::new(&sections(&keys, ""), ROUTES);
    eventually("the key is said to be too small", || {
        let errors = both.front.process.errors();
        errors
            .iter()
            .any(|line| line.contains("the RSA key small has 1024 bits"))
    });
    // Beside one that will do it is left out.
    let mut set: Value = serde_json::from_str(&key_set(&['a'])).unwrap();
    set["keys"].as_array_mut().unwrap().push(small);
    replace(&file, &set.to_string());
    eventually("the other key is in force", || {
        let path = format!("/{}/user/", WAYS[0]);
        status(&both, &path, Some(&rs256('a'))) == 200
    });
    let errors = both.front.process.errors().join("\n");
    assert!(errors.contains("a signing key is left out"), "{errors}");
}

#[test]
fn keys_of_a_url_are_fetched_and_nobody_is_let_in_before() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let keys = format!(r#""RequireHttpsMetadata": false, "JwksUrl": "{url}""#);
    let both = RoutesBothWays::new(&sections(&keys, ""), ROUTES);
    let a = rs256('a');
    // The listener takes the connection and says nothing yet.
    for way in WAYS {
        assert_eq!(
            status(&both, &format!("/{way}/user/"), Some(&a)),
            401,
            "{way}"
        );
        assert_eq!(status(&both, &format!("/{way}/open/"), None), 200, "{way}");
    }
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    // Ends with the test's process; it waits for nothing but a connection.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            let mut seen = seen.lock().unwrap();
            seen.push(String::from_utf8(request).unwrap());
            // The first answer is none; the front asks again.
            let (line, body) = match seen.len() {
                1 => ("500 Sorry", String::new()),
                _ => ("200 OK", key_set(&['a'])),
            };
            let length = body.len();
            let head =
                format!("HTTP/1.1 {line}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(body.as_bytes()).unwrap();
        }
    });
    eventually("the keys are fetched", || {
        status(&both, "/d/user/", Some(&a)) == 200
    });
    assert_eq!(status(&both, "/f/user/", Some(&a)), 200);
    let asked = asked.lock().unwrap();
    assert!(
        asked
            .iter()
            .all(|request| request.starts_with("GET /keys HTTP/1.1\r\n"))
    );
    assert!(asked.len() >= 2);
}

#[test]
fn keys_are_fetched_over_https_from_whom_the_system_believes() {
    let issuer = Destination::saying(Speaks::TlsHttp1, Some(key_set(&['a'])));
    let keys = format!(
        r#""JwksUrl": "https://localhost:{}/keys""#,
        issuer.address.port()
    );
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let json = format!(
        r#"{{ {}, "ReverseProxy": {{ "Pipeline": [ "HttpSysDelegation" ],
            "Routes": {{ "all": {{ "ClusterId": "c", "AuthorizationPolicy": "Default",
                "Match": {{ "Path": "{{**rest}}" }} }} }},
            "Clusters": {{ "c": {{ "Destinations": {{ "d": {{ "Address": "http://*:80/",
                "Metadata": {{ "HttpSysDelegationQueue": "q" }} }} }} }} }} }} }}"#,
        sections(&keys, "")
    );
    let roots = sandbox.path().join("roots.pem");
    std::fs::write(&roots, issuer.certificate.as_deref().unwrap()).unwrap();
    let trusting = sandbox.front_in(&json, &[("SSL_CERT_FILE", roots.to_str().unwrap())]);
    let token = rs256('a');
    let ask = |front: &crate::support::Front| {
        let mut client = front.connect();
        client.send(format!(
            "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        ));
        client.response().status
    };
    eventually("the keys are fetched", || ask(&trusting) == 200);
    // Who does not believe the certificate has no keys, and lets nobody in.
    let strict = sandbox.front(&json);
    eventually("the certificate is refused", || {
        let log = strict.process.errors().join("\n");
        log.contains("signing keys cannot be had") || log.contains("cannot be fetched")
    });
    assert_eq!(ask(&strict), 401);
}
