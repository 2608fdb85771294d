//! `ReverseProxy:Routes`: reading, and rules R1 to R29.

use std::collections::HashSet;

use crate::diagnostics::Diagnostics;
use crate::leaf;
use crate::load::RouteValidator;
use crate::not_yet;
use crate::reader::{Reader, map};
use crate::schema::{
    HeaderMatchConfig, HeaderMatchMode, MatchConfig, QueryParameterMatchConfig,
    QueryParameterMatchMode, RouteConfig,
};
use crate::tree::Section;

const METHODS: [&str; 8] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE",
];

const HEADER_MODES: [(&str, i32, HeaderMatchMode); 6] = [
    ("ExactHeader", 0, HeaderMatchMode::ExactHeader),
    ("HeaderPrefix", 1, HeaderMatchMode::HeaderPrefix),
    ("Contains", 2, HeaderMatchMode::Contains),
    ("NotContains", 3, HeaderMatchMode::NotContains),
    ("Exists", 4, HeaderMatchMode::Exists),
    ("NotExists", 5, HeaderMatchMode::NotExists),
];

const QUERY_MODES: [(&str, i32, QueryParameterMatchMode); 5] = [
    ("Exact", 0, QueryParameterMatchMode::Exact),
    ("Contains", 1, QueryParameterMatchMode::Contains),
    ("NotContains", 2, QueryParameterMatchMode::NotContains),
    ("Prefix", 3, QueryParameterMatchMode::Prefix),
    ("Exists", 4, QueryParameterMatchMode::Exists),
];

pub(crate) fn read(
    routes: &Section<'_>,
    validator: Option<&dyn RouteValidator>,
    diagnostics: &mut Diagnostics,
) -> Vec<RouteConfig> {
    routes
        .children()
        .map(|(id, section)| route(id, section, validator, diagnostics))
        .collect()
}

fn route(
    id: &str,
    section: Section<'_>,
    validator: Option<&dyn RouteValidator>,
    diagnostics: &mut Diagnostics,
) -> RouteConfig {
    not_yet::route(&section, diagnostics);
    let mut reader = Reader::new(section, diagnostics);
    if id.is_empty() {
        let at = reader.section.clone();
        reader.error(&at, "the route has no id", None); // R1
    }
    let old_format = reader.child("RouteId");
    if old_format.value().is_some_and(|value| !value.is_empty()) {
        let remedy = "write Routes as an object whose keys are the ids".to_owned();
        reader.error(
            &old_format,
            "routes are named by their keys, not by RouteId",
            Some(remedy),
        );
    }
    let config = RouteConfig {
        route_id: id.to_owned(),
        cluster_id: reader.text("ClusterId"),
        order: reader.parsed("Order", leaf::int32),
        authorization_policy: policy(
            &mut reader,
            "AuthorizationPolicy",
            &["Default", "Anonymous"],
        ), // R19
        rate_limiter_policy: policy(&mut reader, "RateLimiterPolicy", &["Default", "Disable"]), // R23
        output_cache_policy: policy(&mut reader, "OutputCachePolicy", &[]), // R25
        timeout_policy: policy(&mut reader, "TimeoutPolicy", &["Disable"]), // R26
        cors_policy: policy(&mut reader, "CorsPolicy", &["Default", "Disable"]), // R21
        timeout: reader.parsed("Timeout", |text| match leaf::duration(text)? {
            span if span.is_zero() => Err(format!("{text:?} is not positive")), // R29
            span => Ok(span),
        }),
        max_request_body_size: reader.parsed("MaxRequestBodySize", |text| {
            match leaf::int64(text)? {
                size if size < -1 => Err(format!(
                    "{text:?} is neither -1, which means no limit, nor a size"
                )),
                size => Ok(size),
            }
        }),
        metadata: reader.map("Metadata"),
        transforms: reader
            .child("Transforms")
            .children()
            .map(|(_, item)| map(&item))
            .collect(),
        matches: matches(reader.child("Match"), validator, reader.diagnostics),
    };
    if config.timeout.is_some() && config.timeout_policy.is_some() {
        let at = reader.section.child("TimeoutPolicy");
        reader.error(
            &at,
            "both Timeout and TimeoutPolicy are set",
            Some("keep one of them".to_owned()),
        ); // R28
    }
    let has_host = config.matches.hosts.iter().any(|host| !host.is_empty());
    if !has_host && config.matches.path.is_none() {
        let at = reader.section.child("Match");
        let at = if at.is_empty() {
            reader.section.clone()
        } else {
            at
        };
        let remedy = "set Match:Path, to \"/{**catch-all}\" for everything".to_owned();
        reader.error(
            &at,
            "the route matches neither hosts nor a path",
            Some(remedy),
        ); // R3
    }
    reader.finish();
    config
}

