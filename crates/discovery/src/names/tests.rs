//! Names with answers that a test gives, by a clock that stands still until nothing else happens.

use std::sync::Mutex;

use ostler_config::DestinationResolverKind;
use ostler_config::schema::{ClusterConfig, DestinationConfig};
use ostler_model::provider::ProxyConfigProvider as _;

use super::*;
use crate::lookup::{Found, LookupFuture};

/// Answers by name: addresses, `None` where nobody answers, nothing where no answer ever comes.
#[derive(Default)]
struct Zone {
    answers: Mutex<HashMap<String, Option<Vec<&'static str>>>>,
    asked: Mutex<Vec<String>>,
}

impl Zone {
    fn set(&self, name: &str, answer: Option<&[&'static str]>) {
        let answer = answer.map(<[_]>::to_vec);
        self.answers.lock().unwrap().insert(name.to_owned(), answer);
    }

    fn times_asked(&self, name: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|asked| *asked == name).count()
    }
}

impl Lookup for Arc<Zone> {
    fn look_up<'a>(&'a self, query: &'a Query) -> LookupFuture<'a> {
        Box::pin(async move {
            self.asked.lock().unwrap().push(query.name().to_owned());
            let answer = self.answers.lock().unwrap().get(query.name()).cloned();
            let Some(answer) = answer else {
                return std::future::pending().await;
            };
            let addresses = answer.ok_or("nobody answers")?;
            let endpoint = |ip: &&str| Endpoint {
                ip: ip.parse().unwrap(),
                port: None,
            };
            Ok(Found {
                endpoints: addresses.iter().map(endpoint).collect(),
                time_to_live: Duration::from_secs(3600),
                unknown: Vec::new(),
            })
        })
    }
}

struct Setup {
    zone: Arc<Zone>,
    provider: Arc<InMemoryConfigProvider>,
    names: Names,
}

impl Setup {
    fn new() -> Self {
        let zone = Arc::new(Zone::default());
        let provider = Arc::new(InMemoryConfigProvider::new("test", ProxyConfig::default()));
        let asked = Arc::clone(&zone);
        let names = Names::asking(Arc::clone(&provider), move |_| Arc::new(Arc::clone(&asked)));
        Self {
            zone,
            provider,
            names,
        }
    }

    fn update(&self, names: &[&str]) -> impl Future<Output = ()> + use<> {
        self.names.update(proxy(names), config(60))
    }

    /// The addresses of the destinations in force.
    fn in_force(&self) -> Vec<String> {
        let config = self.provider.config().unwrap();
        let clusters = config.proxy.clusters.iter();
        clusters
            .flat_map(|cluster| &cluster.destinations)
            .map(|destination| destination.address.clone())
            .collect()
    }
}

fn config(seconds: u64) -> DestinationResolverConfig {
    DestinationResolverConfig {
        kind: DestinationResolverKind::Dns,
        refresh_period: Some(Duration::from_secs(seconds)),
        ..DestinationResolverConfig::default()
    }
}

/// A cluster with one destination for each name.
fn proxy(names: &[&str]) -> ProxyConfig {
    let destination = |name: &&str| DestinationConfig {
        destination_id: (*name).to_owned(),
        address: format!("http://{name}/"),
        ..DestinationConfig::default()
    };
    ProxyConfig {
        clusters: vec![ClusterConfig {
            cluster_id: "c".to_owned(),
            destinations: names.iter().map(destination).collect(),
            ..ClusterConfig::default()
        }]
        .into(),
        ..ProxyConfig::default()
    }
}

