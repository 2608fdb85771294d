use std::sync::Mutex;

use ostler_config::schema::{DestinationConfig, MatchConfig};

use super::*;
use crate::ProxyModel;

fn route(id: &str) -> RouteConfig {
    RouteConfig {
        route_id: id.into(),
        cluster_id: Some("c".into()),
        matches: MatchConfig {
            path: Some(format!("/{id}")),
            ..Default::default()
        },
        ..Default::default()
    }
}

fn routes(ids: &[&str]) -> ProxyConfig {
    ProxyConfig {
        routes: ids.iter().map(|id| route(id)).collect(),
        ..Default::default()
    }
}

fn cluster(address: &str) -> ProxyConfig {
    ProxyConfig {
        clusters: vec![ClusterConfig {
            cluster_id: "c".into(),
            destinations: vec![DestinationConfig {
                destination_id: "d".into(),
                address: address.into(),
                ..Default::default()
            }],
            ..Default::default()
        }]
        .into(),
        ..Default::default()
    }
}

fn memory(name: &str, proxy: ProxyConfig) -> Arc<InMemoryConfigProvider> {
    Arc::new(InMemoryConfigProvider::new(name, proxy))
}

fn in_force(model: &ProxyModel) -> Vec<String> {
    let snapshot = model.snapshot();
    let models = snapshot.routes.models().iter();
    models.map(|model| model.config.route_id.clone()).collect()
}

fn errors(error: &ReloadError) -> Vec<String> {
    let ReloadError::Invalid(diagnostics) = error else {
        panic!("{error}");
    };
    diagnostics.errors().map(ToString::to_string).collect()
}

/// Writes down what it is told.
#[derive(Default)]
struct Diary(Mutex<Vec<String>>);

impl Diary {
    fn write(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl ConfigChangeListener for Diary {
    fn loaded(&self, configs: &[Arc<ProviderConfig>]) {
        let ids: Vec<_> = configs
            .iter()
            .map(|config| config.revision_id.as_str())
            .collect();
        self.write(format!("loaded {}", ids.join(" ")));
    }
    fn loading_failed(&self, provider: &str, error: &ProviderError) {
        self.write(format!("loading failed: {provider}: {error}"));
    }
    fn applied(&self, _: &[Arc<ProviderConfig>], snapshot: &Arc<Snapshot>) {
        self.write(format!("applied {}", snapshot.revision));
    }
    fn applying_failed(&self, _: &[Arc<ProviderConfig>], _: &ReloadError) {
        self.write("applying failed".into());
    }
}

// reference A2.5
#[test]
fn providers_are_put_together_in_order_and_followed() {
    let model = Arc::new(ProxyModel::new());
    let (first, second) = (
        memory("a", routes(&["x", "y"])),
        memory("b", routes(&["b"])),
    );
    let diary = Arc::new(Diary::default());
    let manager = ConfigManager::builder(Arc::clone(&model))
        .provider(Arc::clone(&first) as _)
        .provider(Arc::clone(&second) as _)
        .listener(Arc::clone(&diary) as _)
        .start()
        .unwrap();
    assert_eq!(in_force(&model), ["x", "y", "b"]);
    second.update_as(routes(&["b2"]), "mine");
    assert_eq!(in_force(&model), ["x", "y", "b2"]);
    assert_eq!(
        diary.take(),
        ["loaded 1 1", "applied 1", "loaded 1 mine", "applied 2"]
    );
    // Nothing new: nobody is told.
    manager.reload().unwrap();
    assert!(diary.take().is_empty());
}

// reference A2.4, last row of failures
#[test]
fn what_was_refused_is_combined_with_later_changes_until_it_is_mended() {
    let model = Arc::new(ProxyModel::new());
    let (first, second) = (memory("a", routes(&["x"])), memory("b", routes(&["y"])));
    let diary = Arc::new(Diary::default());
    let manager = ConfigManager::builder(Arc::clone(&model))
        .provider(Arc::clone(&first) as _)
        .provider(Arc::clone(&second) as _)
        .start()
        .unwrap();
    manager.add_listener(Arc::clone(&diary) as _);
    second.update(routes(&["X"]));
    let found = errors(&manager.reload().unwrap_err());
    assert_eq!(
        found,
        ["error: ReverseProxy:Routes:X: there is another one called \"X\" (b); choose another id"]
    );
    first.update(routes(&["x", "z"]));
    assert_eq!(in_force(&model), ["x", "y"]);
    second.update(routes(&["w"]));
    assert_eq!(in_force(&model), ["x", "z", "w"]);
    let told = diary.take();
    assert_eq!(
        told.iter()
            .filter(|line| *line == "applying failed")
            .count(),
        3
    );
    assert_eq!(told.last().unwrap(), "applied 2");
}

/// Has a configuration until it is told to fail.
struct Failing {
    config: Arc<ProviderConfig>,
    fails: Mutex<bool>,
}

impl ProxyConfigProvider for Failing {
    fn name(&self) -> &str {
        "failing"
    }
    fn config(&self) -> Result<Arc<ProviderConfig>, ProviderError> {
        match *self.fails.lock().unwrap() {
            true => Err("out of order".into()),
            false => Ok(Arc::clone(&self.config)),
        }
    }
    fn on_change(&self, _: ChangeSignal) {}
}

// reference A2.4
#[test]
fn a_provider_that_fails_keeps_its_last_good_configuration() {
    let failing = Arc::new(Failing {
        config: Arc::new(ProviderConfig {
            proxy: routes(&["x"]),
            revision_id: "f".into(),
        }),
        fails: Mutex::new(true),
    });
    let builder = |model: &Arc<ProxyModel>| {
        ConfigManager::builder(Arc::clone(model)).provider(Arc::clone(&failing) as _)
    };
    let model = Arc::new(ProxyModel::new());
    let error = builder(&model).start().unwrap_err();
    assert!(matches!(error, ReloadError::Provider { .. }), "{error}");
    *failing.fails.lock().unwrap() = false;
    let other = memory("other", routes(&["y"]));
    let diary = Arc::new(Diary::default());
    let _manager = builder(&model)
        .provider(Arc::clone(&other) as _)
        .listener(Arc::clone(&diary) as _)
        .start()
        .unwrap();
    *failing.fails.lock().unwrap() = true;
    diary.take();
    other.update(routes(&["z"]));
    assert_eq!(in_force(&model), ["x", "z"]);
    assert_eq!(
        diary.take(),
        [
            "loading failed: failing: out of order",
            "loaded f 2",
            "applied 2"
        ]
    );
}

/// Gives clusters their address, and routes an order by it; refuses what it is named after.
struct Repairs(&'static str);

impl ProxyConfigFilter for Repairs {
    fn configure_cluster(&self, cluster: &mut ClusterConfig) -> Result<(), String> {
        if self.0 == cluster.cluster_id {
            return Err("refused".into());
        }
        for destination in &mut cluster.destinations {
            destination.address = "http://repaired/".into();
        }
        Ok(())
    }
    fn configure_route(
        &self,
        route: &mut RouteConfig,
        cluster: Option<&ClusterConfig>,
    ) -> Result<(), String> {
        let repaired =
            |cluster: &ClusterConfig| cluster.destinations[0].address == "http://repaired/";
        route.order = Some(if cluster.is_some_and(repaired) { 1 } else { 2 });
        if self.0 == route.route_id {
            return Err("refused".into());
        }
        Ok(())
    }
}

// reference A2.5: before validation, clusters before routes
#[test]
fn filters_run_before_validation_and_may_repair() {
    let start = |filter: Option<&'static str>, address: &str| {
        let model = Arc::new(ProxyModel::new());
        let mut builder = ConfigManager::builder(Arc::clone(&model))
            .provider(memory("a", routes(&["x"])) as _)
            .provider(memory("b", cluster(address)) as _);
        if let Some(refuses) = filter {
            builder = builder.filter(Arc::new(Repairs(refuses)));
        }
        builder.start().map(|_| model)
    };
    for address in ["", "htp:/x"] {
        let error = errors(&start(None, address).unwrap_err());
        assert_eq!(error.len(), 1, "{error:?}");
        assert!(
            error[0].contains("Clusters:c:Destinations:d:Address"),
            "{error:?}"
        );
        let model = start(Some(""), address).unwrap();
        assert_eq!(model.snapshot().routes.models()[0].config.order, Some(1));
    }
    for (refuses, path) in [("c", "Clusters:c"), ("x", "Routes:x")] {
        let found = errors(&start(Some(refuses), "http://d/").unwrap_err());
        assert!(
            found[0].contains(&format!("ReverseProxy:{path}: refused")),
            "{found:?}"
        );
    }
}

/// Like the first destination, and called what no policy of YARP's is.
struct Mine;

impl crate::LoadBalancingPolicy for Mine {
    fn name(&self) -> &str {
        "Mine"
    }
    fn pick<'a>(
        &self,
        _: &crate::ClusterState,
        available: &'a [Arc<crate::DestinationState>],
        _: &mut dyn crate::RandomSource,
    ) -> Option<&'a Arc<crate::DestinationState>> {
        available.first()
    }
}

