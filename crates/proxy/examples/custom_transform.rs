//! Transforms from code: an answer of one's own for one path, a request field with the client's port,
//! and a field in every response.
//!
//! ```text
//! cargo run -p ostler-proxy --example custom_transform
//! ```

mod demonstration;

use std::sync::Arc;

use demonstration::{
    Failure, address, ask, cluster, configuration, destination, front, head, route, stop,
};
use http::{HeaderValue, Response, StatusCode};
use ostler_config::schema::RouteConfig;
use ostler_model::transforms::{
    OutgoingRequest, OutgoingResponse, RequestTransform, ResponseTransform, TransformsBuilder,
};
use ostler_model::{PolicyRegistry, ProxyModel};
use ostler_proxy::Pipeline;

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

fn main() -> Result<(), Failure> {
    let mut registry = PolicyRegistry::default();
    // Asked for each route when a configuration is applied; what it adds runs behind the route's
    // own transforms, and before the default ones.
    registry.add_transform_provider(|_: &RouteConfig, transforms: &mut TransformsBuilder| {
        transforms.add_request_transform(ClientPort);
        transforms.add_response_transform(Signed);
    });
    let model = Arc::new(ProxyModel::with_policies(registry));
    model.apply(&configuration(
        vec![route("all", "/{**rest}", "app")],
        vec![cluster("app", &[("d", destination("the destination")?)])],
    ))?;
    let front = front(&model, Pipeline::yarp_default())?;
    let at = address(&front)?;
    println!("{:?}", ask(at, "/", "")?);
    println!("{:?}", ask(at, "/teapot", "")?);
    let signed = head(at, "/")?.contains("x-proxied-by: custom_transform");
    println!("signed: {signed}");
    stop(front);
    Ok(())
}
