//! The transforms of a route, applied.

use http::header::{HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode};

use super::outgoing_request::{ConnectionEnds, OutgoingRequest};
use super::request::Step;
use super::response::{DelegatedResponse, ResponseSteps};
use crate::random::RandomSource;
use crate::route::{PathTemplate, RequestView};

/// The transforms of one route, compiled.
pub struct Transforms {
    pub(super) request: Vec<Step>,
    /// How many of them are not defaults; these come first.
    pub(super) configured: usize,
    pub(super) copies_request_headers: bool,
    pub(super) response: ResponseSteps,
    pub(super) trailers: ResponseSteps,
    /// The last two, written down once for all requests.
    pub(super) delegated_response: DelegatedResponse,
    /// The route's path, for those that ask what it captured.
    pub(super) template: Option<PathTemplate>,
}

impl std::fmt::Debug for Transforms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transforms")
            .field("request", &self.request.len())
            .field("response", &self.response.steps.len())
            .field("trailers", &self.trailers.steps.len())
            .finish_non_exhaustive()
    }
}

impl Transforms {
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
        steps: &[Step],
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
        self.response.run(status, destination, pass)
    }

    /// The fields of an answer in a destination's place.
    pub fn failure(&self, status: StatusCode) -> HeaderMap {
        self.response.run_without_destination(status)
    }

    /// The trailers for the client.
    pub fn trailers(
        &self,
        status: StatusCode,
        destination: HeaderMap,
        pass: impl FnOnce(HeaderMap) -> HeaderMap,
    ) -> HeaderMap {
        self.trailers.run(status, destination, pass)
    }
}
