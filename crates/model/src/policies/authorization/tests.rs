//! Tokens and policies, case by case.

use std::collections::BTreeMap;
use std::time::Duration;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use ostler_config::schema::{BearerConfig, JsonWebKeySource, SigningKeyConfig};
use serde_json::json;

use super::*;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const NOW: u64 = 1_750_000_000;

fn rsa(which: char) -> EncodingKey {
    EncodingKey::from_rsa_der(match which {
        'a' => include_bytes!("test_keys/rsa-a.der"),
        _ => include_bytes!("test_keys/rsa-b.der"),
    })
}

fn ec() -> EncodingKey {
    EncodingKey::from_ec_der(include_bytes!("test_keys/ec.der"))
}

fn secret() -> EncodingKey {
    EncodingKey::from_secret(SECRET)
}

fn jwk(key: &EncodingKey, algorithm: Algorithm, id: &str) -> Value {
    let mut jwk = Jwk::from_encoding_key(key, algorithm).unwrap();
    jwk.common.key_id = Some(id.to_owned());
    jwk.common.key_algorithm = None;
    serde_json::to_value(&jwk).unwrap()
}

fn config() -> BearerConfig {
    BearerConfig {
        issuers: Some(vec!["issuer".into()]),
        audiences: Some(vec!["api".into(), "other".into()]),
        signing_keys: vec![SigningKeyConfig {
            id: Some("secret".into()),
            secret: SECRET.to_vec(),
        }],
        json_web_keys: Some(JsonWebKeySource::File("keys.json".into())),
        clock_skew: Duration::from_secs(300),
        validate_lifetime: true,
        require_expiration: true,
    }
}

fn scheme() -> BearerScheme {
    let scheme = BearerScheme::new(config());
    let set = json!({ "keys": [
        { "kty": "unheard-of", "kid": "x" },
        jwk(&rsa('a'), Algorithm::RS256, "a"),
        jwk(&ec(), Algorithm::ES256, "ec"),
    ] });
    scheme.set_keys(KeySet::from_json(&set.to_string()).unwrap());
    scheme
}

fn claims() -> Value {
    json!({ "iss": "issuer", "aud": "api", "sub": "me", "nbf": NOW - 60, "exp": NOW + 60 })
}

fn with(more: Value) -> Value {
    let mut claims = claims();
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn token(algorithm: Algorithm, id: Option<&str>, key: &EncodingKey, claims: &Value) -> String {
    let mut header = Header::new(algorithm);
    header.kid = id.map(str::to_owned);
    encode(&header, claims, key).unwrap()
}

fn signed(claims: &Value) -> String {
    token(Algorithm::HS256, Some("secret"), &secret(), claims)
}

#[test]
fn tokens_of_every_kind_are_taken() {
    let scheme = scheme();
    for (algorithm, id, key) in [
        (Algorithm::HS256, Some("secret"), secret()),
        (Algorithm::HS384, None, secret()),
        (Algorithm::HS512, Some("unknown"), secret()),
        (Algorithm::RS256, Some("a"), rsa('a')),
        (Algorithm::RS512, None, rsa('a')),
        (Algorithm::PS256, Some("a"), rsa('a')),
        (Algorithm::ES256, Some("ec"), ec()),
    ] {
        let token = token(algorithm, id, &key, &claims());
        let claims = scheme.authenticate(&token, NOW);
        assert_eq!(claims.unwrap()["sub"], "me", "{algorithm:?} {id:?}");
    }
}

#[test]
fn the_claims_of_a_token_are_checked() {
    let scheme = scheme();
    let expired = NOW - 301;
    let later = NOW + 301;
    for (claims, result) in [
        (with(json!({ "exp": NOW - 299, "nbf": NOW - 400 })), None),
        (
            with(json!({ "exp": expired, "nbf": NOW - 400 })),
            Some(TokenError::Expired(expired)),
        ),
        (with(json!({ "exp": NOW as f64 + 0.5 })), None),
        (without("nbf"), None),
        (
            with(json!({ "nbf": later, "exp": later + 9 })),
            Some(TokenError::NotYetValid(later)),
        ),
        (
            with(json!({ "nbf": NOW + 50, "exp": NOW + 40 })),
            Some(TokenError::Lifetime),
        ),
        (with(json!({ "exp": -1 })), Some(TokenError::Lifetime)),
        (with(json!({ "exp": "never" })), Some(TokenError::Malformed)),
        (without("exp"), Some(TokenError::NoExpiration)),
        (
            with(json!({ "iss": "somebody" })),
            Some(TokenError::Issuer("somebody".into())),
        ),
        (without("iss"), Some(TokenError::Issuer("(null)".into()))),
        (
            with(json!({ "iss": [ "issuer" ] })),
            Some(TokenError::Issuer("(null)".into())),
        ),
        (with(json!({ "aud": [ "x", "other" ] })), None),
        (
            with(json!({ "aud": [ "x", "y" ] })),
            Some(TokenError::Audience("x, y".into())),
        ),
        (
            with(json!({ "aud": "API" })),
            Some(TokenError::Audience("API".into())),
        ),
        (without("aud"), Some(TokenError::Audience("empty".into()))),
    ] {
        let result_of = scheme.authenticate(&signed(&claims), NOW);
        assert_eq!(result_of.err(), result, "{claims}");
    }
}

#[test]
fn what_is_not_to_be_validated_is_not() {
    let scheme = BearerScheme::new(BearerConfig {
        issuers: None,
        audiences: None,
        validate_lifetime: false,
        ..config()
    });
    let token = signed(&json!({ "exp": 5 }));
    assert!(scheme.authenticate(&token, NOW).is_ok());
}

/// A token of any header and claims, signed with HMAC over any secret, or not at all.
fn forged(header: &Value, secret: Option<&[u8]>) -> String {
    let message = format!(
        "{}.{}",
        base64_url(header.to_string().as_bytes()),
        base64_url(claims().to_string().as_bytes())
    );
    let signature = secret.map_or_else(String::new, |secret| {
        jsonwebtoken::crypto::sign(message.as_bytes(), &secret_of(secret), Algorithm::HS256)
            .unwrap()
    });
    format!("{message}.{signature}")
}

fn secret_of(secret: &[u8]) -> EncodingKey {
    EncodingKey::from_secret(secret)
}

fn base64_url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk
            .iter()
            .fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        for at in 0..=chunk.len() {
            let digit = bits >> (18 - 6 * at) & 63;
            text.push(DIGITS[digit as usize] as char);
        }
    }
    text
}

