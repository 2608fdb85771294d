//! `Transforms` of a route: the rules R4 and R5, in full (reference B2.3 and B5).
//!
//! What YARP finds only when it builds a route ("build" in part B) is found here as well.

use crate::diagnostics::{Diagnostics, Severity};
use crate::leaf;
use crate::nearest::nearest;
use crate::reader::note;
use crate::route_validator::RouteValidator;
use crate::schema::Metadata;
use crate::tree::Section;
use crate::tree::key::same;

/// What the value of a transform's primary key may be, and which parameters there are.
#[derive(Clone, Copy)]
enum Shape {
    /// An action and one for each part.
    XForwarded,
    /// A list of parts and how they are shown.
    Forwarded,
    /// A method and the one it becomes.
    Method,
    /// A path.
    Path,
    /// A path template.
    Pattern,
    /// `true` or `false`.
    Flag,
    /// A name.
    Name,
    /// A name, and when.
    NameWhen,
    /// Names between `;`.
    Names,
    /// A name and a literal to set or append.
    Literal,
    /// A name and a literal to set or append, and when.
    LiteralWhen,
    /// A name and the name of a route value to set or append.
    RouteValue,
}

/// A transform, described once: for the reader, and for `docs/configuration.md`.
pub(crate) struct Transform {
    /// The key that says which one it is.
    pub(crate) key: &'static str,
    shape: Shape,
    /// One as it is written.
    pub(crate) example: &'static str,
    /// What it does, in Markdown.
    pub(crate) doc: &'static str,
}

const fn transform(
    key: &'static str,
    shape: Shape,
    example: &'static str,
    doc: &'static str,
) -> Transform {
    Transform {
        key,
        shape,
        example,
        doc,
    }
}

