//! The policies that a configuration may name: YARP's, and those an application adds.

use std::sync::Arc;

use crate::load_balancing::{self, LoadBalancingPolicy};
use crate::ordinal;
use crate::transforms::TransformProvider;

/// Policies by name, compared without case.
#[derive(Debug, Clone)]
pub struct PolicyRegistry {
    load_balancing: Vec<Arc<dyn LoadBalancingPolicy>>,
    transform_providers: Vec<Arc<dyn TransformProvider>>,
}

/// Two policies of one kind have one name (YARP: start-up fails).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is already a {kind} {name:?}")]
pub struct DuplicatePolicy {
    /// What kind of policy.
    pub kind: &'static str,
    /// The name, compared without case.
    pub name: String,
}

impl Default for PolicyRegistry {
    /// YARP's own policies.
    fn default() -> Self {
        Self {
            load_balancing: load_balancing::built_in(),
            transform_providers: Vec::new(),
        }
    }
}

impl PolicyRegistry {
    /// Adds a load balancing policy.
    ///
    /// # Errors
    ///
    /// When there is one of that name.
    pub fn add_load_balancing(
        &mut self,
        policy: impl LoadBalancingPolicy + 'static,
    ) -> Result<(), DuplicatePolicy> {
        add(
            &mut self.load_balancing,
            Arc::new(policy),
            |policy| policy.name(),
            "load balancing policy",
        )
    }

    /// The load balancing policy of that name; absent and empty are `PowerOfTwoChoices`.
    pub fn load_balancing(&self, name: Option<&str>) -> Option<Arc<dyn LoadBalancingPolicy>> {
        find(&self.load_balancing, name, "PowerOfTwoChoices", |policy| {
            policy.name()
        })
    }

    /// Adds transforms to routes from code; they run behind those that are configured (reference
    /// part B, 2.4).
    pub fn add_transform_provider(&mut self, provider: impl TransformProvider + 'static) {
        self.transform_providers.push(Arc::new(provider));
    }

    /// Who adds transforms to routes.
    pub(crate) fn transform_providers(&self) -> &[Arc<dyn TransformProvider>] {
        &self.transform_providers
    }

    /// The names of load balancing policies.
    pub fn load_balancing_names(&self) -> impl Iterator<Item = &str> {
        self.load_balancing.iter().map(|policy| policy.name())
    }
}

/// Adds a policy unless one of its name is there.
fn add<P: ?Sized>(
    policies: &mut Vec<Arc<P>>,
    policy: Arc<P>,
    name: impl Fn(&P) -> &str,
    kind: &'static str,
) -> Result<(), DuplicatePolicy> {
    if policies
        .iter()
        .any(|other| ordinal::eq(name(other), name(&policy)))
    {
        let name = name(&policy).to_owned();
        return Err(DuplicatePolicy { kind, name });
    }
    policies.push(policy);
    Ok(())
}

/// The policy of that name, or the default one where the configuration says nothing.
fn find<P: ?Sized>(
    policies: &[Arc<P>],
    wanted: Option<&str>,
    default: &str,
    name: impl Fn(&P) -> &str,
) -> Option<Arc<P>> {
    let wanted = wanted.filter(|name| !name.is_empty()).unwrap_or(default);
    policies
        .iter()
        .find(|policy| ordinal::eq(name(policy), wanted))
        .map(Arc::clone)
}
