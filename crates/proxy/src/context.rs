//! What a pipeline step sees and may change of an exchange.

use std::net::SocketAddr;
use std::sync::Arc;

use ostler_delegation::entry::put_directive;
use ostler_http1::RequestHead;
use ostler_model::transforms::Transforms;
use ostler_model::{
    ClusterState, DestinationState, PassiveHealthCheckPolicy, RouteModel, SessionAffinity,
};

use crate::deadline::Deadline;
use crate::direct_forwarder::DirectForwarder;
use crate::health::{HealthSignal, Watched};

/// An exchange on its way through the pipeline (YARP's `IReverseProxyFeature`).
#[derive(Debug)]
pub struct ExchangeContext<'a> {
    head: &'a RequestHead,
    client: Option<SocketAddr>,
    client_version: http::Version,
    is_https: bool,
    route: Arc<RouteModel>,
    cluster: Arc<ClusterState>,
    all: Arc<[Arc<DestinationState>]>,
    available: Available,
    passive_health: Option<Arc<dyn PassiveHealthCheckPolicy>>,
    watched: Option<Box<Watched>>,
    /// Those among which one was chosen, and which of them have been.
    choice: Option<Choice>,
    affinity: Option<Arc<SessionAffinity>>,
    /// The affinity whose key belongs to the destination that was chosen.
    bound: Option<Bound>,
    /// Whose transforms apply, where the exchange is forwarded directly.
    direct: Option<Arc<RouteModel>>,
    directives: Vec<u8>,
    deadline: Option<Deadline>,
    body_limit: Option<u64>,
}

/// A destination was chosen among several.
#[derive(Debug)]
struct Choice {
    among: Arc<[Arc<DestinationState>]>,
    chosen: Vec<Arc<DestinationState>>,
}

/// A client is bound to a destination by a key.
#[derive(Debug)]
struct Bound {
    affinity: Arc<SessionAffinity>,
    /// Where the key stands in the directives; `None` is that the client has brought it.
    key_from: Option<usize>,
}

/// The destinations an exchange may still go to.
#[derive(Debug, Clone)]
enum Available {
    Many(Arc<[Arc<DestinationState>]>),
    One(Arc<DestinationState>),
    None,
}

impl<'a> ExchangeContext<'a> {
    pub(crate) fn new(
        head: &'a RequestHead,
        client: Option<SocketAddr>,
        client_version: http::Version,
        is_https: bool,
        route: Arc<RouteModel>,
        cluster: Arc<ClusterState>,
    ) -> Self {
        let destinations = cluster.destinations();
        Self {
            head,
            client,
            client_version,
            is_https,
            route,
            all: Arc::clone(&destinations.all),
            available: Available::Many(Arc::clone(&destinations.available)),
            passive_health: destinations.passive_health.clone(),
            watched: None,
            cluster,
            choice: None,
            affinity: None,
            bound: None,
            direct: None,
            directives: Vec::new(),
            deadline: None,
            body_limit: None,
        }
    }

    /// The request's head.
    pub fn head(&self) -> &RequestHead {
        self.head
    }

    /// The client's address.
    pub fn client_address(&self) -> Option<SocketAddr> {
        self.client
    }

    /// What the client speaks. The head reads alike whatever it is: an HTTP/2 request stands there
    /// as HTTP/1.1 would have it, and an extended CONNECT as an upgrade.
    pub fn client_version(&self) -> http::Version {
        self.client_version
    }

    /// A gRPC call, which may go on for as long and as far as it likes (reference B13).
    pub(crate) fn is_grpc(&self) -> bool {
        let is_grpc = |value: &[u8]| {
            let media_type = value.split(|byte| *byte == b';').next().unwrap_or_default();
            media_type
                .trim_ascii()
                .eq_ignore_ascii_case(b"application/grpc")
        };
        self.client_version == http::Version::HTTP_2
            && self.head.field("content-type").is_some_and(is_grpc)
    }

    /// Whether the client speaks TLS.
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// The route that matched.
    pub fn route(&self) -> &Arc<RouteModel> {
        &self.route
    }

    /// The cluster that answers.
    pub fn cluster(&self) -> &Arc<ClusterState> {
        &self.cluster
    }

    /// Every destination of the cluster, healthy or not.
    pub fn all_destinations(&self) -> &[Arc<DestinationState>] {
        &self.all
    }

    /// The destinations the exchange may still go to.
    pub fn available_destinations(&self) -> &[Arc<DestinationState>] {
        match &self.available {
            Available::Many(many) => many,
            Available::One(one) => std::slice::from_ref(one),
            Available::None => &[],
        }
    }

    /// The one destination that is left, once there is only one.
    pub(crate) fn chosen(&self) -> Option<&Arc<DestinationState>> {
        match self.available_destinations() {
            [one] => Some(one),
            _ => None,
        }
    }

    /// Leaves only this destination.
    pub fn narrow_to(&mut self, destination: Arc<DestinationState>) {
        self.available = Available::One(destination);
        self.choice = None;
    }

    /// Leaves these destinations.
    pub fn set_available_destinations(&mut self, destinations: Arc<[Arc<DestinationState>]>) {
        self.available = Available::Many(destinations);
        self.choice = None;
    }

    /// Leaves none: the request is answered 503.
    pub fn clear_available_destinations(&mut self) {
        self.available = Available::None;
        self.choice = None;
    }

