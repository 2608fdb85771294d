//! A pipeline step of one's own, put in its place by the configuration's `Pipeline`: who has no key
//! is answered right there, and exchanges that a destination answered are counted.
//!
//! ```text
//! cargo run -p ostler-proxy --example custom_step
//! ```

mod demonstration;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use demonstration::{Failure, address, ask, destination, front, stop};
use http::{Response, StatusCode};
use ostler_config::{ConfigurationTree, load_with};
use ostler_model::ProxyModel;
use ostler_proxy::{ExchangeContext, Flow, Outcome, PipelineStep, StepFuture, StepRegistry};

struct KeyRequired {
    ended: Arc<AtomicU32>,
}

impl PipelineStep for KeyRequired {
    fn name(&self) -> &str {
        "KeyRequired"
    }

    fn run<'a>(&'a self, exchange: &'a mut ExchangeContext<'_>) -> StepFuture<'a> {
        Box::pin(async move {
            if exchange.head().field("x-key").is_some() {
                return Flow::Continue;
            }
            let mut response = Response::new(Bytes::from_static(b"no key"));
            *response.status_mut() = StatusCode::FORBIDDEN;
            Flow::Respond(response)
        })
    }

    fn ended(&self, _outcome: &Outcome) {
        self.ended.fetch_add(1, Ordering::SeqCst);
    }
}

fn main() -> Result<(), Failure> {
    let ended = Arc::new(AtomicU32::new(0));
    let mut steps = StepRegistry::default();
    let step = KeyRequired {
        ended: Arc::clone(&ended),
    };
    steps.add(step)?;
    let mut tree = ConfigurationTree::new();
    let text = r#"{ "ReverseProxy": { "Pipeline": [ "KeyRequired", "LoadBalancing" ],
        "Routes": { "all": { "ClusterId": "app", "Match": { "Path": "/{**rest}" } } },
        "Clusters": { "app": { "Destinations": { "d": { "Address": "ADDRESS" } } } } } }"#;
    let text = text.replace("ADDRESS", &destination("the destination")?);
    tree.add_json("appsettings.json", &text)?;
    // The registry has its steps accepted; without it they would be mistakes.
    let loaded = load_with(&tree, &steps);
    println!("mistakes: {}", loaded.diagnostics.errors().count());
    let proxy = loaded.settings.proxy;
    let model = Arc::new(ProxyModel::new());
    model.apply(&proxy)?;
    let names = proxy.pipeline.unwrap_or_default();
    let pipeline = steps.pipeline(names.iter().map(String::as_str))?;
    println!("pipeline: {pipeline:?}");
    let front = front(&model, pipeline)?;
    let at = address(&front)?;
    println!("without a key: {:?}", ask(at, "/", "")?);
    println!("with one: {:?}", ask(at, "/", "X-Key: 1\r\n")?);
    stop(front);
    // Of what a step answers itself they are told as well.
    println!(
        "exchanges that have ended: {}",
        ended.load(Ordering::SeqCst)
    );
    Ok(())
}
