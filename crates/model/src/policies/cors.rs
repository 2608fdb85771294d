//! Cross-origin resource sharing: which fields a response carries (reference A11.2).
//!
//! The rules are those of ASP.NET's `CorsService`: `EvaluatePolicy` and `ApplyResult`.

use std::sync::Arc;

use ostler_config::schema::{CorsConfig, CorsPolicyConfig, RouteConfig};

use crate::ordinal;

/// A field of a response.
pub type CorsField = (&'static str, String);

/// What a route says of cross-origin requests.
#[derive(Debug, Clone)]
pub enum Cors {
    /// `Disable`: preflight requests are answered without a field, others pass untouched.
    Disable,
    /// This policy.
    Policy(Arc<CorsPolicy>),
}

/// A policy, ready to be asked.
#[derive(Debug, PartialEq)]
pub struct CorsPolicy {
    config: CorsPolicyConfig,
    subdomains: Vec<Subdomains>,
}

/// An origin with a `*.`: all subdomains of a domain, but not the domain.
#[derive(Debug, PartialEq)]
struct Subdomains {
    scheme: String,
    /// With the dot before it.
    domain: String,
    port: Option<String>,
}

/// A preflight request (Fetch, section 3.3.2).
#[derive(Debug, Clone, Copy)]
pub struct Preflight<'a> {
    /// `Origin`.
    pub origin: &'a str,
    /// `Access-Control-Request-Method`.
    pub method: &'a str,
    /// `Access-Control-Request-Headers`, the values of all lines.
    pub headers: &'a [&'a str],
}

impl CorsPolicy {
    /// Makes a policy of what is written.
    pub fn new(config: CorsPolicyConfig) -> Self {
        let wildcards = config.origins.iter();
        let subdomains = wildcards.filter_map(|origin| {
            let (scheme, host) = origin.split_once("://*.")?;
            let (host, port) = host_and_port(scheme, host)?;
            Some(Subdomains {
                scheme: scheme.to_owned(),
                domain: format!(".{host}"),
                port: port.map(str::to_owned),
            })
        });
        Self {
            subdomains: subdomains.collect(),
            config,
        }
    }

    /// The fields of the response to a preflight request; none when the origin is not allowed.
    pub fn preflight(&self, request: &Preflight<'_>) -> Vec<CorsField> {
        let mut fields = self.origin_fields(request.origin);
        if fields.is_empty() {
            return fields;
        }
        let config = &self.config;
        let headers = match is_any(&config.headers) {
            // What is asked for is allowed by name: where credentials are sent, `*` is no wildcard.
            true => {
                let asked = request.headers.iter().flat_map(|value| value.split(','));
                let asked = asked.map(str::trim).filter(|name| !name.is_empty());
                asked.collect::<Vec<_>>().join(",")
            }
            false => config.headers.join(","),
        };
        if !headers.is_empty() {
            fields.push(("Access-Control-Allow-Headers", headers));
        }
        let methods = match is_any(&config.methods) {
            true => request.method.to_owned(),
            false => config.methods.join(","),
        };
        if !methods.is_empty() {
            fields.push(("Access-Control-Allow-Methods", methods));
        }
        if let Some(age) = config.preflight_max_age {
            fields.push(("Access-Control-Max-Age", age.as_secs_f64().to_string()));
        }
        fields.extend(self.vary());
        fields
    }

    /// The fields of the response to any other request with an `Origin`; none when it is not
    /// allowed, which does not keep the request from being answered.
    pub fn response(&self, origin: &str) -> Vec<CorsField> {
        let mut fields = self.origin_fields(origin);
        if fields.is_empty() {
            return fields;
        }
        if !self.config.exposed_headers.is_empty() {
            let exposed = self.config.exposed_headers.join(",");
            fields.push(("Access-Control-Expose-Headers", exposed));
        }
        fields.extend(self.vary());
        fields
    }

    fn origin_fields(&self, origin: &str) -> Vec<CorsField> {
        let allowed = match is_any(&self.config.origins) {
            true => "*",
            false if self.allows(origin) => origin,
            false => return Vec::new(),
        };
        let mut fields = vec![("Access-Control-Allow-Origin", allowed.to_owned())];
        if self.config.supports_credentials {
            fields.push(("Access-Control-Allow-Credentials", "true".to_owned()));
        }
        fields
    }

    /// Responses differ by origin where several origins may get their own back.
    fn vary(&self) -> Option<CorsField> {
        let origins = &self.config.origins;
        let varies = !is_any(origins) && (origins.len() > 1 || !self.subdomains.is_empty());
        varies.then(|| ("Vary", "Origin".to_owned()))
    }

