//! Why an exchange was not delegated: why it went another way, or why the front answered itself.

/// The reason, of an exchange that no target answered on the client's own socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// The destination names no request queue.
    NoQueue,
    /// The pipeline has no delegation step.
    NoDelegationStep,
    /// A step of the pipeline said where to forward to.
    ForwardedByStep,
    /// The client speaks HTTP/2, whose connection is not one exchange's.
    Http2,
    /// The client speaks TLS, which the kernel does not take over.
    Tls,
    /// The head is longer than a queue's entry may hold.
    LongHead,
    /// The route transforms responses in a way that only the front can.
    ResponseTransforms,
    /// The target's library is too old for what is asked of it.
    OldTarget,
    /// The target runs as a user that is not trusted with clients' sockets.
    UntrustedUser,
    /// The request's host is not among those that are allowed.
    HostNotAllowed,
    /// A file answers.
    File,
    /// No route matches.
    NoRoute,
    /// Routes match but for the method.
    MethodNotAllowed,
    /// Several routes match equally well.
    AmbiguousRoutes,
    /// The route names no cluster that there is.
    NoCluster,
    /// The route's CORS policy answers.
    Cors,
    /// The route's authorization policy refuses.
    Authorization,
    /// A rate limiter refuses.
    RateLimiter,
    /// The request's body is longer than it may be.
    BodyTooLarge,
    /// The configuration says what is answered: the route does, or that clients go to https.
    Configured,
    /// A step of the pipeline answers.
    PipelineStep,
    /// A request transform answers.
    RequestTransform,
    /// The destination that the client belongs to cannot be used.
    NoAffinity,
    /// No destination can be used.
    NoDestination,
    /// The client asks for a tunnel to somewhere else.
    Connect,
    /// The destination's configuration makes no delegation rule, or there is no such queue.
    NoRule,
    /// Transforms or the client's head make no request that can be sent.
    RequestCreation,
    /// There are as many upgraded connections as may be.
    TooManyUpgrades,
    /// The queue holds as many requests as it may.
    QueueFull,
    /// No target took the request in time.
    QueueWait,
    /// The route's timeout was over before a target began.
    RouteTimeout,
    /// The target died with the request.
    TargetDied,
    /// An upgrade that cannot be passed on, or that was not granted as it must be.
    Upgrade,
    /// The destination has not answered, or what it answered cannot be passed on.
    NoResponse,
    /// The client is gone.
    ClientGone,
    /// What the client sent is no request.
    Malformed,
    /// The client's head did not come in time.
    HeadTooSlow,
}

impl Reason {
    /// The word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoQueue => "no_queue",
            Self::NoDelegationStep => "no_delegation_step",
            Self::ForwardedByStep => "forwarded_by_step",
            Self::Http2 => "http2",
            Self::Tls => "tls",
            Self::LongHead => "long_head",
            Self::ResponseTransforms => "response_transforms",
            Self::OldTarget => "old_target",
            Self::UntrustedUser => "untrusted_user",
            Self::HostNotAllowed => "host_not_allowed",
            Self::File => "file",
            Self::NoRoute => "no_route",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::AmbiguousRoutes => "ambiguous_routes",
            Self::NoCluster => "no_cluster",
            Self::Cors => "cors",
            Self::Authorization => "authorization",
            Self::RateLimiter => "rate_limiter",
            Self::BodyTooLarge => "body_too_large",
            Self::Configured => "configured",
            Self::PipelineStep => "pipeline_step",
            Self::RequestTransform => "request_transform",
            Self::NoAffinity => "no_affinity",
            Self::NoDestination => "no_destination",
            Self::Connect => "connect",
            Self::NoRule => "no_rule",
            Self::RequestCreation => "request_creation",
            Self::TooManyUpgrades => "too_many_upgrades",
            Self::QueueFull => "queue_full",
            Self::QueueWait => "queue_wait",
            Self::RouteTimeout => "route_timeout",
            Self::TargetDied => "target_died",
            Self::Upgrade => "upgrade",
            Self::NoResponse => "no_response",
            Self::ClientGone => "client_gone",
            Self::Malformed => "malformed",
            Self::HeadTooSlow => "head_too_slow",
        }
    }
}
