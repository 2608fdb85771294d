//! A plain tower service on a request queue, without any framework.
//!
//! Run it behind a front whose destination names the queue `plain` (`axum_app.rs` shows such a
//! configuration):
//!
//! ```text
//! cargo run -p ostler-target --example tower_service
//! cargo run -p ostler -- run --config front.json --urls http://127.0.0.1:8080
//! curl --data-binary @Cargo.toml http://127.0.0.1:8080/count
//! ```

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use ostler_target::{Body, RequestQueue, RequestQueueMode};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let queue = RequestQueue::builder("plain")
        .mode(RequestQueueMode::CreateOrAttach)
        .bind()?;
    println!("queue {} ready", queue.name());
    ostler_target::serve(queue, tower::service_fn(count)).await?;
    Ok(())
}

/// Counts the body's bytes as they come; never more of them are in memory than one read's.
async fn count(request: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, mut body) = request.into_parts();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => length += frame.data_ref().map_or(0, Bytes::len),
            Err(error) => return Ok(answer(StatusCode::BAD_REQUEST, format!("{error}\n"))),
        }
    }
    let text = format!("{} {}: {length} bytes\n", parts.method, parts.uri);
    Ok(answer(StatusCode::OK, text))
}

fn answer(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response
}