    /// Leaves only this destination, which might as well be another of those that are left: see
    /// [`untried`](Self::untried).
    pub(crate) fn choose(&mut self, destination: Arc<DestinationState>) {
        if let Available::Many(among) = &self.available {
            let among = Arc::clone(among);
            let chosen = Vec::new();
            self.choice = Some(Choice { among, chosen });
        }
        self.available = Available::One(destination);
    }

    /// The destinations that might have been chosen as well, and have not been until now.
    pub(crate) fn untried(&mut self) -> Vec<Arc<DestinationState>> {
        let Some(Choice { among, chosen }) = &mut self.choice else {
            return Vec::new();
        };
        if let Available::One(destination) = &self.available {
            chosen.push(Arc::clone(destination));
        }
        let is_untried = |one: &&Arc<_>| !chosen.iter().any(|chosen| Arc::ptr_eq(chosen, one));
        among.iter().filter(is_untried).map(Arc::clone).collect()
    }

    /// The destinations that might be chosen instead and are available now, whether they have been
    /// chosen before or not: a queue may be served again.
    pub(crate) fn alternatives(&self) -> impl Iterator<Item = &Arc<DestinationState>> {
        let available = Arc::clone(&self.cluster.destinations().available);
        let among = self.choice.iter().flat_map(|choice| choice.among.iter());
        among.filter(move |one| {
            let is_chosen = matches!(&self.available, Available::One(it) if Arc::ptr_eq(it, one));
            !is_chosen && available.iter().any(|it| Arc::ptr_eq(it, one))
        })
    }

    /// Gives the exchange to another cluster (YARP's `ReassignProxyRequest`).
    pub fn reassign(&mut self, cluster: Arc<ClusterState>) {
        let destinations = cluster.destinations();
        self.all = Arc::clone(&destinations.all);
        self.set_available_destinations(Arc::clone(&destinations.available));
        self.passive_health = destinations.passive_health.clone();
        self.cluster = cluster;
    }

    /// Leaves nothing of the cluster: neither its destinations nor its affinity nor its passive health
    /// checks. The route's policies hold (reference B21).
    pub(crate) fn forward_directly(&mut self, to: &DirectForwarder) {
        self.reassign(Arc::clone(to.cluster()));
        self.narrow_to(Arc::clone(to.destination()));
        self.affinity = None;
        self.bound = None;
        self.watched = None;
        self.direct = Some(Arc::clone(to.route()));
    }

    /// What is changed of request and response; `None` where only the defaults apply.
    pub(crate) fn transforms(&self) -> Option<&Transforms> {
        let route = self.direct.as_ref().unwrap_or(&self.route);
        route.transforms.as_deref()
    }

    /// Whether the exchange can still be delegated: true here, since steps run before a body byte
    /// is read and before the response is started.
    pub fn can_delegate(&self) -> bool {
        true
    }

    /// Adds a field to the response, whoever answers. False when there is no room for it.
    pub fn add_response_field(
        &mut self,
        name: &http::HeaderName,
        value: &http::HeaderValue,
    ) -> bool {
        put_directive(
            &mut self.directives,
            name.as_str().as_bytes(),
            value.as_bytes(),
        )
    }

    /// When the exchange must be over, if its route has a timeout.
    pub(crate) fn deadline(&self) -> Option<Deadline> {
        self.deadline
    }

    pub(crate) fn set_deadline(&mut self, deadline: Deadline) {
        self.deadline = Some(deadline);
    }

    /// Most bytes of the request's body, if there is a limit.
    pub(crate) fn body_limit(&self) -> Option<u64> {
        self.body_limit
    }

    pub(crate) fn set_body_limit(&mut self, limit: Option<u64>) {
        self.body_limit = limit;
    }

    /// The client is to come back to the destination that is chosen.
    pub(crate) fn set_affinity(&mut self, affinity: Arc<SessionAffinity>) {
        self.affinity = Some(affinity);
    }

    pub(crate) fn take_affinity(&mut self) -> Option<Arc<SessionAffinity>> {
        self.affinity.take()
    }

    /// The client's key is that of the destination that is chosen.
    pub(crate) fn bind(&mut self, affinity: Arc<SessionAffinity>) {
        let key_from = None;
        self.bound = Some(Bound { affinity, key_from });
    }

    /// The key that comes next among the fields for the response is that of the destination that is
    /// chosen.
    pub(crate) fn bind_from_here(&mut self, affinity: Arc<SessionAffinity>) {
        let key_from = Some(self.directives.len());
        self.bound = Some(Bound { affinity, key_from });
    }

    /// Another destination is chosen: what binds the client to the one before is taken back.
    pub(crate) fn unbind(&mut self) {
        let Some(Bound { affinity, key_from }) = self.bound.take() else {
            return;
        };
        if let Some(key_from) = key_from {
            self.directives.truncate(key_from);
        }
        self.affinity = Some(affinity);
    }

    /// Has the exchange's end reported to its cluster's passive health policy, if it has one.
    pub(crate) fn watch_passively(&mut self, signal: &HealthSignal) {
        if let Some(policy) = &self.passive_health {
            self.watched = Some(Box::new(Watched {
                cluster: Arc::clone(&self.cluster),
                policy: Arc::clone(policy),
                signal: signal.clone(),
            }));
        }
    }

    /// Whom the exchange's end is to be reported to.
    pub(crate) fn take_watched(&mut self) -> Option<Box<Watched>> {
        self.watched.take()
    }

    /// The fields that come behind those of the response, whoever answers: see
    /// [`add_response_field`](Self::add_response_field).
    pub(crate) fn directives(&self) -> &[u8] {
        &self.directives
    }
}