/// All of them, in the order in which their keys are looked for; the first that is there decides.
pub(crate) static TRANSFORMS: [Transform; 25] = [
    transform(
        "X-Forwarded",
        Shape::XForwarded,
        r#"{ "X-Forwarded": "Append", "HeaderPrefix": "X-Forwarded-" }"#,
        "What becomes of `X-Forwarded-For`, `-Host`, `-Proto` and `-Prefix`: `Set` (the \
         default), `Append`, `Remove` or `Off`. `For`, `Prefix`, `Host` and `Proto` say \
         otherwise for one of them.",
    ),
    transform(
        "Forwarded",
        Shape::Forwarded,
        r#"{ "Forwarded": "for,proto", "ForFormat": "IpAndPort", "Action": "Append" }"#,
        "Adds the field `Forwarded` (RFC 7239) with these parts in place of the `X-Forwarded` \
         ones. Formats of `for` and `by`: `Random` (the default), `RandomAndPort`, \
         `RandomAndRandomPort`, `Unknown`, `UnknownAndPort`, `UnknownAndRandomPort`, `Ip`, \
         `IpAndPort`, `IpAndRandomPort`, `None`.",
    ),
    transform(
        "ClientCert",
        Shape::Name,
        r#"{ "ClientCert": "X-Client-Cert" }"#,
        "Puts the client's certificate, in base64, into this field.",
    ),
    transform(
        "HttpMethodChange",
        Shape::Method,
        r#"{ "HttpMethodChange": "PUT", "Set": "POST" }"#,
        "Makes one method another one.",
    ),
    transform(
        "PathSet",
        Shape::Path,
        r#"{ "PathSet": "/other" }"#,
        "Replaces the path.",
    ),
    transform(
        "PathPrefix",
        Shape::Path,
        r#"{ "PathPrefix": "/base" }"#,
        "Puts this before the path.",
    ),
    transform(
        "PathRemovePrefix",
        Shape::Path,
        r#"{ "PathRemovePrefix": "/api" }"#,
        "Takes this from the path's beginning, where whole segments match.",
    ),
    transform(
        "PathPattern",
        Shape::Pattern,
        r#"{ "PathPattern": "/other/{id}" }"#,
        "Makes a path of a template and the route's values.",
    ),
    transform(
        "QueryValueParameter",
        Shape::Literal,
        r#"{ "QueryValueParameter": "from", "Append": "front" }"#,
        "Sets or appends a parameter of the query.",
    ),
    transform(
        "QueryRouteParameter",
        Shape::RouteValue,
        r#"{ "QueryRouteParameter": "id", "Set": "id" }"#,
        "The same with one of the route's values.",
    ),
    transform(
        "QueryRemoveParameter",
        Shape::Name,
        r#"{ "QueryRemoveParameter": "debug" }"#,
        "Removes a parameter of the query.",
    ),
    transform(
        "RequestHeadersCopy",
        Shape::Flag,
        r#"{ "RequestHeadersCopy": "false" }"#,
        "Whether the request's fields are copied; they are by default.",
    ),
    transform(
        "RequestHeaderOriginalHost",
        Shape::Flag,
        r#"{ "RequestHeaderOriginalHost": "true" }"#,
        "Whether the request's `Host` is kept; by default the destination's is sent.",
    ),
    transform(
        "RequestHeader",
        Shape::Literal,
        r#"{ "RequestHeader": "X-From", "Set": "front" }"#,
        "Sets or appends a field of the request.",
    ),
    transform(
        "RequestHeaderRouteValue",
        Shape::RouteValue,
        r#"{ "RequestHeaderRouteValue": "X-Id", "Set": "id" }"#,
        "The same with one of the route's values.",
    ),
    transform(
        "RequestHeaderRemove",
        Shape::Name,
        r#"{ "RequestHeaderRemove": "Cookie" }"#,
        "Removes a field of the request.",
    ),
    transform(
        "RequestHeadersAllowed",
        Shape::Names,
        r#"{ "RequestHeadersAllowed": "Accept;Host" }"#,
        "Copies these fields of the request and no others.",
    ),
    transform(
        "ResponseHeadersCopy",
        Shape::Flag,
        r#"{ "ResponseHeadersCopy": "false" }"#,
        "Whether the response's fields are copied; they are by default.",
    ),
    transform(
        "ResponseTrailersCopy",
        Shape::Flag,
        r#"{ "ResponseTrailersCopy": "false" }"#,
        "Whether the response's trailers are copied; they are by default.",
    ),
    transform(
        "ResponseHeader",
        Shape::LiteralWhen,
        r#"{ "ResponseHeader": "X-By", "Set": "front", "When": "Always" }"#,
        "Sets or appends a field of the response.",
    ),
    transform(
        "ResponseTrailer",
        Shape::LiteralWhen,
        r#"{ "ResponseTrailer": "X-By", "Append": "front" }"#,
        "Sets or appends a trailer of the response.",
    ),
    transform(
        "ResponseHeaderRemove",
        Shape::NameWhen,
        r#"{ "ResponseHeaderRemove": "Server", "When": "Always" }"#,
        "Removes a field of the response.",
    ),
    transform(
        "ResponseTrailerRemove",
        Shape::NameWhen,
        r#"{ "ResponseTrailerRemove": "X-Debug" }"#,
        "Removes a trailer of the response.",
    ),
    transform(
        "ResponseHeadersAllowed",
        Shape::Names,
        r#"{ "ResponseHeadersAllowed": "Content-Type;Date" }"#,
        "Copies these fields of the response and no others.",
    ),
    transform(
        "ResponseTrailersAllowed",
        Shape::Names,
        r#"{ "ResponseTrailersAllowed": "grpc-status" }"#,
        "Copies these trailers of the response and no others.",
    ),
];

/// Spelled exactly so, unlike all other names in a configuration (part B, 3.6).
const ACTIONS: [&str; 4] = ["Off", "Set", "Append", "Remove"];

const NODE_FORMATS: [&str; 10] = [
    "None",
    "Random",
    "RandomAndPort",
    "RandomAndRandomPort",
    "Unknown",
    "UnknownAndPort",
    "UnknownAndRandomPort",
    "Ip",
    "IpAndPort",
    "IpAndRandomPort",
];

