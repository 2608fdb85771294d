//! A filter: names of services become addresses, before anything is validated, and routes to a
//! cluster that is under repair get a lower rank than a page that says so.
//!
//! ```text
//! cargo run -p ostler-proxy --example config_filter
//! ```

mod demonstration;

use std::collections::HashMap;
use std::sync::Arc;

use demonstration::{
    Failure, address, ask, cluster, configuration, destination, front, route, stop,
};
use ostler_config::schema::{ClusterConfig, RouteConfig};
use ostler_model::ProxyModel;
use ostler_model::provider::{ConfigManager, InMemoryConfigProvider, ProxyConfigFilter};
use ostler_proxy::Pipeline;

/// Looks services up.
struct Services(HashMap<&'static str, String>);

impl ProxyConfigFilter for Services {
    fn configure_cluster(&self, cluster: &mut ClusterConfig) -> Result<(), String> {
        for destination in &mut cluster.destinations {
            if let Some(name) = destination.address.strip_prefix("service:") {
                let found = self.0.get(name);
                let address = found.ok_or_else(|| format!("there is no service {name:?}"))?;
                destination.address = address.clone();
            }
        }
        Ok(())
    }

    fn configure_route(
        &self,
        route: &mut RouteConfig,
        cluster: Option<&ClusterConfig>,
    ) -> Result<(), String> {
        if cluster.is_some_and(|cluster| cluster.metadata.contains_key("UnderRepair")) {
            route.order = Some(1000);
        }
        Ok(())
    }
}

fn main() -> Result<(), Failure> {
    let services = HashMap::from([
        ("shop", destination("shop")?),
        ("page", destination("page")?),
    ]);
    let filter: Arc<dyn ProxyConfigFilter> = Arc::new(Services(services));
    let mut shop = cluster("shop", &[("d", "service:shop".to_owned())]);
    let page = cluster("page", &[("d", "service:page".to_owned())]);
    let routes = vec![
        route("shop", "/shop", "shop"),
        route("page", "/{**rest}", "page"),
    ];
    let config = configuration(routes.clone(), vec![shop.clone(), page.clone()]);
    let provider = Arc::new(InMemoryConfigProvider::new("memory", config));
    let model = Arc::new(ProxyModel::new());
    let manager = ConfigManager::builder(Arc::clone(&model))
        .provider(Arc::clone(&provider) as _)
        .filter(filter)
        .start()?;
    let front = front(&model, Pipeline::yarp_default())?;
    let at = address(&front)?;
    println!("/shop is answered by the {}", ask(at, "/shop", "")?.1);

    shop.metadata
        .insert("UnderRepair".to_owned(), String::new());
    provider.update(configuration(
        routes.clone(),
        vec![shop.clone(), page.clone()],
    ));
    println!("under repair, by the {}", ask(at, "/shop", "")?.1);

    if let Some(destination) = shop.destinations.first_mut() {
        destination.address = "service:shoop".to_owned();
    }
    provider.update(configuration(routes, vec![shop, page]));
    if let Err(error) = manager.reload() {
        println!("{error}");
    }
    stop(front);
    Ok(())
}
