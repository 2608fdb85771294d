//! The keys that verify tokens. A symmetric key verifies HMACs and nothing else, a public key
//! signatures of its own kind: who knows a public key cannot make a token with it.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use ostler_config::schema::SigningKeyConfig;
use serde_json::Value;

/// Keys.
#[derive(Debug, Default)]
pub struct KeySet(Vec<Key>);

#[derive(Debug)]
struct Key {
    id: Option<String>,
    algorithms: &'static [Algorithm],
    key: DecodingKey,
}

/// A text is no JSON Web Key Set (RFC 7517).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonWebKeysError {
    /// It is no JSON.
    #[error("it is no JSON")]
    Malformed(#[source] serde_json::Error),
    /// None of its keys can be used.
    #[error("it has no key that can be used: RSA, P-256 or P-384, for signatures")]
    Empty,
}

/// More than any issuer has at a time; each may be tried for each token.
const MOST: usize = 100;

const HMAC: &[Algorithm] = &[Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
const RSA: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];
const P256: &[Algorithm] = &[Algorithm::ES256];
const P384: &[Algorithm] = &[Algorithm::ES384];

impl KeySet {
    /// Symmetric keys of a configuration.
    pub(super) fn of_secrets(keys: &[SigningKeyConfig]) -> Self {
        let keys = keys.iter().map(|key| Key {
            id: key.id.clone(),
            algorithms: HMAC,
            key: DecodingKey::from_secret(&key.secret),
        });
        Self(keys.collect())
    }

    /// Reads a JSON Web Key Set. Keys of a kind that cannot be used here are left out, symmetric
    /// ones too: whoever can read a key set could make tokens with them.
    ///
    /// # Errors
    ///
    /// When it is none, or nothing in it can be used.
    pub fn from_json(text: &str) -> Result<Self, JsonWebKeysError> {
        let set: Value = serde_json::from_str(text).map_err(JsonWebKeysError::Malformed)?;
        // Each key on its own: one of an unknown kind does not make the others useless (RFC 7517
        // section 5).
        let Some(keys) = set.get("keys").and_then(Value::as_array) else {
            return Err(JsonWebKeysError::Empty);
        };
        let keys = keys.iter().filter_map(|key| {
            let key: Jwk = serde_json::from_value(key.clone()).ok()?;
            of_jwk(&key)
        });
        let keys: Vec<_> = keys.take(MOST).collect();
        if keys.is_empty() {
            return Err(JsonWebKeysError::Empty);
        }
        Ok(Self(keys))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.0.iter().any(|key| key.id.as_deref() == Some(id))
    }

    /// The keys that may have signed with an algorithm, those of an id if it is given.
    pub(super) fn candidates<'k>(
        &'k self,
        algorithm: Algorithm,
        id: Option<&'k str>,
    ) -> impl Iterator<Item = &'k DecodingKey> {
        self.0
            .iter()
            .filter(move |key| id.is_none() || key.id.as_deref() == id)
            .filter(move |key| key.algorithms.contains(&algorithm))
            .map(|key| &key.key)
    }
}

fn of_jwk(jwk: &Jwk) -> Option<Key> {
    if !matches!(
        jwk.common.public_key_use,
        None | Some(PublicKeyUse::Signature)
    ) {
        return None;
    }
    let family = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => RSA,
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => P256,
            EllipticCurve::P384 => P384,
            _ => return None,
        },
        _ => return None,
    };
    // A key that names its algorithm is for that one only (RFC 7517 section 4.4).
    let algorithms = match jwk.common.key_algorithm {
        None => family,
        Some(named) => {
            let named = named.to_string();
            let at = family.iter().position(|own| format!("{own:?}") == named)?;
            &family[at..=at]
        }
    };
    Some(Key {
        id: jwk.common.key_id.clone(),
        algorithms,
        key: DecodingKey::from_jwk(jwk).ok()?,
    })
}
