//! An axum application on a request queue: the `Router` is the one that would listen on a port.
//!
//! Run it, put a front before it, and ask:
//!
//! ```text
//! cargo run -p ostler-target --example axum_app
//! cargo run -p ostler -- run --config front.json --urls http://127.0.0.1:8080
//! curl http://127.0.0.1:8080/hello/you
//! ```
//!
//! where `front.json` delegates everything to the queue:
//!
//! ```text
//! { "ReverseProxy": {
//!     "Pipeline": [ "LoadBalancing", "HttpSysDelegation" ],
//!     "Routes": { "all": { "ClusterId": "app", "Match": { "Path": "{**rest}" } } },
//!     "Clusters": { "app": { "Destinations": { "app/1": {
//!         "Address": "http://*:80/", "Metadata": { "HttpSysDelegationQueue": "app" } } } } } } }
//! ```

use axum::extract::Path;
use axum::routing::{get, post};
use axum::{Extension, Router};
use ostler_target::{RequestInfo, RequestQueue, RequestQueueMode};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = Router::new().route("/hello/{name}", get(hello)).route(
        "/length",
        post(|body: axum::body::Bytes| async move { format!("{}\n", body.len()) }),
    );
    let queue = RequestQueue::builder("app")
        .mode(RequestQueueMode::CreateOrAttach)
        .url_prefix("http://*:80/")
        .bind()?;
    println!("queue {} ready", queue.name());
    let stop = async {
        // Without a signal to wait for there is only serving on.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    ostler_target::serve(queue, app)
        .with_graceful_shutdown(stop)
        .await?;
    Ok(())
}

/// The client's address is the real one: its own socket is what this process answers on.
async fn hello(Path(name): Path<String>, Extension(info): Extension<RequestInfo>) -> String {
    match info.client_address() {
        Some(client) => format!("hello {name} at {client}\n"),
        None => format!("hello {name}\n"),
    }
}
