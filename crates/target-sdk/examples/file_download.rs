//! Streams one file to whoever asks, as fast as each client takes it.
//!
//! Run it with the file, behind a front whose destination names the queue `file` (`axum_app.rs`
//! shows such a configuration):
//!
//! ```text
//! cargo run -p ostler-target --example file_download -- some.iso
//! cargo run -p ostler -- run --config front.json --urls http://127.0.0.1:8080
//! curl -O http://127.0.0.1:8080/some.iso
//! ```
//!
//! The kernel takes the file to the client's socket: stop the front (`kill -STOP`) once the download has
//! begun, and it goes on. A download that was broken off goes on, too (`curl -C -`): the library does ranges.

use std::path::Path;
use std::sync::Arc;
use std::{env, io};

use http::{Method, Request, Response, StatusCode};
use ostler_target::{Body, RequestQueue, RequestQueueMode, SendFile};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = env::args_os().nth(1).ok_or("usage: file_download FILE")?;
    let path: Arc<Path> = Path::new(&path).into();
    let queue = RequestQueue::builder("file")
        .mode(RequestQueueMode::CreateOrAttach)
        .bind()?;
    println!("queue {} ready", queue.name());
    let service = tower::service_fn(move |request| {
        let path = Arc::clone(&path);
        async move { download(&path, &request) }
    });
    ostler_target::serve(queue, service).await?;
    Ok(())
}

fn download(path: &Path, request: &Request<Body>) -> io::Result<Response<String>> {
    let mut response = Response::new(String::new());
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        let methods = http::HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert("allow", methods);
        return Ok(response);
    }
    // An error here is answered with a 500 and ends nothing else.
    let file = std::fs::File::open(path)?;
    response.extensions_mut().insert(SendFile::new(file)?);
    Ok(response)
}
