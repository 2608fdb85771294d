//! The keys that verify tokens. A symmetric key verifies HMACs and nothing else, a public key
//! signatures of its own kind: who knows a public key cannot make a token with it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use ostler_config::schema::SigningKeyConfig;
use serde_json::Value;

/// Keys.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
    too_weak: Vec<WeakKey>,
}

/// An RSA key that is left out for its size: nothing verifies a signature with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the RSA key {} has {bits} bits, and {SMALLEST_RSA} to {LARGEST_RSA} are needed", id.as_deref().unwrap_or("without an id"))]
pub struct WeakKey {
    /// Its `kid`, if it has one.
    pub id: Option<String>,
    /// The length of its modulus.
    pub bits: usize,
}

/// What the library that verifies takes.
const SMALLEST_RSA: usize = 2048;
const LARGEST_RSA: usize = 8192;

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
    /// Those that could be used by their kind have the wrong size.
    #[error("it has no key that can be used")]
    TooWeak(#[source] WeakKey),
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
        Self {
            keys: keys.collect(),
            too_weak: Vec::new(),
        }
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
        let mut set = Self::default();
        for key in keys {
            if set.keys.len() + set.too_weak.len() == MOST {
                break;
            }
            let Ok(key) = serde_json::from_value::<Jwk>(key.clone()) else {
                continue;
            };
            match too_weak(&key) {
                Some(weak) => set.too_weak.push(weak),
                None => set.keys.extend(of_jwk(&key)),
            }
        }
        match (set.keys.is_empty(), set.too_weak.first()) {
            (false, _) => Ok(set),
            (true, Some(weak)) => Err(JsonWebKeysError::TooWeak(weak.clone())),
            (true, None) => Err(JsonWebKeysError::Empty),
        }
    }

    /// Keys that were left out although their kind would do.
    pub fn too_weak(&self) -> &[WeakKey] {
        &self.too_weak
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.id.as_deref() == Some(id))
    }

    /// The keys that may have signed with an algorithm, those of an id if it is given.
    pub(super) fn candidates<'k>(
        &'k self,
        algorithm: Algorithm,
        id: Option<&'k str>,
    ) -> impl Iterator<Item = &'k DecodingKey> {
        self.keys
            .iter()
            .filter(move |key| id.is_none() || key.id.as_deref() == id)
            .filter(move |key| key.algorithms.contains(&algorithm))
            .map(|key| &key.key)
    }
}

/// Whether a key is of RSA and of no size that can be verified with.
fn too_weak(jwk: &Jwk) -> Option<WeakKey> {
    let AlgorithmParameters::RSA(key) = &jwk.algorithm else {
        return None;
    };
    let modulus = URL_SAFE_NO_PAD.decode(&key.n).ok()?;
    let leading = modulus.iter().position(|byte| *byte != 0)?;
    let first = modulus.get(leading)?;
    let bits = (modulus.len() - leading) * 8 - first.leading_zeros() as usize;
    (!(SMALLEST_RSA..=LARGEST_RSA).contains(&bits)).then(|| WeakKey {
        id: jwk.common.key_id.clone(),
        bits,
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, modulus: &[u8]) -> Value {
        let modulus = URL_SAFE_NO_PAD.encode(modulus);
        serde_json::json!({ "kty": "RSA", "kid": id, "n": modulus, "e": "AQAB" })
    }

    #[test]
    fn an_rsa_key_that_nothing_verifies_with_is_left_out_and_told() {
        let (small, large) = (key("small", &[0xc5; 128]), key("large", &[0xc5; 256]));
        let set = serde_json::json!({ "keys": [small, large] }).to_string();
        let set = KeySet::from_json(&set).unwrap();
        assert!(set.has("large") && !set.has("small"));
        let told: Vec<_> = set.too_weak().iter().map(ToString::to_string).collect();
        let wanted = "the RSA key small has 1024 bits, and 2048 to 8192 are needed";
        assert_eq!(told, [wanted]);
        let alone = serde_json::json!({ "keys": [small] }).to_string();
        let error = KeySet::from_json(&alone).unwrap_err();
        assert!(matches!(
            error,
            JsonWebKeysError::TooWeak(WeakKey { bits: 1024, .. })
        ));
    }

    #[test]
    fn leading_zeros_of_a_modulus_are_no_bits() {
        let mut modulus = vec![0, 0];
        modulus.extend([0x80; 256]);
        for (modulus, bits) in [
            (&modulus[..], None),
            (&modulus[4..], Some(2032)),
            (&[0], None),
        ] {
            let key: Jwk = serde_json::from_value(key("k", modulus)).unwrap();
            assert_eq!(too_weak(&key).map(|weak| weak.bits), bits);
        }
    }
}
