//! Routes and clusters back into a tree: the reverse of reading them, by the same descriptions.

use std::fmt::Debug;
use std::time::Duration;

use crate::keys::{self, Object, Value};
use crate::schema::{
    ActivityTimeout, ClusterConfig, ConnectionLifetime, DestinationConfig, HeaderEncoding,
    HealthCheckConfig, HttpVersion, MatchConfig, Metadata, OstlerClusterConfig, RouteConfig,
    SessionAffinityConfig,
};
use crate::tree::{Leaf, Node, Position};

/// One level that is written, and where it comes from.
struct Writer<'a> {
    node: &'a mut Node,
    position: &'a Position,
    level: Level,
}

/// What the names of a level are.
#[derive(Clone, Copy)]
enum Level {
    /// The keys of an object.
    Keys(&'static Object),
    /// Ids, or numbers, each of such an object.
    Entries(&'static Object),
    /// Whatever one likes, or numbers, each of a text.
    Texts,
}

pub(super) fn route(node: &mut Node, position: &Position, config: &RouteConfig) {
    let mut to = Writer::new(node, position, Level::Keys(&keys::ROUTE));
    to.text("ClusterId", config.cluster_id.as_deref());
    matches(&mut to.child("Match"), &config.matches);
    to.value("Order", config.order);
    to.text(
        "AuthorizationPolicy",
        config.authorization_policy.as_deref(),
    );
    to.text("RateLimiterPolicy", config.rate_limiter_policy.as_deref());
    to.text("OutputCachePolicy", config.output_cache_policy.as_deref());
    to.text("TimeoutPolicy", config.timeout_policy.as_deref());
    to.time("Timeout", config.timeout);
    to.text("CorsPolicy", config.cors_policy.as_deref());
    to.value("MaxRequestBodySize", config.max_request_body_size);
    if let Some(config) = &config.redirect {
        let mut to = to.child("Redirect");
        to.value("StatusCode", config.status_code);
        to.text("Location", Some(&config.location));
    }
    if let Some(config) = &config.respond {
        let mut to = to.child("Respond");
        to.value("StatusCode", Some(config.status_code.unwrap_or(200)));
        to.text("Body", config.body.as_deref());
        to.text("ContentType", config.content_type.as_deref());
        to.map("Headers", &config.headers);
    }
    to.map("Metadata", &config.metadata);
    let mut transforms = to.child("Transforms");
    for (at, transform) in config.transforms.iter().enumerate() {
        transforms.map(&at.to_string(), transform);
    }
}

fn matches(to: &mut Writer<'_>, config: &MatchConfig) {
    to.text("Path", config.path.as_deref());
    to.list("Hosts", &config.hosts);
    to.list("Methods", &config.methods);
    let mut rules = to.child("Headers");
    for (at, rule) in config.headers.iter().enumerate() {
        let mut to = rules.child(&at.to_string());
        to.text("Name", Some(&rule.name));
        to.list("Values", &rule.values);
        to.member("Mode", Some(rule.mode));
        to.value("IsCaseSensitive", Some(rule.is_case_sensitive));
    }
    let mut rules = to.child("QueryParameters");
    for (at, rule) in config.query_parameters.iter().enumerate() {
        let mut to = rules.child(&at.to_string());
        to.text("Name", Some(&rule.name));
        to.list("Values", &rule.values);
        to.member("Mode", Some(rule.mode));
        to.value("IsCaseSensitive", Some(rule.is_case_sensitive));
    }
}

pub(super) fn cluster(node: &mut Node, position: &Position, config: &ClusterConfig) {
    let mut to = Writer::new(node, position, Level::Keys(&keys::CLUSTER));
    let mut destinations = to.child("Destinations");
    for config in &config.destinations {
        destination(&mut destinations.child(&config.destination_id), config);
    }
    to.text(
        "LoadBalancingPolicy",
        config.load_balancing_policy.as_deref(),
    );
    if let Some(config) = &config.session_affinity {
        session_affinity(&mut to.child("SessionAffinity"), config);
    }
    health_check(&mut to.child("HealthCheck"), &config.health_check);
    http_client(&mut to.child("HttpClient"), config);
    let mut request = to.child("HttpRequest");
    request.text(
        "ActivityTimeout",
        config.activity_timeout.map(activity_timeout).as_deref(),
    );
    request.text("Version", config.http_request.version.map(version));
    request.member("VersionPolicy", config.http_request.version_policy);
    request.value(
        "AllowResponseBuffering",
        config.http_request.allow_response_buffering,
    );
    ostler(&mut to.child("Ostler"), &config.ostler);
    to.map("Metadata", &config.metadata);
}

fn ostler(to: &mut Writer<'_>, config: &OstlerClusterConfig) {
    to.value("TryOtherDestinations", config.try_other_destinations);
    let lifetime = config
        .pooled_connection_lifetime
        .map(|lifetime| match lifetime {
            ConnectionLifetime::Infinite => INFINITE.to_owned(),
            ConnectionLifetime::After(duration) => time_span(duration),
        });
    to.text("PooledConnectionLifetime", lifetime.as_deref());
    to.value("Leases", config.leases);
}

fn destination(to: &mut Writer<'_>, config: &DestinationConfig) {
    to.text("Address", Some(&config.address));
    to.text("Health", config.health.as_deref());
    to.text("Host", config.host.as_deref());
    to.map("Metadata", &config.metadata);
}

fn session_affinity(to: &mut Writer<'_>, config: &SessionAffinityConfig) {
    to.value("Enabled", Some(true));
    to.text("Policy", config.policy.as_deref());
    to.text("FailurePolicy", config.failure_policy.as_deref());
    to.text("AffinityKeyName", Some(&config.affinity_key_name));
    if let Some(config) = &config.cookie {
        let mut to = to.child("Cookie");
        to.text("Path", config.path.as_deref());
        to.text("Domain", config.domain.as_deref());
        to.value("HttpOnly", config.http_only);
        to.member("SecurePolicy", config.secure_policy);
        to.member("SameSite", config.same_site);
        to.time("Expiration", config.expiration);
        to.time("MaxAge", config.max_age);
        to.value("IsEssential", config.is_essential);
    }
}

fn health_check(to: &mut Writer<'_>, config: &HealthCheckConfig) {
    to.text(
        "AvailableDestinationsPolicy",
        config.available_destinations_policy.as_deref(),
    );
    let mut active = to.child("Active");
    active.value("Enabled", Some(config.active.enabled));
    active.time("Interval", config.active.interval);
    active.time("Timeout", config.active.timeout);
    active.text("Policy", config.active.policy.as_deref());
    active.text("Path", config.active.path.as_deref());
    active.text("Query", config.active.query.as_deref());
    let mut passive = to.child("Passive");
    passive.value("Enabled", Some(config.passive.enabled));
    passive.text("Policy", config.passive.policy.as_deref());
    passive.time("ReactivationPeriod", config.passive.reactivation_period);
}

fn http_client(to: &mut Writer<'_>, cluster: &ClusterConfig) {
    let config = &cluster.http_client;
    let protocols = config
        .ssl_protocols
        .map(|protocols| protocols.0.to_string());
    to.list("SslProtocols", protocols.as_slice());
    to.value(
        "DangerousAcceptAnyServerCertificate",
        config.dangerous_accept_any_server_certificate,
    );
    to.value(
        "MaxConnectionsPerServer",
        cluster.max_connections_per_server,
    );
    to.value(
        "EnableMultipleHttp2Connections",
        config.enable_multiple_http2_connections,
    );
    to.text(
        "RequestHeaderEncoding",
        config.request_header_encoding.map(HeaderEncoding::as_str),
    );
    to.text(
        "ResponseHeaderEncoding",
        config.response_header_encoding.map(HeaderEncoding::as_str),
    );
    if let Some(config) = &config.web_proxy {
        let mut to = to.child("WebProxy");
        to.text("Address", Some(&config.address));
        to.value("BypassOnLocal", config.bypass_on_local);
        to.value("UseDefaultCredentials", config.use_default_credentials);
    }
}

/// No end, as .NET writes it.
const INFINITE: &str = "-00:00:00.001";

fn activity_timeout(timeout: ActivityTimeout) -> String {
    match timeout {
        ActivityTimeout::Infinite => INFINITE.to_owned(),
        ActivityTimeout::After(duration) => time_span(duration),
    }
}

fn version(version: HttpVersion) -> &'static str {
    match version {
        HttpVersion::Http10 => "1.0",
        HttpVersion::Http11 => "1.1",
        HttpVersion::Http2 => "2",
        HttpVersion::Http3 => "3",
    }
}

/// .NET's constant format, `D.HH:MM:SS.fffffff`.
fn time_span(duration: Duration) -> String {
    let (seconds, ticks) = (duration.as_secs(), duration.subsec_nanos() / 100);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    format!(
        "{days}.{:02}:{:02}:{:02}.{ticks:07}",
        hours % 24,
        minutes % 60,
        seconds % 60
    )
}

/// What is described of a key, which in tests must be something.
fn described(object: &'static Object, key: &str) -> Option<Value> {
    let found = object.key(key);
    debug_assert!(found.is_some(), "{key} is not described");
    found.map(|key| key.value)
}

impl<'a> Writer<'a> {
    fn new(node: &'a mut Node, position: &'a Position, level: Level) -> Self {
        node.container = Some(position.clone());
        Self {
            node,
            position,
            level,
        }
    }

