//! What response and trailer transforms do (reference part B, 4).

use std::fmt;
use std::sync::Arc;

use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};

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
    pub(super) headers_copied: bool,
}

impl fmt::Debug for OutgoingResponse<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingResponse")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

/// Which responses a transform is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Always,
    Success,
    Failure,
}

impl When {
    fn includes(self, status: StatusCode) -> bool {
        match self {
            Self::Always => true,
            Self::Success => status.as_u16() < 400,
            Self::Failure => status.as_u16() >= 400,
        }
    }
}

/// One response or trailer transform.
pub(super) enum Step {
    Put {
        name: HeaderName,
        /// `None` where the text is no value: the field is dropped.
        value: Option<HeaderValue>,
        append: bool,
        when: When,
    },
    Remove {
        name: HeaderName,
        when: When,
    },
    Allowed(Vec<HeaderName>),
    Custom(Arc<dyn ResponseTransform>),
}

impl Step {
    /// Whether it reads the destination's fields.
    pub(super) fn reads_destination(&self) -> bool {
        match self {
            Self::Put { append, .. } => *append,
            Self::Remove { .. } => false,
            Self::Allowed(_) | Self::Custom(_) => true,
        }
    }

    pub(super) fn apply(&self, response: &mut OutgoingResponse<'_>) {
        match self {
            Self::Put {
                name,
                value,
                append,
                when,
            } if when.includes(response.status) => {
                // "Take" (reference part B, 2.7): what was not copied is taken from the destination.
                if !append {
                    response.headers.remove(name);
                } else if !response.headers_copied
                    && !response.headers.contains_key(name)
                    && let Some(destination) = response.destination
                {
                    for value in destination.get_all(name) {
                        response.headers.append(name.clone(), value.clone());
                    }
                }
                match value {
                    Some(value) => {
                        response.headers.append(name.clone(), value.clone());
                    }
                    None => {
                        response.headers.remove(name);
                    }
                }
            }
            Self::Remove { name, when } if when.includes(response.status) => {
                response.headers.remove(name);
            }
            Self::Allowed(names) => {
                let Some(destination) = response.destination else {
                    return;
                };
                for name in names {
                    for value in destination.get_all(name) {
                        response.headers.append(name.clone(), value.clone());
                    }
                }
                response.headers_copied = true;
            }
            Self::Custom(transform) => transform.apply(response),
            Self::Put { .. } | Self::Remove { .. } => {}
        }
    }
}
