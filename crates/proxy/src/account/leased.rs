//! Accounts of exchanges that a target has read by itself, under a lease: told of when they are over.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ostler_delegation::control::ConnectionFacts;
use ostler_delegation::entry::Completed;
use ostler_http1::{HeadDecoder, HeadProgress, Limits, RequestHead};
use ostler_model::{DestinationState, RouteModel};

use super::{Account, Open, is_told};
use crate::access_log::{AccessLog, LoggedRequest, Noted};
use crate::health::Watched;
use crate::metrics::{Asked, ThreadMetrics};
use crate::outcome::Mode;
use crate::permits::Permits;
use crate::pipeline::Pipeline;

/// What the accounts of a connection's exchanges under a lease have in common.
#[derive(Debug)]
pub(crate) struct LeasedAccounts {
    pipeline: Arc<Pipeline>,
    route: Option<Arc<RouteModel>>,
    destination: Option<Arc<DestinationState>>,
    watched: Option<Watched>,
    /// The access log, if there is one, and whose requests these are.
    log: Option<(Arc<dyn AccessLog>, ConnectionFacts)>,
    metrics: Option<Rc<ThreadMetrics>>,
}

impl Account {
    /// What further exchanges of this one's connection have in common with it; `None` when it is closed.
    pub(crate) fn for_lease(
        &self,
        log: Option<(Arc<dyn AccessLog>, ConnectionFacts)>,
        metrics: Option<Rc<ThreadMetrics>>,
    ) -> Option<LeasedAccounts> {
        let open = self.0.as_ref()?;
        Some(LeasedAccounts {
            pipeline: Arc::clone(&open.pipeline),
            route: open.route.clone(),
            destination: open.destination.clone(),
            watched: open.watched.as_deref().cloned(),
            log,
            metrics,
        })
    }
}

impl LeasedAccounts {
    /// Whether the heads of requests are needed.
    pub(crate) fn need_heads(&self) -> bool {
        self.log.is_some() || self.metrics.is_some()
    }

    /// An exchange is over, by the word of its target, which has told its head where it is needed.
    pub(crate) fn tell(&self, told: &Completed) {
        if self.watched.is_none() && !self.need_heads() && !is_told(&self.pipeline) {
            return;
        }
        let mut account = self.begin(&told.leftover, told.received_ns);
        account.close_completed(told);
    }

    /// The account of an exchange whose head was there at that time.
    pub(crate) fn begin(&self, head: &[u8], head_received_ns: u64) -> Account {
        let now = ostler_shm::monotonic_nanoseconds();
        let head_received_ns = head_received_ns.min(now);
        let request = self.need_heads().then(|| request_of(head));
        let measured = self.metrics.as_ref().map(|metrics| {
            metrics.begin(match &request {
                Some(LoggedRequest::Read(head, version)) => {
                    Asked::request(head.method(), *version, false)
                }
                _ => Asked::malformed(false),
            })
        });
        let noted = self
            .log
            .as_ref()
            .zip(request)
            .map(|((log, facts), request)| {
                let ago = Duration::from_nanos(now - head_received_ns);
                Noted::earlier(log, facts, request, ago)
            });
        Account(Some(Open {
            pipeline: Arc::clone(&self.pipeline),
            head_received_ns,
            mode: Mode::Leased,
            reason: None,
            decided_ns: None,
            route: self.route.clone(),
            destination: self.destination.clone(),
            guard: None,
            permits: Permits::default(),
            watched: self.watched.clone().map(Box::new),
            first_byte_ns: None,
            noted,
            measured,
        }))
    }
}

/// What a client has asked, by the word of a target.
fn request_of(bytes: &[u8]) -> LoggedRequest {
    let mut head = RequestHead::default();
    let limits = Limits {
        request_line: Limits::MOST,
        field_lines: Limits::MOST,
        fields: 1000,
    };
    match HeadDecoder::new(limits).decode(bytes, &mut head) {
        Ok(HeadProgress::Complete { .. }) => {
            LoggedRequest::Read(Box::new(head), http::Version::HTTP_11)
        }
        _ => LoggedRequest::malformed(bytes),
    }
}
