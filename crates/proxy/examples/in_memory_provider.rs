//! A configuration made by code, and changed while requests are served: none of them fails.
//!
//! ```text
//! cargo run -p ostler-proxy --example in_memory_provider
//! ```

mod demonstration;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use demonstration::{
    Failure, address, ask, cluster, configuration, destination, front, route, stop,
};
use ostler_model::provider::{
    ConfigChangeListener, ConfigManager, InMemoryConfigProvider, ProviderConfig, ReloadError,
};
use ostler_model::{ProxyModel, Snapshot};
use ostler_proxy::Pipeline;

/// Prints how configurations fare.
struct Told;

impl ConfigChangeListener for Told {
    fn applied(&self, configs: &[Arc<ProviderConfig>], _snapshot: &Arc<Snapshot>) {
        let ids: Vec<_> = configs
            .iter()
            .map(|config| config.revision_id.as_str())
            .collect();
        println!("in force: {}", ids.join(", "));
    }

    fn applying_failed(&self, _configs: &[Arc<ProviderConfig>], error: &ReloadError) {
        println!("refused: {error}");
    }
}

fn main() -> Result<(), Failure> {
    let (blue, green) = (destination("blue")?, destination("green")?);
    let to = |url: &str| {
        let clusters = vec![cluster("app", &[("d", url.to_owned())])];
        configuration(vec![route("all", "/{**rest}", "app")], clusters)
    };
    let provider = Arc::new(InMemoryConfigProvider::new("memory", to(&blue)));
    let model = Arc::new(ProxyModel::new());
    let _manager = ConfigManager::builder(Arc::clone(&model))
        .provider(Arc::clone(&provider) as _)
        .listener(Arc::new(Told))
        .start()?;
    let front = front(&model, Pipeline::yarp_default())?;
    let at = address(&front)?;
    println!("answered by {}", ask(at, "/", "")?.1);

    let done = Arc::new(AtomicBool::new(false));
    let client = std::thread::spawn({
        let done = Arc::clone(&done);
        move || {
            let (mut asked, mut failed) = (0, 0);
            while asked == 0 || !done.load(Ordering::SeqCst) {
                asked += 1;
                let answered = ask(at, "/", "");
                failed += u32::from(!answered.is_ok_and(|(status, _)| status == 200));
            }
            (asked, failed)
        }
    });
    for turn in 0..20 {
        let url = if turn % 2 == 0 { &green } else { &blue };
        provider.update_as(to(url), format!("turn {turn}"));
    }
    done.store(true, Ordering::SeqCst);
    let (asked, failed) = client.join().map_err(|_| "the client panicked")?;
    println!(
        "some requests were answered meanwhile: {}; failed: {failed}",
        asked > 0
    );

    provider.update_as(to("no URL"), "a mistake");
    println!("still answered by {}", ask(at, "/", "")?.1);
    stop(front);
    Ok(())
}
