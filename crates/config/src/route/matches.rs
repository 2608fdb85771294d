//! `Match` of a route: reading, and the rules R6 to R18 and 3.8.

use std::collections::HashSet;

use crate::diagnostics::Diagnostics;
use crate::host_name;
use crate::keys;
use crate::leaf::{self, Members};
use crate::nearest::suggestion;
use crate::reader::Reader;
use crate::route_validator::RouteValidator;
use crate::schema::{
    HeaderMatchConfig, HeaderMatchMode, MatchConfig, QueryParameterMatchConfig,
    QueryParameterMatchMode,
};
use crate::tree::Section;

const METHODS: [&str; 8] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE",
];

const HEADER_MODES: &Members<HeaderMatchMode> = &[
    ("ExactHeader", 0, HeaderMatchMode::ExactHeader),
    ("HeaderPrefix", 1, HeaderMatchMode::HeaderPrefix),
    ("Contains", 2, HeaderMatchMode::Contains),
    ("NotContains", 3, HeaderMatchMode::NotContains),
    ("Exists", 4, HeaderMatchMode::Exists),
    ("NotExists", 5, HeaderMatchMode::NotExists),
];

const QUERY_MODES: &Members<QueryParameterMatchMode> = &[
    ("Exact", 0, QueryParameterMatchMode::Exact),
    ("Contains", 1, QueryParameterMatchMode::Contains),
    ("NotContains", 2, QueryParameterMatchMode::NotContains),
    ("Prefix", 3, QueryParameterMatchMode::Prefix),
    ("Exists", 4, QueryParameterMatchMode::Exists),
];

/// Reads `Match`.
pub(super) fn read(
    section: Section<'_>,
    validator: &dyn RouteValidator,
    diagnostics: &mut Diagnostics,
) -> MatchConfig {
    let mut reader = Reader::new(section, &keys::MATCH, diagnostics);
    let path = reader.text("Path");
    if let Some(Err(message)) = path.as_deref().map(|path| validator.validate_path(path)) {
        let at = reader.section.child("Path");
        let remedy = "write it in the manner of /api/{id}/{**rest}".to_owned();
        reader.error(&at, format!("no path template: {message}"), Some(remedy)); // R8
    }
    if let Some(path) = path.as_deref() {
        warn_of_stars(&mut reader, path);
    }
    let hosts = reader.list("Hosts");
    for (at, host) in &hosts {
        check_host(&mut reader, at, host, validator);
    }
    let methods = reader.list("Methods");
    let mut seen = HashSet::new();
    for (at, method) in &methods {
        let upper = method.to_ascii_uppercase();
        if !METHODS.contains(&upper.as_str()) {
            let remedy = suggestion(method, &METHODS);
            let message = format!("the method {method:?} is not supported");
            reader.error(at, message, Some(remedy)); // R10
        } else if !seen.insert(upper) {
            let message = format!("the method {method:?} is there twice");
            reader.error(at, message, Some("remove one".to_owned())); // R9
        }
    }
    let headers = reader.elements("Headers").into_iter();
    let headers = headers
        .map(|rule| header(rule, reader.diagnostics))
        .collect();
    let parameters = reader.elements("QueryParameters").into_iter();
    let query_parameters = parameters
        .map(|rule| query(rule, reader.diagnostics))
        .collect();
    reader.finish();
    MatchConfig {
        path,
        hosts: hosts.into_iter().map(|(_, host)| host).collect(),
        methods: methods.into_iter().map(|(_, method)| method).collect(),
        headers,
        query_parameters,
    }
}

/// Other proxies write `/api/*` for everything below; in a template that is a literal.
fn warn_of_stars(reader: &mut Reader<'_, '_>, path: &str) {
    let segments = path.split('/');
    let begins = |segment: &&str| segment.ends_with('*') && !segment.contains(['{', '}']);
    let Some(star) = segments.clone().find(begins) else {
        return;
    };
    let at = reader.section.child("Path");
    let message = format!("{star:?} is taken as it stands, and matches no other segment");
    let before: Vec<_> = segments.take_while(|segment| *segment != star).collect();
    let before = before.join("/");
    let remedy = format!("write {before}/{{**rest}} for everything below {before}/");
    reader.warn(&at, message, Some(remedy));
}

