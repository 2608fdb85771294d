//! What request transforms do (reference B3).

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use http::header::{self, HeaderName, HeaderValue};

use super::forwarded::{Action, Elements, Fact};
use super::outgoing_request::OutgoingRequest;
use super::path::{self, Removable};
use crate::random::RandomSource;
use crate::route::PathBinder;

/// A request transform of one's own.
pub trait RequestTransform: Send + Sync {
    /// Changes the outgoing request, or answers in the destination's place.
    fn apply(&self, request: &mut OutgoingRequest<'_>);
}

/// A literal or the name of a route value.
#[derive(Debug, Clone)]
pub(super) enum Text {
    Literal(String),
    RouteValue(String),
}

/// A field's value: what can be none is known when it is built.
#[derive(Debug, Clone)]
pub(super) enum FieldText {
    Literal(Option<HeaderValue>),
    RouteValue(String),
}

/// One request transform.
pub(super) enum Step {
    PathSet(String),
    PathPrefix(String),
    PathRemovePrefix(Removable),
    PathPattern(PathBinder),
    Query {
        name: String,
        text: Text,
        append: bool,
    },
    QueryRemove(String),
    Method {
        from: String,
        to: Method,
    },
    Header {
        name: HeaderName,
        text: FieldText,
        append: bool,
    },
    HeaderRemove(HeaderName),
    ClientCertificate(HeaderName),
    HeadersAllowed(Vec<HeaderName>),
    OriginalHost(bool),
    XForwarded {
        fact: Fact,
        name: HeaderName,
        action: Action,
    },
    Forwarded {
        elements: Elements,
        action: Action,
    },
    Custom(Arc<dyn RequestTransform>),
}

impl Step {
    pub(super) fn apply(&self, request: &mut OutgoingRequest<'_>, random: &mut dyn RandomSource) {
        match self {
            Self::PathSet(path) => request.path = Cow::Owned(path.clone()),
            Self::PathPrefix(prefix) => {
                request.path = Cow::Owned(path::with_prefix(prefix, &request.path));
            }
            Self::PathRemovePrefix(prefix) => {
                if let Some(rest) = prefix.rest(&request.path) {
                    request.path = Cow::Owned(rest.to_owned());
                }
            }
            Self::PathPattern(pattern) => {
                let path = pattern.bind(|name| request.route_value(name), request.slashes);
                request.path = Cow::Owned(path);
            }
            Self::Query { name, text, append } => {
                let text = match text {
                    Text::Literal(text) => text.clone(),
                    Text::RouteValue(value) => match request.route_value(value) {
                        Some(value) => value.to_owned(),
                        None => return,
                    },
                };
                request.put_query_parameter(name, &text, *append);
            }
            Self::QueryRemove(name) => request.remove_query_parameter(name),
            Self::Method { from, to } => {
                if request.method.as_str().eq_ignore_ascii_case(from) {
                    request.method = to.clone();
                }
            }
            Self::Header { name, text, append } => match text {
                FieldText::Literal(value) => request.put(name, value.as_ref(), *append),
                FieldText::RouteValue(value) => {
                    let Some(value) = request.route_value(value) else {
                        return;
                    };
                    let value = HeaderValue::from_bytes(value.as_bytes()).ok();
                    request.put(name, value.as_ref(), *append);
                }
            },
            Self::HeaderRemove(name) => {
                request.headers.remove(name);
            }
            Self::ClientCertificate(name) => {
                // Never what the client says of itself (reference B3.8).
                request.headers.remove(name);
                let encoded = request.client_certificate.map(|der| STANDARD.encode(der));
                if let Some(Ok(value)) = encoded.map(HeaderValue::try_from) {
                    request.headers.insert(name.clone(), value);
                }
            }
            Self::HeadersAllowed(names) => {
                for name in names {
                    let mut values = Vec::new();
                    request.original_values(name, |value| values.push(value));
                    for value in values.into_iter().filter(|value| !value.is_empty()) {
                        // There is one, whoever else has put it there.
                        match *name == header::HOST {
                            true => _ = request.headers.insert(name.clone(), value),
                            false => _ = request.headers.append(name.clone(), value),
                        }
                    }
                }
                request.headers_copied = true;
            }
            Self::OriginalHost(original) => request.host(*original),
            Self::XForwarded { fact, name, action } => {
                let value = fact.text(request);
                act(request, name, *action, value);
            }
            Self::Forwarded { elements, action } => {
                let value = elements.text(request, random);
                act(request, &header::FORWARDED, *action, Some(value));
            }
            Self::Custom(transform) => transform.apply(request),
        }
    }
}

/// The four actions (reference B3.6).
fn act(
    request: &mut OutgoingRequest<'_>,
    name: &HeaderName,
    action: Action,
    value: Option<String>,
) {
    let value = value.and_then(|value| HeaderValue::from_str(&value).ok());
    match action {
        Action::Off => {}
        Action::Set => request.put(name, value.as_ref(), false),
        Action::Remove => {
            request.headers.remove(name);
        }
        Action::Append => {
            let mut values = request.take(name);
            values.extend(value);
            if !values.is_empty() {
                request.put_joined(name, &values);
            }
        }
    }
}
