//! Why the front answers itself, in the words of logs and metrics.

use http::StatusCode;
use ostler_http1::HeadError;

use super::{Unanswered, Why};
use crate::metrics::ConnectionEnd;
use crate::reason::Reason;

impl Why {
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::HostNotAllowed => Reason::HostNotAllowed,
            Self::File(_) => Reason::File,
            Self::NoRoute => Reason::NoRoute,
            Self::MethodNotAllowed(_) => Reason::MethodNotAllowed,
            Self::AmbiguousRoutes(_) => Reason::AmbiguousRoutes,
            Self::NoCluster => Reason::NoCluster,
            Self::Policy(reason, _) => *reason,
            Self::Configured(_) => Reason::Configured,
            Self::Step(_) => Reason::PipelineStep,
            Self::Transform(_) => Reason::RequestTransform,
            Self::NoAffinity => Reason::NoAffinity,
            Self::NoDestination => Reason::NoDestination,
            Self::Connect => Reason::Connect,
            Self::NoRule(_) => Reason::NoRule,
            Self::NotTransformed => Reason::RequestCreation,
            Self::NoRequest(status, _) if *status == StatusCode::PAYLOAD_TOO_LARGE => {
                Reason::BodyTooLarge
            }
            Self::NoRequest(..) => Reason::RequestCreation,
            Self::TooManyUpgrades => Reason::TooManyUpgrades,
            Self::Unanswered(_, unanswered) => unanswered.short(),
            Self::UpgradeForbidden
            | Self::InvalidKey(_)
            | Self::NotSwitched
            | Self::SwitchIgnored(_) => Reason::Upgrade,
            Self::NoResponse(_) | Self::NotPassedOn(..) => Reason::NoResponse,
            Self::ClientGone(_) => Reason::ClientGone,
            Self::MalformedHead(_) | Self::MalformedStream(..) | Self::NotHttp2 => {
                Reason::Malformed
            }
            Self::HeadTooSlow => Reason::HeadTooSlow,
        }
    }
}

impl Why {
    /// What ends the connection of a client that is answered this in place of a request's response.
    pub(crate) fn ends_connection(&self) -> ConnectionEnd {
        match self {
            Self::MalformedHead(HeadError::Version) => ConnectionEnd::InvalidHttpVersion,
            Self::MalformedHead(
                HeadError::RequestLineTooLong
                | HeadError::RequestLine
                | HeadError::Method
                | HeadError::RequestTarget,
            ) => ConnectionEnd::InvalidRequestLine,
            Self::MalformedHead(_) => ConnectionEnd::InvalidRequestHeaders,
            Self::HeadTooSlow => ConnectionEnd::RequestHeadersTimeout,
            _ => ConnectionEnd::Ordinary,
        }
    }
}

impl Unanswered {
    fn short(&self) -> Reason {
        match self {
            Self::Rule(_) => Reason::NoRule,
            Self::QueueFull(_) => Reason::QueueFull,
            Self::WaitedTooLong => Reason::QueueWait,
            Self::TimedOut(_) => Reason::RouteTimeout,
            Self::TargetDied => Reason::TargetDied,
            Self::TooLarge => Reason::LongHead,
        }
    }
}
