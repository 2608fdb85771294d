//! `Authorization` and `Authentication`: reading and validating (reference A11, A11.1).
//!
//! Whatever would leave a door open that somebody meant to close is an error, not a warning.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::diagnostics::{Diagnostics, Severity};
use crate::keys;
use crate::leaf::{self, TimeSpan};
use crate::nearest::suggestion;
use crate::reader::{Reader, note};
use crate::schema::{
    AuthorizationConfig, AuthorizationPolicyConfig, BearerConfig, JsonWebKeySource,
    SigningKeyConfig,
};
use crate::tree::key::same;
use crate::tree::{ConfigurationTree, Section};

const BEARER: &str = "Authentication:Schemes:Bearer";

/// ASP.NET's default.
const CLOCK_SKEW: Duration = Duration::from_secs(300);

/// Shorter secrets can be guessed; ASP.NET refuses them too.
const SHORTEST_SECRET: usize = 16;

/// Reads `Authorization` and `Authentication`.
pub(super) fn read(tree: &ConfigurationTree, diagnostics: &mut Diagnostics) -> AuthorizationConfig {
    refuse_other_authentication(&tree.section("Authentication"), diagnostics);
    let bearer = bearer(tree, diagnostics);
    let mut reader = Reader::new(
        tree.section("Authorization"),
        &keys::AUTHORIZATION,
        diagnostics,
    );
    let default = reader.child("DefaultPolicy");
    let default_policy = (!default.is_empty()).then(|| policy(default, reader.diagnostics));
    let fallback = reader.child("FallbackPolicy");
    if fallback.is_empty() && is_written(&reader.section, "FallbackPolicy") {
        // An empty object is null once it is read, and no policy at all would be the result.
        let remedy = "remove it, or set RequireAuthenticatedUser to true in it".to_owned();
        reader.error(&fallback, "the policy says nothing", Some(remedy));
    }
    let fallback_policy = (!fallback.is_empty()).then(|| policy(fallback, reader.diagnostics));
    if fallback_policy.is_some() && bearer.is_none() {
        let at = reader.section.child("FallbackPolicy");
        let message = "no authentication scheme can tell who asks, so nobody would be let in";
        reader.error(&at, message, Some(format!("configure {BEARER}")));
    }
    let mut policies = Vec::new();
    for (name, section) in reader.entries("Policies") {
        if same(name, "Default") || same(name, "Anonymous") {
            let message = format!("{name:?} is reserved");
            let remedy = "choose another name; for routes that name Default, set \
                          Authorization:DefaultPolicy";
            reader.error(&section, message, Some(remedy.to_owned())); // R20
            continue;
        }
        policies.push((name.to_owned(), policy(section, reader.diagnostics)));
    }
    reader.finish();
    AuthorizationConfig {
        bearer,
        policies,
        default_policy,
        fallback_policy,
    }
}

/// Whoever configures another way to authenticate believes that somebody is asked by it. Passed over, it
/// would leave every route open that relies on it.
fn refuse_other_authentication(section: &Section<'_>, diagnostics: &mut Diagnostics) {
    let refuse = |at: &Section<'_>, message: String, diagnostics: &mut Diagnostics| {
        let remedy = format!("configure {BEARER}, or remove it");
        note(diagnostics, Severity::Error, at, message, Some(remedy));
    };
    for (name, at) in section.children().filter(|(_, at)| !at.is_empty()) {
        if same(name, "Schemes") {
            for (scheme, at) in at.children().filter(|(_, at)| !at.is_empty()) {
                if keys::SCHEMES.key(scheme).is_none() {
                    let message = format!(
                        "the authentication scheme {scheme:?} is unknown: nobody would be asked by it"
                    );
                    refuse(&at, message, diagnostics);
                }
            }
        } else if keys::AUTHENTICATION.key(name).is_some() {
            let scheme = at.value().unwrap_or_default();
            if !same(scheme, "Bearer") {
                let message = format!("there is no authentication scheme {scheme:?}, only Bearer");
                refuse(&at, message, diagnostics);
            }
        } else {
            let message = format!(
                "{name:?} is no way to authenticate that is known: nobody would be asked by it"
            );
            refuse(&at, message, diagnostics);
        }
    }
}

fn is_written(section: &Section<'_>, key: &str) -> bool {
    section.children().any(|(name, _)| same(name, key))
}

