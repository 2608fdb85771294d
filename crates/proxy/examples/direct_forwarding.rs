//! Forwarding without clusters: a step sends some exchanges to a prefix of its own choice, with
//! transforms and a client of its own, and a path is mapped to a prefix.
//!
//! ```text
//! cargo run -p ostler-proxy --example direct_forwarding
//! ```

mod demonstration;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use demonstration::{
    Failure, address, ask, cluster, configuration, destination, front, route, stop,
};
use http::HeaderValue;
use ostler_config::schema::{ActivityTimeout, RouteConfig};
use ostler_model::ProxyModel;
use ostler_model::provider::{ConfigManager, InMemoryConfigProvider, MapForwarder};
use ostler_model::transforms::{OutgoingRequest, RequestTransform, TransformsBuilder};
use ostler_proxy::{
    DirectForwarder, ExchangeContext, Flow, Outcome, Pipeline, PipelineStep, StepFuture,
};

/// Sends those who ask for the beta to it.
struct Beta {
    forwarder: Arc<DirectForwarder>,
    /// How the exchanges of it have ended.
    ended: Mutex<Vec<String>>,
}

struct ForBeta(Arc<Beta>);

impl PipelineStep for ForBeta {
    fn name(&self) -> &str {
        "Beta"
    }

    fn run<'a>(&'a self, exchange: &'a mut ExchangeContext<'_>) -> StepFuture<'a> {
        Box::pin(async move {
            match exchange.head().field("x-beta") {
                Some(_) => Flow::Forward(Arc::clone(&self.0.forwarder)),
                None => Flow::Continue,
            }
        })
    }

    fn ended(&self, outcome: &Outcome) {
        let destination = outcome.destination.as_ref();
        if destination.is_some_and(|to| to.id() == self.0.forwarder.prefix())
            && let Ok(mut ended) = self.0.ended.lock()
        {
            ended.push(format!("{} {:?}", outcome.status, outcome.error));
        }
    }
}

/// What YARP's callback over a request would do.
struct Tag;

impl RequestTransform for Tag {
    fn apply(&self, request: &mut OutgoingRequest<'_>) {
        let value = HeaderValue::from_static("direct");
        request.headers.insert("x-tag", value);
    }
}

fn main() -> Result<(), Failure> {
    let seen = echo()?;
    let forwarder = DirectForwarder::builder(format!("{seen}beta/"))
        .activity_timeout(ActivityTimeout::After(Duration::from_secs(10)))
        .without_default_transforms()
        .transforms_by(|_: &RouteConfig, transforms: &mut TransformsBuilder| {
            transforms.add_request_transform(Tag);
        })
        .build()?;
    let beta = Arc::new(Beta {
        forwarder,
        ended: Mutex::default(),
    });
    if let Err(error) = DirectForwarder::builder("beta").build() {
        println!("no prefix: {error}");
    }

    let all = configuration(
        vec![route("all", "/{**rest}", "app")],
        vec![cluster("app", &[("d", destination("the cluster")?)])],
    );
    let provider = Arc::new(InMemoryConfigProvider::new("memory", all));
    let model = Arc::new(ProxyModel::new());
    let _manager = ConfigManager::builder(Arc::clone(&model))
        .provider(Arc::clone(&provider) as _)
        .start()?;
    let pipeline = Pipeline::new()
        .use_step(ForBeta(Arc::clone(&beta)))
        .use_load_balancing();
    let front = front(&model, pipeline)?;
    let at = address(&front)?;
    println!("without the field: {}", ask(at, "/x", "")?.1);
    println!("with it: {}", ask(at, "/x?y", "X-Beta: 1\r\n")?.1);

    let maps = MapForwarder::new("/maps/{**rest}", seen).target_path("/tiles/{**rest}");
    provider.map_forwarder(maps);
    println!("a mapped path: {}", ask(at, "/maps/1/2", "")?.1);
    stop(front);
    let ended = beta.ended.lock().map_err(|_| "a step panicked")?;
    println!("ended: {ended:?}");
    Ok(())
}

/// A destination whose answer is the request that it got: its first line, `Host` and what says where
/// it came through.
fn echo() -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/", listener.local_addr()?);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // One that breaks off is nothing to this program.
            let _ = answer(stream);
        }
    });
    Ok(url)
}

fn answer(stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut said = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? <= 2 {
            break;
        }
        let name = line.split(':').next().unwrap_or_default();
        let is_told = ["x-tag", "x-forwarded-host"].contains(&name);
        if said.is_empty() || is_told || line == "host: x\r\n" {
            said.push(line.trim_end().to_owned());
        }
    }
    let said = said.join("; ");
    let length = said.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    reader.get_mut().write_all(head.as_bytes())?;
    reader.get_mut().write_all(said.as_bytes())
}
