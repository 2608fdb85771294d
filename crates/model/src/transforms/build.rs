//! Making transforms of a route's items (reference B2.3 and B2.4). What the configuration's
//! validator has accepted can be built; whoever applies a configuration without it is told here.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;
use http::header::{FORWARDED, HeaderName, HeaderValue};

use super::compiled::Transforms;
use super::forwarded::{Action, Elements, Fact, NodeFormat};
use super::path::{Removable, configured};
use super::request::{FieldText, RequestTransform, Step, Text};
use super::response::{DelegatedResponse, ResponseSteps, ResponseTransform, Step as ResponseStep};
use crate::route::{PathBinder, PathTemplate, RouteBuildError};
use ostler_config::schema::RouteConfig;
use ostler_http1::{FieldTransform, When};

/// Adds transforms to routes from code, when a configuration is applied.
pub trait TransformProvider: Send + Sync {
    /// Adds what it likes to one route.
    fn apply(&self, route: &RouteConfig, transforms: &mut TransformsBuilder);
}

impl std::fmt::Debug for dyn TransformProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TransformProvider")
    }
}

impl<F: Fn(&RouteConfig, &mut TransformsBuilder) + Send + Sync> TransformProvider for F {
    fn apply(&self, route: &RouteConfig, transforms: &mut TransformsBuilder) {
        self(route, transforms);
    }
}

/// A route's transforms while they are put together.
pub struct TransformsBuilder {
    transforms: Transforms,
    has_host: bool,
    has_forwarder: bool,
    is_touched: bool,
}

impl std::fmt::Debug for TransformsBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.transforms.fmt(f)
    }
}

impl TransformsBuilder {
    /// Adds a request transform behind those that are there.
    pub fn add_request_transform(&mut self, transform: impl RequestTransform + 'static) {
        self.is_touched = true;
        self.request(Step::Custom(Arc::new(transform)));
    }

    /// Adds a response transform behind those that are there.
    pub fn add_response_transform(&mut self, transform: impl ResponseTransform + 'static) {
        self.is_touched = true;
        let step = ResponseStep::Custom(Arc::new(transform));
        self.transforms.response.steps.push(step);
    }

    fn request(&mut self, step: Step) {
        self.transforms.request.push(step);
    }

    fn x_forwarded(&mut self, prefix: &str, action: impl Fn(&str) -> Action) -> Result<(), String> {
        self.has_forwarder = true;
        let mut any = false;
        for (fact, part) in Fact::ALL {
            let action = action(part);
            if action != Action::Off {
                any = true;
                let name = name(&format!("{prefix}{part}"))?;
                self.request(Step::XForwarded { fact, name, action });
            }
        }
        if any {
            self.request(Step::HeaderRemove(FORWARDED));
        }
        Ok(())
    }
}

impl Transforms {
    /// Compiles what a route says and what providers add; puts what is wrong into `errors`. `None`
    /// where nothing but the defaults applies.
    pub(crate) fn build(
        route: &RouteConfig,
        providers: &[Arc<dyn TransformProvider>],
        errors: &mut Vec<RouteBuildError>,
    ) -> Option<Arc<Self>> {
        build(route, providers, errors).map(Arc::new)
    }
}

fn build(
    route: &RouteConfig,
    providers: &[Arc<dyn TransformProvider>],
    errors: &mut Vec<RouteBuildError>,
) -> Option<Transforms> {
    if route.transforms.is_empty() && providers.is_empty() {
        return None;
    }
    let mut builder = TransformsBuilder {
        transforms: Transforms {
            // A path that is no template is reported by the route table.
            template: route
                .matches
                .path
                .as_deref()
                .and_then(|path| PathTemplate::parse(path).ok()),
            request: Vec::new(),
            configured: 0,
            copies_request_headers: true,
            response: ResponseSteps::default(),
            trailers: ResponseSteps::default(),
            delegated_response: DelegatedResponse::Unchanged,
        },
        has_host: false,
        has_forwarder: false,
        is_touched: !route.transforms.is_empty(),
    };
    for (at, item) in route.transforms.iter().enumerate() {
        if let Err(message) = Item(item).add_to(&mut builder) {
            errors.push(RouteBuildError {
                route_id: route.route_id.clone(),
                part: format!("Transforms:{at}"),
                message,
            });
        }
    }
    for provider in providers {
        provider.apply(route, &mut builder);
    }
    if !builder.is_touched {
        return None;
    }
    builder.transforms.configured = builder.transforms.request.len();
    if !builder.has_host {
        builder.request(Step::OriginalHost(false));
    }
    if !builder.has_forwarder
        && let Err(message) = builder.x_forwarded("X-Forwarded-", |_| Action::Set)
    {
        errors.push(RouteBuildError {
            route_id: route.route_id.clone(),
            part: "Transforms".to_owned(),
            message,
        });
    }
    let mut transforms = builder.transforms;
    transforms.delegated_response =
        DelegatedResponse::of(&transforms.response, &transforms.trailers);
    Some(transforms)
}

