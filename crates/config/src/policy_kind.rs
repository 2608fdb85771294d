//! The kinds of policy that clusters name, and YARP's policies of each kind.

/// A kind of policy that a cluster names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PolicyKind {
    /// `LoadBalancingPolicy`.
    LoadBalancing,
    /// `SessionAffinity:Policy`.
    SessionAffinity,
    /// `SessionAffinity:FailurePolicy`.
    AffinityFailure,
    /// `HealthCheck:AvailableDestinationsPolicy`.
    AvailableDestinations,
    /// `HealthCheck:Active:Policy`.
    ActiveHealthCheck,
    /// `HealthCheck:Passive:Policy`.
    PassiveHealthCheck,
}

impl PolicyKind {
    /// What it is called in messages.
    pub fn describe(self) -> &'static str {
        match self {
            Self::LoadBalancing => "load balancing policy",
            Self::SessionAffinity => "session affinity policy",
            Self::AffinityFailure => "affinity failure policy",
            Self::AvailableDestinations => "available destinations policy",
            Self::ActiveHealthCheck => "active health check policy",
            Self::PassiveHealthCheck => "passive health check policy",
        }
    }

    /// YARP's own.
    pub fn built_in(self) -> &'static [&'static str] {
        match self {
            Self::LoadBalancing => &[
                "FirstAlphabetical",
                "Random",
                "RoundRobin",
                "LeastRequests",
                "PowerOfTwoChoices",
            ],
            Self::SessionAffinity => &["HashCookie", "ArrCookie", "Cookie", "CustomHeader"],
            Self::AffinityFailure => &["Redistribute", "Return503Error"],
            Self::AvailableDestinations => &["HealthyOrPanic", "HealthyAndUnknown"],
            Self::ActiveHealthCheck => &["ConsecutiveFailures"],
            Self::PassiveHealthCheck => &["TransportFailureRate"],
        }
    }
}
