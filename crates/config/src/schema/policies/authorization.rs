//! `Authorization` and `Authentication` as it is written.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// `Authorization` and `Authentication`: the policies that routes name, and how it is known who
/// asks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AuthorizationConfig {
    /// `Authentication:Schemes:Bearer`, the one scheme there is.
    pub bearer: Option<BearerConfig>,
    /// `Authorization:Policies`, each with its name, which compares without case.
    pub policies: Vec<(String, AuthorizationPolicyConfig)>,
    /// `Authorization:DefaultPolicy`, of routes that name `Default`; absent is an authenticated user.
    pub default_policy: Option<AuthorizationPolicyConfig>,
    /// `Authorization:FallbackPolicy`, of routes that name none; absent is no check at all.
    pub fallback_policy: Option<AuthorizationPolicyConfig>,
}

impl AuthorizationConfig {
    /// The names of the policies, for routes to be checked against.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.policies.iter().map(|(name, _)| name.as_str())
    }
}

/// What a policy asks of a user. All of it must hold, and any of the values in each list. A policy
/// that asks nothing still asks for an authenticated user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthorizationPolicyConfig {
    /// `RequireClaims`: claims with the values allowed; any value where there are none.
    pub claims: BTreeMap<String, Vec<String>>,
    /// `RequireRoles`: roles, any of which will do; empty asks for none.
    pub roles: Vec<String>,
    /// `RequireScopes`: scopes, any of which will do; empty asks for none.
    pub scopes: Vec<String>,
}

/// `Authentication:Schemes:Bearer`: JSON Web Tokens (RFC 7519), as ASP.NET's JwtBearer reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BearerConfig {
    /// `ValidIssuer` and `ValidIssuers`; `None` where `ValidateIssuer` is false.
    pub issuers: Option<Vec<String>>,
    /// `ValidAudience` and `ValidAudiences`; `None` where `ValidateAudience` is false.
    pub audiences: Option<Vec<String>>,
    /// `SigningKeys`, symmetric; those of issuers that are not valid are left out.
    pub signing_keys: Vec<SigningKeyConfig>,
    /// Where the issuer's public keys are.
    pub json_web_keys: Option<JsonWebKeySource>,
    /// `ClockSkew`: 5 minutes by default.
    pub clock_skew: Duration,
    /// `ValidateLifetime`: whether a token's time is looked at. True by default.
    pub validate_lifetime: bool,
    /// `RequireExpirationTime`: whether a token must have an end. True by default.
    pub require_expiration: bool,
}

/// Where a JSON Web Key Set (RFC 7517) is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonWebKeySource {
    /// `JwksFile`: a file, read again when it changes.
    File(String),
    /// `JwksUrl`: an http URL, fetched now and then.
    Url(String),
}

/// One entry of `SigningKeys`, as `dotnet user-jwts` writes it.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKeyConfig {
    /// `Id`, which a token's `kid` may name.
    pub id: Option<String>,
    /// `Value`, decoded.
    pub secret: Vec<u8>,
}

/// The secret stays out of logs.
impl fmt::Debug for SigningKeyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKeyConfig")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