#[test]
fn forgeries_are_refused() {
    let scheme = scheme();
    let public = jwk(&rsa('a'), Algorithm::RS256, "a");
    let modulus = public["n"].as_str().unwrap().to_owned();
    let jwk_text = public.to_string();
    // The forger works: with the right secret its token is good.
    let good = forged(&json!({ "alg": "HS256", "typ": "JWT" }), Some(SECRET));
    assert_eq!(scheme.authenticate(&good, NOW).err(), None);
    let hs256 = |id: &str| json!({ "alg": "HS256", "kid": id });
    for (what, token, error) in [
        (
            "alg none",
            forged(&json!({ "alg": "none" }), None),
            TokenError::Malformed,
        ),
        (
            "alg None, signed",
            forged(&json!({ "alg": "None" }), Some(SECRET)),
            TokenError::Malformed,
        ),
        (
            "no alg",
            forged(&json!({ "typ": "JWT" }), Some(SECRET)),
            TokenError::Malformed,
        ),
        (
            "a public key as secret",
            forged(&hs256("a"), Some(modulus.as_bytes())),
            TokenError::KeyNotFound,
        ),
        (
            "a public key's text as secret",
            forged(&json!({ "alg": "HS256" }), Some(jwk_text.as_bytes())),
            TokenError::Signature,
        ),
        (
            "a header that brings its own key",
            forged(
                &json!({ "alg": "HS256", "jwk": { "kty": "oct", "k": "MDEyMw" } }),
                Some(b"0123"),
            ),
            TokenError::Signature,
        ),
        (
            "unsigned",
            forged(&json!({ "alg": "HS256" }), None),
            TokenError::Signature,
        ),
        (
            "an extension that must be understood",
            forged(
                &json!({ "alg": "HS256", "crit": [ "b64" ], "b64": false }),
                Some(SECRET),
            ),
            TokenError::Malformed,
        ),
        (
            "another secret",
            forged(&hs256("secret"), Some(b"fedcba9876543210")),
            TokenError::Signature,
        ),
        (
            "another RSA key under a known id",
            token(Algorithm::RS256, Some("a"), &rsa('b'), &claims()),
            TokenError::Signature,
        ),
        (
            "another RSA key under its own id",
            token(Algorithm::RS256, Some("b"), &rsa('b'), &claims()),
            TokenError::KeyNotFound,
        ),
        (
            "an algorithm of another kind than the key's",
            token(Algorithm::ES256, Some("a"), &ec(), &claims()),
            TokenError::KeyNotFound,
        ),
    ] {
        assert_eq!(scheme.authenticate(&token, NOW), Err(error), "{what}");
    }
}

