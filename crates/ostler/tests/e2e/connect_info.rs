//! An axum application whose handlers ask who their client is, behind a queue: written as for a
//! listener.

use std::future::IntoFuture;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use ostler_target::{Application, RequestQueue};

use crate::support::http2_client::{Http2Client, run};
use crate::support::{Sandbox, delegating_to};

async fn who(ConnectInfo(client): ConnectInfo<SocketAddr>) -> String {
    client.to_string()
}

fn router() -> Router {
    Router::new().route("/who", get(who))
}

/// Serves an application in this process until the test is over.
fn serve<A, By>(sandbox: &Sandbox, application: A) -> tokio::runtime::Runtime
where
    A: Application<By>,
    ostler_target::Serve<A::Service, std::future::Pending<()>>:
        IntoFuture<Output = std::io::Result<()>, IntoFuture: Send + 'static>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let queue = RequestQueue::builder("q").runtime_folder(sandbox.runtime());
    let queue = queue.bind().unwrap();
    let _entered = runtime.enter();
    runtime.spawn(ostler_target::serve(queue, application).into_future());
    runtime
}

/// Delegated, and relayed: HTTP/2 has no socket to hand over.
fn each_way_tells_the_client_s_address(sandbox: &Sandbox) {
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = front.connect();
    let own = client.local_address().to_string();
    for _ in 0..2 {
        assert_eq!(client.ask("GET", "/who").text(), own);
    }
    let (asked, told) = run(async {
        let client = Http2Client::connect(front.port).await;
        let response = client.get("/who").await;
        (response.status(), response.text().to_owned())
    });
    assert_eq!(asked, 200, "{told}");
    let told: SocketAddr = told.parse().unwrap();
    assert!(told.ip().is_loopback() && told.port() != 0, "{told}");
}

#[test]
fn a_router_s_handlers_find_their_client() {
    let sandbox = Sandbox::new();
    let _application = serve(&sandbox, router());
    each_way_tells_the_client_s_address(&sandbox);
}

#[test]
fn a_service_that_axum_makes_for_each_connection_finds_its_client() {
    let sandbox = Sandbox::new();
    let application = router().into_make_service_with_connect_info::<SocketAddr>();
    let _application = serve(&sandbox, application);
    each_way_tells_the_client_s_address(&sandbox);
}
