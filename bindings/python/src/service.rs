//! The service that the target library calls: it gives a request to Python and waits for the response.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body::Body as _;
use hyper::upgrade::OnUpgrade;
use ostler_target::Body;
use tokio_util::task::TaskTracker;

use crate::exchange::{Content, HttpExchange};
use crate::inbox::{Answer, Event, Inbox, Request as Arrived};
use crate::options::WebSocketOptions;
use crate::response::ResponseBody;
use crate::wakers::Wakers;
use crate::websocket::{self, WebSocket};

/// Gives each request to Python.
#[derive(Debug, Clone)]
pub(crate) struct Application(pub(crate) Arc<Shared>);

/// What all exchanges of a server share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) wakers: Arc<Wakers>,
    /// Set where the application may speak WebSocket.
    pub(crate) websocket: Option<WebSocketOptions>,
    /// Fields that every response has unless the application sets them; no name twice.
    pub(crate) fields: HeaderMap,
    /// WebSockets that are open; they outlive their exchanges.
    pub(crate) conversations: TaskTracker,
    /// Set when the server stops.
    pub(crate) stop: tokio_util::sync::CancellationToken,
}

impl tower_service::Service<Request<Body>> for Application {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move { Ok(answer(&shared, request).await) })
    }
}

async fn answer(shared: &Arc<Shared>, request: Request<Body>) -> Response<ResponseBody> {
    let exchange = Arc::new(HttpExchange::new(&shared.inbox, &shared.wakers));
    let alive = Alive(Arc::clone(&exchange));
    let (mut head, body) = request.into_parts();
    let upgrade = head.extensions.remove::<OnUpgrade>();
    if let Some(upgrade) = upgrade
        && let Some(options) = &shared.websocket
        && websocket::is_asked_for(&head)
    {
        return converse(shared, *options, head, upgrade, alive).await;
    }
    let mut upload = Upload::new(body, Arc::clone(&exchange));
    if head.method == http::Method::HEAD {
        exchange.expect_no_body();
    }
    if head.headers.contains_key(header::EXPECT) {
        exchange.await_demand();
    }
    // What of the body is here already goes along with the head.
    poll_fn(|cx| {
        upload.poll(cx);
        Poll::Ready(())
    })
    .await;
    let answer = Answer::Http(Arc::clone(&exchange));
    let request = Arrived { head, answer };
    shared.inbox.push(Event::Request(Box::new(request)));
    let response = poll_fn(|cx| {
        upload.poll(cx);
        match exchange.poll_response(cx) {
            Some(response) => Poll::Ready(response),
            None => Poll::Pending,
        }
    })
    .await;
    let mut response = response.map(|content| ResponseBody::new(content, upload, alive));
    for (name, value) in &shared.fields {
        if !response.headers().contains_key(name) {
            response.headers_mut().append(name, value.clone());
        }
    }
    response
}

/// Answers a request for a WebSocket, and begins it if the application accepts.
async fn converse(
    shared: &Arc<Shared>,
    options: WebSocketOptions,
    head: http::request::Parts,
    upgrade: OnUpgrade,
    alive: Alive,
) -> Response<ResponseBody> {
    let exchange = Arc::clone(alive.exchange());
    exchange.end_body(true);
    let upload = Upload::none(Arc::clone(&exchange));
    let Some(accept) = websocket::accept_key(&head) else {
        let mut response = Response::new(Content::Whole(bytes::Bytes::new()));
        *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
        let fields: &mut HeaderMap = response.headers_mut();
        fields.insert(
            header::SEC_WEBSOCKET_VERSION,
            HeaderValue::from_static("13"),
        );
        return response.map(|content| ResponseBody::new(content, upload, alive));
    };
    let socket = Arc::new(WebSocket::new(accept, exchange, shared));
    let answer = Answer::WebSocket(Arc::clone(&socket));
    let request = Arrived { head, answer };
    shared.inbox.push(Event::Request(Box::new(request)));
    let waiting = websocket::Handshake(Arc::clone(&socket));
    let response = poll_fn(|cx| match socket.exchange().poll_response(cx) {
        Some(response) => Poll::Ready(response),
        None => Poll::Pending,
    })
    .await;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let stop = shared.stop.clone();
        let conversation = websocket::run(upgrade, waiting, options, stop);
        shared.conversations.spawn(conversation);
    }
    response.map(|content| ResponseBody::new(content, upload, alive))
}

/// Reads a request's body as the application makes room for it.
#[derive(Debug)]
pub(crate) struct Upload {
    body: Option<Body>,
    exchange: Arc<HttpExchange>,
}

impl Upload {
    fn new(body: Body, exchange: Arc<HttpExchange>) -> Self {
        Self {
            body: Some(body),
            exchange,
        }
    }

    fn none(exchange: Arc<HttpExchange>) -> Self {
        Self {
            body: None,
            exchange,
        }
    }

    /// Reads what has come.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) {
        while let Some(body) = &mut self.body {
            if body.is_end_stream() {
                self.body = None;
                return self.exchange.end_body(true);
            }
            if !self.exchange.has_room(cx) {
                return;
            }
            match Pin::new(body).poll_frame(cx) {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers of requests have no place in ASGI or WSGI.
                    if let Ok(data) = frame.into_data() {
                        self.exchange.put(data);
                    }
                }
                Poll::Ready(ended) => {
                    self.body = None;
                    if let Some(Err(error)) = &ended {
                        let error: &(dyn std::error::Error + 'static) = error;
                        tracing::debug!(error, "a request's body ends early");
                    }
                    return self.exchange.end_body(ended.is_none());
                }
            }
        }
    }
}

/// Ends the exchange when it is dropped: the response has been sent, or the client is gone.
#[derive(Debug)]
pub(crate) struct Alive(Arc<HttpExchange>);

impl Alive {
    pub(crate) fn exchange(&self) -> &Arc<HttpExchange> {
        &self.0
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.end();
    }
}