/// Checks one item of `Transforms`.
pub(super) fn check(
    item: &Section<'_>,
    transform: &Metadata,
    validator: &dyn RouteValidator,
    diagnostics: &mut Diagnostics,
) {
    let known = TRANSFORMS
        .iter()
        .find(|known| value(transform, known.key).is_some());
    let Some(known) = known else {
        let keys: Vec<_> = transform.keys().map(String::as_str).collect();
        let message = match keys.as_slice() {
            [] => "the transform is empty".to_owned(),
            keys => format!("no transform is known by the keys {}", keys.join(", ")),
        };
        let primary: Vec<_> = TRANSFORMS.iter().map(|known| known.key).collect();
        let near = keys.iter().find_map(|key| nearest(key, &primary));
        let remedy = Some(match near {
            Some(near) => format!("did you mean {near}?"),
            None => "remove it, or write one of YARP's".to_owned(),
        });
        note(diagnostics, Severity::Error, item, message, remedy); // R4
        return;
    };
    let mut check = Check {
        item,
        transform,
        primary: known.key,
        diagnostics,
    };
    check.shape(known.shape, validator);
}

/// What stands under a key, compared without case.
fn value<'a>(transform: &'a Metadata, key: &str) -> Option<&'a str> {
    let found = transform.iter().find(|(other, _)| same(other, key));
    found.map(|(_, value)| value.as_str())
}

/// Checking one transform whose kind is known.
struct Check<'a, 'd> {
    item: &'d Section<'d>,
    transform: &'a Metadata,
    primary: &'static str,
    diagnostics: &'d mut Diagnostics,
}