#[test]
fn registered_policies_are_known_and_others_are_not() {
    let mut config = cluster("http://d/");
    config.clusters[0].load_balancing_policy = Some("mine".into());
    let mut registry = crate::PolicyRegistry::default();
    registry.add_load_balancing(Mine).unwrap();
    let start = |model| {
        let provider = memory("a", config.clone());
        ConfigManager::builder(Arc::new(model))
            .provider(provider as _)
            .start()
    };
    start(ProxyModel::with_policies(registry)).unwrap();
    let found = errors(&start(ProxyModel::new()).unwrap_err());
    assert!(found[0].contains("LoadBalancingPolicy"), "{found:?}");
}

/// Reference B21.
#[test]
fn mapped_forwarders_stand_behind_what_is_set_and_stay_through_updates() {
    let memory = memory("memory", routes(&["a"]));
    let model = Arc::new(ProxyModel::new());
    let _manager = ConfigManager::builder(Arc::clone(&model))
        .provider(Arc::clone(&memory) as _)
        .start()
        .unwrap();
    let x = MapForwarder::new("/x/{**rest}", "http://x/base").target_path("/y/{**rest}");
    memory.map_forwarder(x);
    assert_eq!(in_force(&model), ["a", "MapForwarder /x/{**rest}"]);
    memory.map_forwarder(MapForwarder::new("/{id:int}", "http://z/"));
    memory.update(routes(&["b"]));
    let all = ["b", "MapForwarder /x/{**rest}", "MapForwarder /{id:int}"];
    assert_eq!(in_force(&model), all);
    let snapshot = model.snapshot();
    let mapped = &snapshot.routes.models()[1];
    assert!(mapped.transforms.is_some());
    let destinations = mapped.cluster.as_ref().unwrap().destinations();
    assert_eq!(destinations.all[0].model().config.address, "http://x/base");
    // What is no prefix is refused, and what was in force stays.
    memory.map_forwarder(MapForwarder::new("/w", "no prefix"));
    assert_eq!(in_force(&model), all);
}
