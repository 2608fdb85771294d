//! Asking for names, whoever is asked.

use std::collections::BTreeSet;
use std::error::Error;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use ostler_config::AddressFamily;

use crate::query::{Endpoint, Query};

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Where the destinations are; at least one.
    pub(crate) endpoints: BTreeSet<Endpoint>,
    /// For how long it holds.
    pub(crate) time_to_live: Duration,
    /// Of which nothing could be learned this time: what is known of them still holds.
    pub(crate) unknown: Vec<AddressFamily>,
}

/// Why there is none.
pub(crate) type LookupError = Box<dyn Error + Send + Sync>;

pub(crate) type LookupFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Found, LookupError>> + Send + 'a>>;

/// Who answers.
pub(crate) trait Lookup: Send + Sync {
    fn look_up<'a>(&'a self, query: &'a Query) -> LookupFuture<'a>;
}

impl Found {
    /// What holds now, if this was known before.
    pub(crate) fn over(self, known: Option<&BTreeSet<Endpoint>>) -> BTreeSet<Endpoint> {
        let mut endpoints = self.endpoints;
        let stays = |endpoint: &&Endpoint| self.unknown.contains(&family_of(endpoint.ip));
        endpoints.extend(known.into_iter().flatten().filter(stays));
        endpoints
    }
}

pub(crate) fn family_of(ip: IpAddr) -> AddressFamily {
    match ip {
        IpAddr::V4(_) => AddressFamily::InterNetwork,
        IpAddr::V6(_) => AddressFamily::InterNetworkV6,
    }
}
