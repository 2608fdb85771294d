//! `Redirect` and `Respond` of a route: what it answers in the place of a cluster.

use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::leaf;
use crate::nearest::suggestion;
use crate::reader::Reader;
use crate::route_validator::RouteValidator;
use crate::schema::{LocationTemplate, RedirectConfig, RespondConfig};
use crate::tree::Section;
use crate::tree::key::same;

/// What may stand in a location beside a route's own values.
const OF_REQUEST: [&str; 5] = ["scheme", "host", "path", "query", "uri"];

/// Fields that say how a response is delimited, and what becomes of the connection.
const OF_CONNECTION: [&str; 5] = [
    "Content-Length",
    "Transfer-Encoding",
    "Connection",
    "Upgrade",
    "Trailer",
];

/// Reads `Redirect`, of a route with this path.
pub(super) fn redirect(
    section: Section<'_>,
    path: Option<&str>,
    validator: &dyn RouteValidator,
    diagnostics: &mut Diagnostics,
) -> Option<RedirectConfig> {
    let is_there = section.has_children();
    let mut reader = Reader::new(section, &keys::REDIRECT, diagnostics);
    let status_code = reader.parsed("StatusCode", |text| match leaf::int32(text)? {
        status @ (301 | 302 | 303 | 307 | 308) => Ok(status as u16),
        _ => Err(format!("{text:?} is none of 301, 302, 303, 307 and 308")),
    });
    let location = reader.text("Location");
    let at = reader.section.child("Location");
    match &location {
        None if is_there => {
            let remedy = "set it, as \"https://{host}{uri}\"".to_owned();
            reader.error(&at, "nothing says where to", Some(remedy));
        }
        None => {}
        Some(text) => match LocationTemplate::parse(text) {
            Err(message) => {
                let remedy =
                    "write it as \"https://{host}{uri}\", and a brace as {{ or }}".to_owned();
                reader.error(&at, message, Some(remedy));
            }
            Ok(template) => {
                let known = validator.path_parameters(path.unwrap_or_default());
                for name in template.names() {
                    check_name(&mut reader, &at, name, known.as_deref());
                    check_meaning(&mut reader, &at, name, known.as_deref());
                }
            }
        },
    }
    reader.finish();
    is_there.then(|| RedirectConfig {
        status_code,
        location: location.unwrap_or_default(),
    })
}

/// Whether there is such a value.
fn check_name(reader: &mut Reader<'_, '_>, at: &Section<'_>, name: &str, known: Option<&[String]>) {
    let Some(known) = known else { return };
    let known: Vec<_> = known.iter().map(String::as_str).chain(OF_REQUEST).collect();
    if !known.iter().any(|known| same(known, name)) {
        let message = format!("{{{name}}} is no value of the route's path, nor of the request");
        reader.error(at, message, Some(suggestion(name, &known)));
    }
}

/// A name that the route's path gives to a value of its own would have two meanings.
fn check_meaning(
    reader: &mut Reader<'_, '_>,
    at: &Section<'_>,
    name: &str,
    known: Option<&[String]>,
) {
    let is_captured = known.is_some_and(|known| known.iter().any(|known| same(known, name)));
    if is_captured && OF_REQUEST.iter().any(|of_request| same(of_request, name)) {
        let message =
            format!("{{{name}}} is a value of the route's path, and one of the request, too");
        let remedy = "give the one in Match:Path another name".to_owned();
        reader.error(at, message, Some(remedy));
    }
}

/// Reads `Respond`.
pub(super) fn respond(
    section: Section<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<RespondConfig> {
    let is_there = section.has_children();
    let mut reader = Reader::new(section, &keys::RESPOND, diagnostics);
    let status_code = reader.parsed("StatusCode", |text| match leaf::int32(text)? {
        status @ 200..=599 => Ok(status as u16),
        _ => Err(format!("{text:?} is not from 200 to 599")),
    });
    let body = reader.text("Body");
    let content_type = reader.parsed("ContentType", leaf::field_value);
    let headers = reader.map("Headers");
    let at = reader.section.child("Headers");
    for (name, value) in &headers {
        let at = at.child(name);
        let is_of_connection = OF_CONNECTION.iter().any(|known| same(known, name));
        if !leaf::is_token(name) {
            let remedy = "correct or remove it".to_owned();
            reader.error(&at, format!("{name:?} is no name of a field"), Some(remedy));
        } else if is_of_connection {
            let message =
                format!("{name} says how the response is sent, which is not for a route to say");
            reader.error(&at, message, Some("remove it".to_owned()));
        } else if let Err(message) = leaf::field_value(value) {
            reader.error(&at, message, Some("correct it".to_owned()));
        }
    }
    if body.is_some() && matches!(status_code, Some(204 | 205 | 304)) {
        let at = reader.section.child("Body");
        let message = "a response with this status has no body";
        reader.error(
            &at,
            message,
            Some("remove it, or set another StatusCode".to_owned()),
        );
    }
    reader.finish();
    is_there.then_some(RespondConfig {
        status_code,
        body,
        content_type,
        headers,
    })
}