    /// Whether an origin is listed, or below a wildcard; `CorsPolicyExtensions` of ASP.NET.
    fn allows(&self, origin: &str) -> bool {
        if self.config.origins.iter().any(|listed| listed == origin) {
            return true;
        }
        if self.subdomains.is_empty() {
            return false;
        }
        let lower = origin.to_ascii_lowercase();
        let Some((scheme, authority)) = lower.split_once("://") else {
            return false;
        };
        let Some((host, port)) = host_and_port(scheme, authority) else {
            return false;
        };
        self.subdomains.iter().any(|subdomains| {
            let below = host.strip_suffix(&subdomains.domain);
            subdomains.scheme == scheme
                && subdomains.port.as_deref() == port
                && below.is_some_and(|name| !name.is_empty())
        })
    }
}

fn is_any(list: &[String]) -> bool {
    matches!(list, [any] if any == "*")
}

/// A name and a port, which is `None` where it is the scheme's own. Nothing else may stand in an
/// origin: a path or user before the domain would let anybody pretend to be below it.
fn host_and_port<'a>(scheme: &str, authority: &'a str) -> Option<(&'a str, Option<&'a str>)> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let is_port = port.is_none_or(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    if host.is_empty() || !host.bytes().all(is_name) || !is_port {
        return None;
    }
    let own = match scheme {
        "http" => "80",
        "https" => "443",
        _ => "",
    };
    Some((host, port.filter(|port| *port != own)))
}

/// Every policy of a configuration, by name.
#[derive(Debug, Default)]
pub(super) struct CorsPolicies {
    default: Option<Arc<CorsPolicy>>,
    named: Vec<(String, Arc<CorsPolicy>)>,
}

impl CorsPolicies {
    pub(super) fn resolve(config: &CorsConfig, before: &Self) -> Self {
        let policy = |config: &CorsPolicyConfig, before: Option<&Arc<CorsPolicy>>| match before {
            Some(before) if before.config == *config => Arc::clone(before),
            _ => Arc::new(CorsPolicy::new(config.clone())),
        };
        let named = config.policies.iter();
        Self {
            default: config
                .default_policy
                .as_ref()
                .map(|config| policy(config, before.default.as_ref())),
            named: named
                .map(|(name, config)| (name.clone(), policy(config, before.named(name))))
                .collect(),
        }
    }

    fn named(&self, name: &str) -> Option<&Arc<CorsPolicy>> {
        let mut named = self.named.iter();
        let found = named.find(|(have, _)| ordinal::eq(have, name));
        found.map(|(_, policy)| policy)
    }

    /// What a route names. `Default` without a default policy is nothing, as is a name that is not
    /// there (reference A11.2).
    pub(super) fn of_route(&self, route: &RouteConfig) -> Option<Cors> {
        let name = route
            .cors_policy
            .as_deref()
            .filter(|name| !name.is_empty())?;
        if ordinal::eq(name, "Disable") {
            return Some(Cors::Disable);
        }
        let policy = match ordinal::eq(name, "Default") {
            true => self.default.as_ref(),
            false => self.named(name),
        };
        policy.map(|policy| Cors::Policy(Arc::clone(policy)))
    }
}

impl Cors {
    /// Whether both are the very same.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Disable, Self::Disable) => true,
            (Self::Policy(left), Self::Policy(right)) => Arc::ptr_eq(left, right),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn policy(origins: &[&str]) -> CorsPolicyConfig {
        CorsPolicyConfig {
            origins: texts(origins),
            ..Default::default()
        }
    }

    fn shown(fields: &[CorsField]) -> Vec<String> {
        let shown = fields.iter().map(|(name, value)| {
            let name = name.strip_prefix("Access-Control-").unwrap_or(name);
            format!("{name}: {value}")
        });
        shown.collect()
    }

    #[test]
    fn a_response_carries_what_aspnet_sends() {
        let full = CorsPolicyConfig {
            exposed_headers: texts(&["X-A", "X-B"]),
            methods: texts(&["PUT"]),
            headers: texts(&["X-C"]),
            supports_credentials: true,
            preflight_max_age: Some(Duration::from_secs(5)),
            ..policy(&["https://a.com", "https://b.com"])
        };
        for (config, origin, wanted) in [
            (policy(&["*"]), "https://a.com", &["Allow-Origin: *"][..]),
            (policy(&["*"]), "null", &["Allow-Origin: *"]),
            (
                policy(&["https://a.com"]),
                "https://a.com",
                &["Allow-Origin: https://a.com"],
            ),
            // Origins compare by their bytes.
            (policy(&["https://a.com"]), "https://A.com", &[]),
            (policy(&["https://a.com"]), "https://b.com", &[]),
            (policy(&["https://a.com"]), "", &[]),
            (policy(&[]), "https://a.com", &[]),
            (
                policy(&["https://a.com", "https://b.com"]),
                "https://b.com",
                &["Allow-Origin: https://b.com", "Vary: Origin"],
            ),
            (
                full,
                "https://b.com",
                &[
                    "Allow-Origin: https://b.com",
                    "Allow-Credentials: true",
                    "Expose-Headers: X-A,X-B",
                    "Vary: Origin",
                ],
            ),
            (
                policy(&["https://*.a.com"]),
                "https://x.a.com",
                &["Allow-Origin: https://x.a.com", "Vary: Origin"],
            ),
        ] {
            let fields = CorsPolicy::new(config.clone()).response(origin);
            assert_eq!(shown(&fields), wanted, "{config:?} {origin}");
        }
    }

