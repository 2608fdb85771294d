//! Transforms from code: a request field with the client's port, an answer of one's own for one
//! path, and a field in every response.
//!
//! `cargo run -p ostler-proxy --example custom_transform -- http://localhost:5001/` forwards to
//! that address what comes to `http://127.0.0.1:8080`, or to the URL given behind it.

use std::error::Error;
use std::sync::Arc;

use http::{HeaderValue, Response, StatusCode};
use ostler_config::schema::{
    ClusterConfig, DestinationConfig, MatchConfig, ProxyConfig, RouteConfig,
};
use ostler_delegation::runtime::RuntimeFolder;
use ostler_model::transforms::{
    OutgoingRequest, OutgoingResponse, RequestTransform, ResponseTransform, TransformsBuilder,
};
use ostler_model::{PolicyRegistry, ProxyModel};
use ostler_proxy::{ActiveHealthOptions, Front, FrontLimits, FrontOptions, ListenUrl, Pipeline};

struct ClientPort;

impl RequestTransform for ClientPort {
    fn apply(&self, request: &mut OutgoingRequest<'_>) {
        if request.path() == "/teapot" {
            let mut response = Response::new(b"short and stout\n".to_vec());
            *response.status_mut() = StatusCode::IM_A_TEAPOT;
            return request.respond(response);
        }
        if let Some(client) = request.remote() {
            let port = HeaderValue::from(client.port());
            request.headers.insert("x-client-port", port);
        }
    }
}

struct Signed;

impl ResponseTransform for Signed {
    fn apply(&self, response: &mut OutgoingResponse<'_>) {
        let value = HeaderValue::from_static("custom_transform");
        response.headers.insert("x-proxied-by", value);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).ok_or("an address, please")?;
    let url = std::env::args()
        .nth(2)
        .unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
    let mut registry = PolicyRegistry::default();
    // Asked for each route when a configuration is applied; what it adds runs behind the route's
    // own transforms, and before the default ones.
    registry.add_transform_provider(|_: &RouteConfig, transforms: &mut TransformsBuilder| {
        transforms.add_request_transform(ClientPort);
        transforms.add_response_transform(Signed);
    });
    let model = Arc::new(ProxyModel::with_policies(registry));
    model.apply(&ProxyConfig {
        routes: vec![RouteConfig {
            route_id: "all".into(),
            cluster_id: Some("cluster".into()),
            matches: MatchConfig {
                path: Some("/{**rest}".into()),
                ..MatchConfig::default()
            },
            ..RouteConfig::default()
        }],
        clusters: vec![ClusterConfig {
            cluster_id: "cluster".into(),
            destinations: vec![DestinationConfig {
                destination_id: "destination".into(),
                address,
                ..DestinationConfig::default()
            }],
            ..ClusterConfig::default()
        }],
        ..ProxyConfig::default()
    })?;
    let options = FrontOptions {
        urls: vec![ListenUrl::parse(&url)?],
        threads: 1,
        limits: FrontLimits::default(),
        active_health: ActiveHealthOptions::default(),
        runtime: RuntimeFolder::from_environment(),
        trusted_uids: Vec::new(),
    };
    let front = Front::start(model, Pipeline::yarp_default(), &options)?;
    println!("listening on {:?}", front.addresses());
    front.join();
    Ok(())
}