impl<'a> Check<'a, '_> {
    fn shape(&mut self, shape: Shape, validator: &dyn RouteValidator) {
        match shape {
            Shape::XForwarded => self.x_forwarded(),
            Shape::Forwarded => self.forwarded(),
            Shape::Method => self.method(),
            Shape::Path => self.parameters(&[]),
            Shape::Names => {
                self.parameters(&[]);
                let list = self.value(self.primary).unwrap_or_default();
                let names = list.split(';').map(str::trim);
                for name in names.filter(|name| !name.is_empty()) {
                    self.token(self.primary, name, "header name");
                }
            }
            Shape::Pattern => {
                self.parameters(&[]);
                let template = self.value(self.primary).unwrap_or_default();
                if let Err(message) = validator.validate_path(template) {
                    self.error(self.primary, format!("no path template: {message}"));
                }
            }
            Shape::Flag => {
                self.parameters(&[]);
                let flag = leaf::boolean(self.value(self.primary).unwrap_or_default());
                if let Err(message) = flag {
                    self.error(self.primary, message);
                }
            }
            Shape::Name => {
                self.parameters(&[]);
                self.not_empty(self.primary);
            }
            Shape::NameWhen => {
                self.parameters(&["When"]);
                self.not_empty(self.primary);
                self.when();
            }
            Shape::Literal => {
                self.parameters(&["Set", "Append"]);
                self.not_empty(self.primary);
                self.set_or_append();
            }
            Shape::LiteralWhen => {
                self.parameters(&["Set", "Append", "When"]);
                self.not_empty(self.primary);
                self.set_or_append();
                self.when();
            }
            Shape::RouteValue => {
                self.parameters(&["Set", "Append"]);
                self.not_empty(self.primary);
                self.set_or_append();
                self.not_empty("Set");
                self.not_empty("Append");
            }
        }
    }

    fn x_forwarded(&mut self) {
        let parts = ["For", "Prefix", "Host", "Proto"];
        self.parameters(&["For", "Prefix", "Host", "Proto", "HeaderPrefix"]);
        for key in std::iter::once(self.primary).chain(parts) {
            self.action(key);
        }
        if let Some(prefix) = self.value("HeaderPrefix").filter(|text| !text.is_empty()) {
            self.token("HeaderPrefix", prefix, "beginning of a header name");
        }
    }

    fn forwarded(&mut self) {
        self.parameters(&["Action", "ForFormat", "ByFormat"]);
        self.action("Action");
        let list = self.value(self.primary).unwrap_or_default();
        let parts: Vec<_> = list
            .split([',', ' '])
            .filter(|part| !part.is_empty())
            .collect();
        for part in &parts {
            let known = ["for", "by", "host", "proto"];
            if !known.iter().any(|known| known.eq_ignore_ascii_case(part)) {
                let message = format!("{part:?} is not one of {}", known.join(", "));
                self.error(self.primary, message);
            }
        }
        for (key, part) in [("ForFormat", "for"), ("ByFormat", "by")] {
            let Some(format) = self.value(key) else {
                continue;
            };
            let known = NODE_FORMATS
                .iter()
                .any(|known| known.eq_ignore_ascii_case(format.trim()));
            if !known {
                let known = NODE_FORMATS.join(", ");
                self.error(key, format!("{format:?} is not one of {known}"));
            } else if !parts.iter().any(|listed| listed.eq_ignore_ascii_case(part)) {
                let message = format!(
                    "a format for {part:?}, which {:?} does not list",
                    self.primary
                );
                self.error(key, message);
            }
        }
    }

    fn method(&mut self) {
        self.parameters(&["Set"]);
        if self.value("Set").is_none() {
            let message = format!("{} needs Set, the method it becomes", self.primary);
            self.error(self.primary, message);
        }
        for key in [self.primary, "Set"] {
            // RFC 9110 section 9.1: a method is a token (5.6.2).
            if let Some(method) = self.value(key) {
                self.token(key, method, "method");
            }
        }
    }

    /// Exactly one of `Set` and `Append`, which may be empty.
    fn set_or_append(&mut self) {
        if !self.primary.starts_with("Query") {
            self.field_value("Set");
            self.field_value("Append");
        }
        match (self.value("Set"), self.value("Append")) {
            (None, None) => {
                let message = format!("{} needs Set or Append", self.primary);
                self.error(self.primary, message);
            }
            (Some(_), Some(_)) => {
                self.error("Append", "Set and Append exclude each other".to_owned());
            }
            _ => {}
        }
    }

    fn field_value(&mut self, key: &str) {
        if let Err(message) = leaf::field_value(self.value(key).unwrap_or_default()) {
            self.error(key, message);
        }
    }

    fn when(&mut self) {
        let known = [("Always", 0, ()), ("Success", 1, ()), ("Failure", 2, ())];
        if let Some(Err(message)) = self.value("When").map(|text| leaf::member(text, &known)) {
            self.error("When", message);
        }
    }

    fn action(&mut self, key: &str) {
        if let Some(action) = self.value(key) {
            let number = action
                .parse()
                .is_ok_and(|number: usize| number < ACTIONS.len());
            if !number && !ACTIONS.contains(&action) {
                let known = ACTIONS.join(", ");
                self.error(
                    key,
                    format!("{action:?} is not one of {known}, in this case"),
                );
            }
        }
    }

    /// Other keys than the primary and these are too many.
    fn parameters(&mut self, allowed: &[&str]) {
        for key in self.transform.keys() {
            let known = std::iter::once(&self.primary).chain(allowed);
            if !known.clone().any(|known| same(known, key)) {
                let message = format!("{} takes no {key}", self.primary);
                self.error(key, message);
            }
        }
    }

    fn not_empty(&mut self, key: &str) {
        if self.value(key) == Some("") {
            self.error(key, "the name is empty".to_owned());
        } else if key == self.primary && !key.starts_with("Query") {
            // YARP finds out when a request comes; a field's name is a token (RFC 9110, 5.1).
            let name = self.value(key).unwrap_or_default();
            self.token(key, name, "header name");
        }
    }

    fn token(&mut self, key: &str, name: &str, what: &str) {
        if !leaf::is_token(name) {
            self.error(key, format!("{name:?} is no {what}"));
        }
    }

    fn value(&self, key: &str) -> Option<&'a str> {
        value(self.transform, key)
    }

    fn error(&mut self, key: &str, message: String) {
        let at = self.item.child(key);
        let remedy = format!("correct {key}, or remove the transform");
        note(
            self.diagnostics,
            Severity::Error,
            &at,
            message,
            Some(remedy),
        ); // R5
    }
}
