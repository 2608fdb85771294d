//! A load balancing policy of one's own: the destination of the longest id.
//!
//! ```text
//! cargo run -p ostler-proxy --example custom_load_balancing
//! ```

mod demonstration;

use std::sync::Arc;

use demonstration::{
    Failure, address, ask, cluster, configuration, destination, front, route, stop,
};
use ostler_model::provider::{ConfigManager, InMemoryConfigProvider};
use ostler_model::{
    ClusterState, DestinationState, LoadBalancingPolicy, PolicyRegistry, ProxyModel, RandomSource,
};
use ostler_proxy::Pipeline;

struct LongestId;

impl LoadBalancingPolicy for LongestId {
    fn name(&self) -> &str {
        "LongestId"
    }

    fn pick<'a>(
        &self,
        _cluster: &ClusterState,
        available: &'a [Arc<DestinationState>],
        _random: &mut dyn RandomSource,
    ) -> Option<&'a Arc<DestinationState>> {
        available.iter().max_by_key(|state| state.id().len())
    }
}

fn main() -> Result<(), Failure> {
    let mut registry = PolicyRegistry::default();
    registry.add_load_balancing(LongestId)?;
    let destinations = [
        ("d", destination("short")?),
        ("destination", destination("long")?),
    ];
    let mut cluster = cluster("app", &destinations);
    cluster.load_balancing_policy = Some("LongestId".to_owned());
    let config = configuration(vec![route("all", "/{**rest}", "app")], vec![cluster]);
    let model = Arc::new(ProxyModel::with_policies(registry));
    let _manager = ConfigManager::builder(Arc::clone(&model))
        .provider(Arc::new(InMemoryConfigProvider::new("memory", config)))
        .start()?;
    let front = front(&model, Pipeline::yarp_default())?;
    let at = address(&front)?;
    for _ in 0..3 {
        println!("answered by the {} one", ask(at, "/", "")?.1);
    }
    stop(front);
    Ok(())
}