/// There is no application that could define policies, so only the reserved names exist.
fn policy(reader: &mut Reader<'_, '_>, key: &'static str, reserved: &[&str]) -> Option<String> {
    let name = reader.text(key)?;
    if !reserved
        .iter()
        .any(|reserved| reserved.eq_ignore_ascii_case(&name))
    {
        let at = reader.section.child(key);
        let known = match reserved {
            [] => "none is known".to_owned(),
            some => format!("known are {}", some.join(" and ")),
        };
        reader.error(&at, format!("there is no policy {name:?}; {known}"), None);
    }
    Some(name)
}

fn matches(
    section: Section<'_>,
    validator: Option<&dyn RouteValidator>,
    diagnostics: &mut Diagnostics,
) -> MatchConfig {
    let mut reader = Reader::new(section, diagnostics);
    let path = reader.text("Path");
    if let (Some(path), Some(validator)) = (&path, validator)
        && let Err(message) = validator.validate_path(path)
    {
        let at = reader.section.child("Path");
        reader.error(
            &at,
            format!("{path:?} is no path template: {message}"),
            None,
        ); // R8
    }
    let hosts = reader.list("Hosts");
    for (item, host) in reader
        .section
        .child("Hosts")
        .children()
        .map(|(_, item)| item)
        .zip(&hosts)
    {
        if host.is_empty() {
            reader.error(&item, "the host is empty", None); // R6
        } else if host.to_lowercase().contains("xn--") {
            reader.error(
                &item,
                format!("{host:?} is in Punycode"),
                Some("write it in Unicode".to_owned()),
            ); // R7
        } else if let Some(Err(message)) = validator.map(|validator| validator.validate_host(host))
        {
            reader.error(&item, format!("{host:?} is no host: {message}"), None);
        }
    }
    let methods = reader.list("Methods");
    let mut seen = HashSet::new();
    for (item, method) in reader
        .section
        .child("Methods")
        .children()
        .map(|(_, item)| item)
        .zip(&methods)
    {
        let upper = method.to_ascii_uppercase();
        if !METHODS.contains(&upper.as_str()) {
            let remedy = format!("known are {}", METHODS.join(", "));
            reader.error(
                &item,
                format!("the method {method:?} is not supported"),
                Some(remedy),
            ); // R10
        } else if !seen.insert(upper) {
            reader.error(&item, format!("the method {method:?} is there twice"), None); // R9
        }
    }
    let headers = reader.child("Headers");
    let headers = headers
        .children()
        .map(|(_, item)| header(item, reader.diagnostics))
        .collect();
    let parameters = reader.child("QueryParameters");
    let query_parameters = parameters
        .children()
        .map(|(_, item)| query(item, reader.diagnostics))
        .collect();
    reader.finish();
    MatchConfig {
        path,
        hosts,
        methods,
        headers,
        query_parameters,
    }
}

fn header(section: Section<'_>, diagnostics: &mut Diagnostics) -> HeaderMatchConfig {
    let mut reader = Reader::new(section, diagnostics);
    let config = HeaderMatchConfig {
        name: reader.text("Name").unwrap_or_default(),
        values: reader.list("Values"),
        mode: reader
            .parsed("Mode", |text| leaf::member(text, &HEADER_MODES))
            .unwrap_or_default(),
        is_case_sensitive: reader
            .parsed("IsCaseSensitive", leaf::boolean)
            .unwrap_or_default(),
    };
    let bare = matches!(
        config.mode,
        HeaderMatchMode::Exists | HeaderMatchMode::NotExists
    );
    check_values(&mut reader, &config.name, &config.values, bare); // R12 to R14
    reader.finish();
    config
}

fn query(section: Section<'_>, diagnostics: &mut Diagnostics) -> QueryParameterMatchConfig {
    let mut reader = Reader::new(section, diagnostics);
    let config = QueryParameterMatchConfig {
        name: reader.text("Name").unwrap_or_default(),
        values: reader.list("Values"),
        mode: reader
            .parsed("Mode", |text| leaf::member(text, &QUERY_MODES))
            .unwrap_or_default(),
        is_case_sensitive: reader
            .parsed("IsCaseSensitive", leaf::boolean)
            .unwrap_or_default(),
    };
    let bare = config.mode == QueryParameterMatchMode::Exists;
    check_values(&mut reader, &config.name, &config.values, bare); // R15 to R18
    reader.finish();
    config
}

fn check_values(reader: &mut Reader<'_, '_>, name: &str, values: &[String], bare: bool) {
    let at = reader.section.clone();
    if name.is_empty() {
        reader.error(&at, "the rule has no Name", None);
    }
    if bare && !values.is_empty() {
        reader.error(&at.child("Values"), "this Mode takes no Values", None);
    }
    if !bare && values.is_empty() {
        reader.error(&at, "the rule has no Values", None);
    }
    // Reference section 3.8: YARP finds this only when it builds its router, and then fails whole.
    for (item, value) in at
        .child("Values")
        .children()
        .map(|(_, item)| item)
        .zip(values)
    {
        if value.is_empty() {
            reader.error(&item, "a value is empty", None);
        }
    }
}
