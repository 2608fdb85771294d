//! `ReverseProxy:Routes`: reading, and the rules R1 to R29 of reference A2.1.
//!
//! Not here: R2 and R11 (null objects), which only code can do, and R20, R22, R24 and R27 (a policy
//! under a reserved name), which are checked where policies are read.

mod action;
mod matches;
mod transforms;

use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::leaf;
use crate::nearest::nearest;
use crate::reader::{Reader, map};
use crate::route_validator::RouteValidator;
use crate::schema::{PoliciesConfig, RouteConfig};
use crate::tree::Section;
use crate::tree::key::same;

pub(crate) use transforms::TRANSFORMS;

/// Reads one entry of `Routes`.
pub(crate) fn read(
    id: &str,
    section: Section<'_>,
    validator: &dyn RouteValidator,
    policies: &PoliciesConfig,
    diagnostics: &mut Diagnostics,
) -> RouteConfig {
    let mut reader = Reader::new(section, &keys::ROUTE, diagnostics);
    let at = reader.section.clone();
    if id.is_empty() {
        let remedy = "give it a key that is not empty".to_owned();
        reader.error(&at, "the route has no id", Some(remedy)); // R1
    }
    if reader.text("RouteId").is_some() {
        // Reference A1.1: the format of YARP before 1.0, whose `Routes` was an array.
        let remedy = "write Routes as an object whose keys are the ids".to_owned();
        let message = "a route's id is its key, and RouteId is of an older format";
        reader.error(&at.child("RouteId"), message, Some(remedy));
    }
    let config = RouteConfig {
        route_id: id.to_owned(),
        cluster_id: reader.text("ClusterId"),
        matches: matches::read(reader.child("Match"), validator, reader.diagnostics),
        order: reader.parsed("Order", leaf::int32),
        authorization_policy: policy(
            &mut reader,
            "AuthorizationPolicy",
            "Authorization",
            &["Default", "Anonymous"],
            policies.authorization.names(),
        ), // R19
        rate_limiter_policy: policy(
            &mut reader,
            "RateLimiterPolicy",
            "RateLimiter",
            &["Default", "Disable"],
            policies.rate_limiter.names(),
        ), // R23
        output_cache_policy: policy(
            &mut reader,
            "OutputCachePolicy",
            "OutputCache",
            &[],
            policies.output_cache.names(),
        ), // R25
        timeout_policy: policy(
            &mut reader,
            "TimeoutPolicy",
            "RequestTimeouts",
            &["Disable"],
            policies.request_timeouts.names(),
        ), // R26
        timeout: reader.positive_time("Timeout", true), // R29
        cors_policy: policy(
            &mut reader,
            "CorsPolicy",
            "Cors",
            &["Default", "Disable"],
            policies.cors.names(),
        ), // R21
        max_request_body_size: reader.parsed("MaxRequestBodySize", leaf::int64),
        redirect: {
            let path = at.child("Match").child("Path").value();
            let section = reader.child("Redirect");
            action::redirect(section, path, validator, reader.diagnostics)
        },
        respond: action::respond(reader.child("Respond"), reader.diagnostics),
        metadata: reader.map("Metadata"),
        transforms: {
            let items = reader.elements("Transforms");
            let check = |item: &Section<'_>, diagnostics: &mut Diagnostics| {
                let transform = map(item, diagnostics);
                transforms::check(item, &transform, validator, diagnostics); // R4, R5
                transform
            };
            items
                .iter()
                .map(|item| check(item, reader.diagnostics))
                .collect()
        },
    };
    if !at.child("Timeout").is_empty() && config.timeout_policy.is_some() {
        let remedy = "keep one of them".to_owned();
        let message = "Timeout and TimeoutPolicy exclude each other";
        reader.error(&at.child("TimeoutPolicy"), message, Some(remedy)); // R28
    }
    check_action(&mut reader, &config);
    if let Some(name) = &config.authorization_policy
        && (same(name, "Default")
            || policies
                .authorization
                .names()
                .any(|known| same(known, name)))
        && policies.authorization.bearer.is_none()
    {
        // Fails closed: in ASP.NET each request would be answered 500 (reference A11.1).
        let message = "no authentication scheme can tell who asks, so nobody would be let in";
        let remedy = "configure Authentication:Schemes:Bearer".to_owned();
        reader.error(&at.child("AuthorizationPolicy"), message, Some(remedy));
    }
    if config.max_request_body_size.is_some_and(|size| size < -1) {
        let size = at.child("MaxRequestBodySize");
        let message = "a negative size other than -1, which means no limit, is no size: requests are \
                       answered 500";
        reader.warn(&size, message, None);
    }
    let has_host = config.matches.hosts.iter().any(|host| !host.is_empty());
    if !has_host && config.matches.path.is_none() {
        let message = "the route matches neither a path nor hosts";
        let mut remedy = "set Match:Path, to \"/{**catch-all}\" for everything".to_owned();
        if let Some(key) = at.split_from() {
            remedy = format!("choose an id without `:`, at which the key {key:?} is cut");
        }
        reader.error(&at.child("Match"), message, Some(remedy)); // R3
    }
    reader.finish();
    config
}

/// A route has one answer.
fn check_action(reader: &mut Reader<'_, '_>, config: &RouteConfig) {
    let there = [
        ("Redirect", config.redirect.is_some()),
        ("Respond", config.respond.is_some()),
    ];
    let there: Vec<_> = there
        .into_iter()
        .filter(|(_, is_there)| *is_there)
        .collect();
    for (at, (key, _)) in there.iter().enumerate() {
        if at > 0 || config.cluster_id.is_some() {
            let section = reader.section.child(key);
            let message = "ClusterId, Redirect and Respond exclude each other";
            reader.error(&section, message, Some("keep one of them".to_owned()));
        }
    }
    if !there.is_empty() && !config.transforms.is_empty() {
        let section = reader.section.child("Transforms");
        let message = "the route answers by itself, so there is nothing to transform";
        reader.warn(&section, message, Some("remove them".to_owned()));
    }
}

/// The name of a policy: a reserved one, or one that `section`, beside `ReverseProxy`, defines.
fn policy<'n>(
    reader: &mut Reader<'_, '_>,
    key: &'static str,
    section: &str,
    reserved: &[&'n str],
    defined: impl Iterator<Item = &'n str>,
) -> Option<String> {
    let name = reader.text(key)?;
    let known: Vec<_> = reserved.iter().copied().chain(defined).collect();
    if !known.iter().any(|known| same(known, &name)) {
        let at = reader.section.child(key);
        let remedy = match nearest(&name, &known) {
            Some(near) => format!("did you mean {near}?"),
            None if known.is_empty() => format!("define {section}:Policies:{name}"),
            None => format!(
                "define {section}:Policies:{name}, or name one of {}",
                known.join(", ")
            ),
        };
        reader.error(&at, format!("there is no policy {name:?}"), Some(remedy));
    }
    Some(name)
}