#[test]
fn garbage_is_refused() {
    let scheme = scheme();
    let good = signed(&claims());
    for end in 0..good.len() {
        assert!(scheme.authenticate(&good[..end], NOW).is_err(), "{end}");
    }
    for token in [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "e30.e30.e30",
        "\u{e4}.\u{e4}.\u{e4}",
    ] {
        assert_eq!(
            scheme.authenticate(token, NOW),
            Err(TokenError::Malformed),
            "{token}"
        );
    }
    let mut parts: Vec<_> = good.split('.').map(str::to_owned).collect();
    parts[1] = base64_url(with(json!({ "sub": "root" })).to_string().as_bytes());
    let changed = parts.join(".");
    assert_eq!(
        scheme.authenticate(&changed, NOW),
        Err(TokenError::Signature)
    );
}

#[test]
fn an_unknown_key_is_wanted_once() {
    let scheme = scheme();
    scheme.authenticate(&signed(&claims()), NOW).unwrap();
    assert!(!scheme.take_wanted());
    let other = token(Algorithm::RS256, Some("b"), &rsa('b'), &claims());
    assert_eq!(
        scheme.authenticate(&other, NOW),
        Err(TokenError::KeyNotFound)
    );
    assert!(scheme.take_wanted());
    assert!(!scheme.take_wanted());
    let set = json!({ "keys": [ jwk(&rsa('b'), Algorithm::RS256, "b") ] });
    scheme.set_keys(KeySet::from_json(&set.to_string()).unwrap());
    assert!(scheme.authenticate(&other, NOW).is_ok());
    // The keys before are gone.
    let old = token(Algorithm::RS256, Some("a"), &rsa('a'), &claims());
    assert!(scheme.authenticate(&old, NOW).is_err());
}

#[test]
fn key_sets_without_a_usable_key_are_errors() {
    let mut encryption = jwk(&rsa('a'), Algorithm::RS256, "a");
    encryption["use"] = "enc".into();
    let symmetric = json!({ "kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZg", "kid": "s" });
    for text in [
        "".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        json!({ "keys": [] }).to_string(),
        json!({ "keys": [ encryption ] }).to_string(),
        json!({ "keys": [ symmetric ] }).to_string(),
    ] {
        assert!(KeySet::from_json(&text).is_err(), "{text}");
    }
    let mut only = jwk(&rsa('a'), Algorithm::RS256, "a");
    only["alg"] = "RS384".into();
    let set = KeySet::from_json(&json!({ "keys": [ only ] }).to_string()).unwrap();
    assert_eq!(set.candidates(Algorithm::RS384, None).count(), 1);
    assert_eq!(set.candidates(Algorithm::RS256, None).count(), 0);
}

