//! Answers of the front's own, and telling of their ends: whoever is told how exchanges end (the log,
//! the pipeline's own steps) is told of these as well.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use ostler_http1::RequestHead;
use ostler_model::RouteModel;

use crate::client_side::{Answered, BodyRead, ClientSide};
use crate::exchange::{After, report};
use crate::outcome::{ForwarderError, Outcome};
use crate::pipeline::Pipeline;

/// What is known of an exchange that no destination has been chosen for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Here<'h> {
    pub(crate) pipeline: &'h Pipeline,
    /// The route it took, if one matched.
    pub(crate) route: Option<&'h Arc<RouteModel>>,
    pub(crate) head_received_ns: u64,
}

impl<'h> Here<'h> {
    /// The same, once a route has matched.
    pub(crate) fn on(self, route: &'h Arc<RouteModel>) -> Self {
        Self {
            route: Some(route),
            ..self
        }
    }

    /// Answers before anything of the request's body has been read.
    pub(crate) async fn answer(
        self,
        client_side: &mut ClientSide<'_>,
        head: &RequestHead,
        status: StatusCode,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> After {
        let read = BodyRead::Nothing;
        let answered = client_side.answer(head, read, status, fields, body).await;
        self.ended(answered, None)
    }

    /// Has been answered.
    pub(crate) fn ended(self, answered: Answered, error: Option<ForwarderError>) -> After {
        report(self.pipeline, || Outcome {
            route: self.route.cloned(),
            error,
            ..Outcome::local(
                answered.status,
                answered.bytes_sent,
                since(self.head_received_ns),
            )
        });
        answered.after
    }

    /// The client has gone before anybody could answer.
    pub(crate) fn client_gone(self) -> After {
        let nothing = Answered {
            after: After::Close,
            status: 0,
            bytes_sent: 0,
        };
        self.ended(nothing, Some(ForwarderError::RequestCanceled))
    }
}

/// Tells of an answer to what could not be read as a request.
pub(crate) fn report_refused(pipeline: &Pipeline, status: StatusCode, bytes_sent: u64) {
    let status = if bytes_sent == 0 { 0 } else { status.as_u16() };
    report(pipeline, || {
        Outcome::local(status, bytes_sent, Duration::ZERO)
    });
}

pub(crate) fn since(then_ns: u64) -> Duration {
    Duration::from_nanos(ostler_shm::monotonic_nanoseconds().saturating_sub(then_ns))
}