fn policy(section: Section<'_>, diagnostics: &mut Diagnostics) -> AuthorizationPolicyConfig {
    let mut reader = Reader::new(section, &keys::AUTHORIZATION_POLICY, diagnostics);
    let at = reader.section.clone();
    if at.value().is_some_and(|text| !text.is_empty()) {
        let message = "a policy is an object, and this is a single value";
        reader.error(&at, message, None);
    }
    for (name, unknown) in at.children() {
        // Elsewhere a misspelt key has no effect. Here that would open the door.
        if keys::AUTHORIZATION_POLICY.key(name).is_none() {
            let message = format!("a policy has no {name:?}");
            let remedy = suggestion(name, &keys::AUTHORIZATION_POLICY.names());
            reader.error(&unknown, message, Some(remedy));
        }
    }
    let authenticated = reader.parsed("RequireAuthenticatedUser", leaf::boolean);
    let mut claims = BTreeMap::new();
    for (name, section) in reader.entries("RequireClaims") {
        if section.split_from().is_some() {
            let message = "the claim's name is cut at its `:`";
            reader.error(&section, message, None);
        }
        // What was written as a single value must not become "any value".
        if let Some(text) = section.value().filter(|text| !text.is_empty()) {
            let remedy = format!("write it as [ {text:?} ]");
            reader.error(&section, "the values of a claim are an array", Some(remedy));
        }
        let values = section.children();
        let values = values.map(|(_, value)| value.value().unwrap_or_default().to_owned());
        claims.insert(name.to_owned(), values.collect());
    }
    let policy = AuthorizationPolicyConfig {
        claims,
        roles: names(&mut reader, "RequireRoles"),
        scopes: names(&mut reader, "RequireScopes"),
    };
    if authenticated == Some(false) && policy == AuthorizationPolicyConfig::default() {
        let remedy = "to let everybody in, name the policy Anonymous in the route".to_owned();
        reader.error(&at, "the policy asks for nothing", Some(remedy));
    }
    policy
}

fn names(reader: &mut Reader<'_, '_>, key: &'static str) -> Vec<String> {
    let at = reader.section.child(key);
    if at.value().is_some_and(|text| !text.is_empty()) {
        // Elsewhere a single value has no effect. Here that would open the door.
        let message = "a single value stands where an array is expected";
        reader.error(&at, message, Some(format!("write {key} as an array")));
    }
    let items = reader.list(key);
    items.into_iter().map(|(_, text)| text).collect()
}

fn bearer(tree: &ConfigurationTree, diagnostics: &mut Diagnostics) -> Option<BearerConfig> {
    let section = tree.section(BEARER);
    if section.is_empty() {
        return None;
    }
    let mut reader = Reader::new(section, &keys::BEARER, diagnostics);
    let at = reader.section.clone();
    let issuers = valid(
        &mut reader,
        ["ValidateIssuer", "ValidIssuer", "ValidIssuers"],
    );
    let audiences = valid(
        &mut reader,
        ["ValidateAudience", "ValidAudience", "ValidAudiences"],
    );
    let signing_keys = signing_keys(&mut reader, issuers.as_deref());
    let secure = reader.parsed("RequireHttpsMetadata", leaf::boolean) != Some(false);
    let file = reader.text("JwksFile").map(JsonWebKeySource::File);
    let url = json_web_key_url(&mut reader, secure);
    if file.is_some() && url.is_some() {
        let remedy = Some("keep one of them".to_owned());
        let message = "JwksFile and JwksUrl exclude each other";
        reader.error(&at.child("JwksUrl"), message, remedy);
    }
    for key in ["Authority", "MetadataAddress"] {
        if reader.text(key).is_some() {
            let message = "keys are not looked for by OpenID Connect discovery";
            let remedy = "save the issuer's key set (the jwks_uri of its metadata) to a file and \
                          name it in JwksFile; set ValidIssuer as well";
            reader.error(&at.child(key), message, Some(remedy.to_owned()));
        }
    }
    let json_web_keys = file.or(url);
    let nothing = at.child("Authority").is_empty() && at.child("MetadataAddress").is_empty();
    if json_web_keys.is_none() && signing_keys.is_empty() && nothing {
        let written = !at.child("JwksUrl").is_empty() || !at.child("SigningKeys").is_empty();
        if !written {
            let message = "no key can verify a token, so every request would be refused";
            let remedy = "set SigningKeys, JwksFile or JwksUrl".to_owned();
            reader.error(&at, message, Some(remedy));
        }
    }
    let clock_skew = reader.parsed("ClockSkew", |text| {
        let span = TimeSpan::parse(text)?.duration();
        span.ok_or_else(|| format!("{text:?} is negative"))
    });
    let validate_lifetime = reader.parsed("ValidateLifetime", leaf::boolean);
    let require_expiration = reader.parsed("RequireExpirationTime", leaf::boolean);
    reader.finish();
    Some(BearerConfig {
        issuers,
        audiences,
        signing_keys,
        json_web_keys,
        clock_skew: clock_skew.unwrap_or(CLOCK_SKEW),
        validate_lifetime: validate_lifetime.unwrap_or(true),
        require_expiration: require_expiration.unwrap_or(true),
    })
}

