//! `Ostler` of a cluster: what YARP has no setting for.

use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::leaf::{self, TimeSpan};
use crate::reader::Reader;
use crate::schema::{ConnectionLifetime, OstlerClusterConfig};
use crate::tree::Section;

/// Reads `Ostler` of a cluster.
pub(super) fn read(section: Section<'_>, diagnostics: &mut Diagnostics) -> OstlerClusterConfig {
    let mut reader = Reader::new(section, &keys::CLUSTER_OSTLER, diagnostics);
    let config = OstlerClusterConfig {
        try_other_destinations: reader.parsed("TryOtherDestinations", leaf::boolean),
        pooled_connection_lifetime: reader.parsed("PooledConnectionLifetime", |text| {
            let span = TimeSpan::parse(text)?;
            if span == TimeSpan::INFINITE {
                return Ok(ConnectionLifetime::Infinite);
            }
            let after = span.positive().map(ConnectionLifetime::After);
            after.ok_or_else(|| format!("{text:?} is neither positive nor -00:00:00.001"))
        }),
        leases: reader.parsed("Leases", leaf::boolean),
    };
    reader.finish();
    config
}