fn check_host(
    reader: &mut Reader<'_, '_>,
    at: &Section<'_>,
    host: &str,
    validator: &dyn RouteValidator,
) {
    if host.is_empty() {
        reader.error(at, "the host is empty", Some("remove it".to_owned())); // R6
    } else if is_bad_punycode(host) {
        let remedy = Some("write it in Unicode".to_owned());
        let message =
            format!("the host {host:?} has a label that begins with xn-- and is no Punycode");
        reader.error(at, message, remedy); // R7
    } else if let Err(message) = validator.validate_host(host) {
        // Reference A3.8: YARP finds this only when it builds its router, and then fails whole.
        let remedy = "write it as name, *.name, name:port or *".to_owned();
        reader.error(at, format!("no host: {message}"), Some(remedy));
    }
}

fn is_bad_punycode(host: &str) -> bool {
    let name = host.split(':').next().unwrap_or_default();
    let unicode = host_name::canonical(name);
    host_name::is_punycode(&unicode) || unicode.contains(char::is_control)
}

fn header(section: Section<'_>, diagnostics: &mut Diagnostics) -> HeaderMatchConfig {
    let mut reader = Reader::new(section, &keys::HEADER_RULE, diagnostics);
    let rule = rule(&mut reader, HEADER_MODES, |mode| {
        matches!(mode, HeaderMatchMode::Exists | HeaderMatchMode::NotExists)
    }); // R12 to R14
    reader.finish();
    HeaderMatchConfig {
        name: rule.name,
        values: rule.values,
        mode: rule.mode,
        is_case_sensitive: rule.is_case_sensitive,
    }
}

fn query(section: Section<'_>, diagnostics: &mut Diagnostics) -> QueryParameterMatchConfig {
    let mut reader = Reader::new(section, &keys::QUERY_RULE, diagnostics);
    let rule = rule(&mut reader, QUERY_MODES, |mode| {
        mode == QueryParameterMatchMode::Exists
    }); // R15 to R18
    reader.finish();
    QueryParameterMatchConfig {
        name: rule.name,
        values: rule.values,
        mode: rule.mode,
        is_case_sensitive: rule.is_case_sensitive,
    }
}

/// What header and query rules have in common, which is all but their modes.
struct Rule<Mode> {
    name: String,
    values: Vec<String>,
    mode: Mode,
    is_case_sensitive: bool,
}

/// `is_bare` says which modes only ask whether something is there.
fn rule<Mode: Copy + Default>(
    reader: &mut Reader<'_, '_>,
    modes: &Members<Mode>,
    is_bare: impl FnOnce(Mode) -> bool,
) -> Rule<Mode> {
    let name = reader.text("Name").unwrap_or_default();
    let values = reader.list("Values");
    let mode = reader.parsed("Mode", |text| leaf::member(text, modes));
    let is_case_sensitive = reader.parsed("IsCaseSensitive", leaf::boolean);
    let at = reader.section.clone();
    if name.is_empty() {
        let remedy = "set it to what the rule looks at".to_owned();
        reader.error(&at.child("Name"), "the rule has no Name", Some(remedy));
    }
    // What a mode that cannot be read wants is not known.
    let known = mode.is_some() || at.child("Mode").value().is_none();
    let bare = is_bare(mode.unwrap_or_default());
    if known && bare && !values.is_empty() {
        let remedy = Some("remove them".to_owned());
        reader.error(&at.child("Values"), "this Mode takes no Values", remedy);
    }
    if known && !bare && values.is_empty() {
        let remedy = "set Values, or the Mode to Exists".to_owned();
        reader.error(&at.child("Values"), "the rule has no Values", Some(remedy));
    }
    for (item, _) in values.iter().filter(|(_, value)| value.is_empty()) {
        // Reference A3.8, as above.
        reader.error(item, "the value is empty", Some("remove it".to_owned()));
    }
    Rule {
        name,
        values: values.into_iter().map(|(_, value)| value).collect(),
        mode: mode.unwrap_or_default(),
        is_case_sensitive: is_case_sensitive.unwrap_or_default(),
    }
}
