//! Transforms: what a route changes of requests, responses and trailers (reference B2-B4).
//!
//! A route's items are compiled once, when a configuration is applied. A route without any has no
//! [`Transforms`]: whoever sends its requests applies the defaults (2.4) in fixed form.

mod build;
mod forwarded;
mod lines;
pub mod path;
mod query;
mod request;
mod response;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::header::{HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode};
use ostler_config::schema::RouteConfig;

use crate::random::RandomSource;
use crate::route::{PathTemplate, RequestView, RouteBuildError};

pub use build::TransformsBuilder;
pub use lines::join_lines;
pub use request::{ConnectionEnds, OutgoingRequest, RequestTransform};
pub use response::{DelegatedResponse, OutgoingResponse, RelayReason, ResponseTransform};

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

/// The transforms of one route, compiled.
pub struct Transforms {
    request: Vec<request::Step>,
    /// How many of them are not defaults; these come first.
    configured: usize,
    response: Vec<response::Step>,
    trailers: Vec<response::Step>,
    copies_request_headers: bool,
    copies_response_headers: bool,
    copies_trailers: bool,
    /// The last three, written down once for all requests.
    delegated_response: DelegatedResponse,
    /// The route's path, for those that ask what it captured.
    template: Option<PathTemplate>,
}

impl std::fmt::Debug for Transforms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transforms")
            .field("request", &self.request.len())
            .field("response", &self.response.len())
            .field("trailers", &self.trailers.len())
            .finish_non_exhaustive()
    }
}

impl Transforms {
    /// Compiles what a route says and what providers add; puts what is wrong into `errors`.
    pub(crate) fn build(
        route: &RouteConfig,
        providers: &[Arc<dyn TransformProvider>],
        errors: &mut Vec<RouteBuildError>,
    ) -> Option<Arc<Self>> {
        build::build(route, providers, errors).map(Arc::new)
    }

    /// The outgoing request (reference B2.6), or the answer of a transform of one's own.
    /// `copied` gives the client's fields that are passed on, and `host` is sent where no transform
    /// says otherwise.
    pub fn request<'a>(
        &'a self,
        original: &'a dyn RequestView,
        ends: ConnectionEnds<'a>,
        method: Method,
        host: &'a HeaderValue,
        copied: impl FnOnce() -> HeaderMap,
        random: &mut dyn RandomSource,
    ) -> Result<OutgoingRequest<'a>, Box<Response<Vec<u8>>>> {
        self.run_request(&self.request, original, ends, method, host, copied, random)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "those of its two callers, and which steps"
    )]
    fn run_request<'a>(
        &'a self,
        steps: &[request::Step],
        original: &'a dyn RequestView,
        ends: ConnectionEnds<'a>,
        method: Method,
        host: &'a HeaderValue,
        copied: impl FnOnce() -> HeaderMap,
        random: &mut dyn RandomSource,
    ) -> Result<OutgoingRequest<'a>, Box<Response<Vec<u8>>>> {
        let headers = self.copies_request_headers.then(copied);
        let template = self.template.as_ref();
        let mut request = OutgoingRequest::new(original, ends, template, method, headers, host);
        for step in steps {
            step.apply(&mut request, random);
            if let Some(answer) = request.take_answer() {
                return Err(Box::new(answer));
            }
        }
        request.conclude();
        Ok(request)
    }

    /// The same for a request that is delegated: the defaults, which say who the client is, are left
    /// out, since a target sees that itself, unless the client has said something of it (`says_who`):
    /// that is the front's to say. `None` where nothing is changed.
    #[expect(
        clippy::too_many_arguments,
        reason = "those of `request`, and whether the defaults are among the steps"
    )]
    pub fn delegated_request<'a>(
        &'a self,
        original: &'a dyn RequestView,
        ends: ConnectionEnds<'a>,
        method: Method,
        host: &'a HeaderValue,
        says_who: bool,
        copied: impl FnOnce() -> HeaderMap,
        random: &mut dyn RandomSource,
    ) -> Option<Result<OutgoingRequest<'a>, Box<Response<Vec<u8>>>>> {
        let steps = match says_who {
            true => &self.request[..],
            false => &self.request[..self.configured],
        };
        if steps.is_empty() && self.copies_request_headers {
            return None;
        }
        Some(self.run_request(steps, original, ends, method, host, copied, random))
    }

    /// What a target is to do to its responses, or why none is asked to.
    pub fn delegated_response(&self) -> &DelegatedResponse {
        &self.delegated_response
    }

    /// The fields for the client, made of the destination's; `pass` takes out what is not passed on.
    pub fn response(
        &self,
        status: StatusCode,
        destination: HeaderMap,
        pass: impl FnOnce(HeaderMap) -> HeaderMap,
    ) -> HeaderMap {
        let copies = self.copies_response_headers;
        run(&self.response, status, destination, copies, pass)
    }

    /// The fields of an answer in a destination's place.
    pub fn failure(&self, status: StatusCode) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut response = OutgoingResponse {
            status,
            headers: &mut headers,
            destination: None,
            headers_copied: self.copies_response_headers,
        };
        for step in &self.response {
            step.apply(&mut response);
        }
        headers
    }

    /// The trailers for the client.
    pub fn trailers(
        &self,
        status: StatusCode,
        destination: HeaderMap,
        pass: impl FnOnce(HeaderMap) -> HeaderMap,
    ) -> HeaderMap {
        run(
            &self.trailers,
            status,
            destination,
            self.copies_trailers,
            pass,
        )
    }
}

fn run(
    steps: &[response::Step],
    status: StatusCode,
    destination: HeaderMap,
    copies: bool,
    pass: impl FnOnce(HeaderMap) -> HeaderMap,
) -> HeaderMap {
    let original = steps
        .iter()
        .any(response::Step::reads_destination)
        .then(|| destination.clone());
    let mut headers = match copies {
        true => pass(destination),
        false => HeaderMap::new(),
    };
    let mut response = OutgoingResponse {
        status,
        headers: &mut headers,
        destination: original.as_ref(),
        headers_copied: copies,
    };
    for step in steps {
        step.apply(&mut response);
    }
    headers
}
