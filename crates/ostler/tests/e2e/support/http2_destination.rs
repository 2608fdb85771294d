//! A destination that speaks HTTP/2 and does what a test says, stream by stream, in the test's own
//! runtime.

use std::net::TcpListener;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// A destination that listens, and serves once [`serve`](Self::serve) is called.
pub(crate) struct Http2Destination {
    listener: TcpListener,
}

/// A request that a destination has been sent.
pub(crate) struct Asked {
    pub(crate) head: http::request::Parts,
    pub(crate) body: RecvStream,
    pub(crate) response: SendResponse<Bytes>,
}

impl Http2Destination {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self { listener }
    }

    pub(crate) fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port())
    }

    /// Serves in clear text.
    pub(crate) fn serve(self) -> mpsc::UnboundedReceiver<Asked> {
        self.serve_with(h2::server::Builder::new(), None)
    }

    pub(crate) fn serve_with(
        self,
        settings: h2::server::Builder,
        acceptor: Option<TlsAcceptor>,
    ) -> mpsc::UnboundedReceiver<Asked> {
        let listener = tokio::net::TcpListener::from_std(self.listener).unwrap();
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (settings, sender) = (settings.clone(), sender.clone());
                match acceptor.clone() {
                    None => drop(tokio::spawn(streams(stream, settings, sender))),
                    Some(acceptor) => {
                        tokio::spawn(async move {
                            let stream = acceptor.accept(stream).await.unwrap();
                            streams(stream, settings, sender).await;
                        });
                    }
                }
            }
        });
        receiver
    }
}

async fn streams<S>(stream: S, settings: h2::server::Builder, to: mpsc::UnboundedSender<Asked>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Ok(mut connection) = settings.handshake::<_, Bytes>(stream).await else {
        return;
    };
    while let Some(Ok((request, response))) = connection.accept().await {
        let (head, body) = Request::into_parts(request);
        let asked = Asked {
            head,
            body,
            response,
        };
        if to.send(asked).is_err() {
            return;
        }
    }
}

impl Asked {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head
            .headers
            .get(name)
            .map(|value| value.to_str().unwrap())
    }

    /// The next bytes of the body; `None` at its end.
    pub(crate) async fn data(&mut self) -> Result<Option<Bytes>, h2::Error> {
        next(&mut self.body).await
    }

    /// Reads so many bytes.
    pub(crate) async fn read(&mut self, count: usize) -> Vec<u8> {
        read(&mut self.body, count).await
    }

    pub(crate) fn answer(&mut self, status: u16, ends: bool) -> h2::SendStream<Bytes> {
        let response = Response::builder().status(status).body(()).unwrap();
        self.response.send_response(response, ends).unwrap()
    }

    /// Says an interim response.
    pub(crate) fn interim(&mut self, status: u16, fields: &[(&'static str, &'static str)]) {
        let mut response = Response::builder().status(status);
        for (name, value) in fields {
            response = response.header(*name, *value);
        }
        let response = response.body(()).unwrap();
        self.response.send_informational(response).unwrap();
    }

    /// Everything of the body and its trailers.
    pub(crate) async fn whole(&mut self) -> (Vec<u8>, Option<HeaderMap>) {
        let mut all = Vec::new();
        while let Some(data) = self.data().await.unwrap() {
            all.extend_from_slice(&data);
        }
        (all, self.body.trailers().await.unwrap())
    }

    /// Waits until the stream is reset, and says why.
    pub(crate) async fn reset(&mut self) -> h2::Reason {
        std::future::poll_fn(|cx| self.response.poll_reset(cx))
            .await
            .unwrap()
    }
}

/// The next bytes of a body; `None` at its end.
pub(crate) async fn next(body: &mut RecvStream) -> Result<Option<Bytes>, h2::Error> {
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        if !data.is_empty() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Reads so many bytes of a body.
pub(crate) async fn read(body: &mut RecvStream, count: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < count {
        let data = next(body).await.unwrap().expect("more of the body");
        all.extend_from_slice(&data);
    }
    assert_eq!(all.len(), count);
    all
}

/// Ends a response whose body fits into one frame with trailers.
pub(crate) fn send_trailers(
    answer: &mut h2::SendStream<Bytes>,
    body: &'static [u8],
    trailers: HeaderMap,
) {
    answer.send_data(Bytes::from_static(body), false).unwrap();
    answer.send_trailers(trailers).unwrap();
}

/// Does what blocks, from now on and beside the runtime.
pub(crate) fn blocking<T: Send + 'static>(
    does: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = T> {
    let done = tokio::task::spawn_blocking(does);
    async { done.await.unwrap() }
}