/// Lets everything happen that is due within a time.
async fn pass(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn addresses_that_change_are_in_force_within_the_refresh_period() {
    let setup = Setup::new();
    setup.zone.set("a.test", Some(&["127.0.0.2", "127.0.0.1"]));
    setup.update(&["a.test"]).await;
    assert_eq!(setup.in_force(), ["http://127.0.0.1/", "http://127.0.0.2/"]);
    setup.zone.set("a.test", Some(&["127.0.0.3", "127.0.0.2"]));
    pass(61).await;
    assert_eq!(setup.in_force(), ["http://127.0.0.2/", "http://127.0.0.3/"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_says_the_same_puts_nothing_in_force() {
    let setup = Setup::new();
    setup.zone.set("a.test", Some(&["127.0.0.1", "127.0.0.2"]));
    setup.update(&["a.test"]).await;
    let before = setup.provider.config().unwrap();
    setup.zone.set("a.test", Some(&["127.0.0.2", "127.0.0.1"]));
    pass(600).await;
    assert!(setup.zone.times_asked("a.test") >= 10);
    assert!(Arc::ptr_eq(&before, &setup.provider.config().unwrap()));
}

#[tokio::test(start_paused = true)]
async fn lookups_that_fail_change_nothing_and_go_on() {
    let setup = Setup::new();
    setup.zone.set("a.test", Some(&["127.0.0.1"]));
    setup.update(&["a.test"]).await;
    setup.zone.set("a.test", None);
    pass(600).await;
    assert_eq!(setup.in_force(), ["http://127.0.0.1/"]);
    setup.zone.set("a.test", Some(&["127.0.0.9"]));
    pass(31).await;
    assert_eq!(setup.in_force(), ["http://127.0.0.9/"]);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_cannot_be_looked_up_at_the_start_comes_later_and_holds_up_no_other() {
    let setup = Setup::new();
    setup.zone.set("a.test", None);
    setup.zone.set("b.test", Some(&["127.0.0.2"]));
    setup.update(&["a.test", "b.test"]).await;
    assert_eq!(setup.in_force(), ["http://127.0.0.2/"]);
    setup.zone.set("a.test", Some(&["127.0.0.1"]));
    pass(3).await;
    assert_eq!(setup.in_force(), ["http://127.0.0.1/", "http://127.0.0.2/"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_in_force_stays_until_new_names_have_answers() {
    let setup = Setup::new();
    setup.zone.set("a.test", Some(&["127.0.0.1"]));
    setup.update(&["a.test"]).await;
    // No answer ever comes.
    let second = setup.update(&["b.test"]);
    pass(4).await;
    assert_eq!(setup.in_force(), ["http://127.0.0.1/"]);
    second.await;
    assert_eq!(setup.in_force(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn names_that_are_gone_are_asked_for_no_more_and_new_settings_ask_anew() {
    let setup = Setup::new();
    setup.zone.set("a.test", Some(&["127.0.0.1"]));
    setup.zone.set("b.test", Some(&["127.0.0.2"]));
    setup.update(&["a.test", "b.test"]).await;
    setup.update(&["b.test"]).await;
    let asked = setup.zone.times_asked("a.test");
    pass(600).await;
    assert_eq!(setup.zone.times_asked("a.test"), asked);
    // Settings by which nobody answers: what is known stays.
    setup.zone.set("b.test", None);
    setup.names.update(proxy(&["b.test"]), config(5)).await;
    assert_eq!(setup.in_force(), ["http://127.0.0.2/"]);
}

#[test]
fn what_is_unknown_this_time_stays_as_it_was() {
    use ostler_config::AddressFamily::InterNetworkV6;
    let endpoints = |texts: &[&str]| -> BTreeSet<_> {
        let endpoint = |text: &&str| Endpoint {
            ip: text.parse().unwrap(),
            port: None,
        };
        texts.iter().map(endpoint).collect()
    };
    let found = Found {
        endpoints: endpoints(&["127.0.0.2"]),
        time_to_live: Duration::ZERO,
        unknown: vec![InterNetworkV6],
    };
    let known = endpoints(&["127.0.0.1", "::1"]);
    assert_eq!(found.over(Some(&known)), endpoints(&["127.0.0.2", "::1"]));
}
