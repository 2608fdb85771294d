//! What a route answers by itself: a redirect, or a response that is written in the configuration.

use std::sync::Arc;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use http::{Response, StatusCode};
use ostler_config::host_name::without_port;
use ostler_config::schema::{LocationPart, LocationTemplate, RouteConfig};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::request_view::RequestView;
use super::template::PathTemplate;
use crate::cluster::ClusterState;
use crate::transforms::path::{Slashes, encode_into, forwarded, forwarded_query};

/// What stands for itself in a parameter of a query.
const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// What a route answers in the place of a cluster.
#[derive(Debug)]
pub struct RouteAction {
    answer: Answer,
    /// A cluster without destinations, for policies, which ask about an exchange's.
    nowhere: Arc<ClusterState>,
}

#[derive(Debug)]
enum Answer {
    Redirect {
        status: StatusCode,
        location: LocationTemplate,
        /// The route's path, which says what was captured.
        path: Option<PathTemplate>,
    },
    Respond {
        status: StatusCode,
        fields: HeaderMap,
        body: Vec<u8>,
    },
}

impl RouteAction {
    /// Makes that of a route which has one; what is wrong with it, its reader has told.
    pub(crate) fn build(route: &RouteConfig, nowhere: &Arc<ClusterState>) -> Option<Arc<Self>> {
        let answer = match (&route.redirect, &route.respond) {
            (Some(config), _) => Answer::Redirect {
                status: status(config.status_code, StatusCode::TEMPORARY_REDIRECT),
                location: LocationTemplate::parse(&config.location).ok()?,
                path: route
                    .matches
                    .path
                    .as_deref()
                    .and_then(|path| PathTemplate::parse(path).ok()),
            },
            (None, Some(config)) => {
                let mut fields = HeaderMap::new();
                let content_type = config.content_type.as_deref();
                let default = config.body.as_ref().map(|_| "text/plain; charset=utf-8");
                if let Some(value) = content_type.or(default) {
                    fields.insert(CONTENT_TYPE, HeaderValue::from_str(value).ok()?);
                }
                for (name, value) in &config.headers {
                    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
                    fields.insert(name, HeaderValue::from_bytes(value.as_bytes()).ok()?);
                }
                Answer::Respond {
                    status: status(config.status_code, StatusCode::OK),
                    fields,
                    body: config.body.clone().unwrap_or_default().into_bytes(),
                }
            }
            (None, None) => return None,
        };
        let nowhere = Arc::clone(nowhere);
        Some(Arc::new(Self { answer, nowhere }))
    }

    /// A cluster without destinations.
    pub fn nowhere(&self) -> &Arc<ClusterState> {
        &self.nowhere
    }

    /// The status that is answered.
    pub fn status(&self) -> StatusCode {
        match &self.answer {
            Answer::Redirect { status, .. } | Answer::Respond { status, .. } => *status,
        }
    }

    /// The answer to a request.
    pub fn answer(&self, request: &dyn RequestView) -> Response<Vec<u8>> {
        let mut response = Response::new(Vec::new());
        match &self.answer {
            Answer::Redirect {
                status,
                location,
                path,
            } => {
                let location = locate(location, path.as_ref(), request);
                match HeaderValue::try_from(location) {
                    Ok(location) => {
                        *response.status_mut() = *status;
                        response.headers_mut().insert(LOCATION, location);
                    }
                    Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
                }
            }
            Answer::Respond {
                status,
                fields,
                body,
            } => {
                *response.status_mut() = *status;
                response.headers_mut().clone_from(fields);
                response.body_mut().clone_from(body);
            }
        }
        response
    }
}

fn status(written: Option<u16>, default: StatusCode) -> StatusCode {
    let written = written.and_then(|status| StatusCode::from_u16(status).ok());
    written.unwrap_or(default)
}

/// Fills a location's values in.
fn locate(
    location: &LocationTemplate,
    path: Option<&PathTemplate>,
    request: &dyn RequestView,
) -> String {
    let captured = path.and_then(|path| path.capture(request.path()));
    let mut text = String::new();
    for part in location.parts() {
        match part {
            LocationPart::Text(part) => text.push_str(part),
            LocationPart::Value(name) => {
                // The request's own first: of these it has been seen that they lead to no other host.
                if put_of_request(&mut text, name, request) {
                    continue;
                }
                let captured = captured.iter().flatten();
                let mut named = captured.filter(|(known, _)| known.eq_ignore_ascii_case(name));
                if let Some((_, value)) = named.next() {
                    put_value(&mut text, value.as_deref().unwrap_or_default());
                }
            }
        }
    }
    // Two slashes at its beginning would lead to another host, and so would a browser's idea of them.
    let is_slash = |c: char| matches!(c, '/' | '\\');
    match text.starts_with(is_slash) {
        true => format!("/{}", text.trim_start_matches(is_slash)),
        false => text,
    }
}