/// One configured transform.
struct Item<'a>(&'a BTreeMap<String, String>);

impl<'a> Item<'a> {
    fn value(&self, key: &str) -> Option<&'a str> {
        let found = self
            .0
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(key));
        found.map(|(_, value)| value.as_str())
    }

    fn add_to(&self, builder: &mut TransformsBuilder) -> Result<(), String> {
        let get = |key| self.value(key);
        // In the order in which keys are tried (reference B2.2).
        if let Some(action) = get("X-Forwarded") {
            let all = action_of(action)?;
            let mut actions = Vec::with_capacity(4);
            for (_, part) in Fact::ALL {
                actions.push((part, get(part).map_or(Ok(all), action_of)?));
            }
            let action = |part: &str| {
                let found = actions.iter().find(|(other, _)| *other == part);
                found.map_or(all, |(_, action)| *action)
            };
            return builder.x_forwarded(get("HeaderPrefix").unwrap_or("X-Forwarded-"), action);
        }
        if let Some(list) = get("Forwarded") {
            return self.forwarded(list, builder);
        }
        if let Some(header) = get("ClientCert") {
            builder.request(Step::ClientCertificate(name(header)?));
        } else if let Some(from) = get("HttpMethodChange") {
            let to = get("Set").ok_or("HttpMethodChange needs Set")?;
            let to = method(to)?;
            let from = from.to_owned();
            builder.request(Step::Method { from, to });
        } else if let Some(path) = get("PathSet") {
            builder.request(Step::PathSet(configured(path)));
        } else if let Some(path) = get("PathPrefix") {
            builder.request(Step::PathPrefix(configured(path)));
        } else if let Some(path) = get("PathRemovePrefix") {
            builder.request(Step::PathRemovePrefix(Removable::new(path)));
        } else if let Some(path) = get("PathPattern") {
            let pattern = PathBinder::parse(path).map_err(|error| error.to_string())?;
            builder.request(Step::PathPattern(pattern));
        } else if let Some(name) = get("QueryValueParameter") {
            let (text, append) = self.put()?;
            let (name, text) = (name.to_owned(), Text::Literal(text.to_owned()));
            builder.request(Step::Query { name, text, append });
        } else if let Some(name) = get("QueryRouteParameter") {
            let (text, append) = self.put()?;
            let (name, text) = (name.to_owned(), Text::RouteValue(text.to_owned()));
            builder.request(Step::Query { name, text, append });
        } else if let Some(name) = get("QueryRemoveParameter") {
            builder.request(Step::QueryRemove(name.to_owned()));
        } else if let Some(copy) = get("RequestHeadersCopy") {
            builder.transforms.copies_request_headers = flag(copy)?;
        } else if let Some(original) = get("RequestHeaderOriginalHost") {
            builder.has_host = true;
            builder.request(Step::OriginalHost(flag(original)?));
        } else if let Some(header) = get("RequestHeader") {
            let (text, append) = self.put()?;
            let text = FieldText::Literal(HeaderValue::from_bytes(text.as_bytes()).ok());
            let name = name(header)?;
            builder.request(Step::Header { name, text, append });
        } else if let Some(header) = get("RequestHeaderRouteValue") {
            let (text, append) = self.put()?;
            let text = FieldText::RouteValue(text.to_owned());
            let name = name(header)?;
            builder.request(Step::Header { name, text, append });
        } else if let Some(header) = get("RequestHeaderRemove") {
            builder.request(Step::HeaderRemove(name(header)?));
        } else if let Some(list) = get("RequestHeadersAllowed") {
            builder.transforms.copies_request_headers = false;
            builder.request(Step::HeadersAllowed(names(list)?));
        } else {
            return self.response(&mut builder.transforms);
        }
        Ok(())
    }

    fn response(&self, transforms: &mut Transforms) -> Result<(), String> {
        if let Some(copy) = self.value("ResponseHeadersCopy") {
            transforms.response.copies = flag(copy)?;
            return Ok(());
        }
        if let Some(copy) = self.value("ResponseTrailersCopy") {
            transforms.trailers.copies = flag(copy)?;
            return Ok(());
        }
        let get = |key, list: &str| self.value(&format!("{key}{list}"));
        for key in ["ResponseHeader", "ResponseTrailer"] {
            let is_trailer = key == "ResponseTrailer";
            let transform = if let Some(header) = get(key, "") {
                let (text, append) = self.put()?;
                let (name, when) = (name(header)?, self.when()?);
                match (HeaderValue::from_bytes(text.as_bytes()), append) {
                    (Ok(value), false) => FieldTransform::Set { name, value, when },
                    (Ok(value), true) => FieldTransform::Append { name, value, when },
                    // Text that is no value: the field is dropped (reference B2.7).
                    (Err(_), _) => FieldTransform::Remove { name, when },
                }
            } else if let Some(header) = get(key, "Remove") {
                let (name, when) = (name(header)?, self.when()?);
                FieldTransform::Remove { name, when }
            } else if let Some(list) = get(key, "sAllowed") {
                match is_trailer {
                    true => transforms.trailers.copies = false,
                    false => transforms.response.copies = false,
                }
                FieldTransform::Allow(names(list)?)
            } else {
                continue;
            };
            let step = ResponseStep::Fields(transform);
            match is_trailer {
                true => transforms.trailers.steps.push(step),
                false => transforms.response.steps.push(step),
            }
            return Ok(());
        }
        Err("no such transform".to_owned())
    }

    fn forwarded(&self, list: &str, builder: &mut TransformsBuilder) -> Result<(), String> {
        builder.has_forwarder = true;
        let action = self.value("Action").map_or(Ok(Action::Set), action_of)?;
        let format = |key| match self.value(key) {
            None => Ok(Some(NodeFormat::RANDOM)),
            Some(text) => NodeFormat::parse(text).ok_or(format!("{text:?} is no format")),
        };
        let mut elements = Elements {
            proto: false,
            host: false,
            client: None,
            by: None,
        };
        let mut listed = list
            .split([',', ' '])
            .filter(|part| !part.is_empty())
            .peekable();
        if listed.peek().is_none() || action == Action::Off {
            return Ok(());
        }
        for part in listed {
            match part.to_ascii_lowercase().as_str() {
                "proto" => elements.proto = true,
                "host" => elements.host = true,
                "for" => elements.client = format("ForFormat")?,
                "by" => elements.by = format("ByFormat")?,
                _ => return Err(format!("{part:?} is no part of Forwarded")),
            }
        }
        builder.request(Step::Forwarded { elements, action });
        for (_, part) in Fact::ALL {
            builder.request(Step::HeaderRemove(name(&format!("X-Forwarded-{part}"))?));
        }
        Ok(())
    }

    /// What is set or appended; true for appended.
    fn put(&self) -> Result<(&'a str, bool), String> {
        match (self.value("Set"), self.value("Append")) {
            (Some(text), None) => Ok((text, false)),
            (None, Some(text)) => Ok((text, true)),
            _ => Err("there must be either Set or Append".to_owned()),
        }
    }

    fn when(&self) -> Result<When, String> {
        let text = self.value("When").map(str::to_ascii_lowercase);
        match text.as_deref().map(str::trim) {
            Some("always" | "0") => Ok(When::Always),
            None | Some("success" | "1") => Ok(When::Success),
            Some("failure" | "2") => Ok(When::Failure),
            Some(other) => Err(format!("When is {other:?}")),
        }
    }
}

fn name(text: &str) -> Result<HeaderName, String> {
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| format!("{text:?} is no header name"))
}

fn names(list: &str) -> Result<Vec<HeaderName>, String> {
    let listed = list.split(';').map(str::trim);
    listed.filter(|text| !text.is_empty()).map(name).collect()
}

/// Known methods are upper-case, others as they are configured (reference B3.3).
fn method(text: &str) -> Result<Method, String> {
    let known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::CONNECT,
        Method::OPTIONS,
        Method::TRACE,
        Method::PATCH,
    ];
    let found = known
        .into_iter()
        .find(|known| known.as_str().eq_ignore_ascii_case(text));
    match found {
        Some(known) => Ok(known),
        None => Method::from_bytes(text.as_bytes()).map_err(|_| format!("{text:?} is no method")),
    }
}

fn flag(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("{text:?} is neither true nor false")),
    }
}

fn action_of(text: &str) -> Result<Action, String> {
    Action::parse(text).ok_or(format!("{text:?} is no action"))
}
