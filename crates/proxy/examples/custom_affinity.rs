//! Session affinity of one's own: a user, named by a field, always gets the same destination, and one
//! that cannot be placed is told so by a failure policy of one's own.
//!
//! ```text
//! cargo run -p ostler-proxy --example custom_affinity
//! ```

mod demonstration;

use std::sync::Arc;

use demonstration::{
    Failure, address, ask, cluster, configuration, destination, front, route, stop,
};
use ostler_config::schema::SessionAffinityConfig;
use ostler_model::session_affinity::{Affinity, KeyField, UnixSeconds};
use ostler_model::{
    AffinityFailurePolicy, DestinationState, PolicyRegistry, ProxyModel, RequestView,
    SessionAffinityPolicy,
};
use ostler_proxy::Pipeline;

/// The first letter of the user's name is that of a destination's id.
struct ByInitial;

impl SessionAffinityPolicy for ByInitial {
    fn name(&self) -> &str {
        "ByInitial"
    }

    fn find<'a>(
        &self,
        request: &dyn RequestView,
        config: &SessionAffinityConfig,
        available: &'a [Arc<DestinationState>],
    ) -> Affinity<'a> {
        let mut initial = None;
        request.for_each_field_value(&config.affinity_key_name, &mut |user| {
            initial = user.first().copied();
        });
        let Some(initial) = initial else {
            return Affinity::KeyNotSet;
        };
        let found = available
            .iter()
            .find(|destination| destination.id().as_bytes().first() == Some(&initial));
        found.map_or(Affinity::DestinationNotFound, Affinity::Found)
    }

    /// The client knows who it is: there is nothing to tell it.
    fn key_field(
        &self,
        _request: &dyn RequestView,
        _config: &SessionAffinityConfig,
        _destination: &DestinationState,
        _now: UnixSeconds,
    ) -> Option<KeyField> {
        None
    }
}

struct OnlyKnown;

impl AffinityFailurePolicy for OnlyKnown {
    fn name(&self) -> &str {
        "OnlyKnown"
    }

    fn goes_on(&self, failure: Affinity<'_>) -> bool {
        !matches!(failure, Affinity::DestinationNotFound)
    }
}

fn main() -> Result<(), Failure> {
    let mut registry = PolicyRegistry::default();
    registry.add_session_affinity(ByInitial)?;
    registry.add_affinity_failure(OnlyKnown)?;
    let mut app = cluster(
        "app",
        &[("a", destination("anna's")?), ("b", destination("bert's")?)],
    );
    app.session_affinity = Some(SessionAffinityConfig {
        policy: Some("byInitial".to_owned()),
        failure_policy: Some("OnlyKnown".to_owned()),
        affinity_key_name: "X-User".to_owned(),
        ..SessionAffinityConfig::default()
    });
    let model = Arc::new(ProxyModel::with_policies(registry));
    model.apply(&configuration(
        vec![route("all", "/{**rest}", "app")],
        vec![app],
    ))?;
    let front = front(&model, Pipeline::yarp_default())?;
    let at = address(&front)?;
    for user in ["anna", "bert", "anna", "zoe"] {
        println!(
            "{user}: {:?}",
            ask(at, "/", &format!("X-User: {user}\r\n"))?
        );
    }
    stop(front);
    Ok(())
}