/// The values a claim may have: `None` where it is not to be looked at.
fn valid(
    reader: &mut Reader<'_, '_>,
    [switch, one, many]: [&'static str; 3],
) -> Option<Vec<String>> {
    let on = reader.parsed(switch, leaf::boolean).unwrap_or(true);
    let mut values: Vec<_> = reader.text(one).into_iter().collect();
    let listed = reader.list(many).into_iter().map(|(_, text)| text);
    values.extend(listed.filter(|text| !text.is_empty()));
    if on && values.is_empty() {
        let at = reader.section.child(one);
        let message = "none is valid, so every token would be refused";
        let remedy = format!("set {one} or {many}, or {switch} to false");
        reader.error(&at, message, Some(remedy));
    }
    on.then_some(values)
}

/// As in ASP.NET, the keys of issuers whose tokens are taken.
fn signing_keys(reader: &mut Reader<'_, '_>, issuers: Option<&[String]>) -> Vec<SigningKeyConfig> {
    let mut keys = Vec::new();
    for section in reader.elements("SigningKeys") {
        let mut key = Reader::new(section, &keys::SIGNING_KEY, reader.diagnostics);
        let at = key.section.clone();
        let id = key.text("Id");
        let issuer = key.text("Issuer");
        if at.child("Value").is_empty() {
            key.error(&at.child("Value"), "the key has no value", None);
        }
        let secret = key.parsed("Value", |text| {
            // What is written there is secret: the message does not repeat it.
            let secret = STANDARD.decode(text).map_err(|_| "the key is not base64")?;
            match secret.len() {
                SHORTEST_SECRET.. => Ok(secret),
                len => Err(format!(
                    "{len} bytes are too few for a key: {SHORTEST_SECRET} at least"
                )),
            }
        });
        let is_valid = match (issuers, &issuer) {
            (Some(issuers), Some(issuer)) => issuers.contains(issuer),
            _ => true,
        };
        if !is_valid {
            let message = "the key is of an issuer whose tokens are not taken: it has no effect";
            key.warn(
                &at.child("Issuer"),
                message,
                Some("see ValidIssuers".to_owned()),
            );
        }
        key.finish();
        if let (Some(secret), true) = (secret, is_valid) {
            keys.push(SigningKeyConfig { id, secret });
        }
    }
    keys
}

fn json_web_key_url(reader: &mut Reader<'_, '_>, secure: bool) -> Option<JsonWebKeySource> {
    let url = reader.parsed("JwksUrl", leaf::absolute_uri)?;
    let at = reader.section.child("JwksUrl");
    let is = |scheme: &str| {
        url.split_once(':')
            .is_some_and(|(own, _)| own.eq_ignore_ascii_case(scheme))
    };
    if is("https") {
        return Some(JsonWebKeySource::Url(url));
    }
    if !is("http") {
        let message = format!("keys are fetched over https or http, and {url:?} is neither");
        let remedy = "save the key set to a file and name it in JwksFile".to_owned();
        reader.error(&at, message, Some(remedy));
        return None;
    }
    if secure {
        let message = "whoever can change what is sent over http can make tokens";
        let remedy = "use https, or set RequireHttpsMetadata to false if the way is trusted";
        reader.error(&at, message, Some(remedy.to_owned()));
        return None;
    }
    Some(JsonWebKeySource::Url(url))
}

#[cfg(test)]
mod tests;