#[test]
fn claims_roles_and_scopes() {
    let policy = |claims: &[(&str, &[&str])], roles: &[&str], scopes: &[&str]| {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        AuthorizationPolicyConfig {
            claims: claims
                .iter()
                .map(|(name, values)| ((*name).to_owned(), owned(values)))
                .collect::<BTreeMap<_, Vec<_>>>(),
            roles: owned(roles),
            scopes: owned(scopes),
        }
    };
    let role = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role";
    for (policy, claims, satisfied) in [
        (policy(&[], &[], &[]), json!({}), true),
        (
            policy(&[("t", &["a", "b"])], &[], &[]),
            json!({ "t": "b" }),
            true,
        ),
        (
            policy(&[("t", &["a"])], &[], &[]),
            json!({ "t": "A" }),
            false,
        ),
        (
            policy(&[("t", &["a"])], &[], &[]),
            json!({ "T": "a" }),
            false,
        ),
        (
            policy(&[("t", &["a"])], &[], &[]),
            json!({ "t": [ "x", "a" ] }),
            true,
        ),
        (policy(&[("t", &["7"])], &[], &[]), json!({ "t": 7 }), true),
        (
            policy(&[("t", &["true"])], &[], &[]),
            json!({ "t": true }),
            true,
        ),
        (policy(&[("t", &[])], &[], &[]), json!({ "t": "any" }), true),
        (policy(&[("t", &[])], &[], &[]), json!({ "t": null }), false),
        (policy(&[("t", &[])], &[], &[]), json!({ "t": [] }), false),
        (policy(&[("t", &[])], &[], &[]), json!({}), false),
        (
            policy(&[("t", &["a"]), ("u", &["b"])], &[], &[]),
            json!({ "t": "a" }),
            false,
        ),
        (
            policy(&[], &["admin", "root"], &[]),
            json!({ "role": "root" }),
            true,
        ),
        (
            policy(&[], &["admin"], &[]),
            json!({ "roles": [ "x", "admin" ] }),
            true,
        ),
        (policy(&[], &["admin"], &[]), json!({ role: "admin" }), true),
        (
            policy(&[], &["admin"], &[]),
            json!({ "roles": "admin x" }),
            false,
        ),
        (
            policy(&[], &["admin"], &[]),
            json!({ "group": "admin" }),
            false,
        ),
        (policy(&[], &[], &["w"]), json!({ "scope": "r w" }), true),
        (
            policy(&[], &[], &["w"]),
            json!({ "scp": [ "r", "w" ] }),
            true,
        ),
        (policy(&[], &[], &["w"]), json!({ "scope": "rw" }), false),
        (
            policy(&[], &["admin"], &["w"]),
            json!({ "scope": "w" }),
            false,
        ),
    ] {
        let claims = claims.as_object().unwrap();
        assert_eq!(
            is_satisfied(&policy, claims),
            satisfied,
            "{policy:?} {claims:?}"
        );
    }
}

fn resolved(fallback: Option<AuthorizationPolicyConfig>, bearer: bool) -> Authorization {
    let admin = AuthorizationPolicyConfig {
        roles: vec!["admin".into()],
        ..Default::default()
    };
    let config = AuthorizationConfig {
        bearer: bearer.then(config),
        policies: vec![("Admin".into(), admin)],
        default_policy: None,
        fallback_policy: fallback,
    };
    Authorization::resolve(&config, &Authorization::default())
}

// R19, reference A11 and A11.1.
#[test]
fn a_route_names_its_policy_without_case() {
    let open = resolved(None, true);
    let closed = resolved(Some(AuthorizationPolicyConfig::default()), true);
    let keyless = resolved(None, false);
    let token = signed(&with(json!({ "roles": [ "admin" ] })));
    let plain = signed(&claims());
    for (what, authorization, name, [none, user, admin]) in [
        ("no policy", &open, None, "aaa"),
        ("fallback", &closed, None, "caa"),
        ("fallback, empty name", &closed, Some(""), "caa"),
        (
            "anonymous beats fallback",
            &closed,
            Some("anonyMOUS"),
            "aaa",
        ),
        ("default", &open, Some("defaulT"), "caa"),
        ("named", &open, Some("aDMIN"), "cfa"),
        ("unknown: nobody", &open, Some("x"), "cff"),
        ("without a scheme: nobody", &keyless, Some("Default"), "ccc"),
    ]
    .map(|(what, authorization, name, outcomes)| {
        let outcomes: Vec<_> = outcomes.chars().collect();
        (
            what,
            authorization,
            name,
            [outcomes[0], outcomes[1], outcomes[2]],
        )
    }) {
        let route = RouteConfig {
            authorization_policy: name.map(str::to_owned),
            ..Default::default()
        };
        let route = authorization.of_route(&route);
        let decide = |token| match &route {
            None => 'a',
            Some(route) => match route.decide(token, NOW) {
                Authorized::Allowed => 'a',
                Authorized::Challenge(_) => 'c',
                Authorized::Forbidden => 'f',
            },
        };
        let found = [decide(None), decide(Some(&plain)), decide(Some(&token))];
        assert_eq!(found, [none, user, admin], "{what}");
    }
}

#[test]
fn a_scheme_that_has_not_changed_keeps_its_keys() {
    let before = resolved(None, true);
    let config = AuthorizationConfig {
        bearer: Some(config()),
        ..Default::default()
    };
    let after = Authorization::resolve(&config, &before);
    let (old, new) = (before.scheme().unwrap(), after.scheme().unwrap());
    assert!(Arc::ptr_eq(old, new));
    let mut changed = config;
    changed.bearer.as_mut().unwrap().audiences = None;
    let other = Authorization::resolve(&changed, &after);
    assert!(!Arc::ptr_eq(new, other.scheme().unwrap()));
}