/// A value of the path: as it stood there, or in a parameter behind a `?`.
fn put_value(text: &mut String, value: &str) {
    match text.contains('?') {
        true => text.extend(utf8_percent_encode(value, IN_QUERY)),
        false => encode_into(text, value, Slashes::Keep),
    }
}

/// False where the request has no such value.
fn put_of_request(text: &mut String, name: &str, request: &dyn RequestView) -> bool {
    let put_path = |text: &mut String| {
        let path = forwarded(request.path());
        if !path.starts_with('/') {
            text.push('/');
        }
        text.push_str(&path);
    };
    let put_query = |text: &mut String| {
        if let Some(query) = request.query() {
            text.push('?');
            text.push_str(&forwarded_query(query));
        }
    };
    match name.to_ascii_lowercase().as_str() {
        "scheme" => text.push_str(if request.is_https() { "https" } else { "http" }),
        "host" => text.push_str(without_port(request.authority())),
        "path" => put_path(text),
        "query" => put_query(text),
        "uri" => {
            put_path(text);
            put_query(text);
        }
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ClusterModel;
    use crate::registry::PolicyRegistry;
    use crate::route::testing::Request;
    use ostler_config::schema::{MatchConfig, RedirectConfig};

    fn location(path: &str, location: &str, target: &str) -> String {
        let route = RouteConfig {
            matches: MatchConfig {
                path: Some(path.to_owned()),
                ..MatchConfig::default()
            },
            redirect: Some(RedirectConfig {
                status_code: None,
                location: location.to_owned(),
            }),
            ..RouteConfig::default()
        };
        let nowhere = ClusterModel::new(Arc::default(), &PolicyRegistry::default());
        let nowhere = Arc::new(ClusterState::new(nowhere.unwrap()));
        let action = RouteAction::build(&route, &nowhere).unwrap();
        let request = Request::to(target);
        let response = action.answer(&request);
        assert_eq!(response.status(), 307);
        response.headers()[LOCATION].to_str().unwrap().to_owned()
    }

    #[test]
    fn locations_are_made_of_the_request() {
        for (path, template, target, expected) in [
            (
                "/old/{**rest}",
                "https://new.example/{rest}{query}",
                "/old/a%20b/c?x=1",
                "https://new.example/a%20b/c?x=1",
            ),
            ("/old/{**rest}", "/new/{**rest}", "/old", "/new/"),
            (
                "/p/{id}",
                "/find?q={id}",
                "/p/a&b=c%26%3F",
                "/find?q=a%26b%3Dc%26%3F",
            ),
            (
                "/{**all}",
                "https://{host}:8443{uri}",
                "/a/../b?c",
                "https://localhost:8443/b?c",
            ),
            (
                "/{**all}",
                "{scheme}://www.{host}{path}",
                "/a",
                "http://www.localhost/a",
            ),
            // Wherever a path begins with two slashes, it leads nowhere else.
            ("/{**all}", "{uri}", "//evil.example/x", "/evil.example/x"),
            (
                "/x/{**rest}",
                "/{rest}",
                "/x//evil.example",
                "/evil.example",
            ),
            (
                "/x/{**rest}",
                "/{rest}",
                "/x/%5Cevil.example",
                "/%5Cevil.example",
            ),
            ("/x/{**rest}", "/{rest}", "/x/a%0d%0ab", "/a%0D%0Ab"),
        ] {
            assert_eq!(
                location(path, template, target),
                expected,
                "{template} {target}"
            );
        }
    }

    /// It would say which host the location leads to, without a slash before it.
    #[test]
    fn a_value_of_the_path_does_not_take_the_place_of_the_request_s() {
        assert_eq!(
            location(
                "/old/{**path}",
                "https://new.example{path}",
                "/old/.evil.example/x"
            ),
            "https://new.example/old/.evil.example/x"
        );
        assert_eq!(
            location("/{host}/x", "https://{host}/x", "/evil.example/x"),
            location("/{**rest}", "https://{host}/x", "/evil.example/x")
        );
    }
}
