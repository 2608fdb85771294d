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
//! The file goes from this process to the client's socket: stop the front (`kill -STOP`) once the
//! download has begun, and it goes on.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use ostler_target::{Body, RequestQueue, RequestQueueMode};
use tokio::fs::File;
use tokio::io::{AsyncRead, ReadBuf};

/// Bytes read at a time, and so the most that one download holds in memory.
const PIECE: usize = 256 * 1024;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os()
        .nth(1)
        .ok_or("usage: file_download FILE")?;
    let path: Arc<Path> = PathBuf::from(path).into();
    let queue = RequestQueue::builder("file")
        .mode(RequestQueueMode::CreateOrAttach)
        .bind()?;
    println!("queue {} ready", queue.name());
    let service = tower::service_fn(move |request| download(Arc::clone(&path), request));
    ostler_target::serve(queue, service).await?;
    Ok(())
}

async fn download(path: Arc<Path>, request: Request<Body>) -> io::Result<Response<FileBody>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = Response::new(FileBody {
            file: None,
            left: 0,
            piece: Vec::new(),
        });
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response
            .headers_mut()
            .insert("allow", http::HeaderValue::from_static("GET, HEAD"));
        return Ok(response);
    }
    // An error here is answered with a 500 and ends nothing else.
    let file = File::open(&path).await?;
    let left = file.metadata().await?.len();
    Ok(Response::new(FileBody {
        file: Some(file),
        left,
        piece: vec![0; PIECE],
    }))
}

/// As many bytes as the file had when it was opened; its length stands in the response's head.
struct FileBody {
    file: Option<File>,
    left: u64,
    piece: Vec<u8>,
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        let Some(file) = this.file.as_mut().filter(|_| this.left > 0) else {
            return Poll::Ready(None);
        };
        let most = usize::try_from(this.left).map_or(PIECE, |left| left.min(PIECE));
        let mut read = ReadBuf::new(&mut this.piece[..most]);
        ready!(Pin::new(file).poll_read(cx, &mut read))?;
        let data = Bytes::copy_from_slice(read.filled());
        if data.is_empty() {
            // It has shrunk meanwhile: only breaking off says so.
            return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
        }
        this.left -= data.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