    #[test]
    fn a_preflight_response_carries_what_aspnet_sends() {
        let any = CorsPolicyConfig {
            methods: texts(&["*"]),
            headers: texts(&["*"]),
            exposed_headers: texts(&["X-E"]),
            preflight_max_age: Some(Duration::from_millis(1500)),
            ..policy(&["*"])
        };
        let listed = CorsPolicyConfig {
            methods: texts(&["GET", "PUT"]),
            headers: texts(&["X-A", "X-B"]),
            supports_credentials: true,
            preflight_max_age: Some(Duration::from_secs(600)),
            ..policy(&["https://a.com"])
        };
        for (config, origin, wanted) in [
            (
                any,
                "https://a.com",
                &[
                    "Allow-Origin: *",
                    "Allow-Headers: x-one,x-two,x-three",
                    "Allow-Methods: DELETE",
                    "Max-Age: 1.5",
                ][..],
            ),
            // The lists are sent whole, whatever is asked for: the browser compares.
            (
                listed.clone(),
                "https://a.com",
                &[
                    "Allow-Origin: https://a.com",
                    "Allow-Credentials: true",
                    "Allow-Headers: X-A,X-B",
                    "Allow-Methods: GET,PUT",
                    "Max-Age: 600",
                ],
            ),
            (listed, "https://b.com", &[]),
            (policy(&["*"]), "https://a.com", &["Allow-Origin: *"]),
        ] {
            let fields = CorsPolicy::new(config.clone()).preflight(&Preflight {
                origin,
                method: "DELETE",
                headers: &["x-one, x-two", ",x-three"],
            });
            assert_eq!(shown(&fields), wanted, "{config:?} {origin}");
        }
    }

    #[test]
    fn a_wildcard_is_every_subdomain_and_nothing_else() {
        let policy = CorsPolicy::new(policy(&["https://*.a.com", "http://*.b.com:8080"]));
        for (origin, allowed) in [
            ("https://x.a.com", true),
            ("https://x.y.a.com", true),
            ("https://X.A.com", true),
            ("https://x.a.com:443", true),
            ("https://a.com", false),
            ("https://.a.com", false),
            ("https://xa.com", false),
            ("http://x.a.com", false),
            ("https://x.a.com:8443", false),
            ("https://x.a.com.evil", false),
            ("https://evil/.a.com", false),
            ("https://evil#.a.com", false),
            ("https://evil\\.a.com", false),
            ("https://evil:1@x.a.com", false),
            ("http://x.b.com:8080", true),
            ("http://x.b.com", false),
            ("null", false),
        ] {
            assert_eq!(policy.allows(origin), allowed, "{origin}");
        }
    }

    #[test]
    fn routes_name_policies_without_case_and_an_unchanged_policy_stays() {
        let config = CorsConfig {
            default_policy: Some(policy(&["*"])),
            policies: vec![
                ("Mine".to_owned(), policy(&["https://a.com"])),
                ("Other".to_owned(), policy(&["https://b.com"])),
            ],
        };
        let before = CorsPolicies::resolve(&config, &CorsPolicies::default());
        let mut changed = config.clone();
        changed.policies[1].1 = policy(&["https://c.com"]);
        let after = CorsPolicies::resolve(&changed, &before);
        let of = |policies: &CorsPolicies, name: &str| {
            policies.of_route(&RouteConfig {
                cors_policy: Some(name.to_owned()),
                ..Default::default()
            })
        };
        // Reference A11.2 and R21, R22.
        for (name, stays) in [
            ("mine", true),
            ("DEFAULT", true),
            ("disAble", true),
            ("other", false),
        ] {
            let (before, after) = (of(&before, name).unwrap(), of(&after, name).unwrap());
            assert_eq!(before.is(&after), stays, "{name}");
        }
        assert!(matches!(of(&before, "Disable"), Some(Cors::Disable)));
        assert!(of(&before, "").is_none());
        assert!(of(&before, "nobody").is_none());
        assert!(of(&CorsPolicies::default(), "Default").is_none());
        assert!(before.of_route(&RouteConfig::default()).is_none());
    }
}