    fn child(&mut self, key: &str) -> Writer<'_> {
        let level = match self.level {
            Level::Keys(object) => match described(object, key) {
                Some(Value::Object(below)) => Level::Keys(below),
                Some(Value::Objects(below) | Value::Map(below)) => Level::Entries(below),
                _ => Level::Texts,
            },
            Level::Entries(object) => Level::Keys(object),
            Level::Texts => Level::Texts,
        };
        Writer::new(self.node.child_mut(key), self.position, level)
    }

    fn text(&mut self, key: &str, text: Option<&str>) {
        if let Level::Keys(object) = self.level {
            let value = described(object, key);
            debug_assert!(
                value.is_none_or(Value::is_single),
                "{key} is described as what is no single value"
            );
        }
        if let Some(text) = text {
            self.node.child_mut(key).leaf = Some(Leaf {
                text: Some(text.to_owned()),
                position: self.position.clone(),
            });
        }
    }

    fn value(&mut self, key: &str, value: Option<impl ToString>) {
        self.text(key, value.map(|value| value.to_string()).as_deref());
    }

    /// Variants are called what the members are called.
    fn member(&mut self, key: &str, member: Option<impl Debug>) {
        self.text(key, member.map(|member| format!("{member:?}")).as_deref());
    }

    fn time(&mut self, key: &str, time: Option<Duration>) {
        self.text(key, time.map(time_span).as_deref());
    }

    fn list(&mut self, key: &str, texts: &[String]) {
        let mut list = self.child(key);
        for (at, text) in texts.iter().enumerate() {
            list.text(&at.to_string(), Some(text));
        }
    }

    fn map(&mut self, key: &str, texts: &Metadata) {
        let mut map = self.child(key);
        for (key, text) in texts {
            map.text(key, Some(text));
        }
    }
}
