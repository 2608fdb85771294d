//! The Bearer scheme: JSON Web Tokens (RFC 7519), validated as ASP.NET's JwtBearer does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Validation, decode, decode_header};
use ostler_config::schema::BearerConfig;
use serde_json::{Map, Value};

use super::key_set::KeySet;
use super::token_error::TokenError;

/// What a token says of its bearer.
pub type Claims = Map<String, Value>;

/// How bearers of tokens are known. Kept across reloads that do not change it, and so are the keys
/// that were fetched for it.
#[derive(Debug)]
pub struct BearerScheme {
    config: BearerConfig,
    /// `SigningKeys`.
    own: KeySet,
    /// Of `JwksFile` or `JwksUrl`; empty until they have been read.
    fetched: ArcSwap<KeySet>,
    /// A token named a key that is not here.
    wanted: AtomicBool,
}

impl BearerScheme {
    pub(super) fn new(config: BearerConfig) -> Self {
        Self {
            own: KeySet::of_secrets(&config.signing_keys),
            fetched: ArcSwap::default(),
            wanted: AtomicBool::new(false),
            config,
        }
    }

    /// What the configuration says.
    pub fn config(&self) -> &BearerConfig {
        &self.config
    }

    /// Takes the keys of `JwksFile` or `JwksUrl` in the place of those before.
    pub fn set_keys(&self, keys: KeySet) {
        self.fetched.store(Arc::new(keys));
    }

    /// Whether a token has named a key that is not here since this was last asked: the issuer may
    /// have a new one.
    pub fn take_wanted(&self) -> bool {
        self.wanted.swap(false, Ordering::Relaxed)
    }

    /// Who bears a token; `now` is in seconds since 1970.
    ///
    /// # Errors
    ///
    /// What is wrong with it. Its signature comes first: of a token that anybody could have made
    /// nothing else is said.
    pub fn authenticate(&self, token: &str, now: u64) -> Result<Claims, TokenError> {
        let claims = self.verify(token)?;
        self.check_lifetime(&claims, now)?;
        self.check_audience(&claims)?;
        self.check_issuer(&claims)?;
        Ok(claims)
    }

    fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        // `none` and what else is not known fail here.
        let header = decode_header(token).map_err(|_| TokenError::Malformed)?;
        // Extensions that must be understood are not (RFC 7515 section 4.1.11), nor is encryption.
        if header.crit.is_some() || header.enc.is_some() || header.zip.is_some() {
            return Err(TokenError::Malformed);
        }
        let fetched = self.fetched.load();
        let mut id = header.kid.as_deref();
        if let Some(named) = id
            && !self.own.has(named)
            && !fetched.has(named)
        {
            if self.config.json_web_keys.is_some() {
                self.wanted.store(true, Ordering::Relaxed);
            }
            // As in ASP.NET, each key is tried then.
            id = None;
        }
        let mut validation = Validation::new(header.alg);
        // These are checked here: with the configuration's skew, and a clock that is given.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let mut error = TokenError::KeyNotFound;
        let own = self.own.candidates(header.alg, id);
        for key in own.chain(fetched.candidates(header.alg, id)) {
            match decode::<Claims>(token, key, &validation) {
                Ok(token) => return Ok(token.claims),
                Err(failed) => match failed.kind() {
                    ErrorKind::InvalidSignature => error = TokenError::Signature,
                    ErrorKind::Json(_) | ErrorKind::Utf8(_) | ErrorKind::Base64(_) => {
                        return Err(TokenError::Malformed);
                    }
                    _ => {}
                },
            }
        }
        // Without the key that it names, nothing is known of the signature.
        if header.kid.is_some() && id.is_none() {
            error = TokenError::KeyNotFound;
        }
        Err(error)
    }

    fn check_lifetime(&self, claims: &Claims, now: u64) -> Result<(), TokenError> {
        if !self.config.validate_lifetime {
            return Ok(());
        }
        let skew = self.config.clock_skew.as_secs();
        let (begin, end) = (moment(claims, "nbf")?, moment(claims, "exp")?);
        if end.is_none() && self.config.require_expiration {
            return Err(TokenError::NoExpiration);
        }
        if let (Some(begin), Some(end)) = (begin, end)
            && begin > end
        {
            return Err(TokenError::Lifetime);
        }
        match (begin, end) {
            (Some(begin), _) if begin > now.saturating_add(skew) => {
                Err(TokenError::NotYetValid(begin))
            }
            (_, Some(end)) if end < now.saturating_sub(skew) => Err(TokenError::Expired(end)),
            _ => Ok(()),
        }
    }

    fn check_audience(&self, claims: &Claims) -> Result<(), TokenError> {
        let Some(valid) = &self.config.audiences else {
            return Ok(());
        };
        let own = match claims.get("aud") {
            Some(Value::String(one)) => vec![one.as_str()],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if own.iter().any(|own| valid.iter().any(|valid| valid == own)) {
            return Ok(());
        }
        let said = if own.is_empty() {
            "empty".to_owned()
        } else {
            own.join(", ")
        };
        Err(TokenError::Audience(said))
    }

    fn check_issuer(&self, claims: &Claims) -> Result<(), TokenError> {
        let Some(valid) = &self.config.issuers else {
            return Ok(());
        };
        let own = claims.get("iss").and_then(Value::as_str);
        match own {
            Some(own) if valid.iter().any(|valid| valid == own) => Ok(()),
            own => Err(TokenError::Issuer(own.unwrap_or("(null)").to_owned())),
        }
    }
}

/// A NumericDate (RFC 7519 section 2); what stands in its place and is none makes the token wrong.
fn moment(claims: &Claims, name: &str) -> Result<Option<u64>, TokenError> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => {
            let seconds = value.as_f64().ok_or(TokenError::Malformed)?;
            if seconds < 0.0 {
                return Err(TokenError::Lifetime);
            }
            Ok(Some(value.as_u64().unwrap_or(seconds as u64)))
        }
    }
}
