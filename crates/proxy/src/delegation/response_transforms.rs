//! What a route's response transforms mean for delegated exchanges: the target applies them, or the
//! exchange is relayed, so that the front can.

use ostler_model::RouteModel;
use ostler_model::transforms::{DelegatedResponse, RelayReason};

use crate::outcome::Mode;
use crate::queues::Channel;
use crate::reason::Reason;

/// Why an exchange is not delegated though there is somebody to delegate it to.
#[derive(Debug, Clone, Copy)]
pub(super) struct NotDelegated {
    pub(super) reason: Reason,
    /// The same, for people.
    pub(super) text: &'static str,
}

/// The response transforms of an exchange's route.
pub(super) enum Responses<'a> {
    Unchanged,
    Encoded(&'a [u8]),
    Relayed(&'a RelayReason),
}

impl<'a> Responses<'a> {
    pub(super) fn of(route: &'a RouteModel) -> Self {
        let Some(transforms) = &route.transforms else {
            return Self::Unchanged;
        };
        match transforms.delegated_response() {
            DelegatedResponse::Unchanged => Self::Unchanged,
            DelegatedResponse::Encoded(bytes) => Self::Encoded(bytes),
            DelegatedResponse::Relayed(reason) => Self::Relayed(reason),
        }
    }

    /// What goes along with the request.
    pub(super) fn encoded(&self) -> &'a [u8] {
        match self {
            Self::Encoded(bytes) => bytes,
            Self::Unchanged | Self::Relayed(_) => &[],
        }
    }

    /// Why an exchange is relayed to this channel's instance, if it is.
    pub(super) fn relayed_by(&self, channel: &Channel) -> Option<NotDelegated> {
        match self {
            Self::Unchanged => None,
            Self::Encoded(_) if channel.transforms_responses() => None,
            Self::Encoded(_) => Some(NotDelegated {
                reason: Reason::OldTarget,
                text: "the target's library does not transform responses",
            }),
            Self::Relayed(reason) => Some(NotDelegated {
                reason: Reason::ResponseTransforms,
                text: reason.text(),
            }),
        }
    }

    /// Tells the log: of a route once, of each exchange to who wants to know.
    pub(super) fn tell(&self, route: &RouteModel, mode: Mode, reason: &str) {
        let (route, mode) = (&route.config.route_id, mode.as_str());
        match self {
            Self::Relayed(why) if why.is_news() => {
                tracing::info!(
                    route,
                    reason,
                    "exchanges of a route are {mode}, not delegated"
                );
            }
            _ => tracing::debug!(route, reason, "an exchange is {mode}, not delegated"),
        }
    }
}
