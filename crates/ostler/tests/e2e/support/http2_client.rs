//! A client that speaks HTTP/2, request by request, over a connection of one's own.

use std::future::Future;
use std::net::TcpStream;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};

use super::PATIENCE;
use super::tls_client::TlsSettings;

/// A connection of a client's.
pub(crate) struct Http2Client {
    pub(crate) sender: SendRequest<Bytes>,
    /// The connection's own end.
    pub(crate) ended: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

/// A response, read whole.
pub(crate) struct Http2Response {
    pub(crate) head: http::response::Parts,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Http2Response {
    pub(crate) fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Runs what a client does, but not for ever.
pub(crate) fn run<T>(client: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let patient = async { tokio::time::timeout(PATIENCE, client).await };
    let done = runtime.block_on(patient);
    done.expect("what the client waits for does not happen")
}

impl Http2Client {
    /// Connects by prior knowledge.
    pub(crate) async fn connect(port: u16) -> Self {
        Self::with(port, &h2::client::Builder::new()).await
    }

    pub(crate) async fn with(port: u16, settings: &h2::client::Builder) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nonblocking(true).unwrap();
        let stream = tokio::net::TcpStream::from_std(stream).unwrap();
        Self::shake_hands(stream, settings).await
    }

    /// Connects over TLS; `tls` names the protocol.
    pub(crate) async fn over_tls(port: u16, tls: &TlsSettings<'_>) -> Self {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", port));
        let name = ServerName::try_from(tls.name.to_owned()).unwrap();
        let connector = tokio_rustls::TlsConnector::from(tls.config());
        let stream = connector.connect(name, stream.await.unwrap()).await;
        Self::shake_hands(stream.unwrap(), &h2::client::Builder::new()).await
    }

    async fn shake_hands(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        settings: &h2::client::Builder,
    ) -> Self {
        let (sender, connection) = settings.handshake(stream).await.unwrap();
        let ended = tokio::spawn(connection);
        Self { sender, ended }
    }

    /// Sends a request's head.
    pub(crate) async fn begin(
        &self,
        request: Request<()>,
        ends: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let mut sender = self.sender.clone().ready().await.unwrap();
        sender.send_request(request, ends).unwrap()
    }

    pub(crate) async fn ask(&self, request: Request<()>) -> Http2Response {
        let (response, _stream) = self.begin(request, true).await;
        whole(response.await.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Http2Response {
        self.ask(get(path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &[u8]) -> Http2Response {
        let request = Request::post(url(path)).body(()).unwrap();
        let (response, mut stream) = self.begin(request, false).await;
        send(&mut stream, body, true).await;
        whole(response.await.unwrap()).await
    }
}

pub(crate) fn url(path: &str) -> String {
    format!("http://example.org{path}")
}

pub(crate) fn get(path: &str) -> Request<()> {
    Request::get(url(path)).body(()).unwrap()
}

/// Sends bytes as the peer's windows let them through.
pub(crate) async fn send(stream: &mut SendStream<Bytes>, body: &[u8], ends: bool) {
    let mut body = Bytes::copy_from_slice(body);
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        while stream.capacity() == 0 {
            let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
            room.expect("the stream is open").unwrap();
        }
        let piece = body.split_to(stream.capacity().min(body.len()));
        stream.send_data(piece, false).unwrap();
    }
    if ends {
        stream.send_data(Bytes::new(), true).unwrap();
    }
}

pub(crate) async fn whole(response: Response<RecvStream>) -> Http2Response {
    let (head, mut body) = response.into_parts();
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        bytes.extend_from_slice(&data);
    }
    let trailers = body.trailers().await.unwrap();
    Http2Response {
        head,
        body: bytes,
        trailers,
    }
}
