//! Bearer tokens and key sets: nobody without the key is let in, and what a holder of the key claims
//! is judged whatever it is.
#![no_main]

use std::sync::{Arc, LazyLock};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use libfuzzer_sys::fuzz_target;
use ostler_config::{ConfigurationTree, load};
use ostler_model::ProxyModel;
use ostler_model::policies::{Authorized, BearerScheme, KeySet};

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const NOW: u64 = 1_800_000_000;
const SECTIONS: &str = r#"{ "Authentication": { "Schemes": { "Bearer": {
    "ValidIssuer": "issuer", "ValidAudience": "api", "SigningKeys": [ {
        "Id": "s", "Issuer": "issuer", "Length": 32,
        "Value": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=" } ] } } } }"#;

static SCHEME: LazyLock<Arc<BearerScheme>> = LazyLock::new(|| {
    let mut tree = ConfigurationTree::new();
    tree.add_json("tokens", SECTIONS).expect("it is JSON");
    let loaded = load(&tree);
    assert!(!loaded.diagnostics.has_errors(), "{:?}", loaded.diagnostics);
    let model = ProxyModel::new();
    model.apply(&loaded.settings.proxy).expect("it is a scheme");
    model.bearer_scheme().expect("it is a scheme")
});

fuzz_target!(|input: &str| {
    // An attacker's token: it has no key.
    assert!(SCHEME.authenticate(input, NOW).is_err());
    if let Ok(keys) = KeySet::from_json(input) {
        assert!(!keys.is_empty());
    }
    // A token of whoever has the key, with claims of any shape.
    let Ok(claims) = serde_json::from_str::<serde_json::Value>(input) else {
        return;
    };
    let key = EncodingKey::from_secret(SECRET);
    let Ok(token) = encode(&Header::new(Algorithm::HS256), &claims, &key) else {
        return;
    };
    match SCHEME.authenticate(&token, NOW) {
        Ok(accepted) => assert_eq!(accepted.get("iss"), claims.get("iss")),
        // It goes into a field of the response.
        Err(error) => drop(format!(
            "{error} {:?}",
            Authorized::Challenge(Some(error.clone()))
        )),
    }
});
