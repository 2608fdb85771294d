//! The whole program with a pipeline step of one's own: requests without a key are answered right there.
//!
//! Its configuration names the step, and everything else is as ever: `run`, `check`, reloads.
//!
//! ```text
//! cargo run -p ostler --example own_program -- run --config shop.json
//! ```
//!
//! with `"Pipeline": [ "KeyRequired", "LoadBalancing" ]` in `shop.json`.

use std::process::ExitCode;

use bytes::Bytes;
use http::{Response, StatusCode};
use ostler::{ExchangeContext, Flow, PipelineStep, StepFuture, StepRegistry};

struct KeyRequired;

impl PipelineStep for KeyRequired {
    fn name(&self) -> &str {
        "KeyRequired"
    }

    fn run<'a>(&'a self, exchange: &'a mut ExchangeContext<'_>) -> StepFuture<'a> {
        Box::pin(async move {
            if exchange.head().field("x-key").is_some() {
                return Flow::Continue;
            }
            let mut answer = Response::new(Bytes::from_static(b"no key\n"));
            *answer.status_mut() = StatusCode::FORBIDDEN;
            Flow::Respond(answer)
        })
    }
}

fn main() -> ExitCode {
    let mut steps = StepRegistry::default();
    steps.add(KeyRequired).expect("no other step has the name");
    ostler::run_with(steps)
}
