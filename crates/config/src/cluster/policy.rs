//! Names of policies in a cluster.

use crate::policy_kind::PolicyKind;
use crate::reader::Reader;
use crate::route_validator::RouteValidator;

/// The name of a policy, which must exist.
pub(super) fn read(
    reader: &mut Reader<'_, '_>,
    key: &'static str,
    kind: PolicyKind,
    validator: &dyn RouteValidator,
) -> Option<String> {
    reader.name(key, kind.describe(), &validator.policies(kind))
}
