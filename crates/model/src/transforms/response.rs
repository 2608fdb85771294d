//! What response and trailer transforms do (reference B4).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::StatusCode;
use http::header::HeaderMap;
use ostler_http1::{FieldTransform, ResponseTransforms};

/// A response transform of one's own.
pub trait ResponseTransform: Send + Sync {
    /// Changes the response's fields.
    fn apply(&self, response: &mut OutgoingResponse<'_>);
}

/// A response on its way to the client.
pub struct OutgoingResponse<'a> {
    /// Its status; the proxy's own where no destination has answered.
    pub status: StatusCode,
    /// Its fields.
    pub headers: &'a mut HeaderMap,
    /// The destination's fields, if it has answered.
    pub destination: Option<&'a HeaderMap>,
    headers_copied: bool,
}

impl fmt::Debug for OutgoingResponse<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingResponse")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

/// One response or trailer transform.
pub(super) enum Step {
    Fields(FieldTransform),
    Custom(Arc<dyn ResponseTransform>),
}

impl Step {
    /// Whether it reads the destination's fields.
    fn reads_destination(&self) -> bool {
        match self {
            Self::Fields(transform) => transform.reads_original(),
            Self::Custom(_) => true,
        }
    }

    fn apply(&self, response: &mut OutgoingResponse<'_>) {
        match self {
            Self::Fields(transform) => transform.apply(
                response.status,
                response.headers,
                response.destination,
                &mut response.headers_copied,
            ),
            Self::Custom(transform) => transform.apply(response),
        }
    }
}

/// What is done to the fields of responses, or to their trailers.
pub(super) struct ResponseSteps {
    pub(super) steps: Vec<Step>,
    /// Whether the destination's are passed on.
    pub(super) copies: bool,
}

impl Default for ResponseSteps {
    fn default() -> Self {
        Self {
            steps: Vec::new(),
            copies: true,
        }
    }
}

impl ResponseSteps {
    /// The fields for the client, made of the destination's; `pass` takes out what is not passed on.
    pub(super) fn run(
        &self,
        status: StatusCode,
        destination: HeaderMap,
        pass: impl FnOnce(HeaderMap) -> HeaderMap,
    ) -> HeaderMap {
        let mut steps = self.steps.iter();
        let original = steps
            .any(Step::reads_destination)
            .then(|| destination.clone());
        let headers = match self.copies {
            true => pass(destination),
            false => HeaderMap::new(),
        };
        self.apply(status, headers, original.as_ref())
    }

    /// The fields of an answer in a destination's place.
    pub(super) fn run_without_destination(&self, status: StatusCode) -> HeaderMap {
        self.apply(status, HeaderMap::new(), None)
    }

    fn apply(
        &self,
        status: StatusCode,
        mut headers: HeaderMap,
        destination: Option<&HeaderMap>,
    ) -> HeaderMap {
        let mut response = OutgoingResponse {
            status,
            headers: &mut headers,
            destination,
            headers_copied: self.copies,
        };
        for step in &self.steps {
            step.apply(&mut response);
        }
        headers
    }
}

/// What becomes of the response transforms of a route where a target answers the client itself.
#[derive(Debug)]
pub enum DelegatedResponse {
    /// There are none.
    Unchanged,
    /// The target's library applies them: these bytes go along with each request.
    Encoded(Box<[u8]>),
    /// They cannot be written down, so exchanges of the route are relayed.
    Relayed(RelayReason),
}

/// Why exchanges of a route are relayed.
#[derive(Debug)]
pub struct RelayReason {
    text: &'static str,
    is_told: AtomicBool,
}

impl RelayReason {
    /// The reason, for people.
    pub fn text(&self) -> &'static str {
        self.text
    }

    /// Whether this is the first time that somebody asks.
    pub fn is_news(&self) -> bool {
        !self.is_told.load(Ordering::Relaxed) && !self.is_told.swap(true, Ordering::Relaxed)
    }
}

impl DelegatedResponse {
    /// Writes the transforms of a route down, if that can be.
    pub(super) fn of(response: &ResponseSteps, trailers: &ResponseSteps) -> Self {
        let relayed = |text| {
            Self::Relayed(RelayReason {
                text,
                is_told: AtomicBool::new(false),
            })
        };
        let (Some(fields), Some(trailer_fields)) =
            (written(&response.steps), written(&trailers.steps))
        else {
            return relayed("a response transform is code");
        };
        let made = ResponseTransforms {
            copies_fields: response.copies,
            copies_trailers: trailers.copies,
            fields,
            trailers: trailer_fields,
        };
        if made.is_empty() {
            return Self::Unchanged;
        }
        match made.encode() {
            Some(bytes) => Self::Encoded(bytes),
            None => relayed("the response transforms are too long"),
        }
    }
}

/// The steps as data; `None` where one is code.
fn written(steps: &[Step]) -> Option<Vec<FieldTransform>> {
    let written = steps.iter().map(|step| match step {
        Step::Fields(transform) => Some(transform.clone()),
        Step::Custom(_) => None,
    });
    written.collect()
}
