//! Passing requests of the queue on to the program, and its responses back.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{Either, Empty, Full};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use ostler_target::{Body, RequestInfo};
use tokio::sync::watch;
use tower_service::Service;

use super::connections::{Connections, Lease, SendError, SentBody};
use super::fields::{leave_connection, leave_request_connection, tell_client};
use crate::args::ForwardedFields;

/// Whether the program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProgramState {
    Runs,
    /// It has ended as it wanted to.
    Left,
    /// It has failed: this process is about to end, too.
    Crashed,
}

/// How long a program that has closed a connection may take to end, if that is why.
const TIME_TO_END: Duration = Duration::from_millis(500);

/// The service that the queue is served with.
#[derive(Debug, Clone)]
pub(super) struct Forward(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    connections: Connections,
    forwarded: ForwardedFields,
    program: watch::Receiver<ProgramState>,
    under_way: UnderWay,
}

/// What the program says: a response's body, or a sentence of this process'.
type ResponseBody = Either<ProgramBody, Full<Bytes>>;

impl Forward {
    pub(super) fn new(
        connections: Connections,
        forwarded: ForwardedFields,
        program: watch::Receiver<ProgramState>,
        under_way: UnderWay,
    ) -> Self {
        Self(Arc::new(Shared {
            connections,
            forwarded,
            program,
            under_way,
        }))
    }
}

impl Service<Request<Body>> for Forward {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move { Ok(shared.answer(request).await) })
    }
}

impl Shared {
    async fn answer(&self, request: Request<Body>) -> Response<ResponseBody> {
        let (parts, body) = request.into_parts();
        let target = parts.uri.clone();
        let method = parts.method.clone();
        let (request, on_upgrade) = self.request_to_send(parts, body);
        let sent = self.send(request).await;
        let (response, lease) = match sent {
            Ok(answered) => answered,
            Err(error) => {
                let error = anyhow::Error::from(error);
                return self.without_response(&method, &target, &error).await;
            }
        };
        match on_upgrade {
            Some(client) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                self.switch(response, client)
            }
            _ => self.pass_on(response, lease),
        }
    }

    /// What the program is sent, and the client's connection if it asks for another protocol on it.
    fn request_to_send(
        &self,
        mut parts: http::request::Parts,
        body: Body,
    ) -> (Request<SentBody>, Option<OnUpgrade>) {
        let is_http2 = self.connections.are_http2();
        let on_upgrade = parts.extensions.remove::<OnUpgrade>();
        let on_upgrade = on_upgrade.filter(|_| !is_http2);
        let info = parts.extensions.remove::<RequestInfo>();
        leave_request_connection(&mut parts.headers, on_upgrade.is_some(), is_http2);
        tell_client(
            &mut parts.headers,
            self.forwarded,
            info.as_ref().and_then(RequestInfo::client_address),
            info.as_ref().map_or("http", RequestInfo::scheme),
        );
        parts.extensions = http::Extensions::new();
        parts.version = Version::HTTP_11;
        if !parts.headers.contains_key(HOST) {
            // A client of HTTP/1.0 needs none, a request of HTTP/1.1 does.
            parts
                .headers
                .insert(HOST, HeaderValue::from_static("localhost"));
        }
        if is_http2 {
            name_authority(&mut parts);
        }
        let body = match body.is_end_stream() {
            true => Either::Right(Empty::new()),
            false => Either::Left(body),
        };
        (Request::from_parts(parts, body), on_upgrade)
    }

    /// Sends a request; one that the program may have closed its connection before, again, if it does no harm
    /// twice.
    async fn send(
        &self,
        request: Request<SentBody>,
    ) -> Result<(Response<Incoming>, Option<Lease>), SendError> {
        let again = match request.body() {
            Either::Right(_) if request.method().is_idempotent() => Some(copy_of(&request)),
            _ => None,
        };
        match (self.connections.send(request).await, again) {
            // Closed while it was on its way, as idle connections are.
            (Err(SendError::Failed(error)), Some(again)) if error.is_incomplete_message() => {
                self.connections.send_anew(again).await
            }
            (sent, _) => sent,
        }
    }

    fn pass_on(
        &self,
        response: Response<Incoming>,
        lease: Option<Lease>,
    ) -> Response<ResponseBody> {
        let (mut parts, body) = response.into_parts();
        leave_connection(&mut parts.headers, false);
        parts.extensions = http::Extensions::new();
        let mut body = ProgramBody {
            body,
            lease,
            _under_way: self.under_way.begin(),
        };
        body.give_back_at_end();
        Response::from_parts(parts, Either::Left(body))
    }

    /// Joins the client's connection and the program's, behind a 101.
    fn switch(
        &self,
        mut response: Response<Incoming>,
        client: OnUpgrade,
    ) -> Response<ResponseBody> {
        let program = hyper::upgrade::on(&mut response);
        let under_way = self.under_way.begin();
        tokio::spawn(async move {
            let _under_way = under_way;
            if let (Ok(client), Ok(program)) = tokio::join!(client, program) {
                join(client, program).await;
            }
        });
        let (mut parts, _) = response.into_parts();
        leave_connection(&mut parts.headers, true);
        parts.extensions = http::Extensions::new();
        Response::from_parts(parts, Either::Right(Full::default()))
    }

    /// The answer where the program gives none. If that is since it has crashed there is none from here: this
    /// process' end says it, and the front gives the request to another instance if it can be carried out
    /// twice.
    async fn without_response(
        &self,
        method: &Method,
        target: &Uri,
        error: &anyhow::Error,
    ) -> Response<ResponseBody> {
        let mut program = self.program.clone();
        let ended = program.wait_for(|state| *state != ProgramState::Runs);
        let _ = tokio::time::timeout(TIME_TO_END, ended).await;
        let state = *program.borrow();
        if state == ProgramState::Crashed {
            return std::future::pending().await;
        }
        let error = format!("{error:#}");
        tracing::warn!(%method, %target, error, "the program does not answer");
        let mut response =
            Response::new(Either::Right(Full::from("the program does not answer\n")));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, plain);
        response
    }
}

/// `:authority` is what `Host` was (RFC 9113 section 8.3.1).
fn name_authority(parts: &mut http::request::Parts) {
    let host = parts.headers.remove(HOST);
    let authority = host.and_then(|host| host.as_bytes().try_into().ok());
    let authority = authority.unwrap_or(http::uri::Authority::from_static("localhost"));
    let mut target = parts.uri.clone().into_parts();
    target.scheme = Some(http::uri::Scheme::HTTP);
    target.authority = Some(authority);
    if let Ok(uri) = Uri::from_parts(target) {
        parts.uri = uri;
    }
    parts.version = Version::HTTP_2;
}

fn copy_of(request: &Request<SentBody>) -> Request<SentBody> {
    let mut copy = Request::new(Either::Right(Empty::new()));
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    *copy.version_mut() = request.version();
    copy.headers_mut().clone_from(request.headers());
    copy
}

/// Passes bytes on in both directions until both have ended, or one has failed.
async fn join(client: Upgraded, program: Upgraded) {
    let (mut client, mut program) = (TokioIo::new(client), TokioIo::new(program));
    if let Err(error) = tokio::io::copy_bidirectional(&mut client, &mut program).await {
        tracing::debug!(%error, "a connection with another protocol has ended");
    }
}

/// A response's body on its way.
#[derive(Debug)]
pub(super) struct ProgramBody {
    body: Incoming,
    /// Given back when the body has ended; else dropped with it, which closes the connection.
    lease: Option<Lease>,
    _under_way: Begun,
}

impl ProgramBody {
    fn give_back_at_end(&mut self) {
        if self.body.is_end_stream()
            && let Some(lease) = self.lease.take()
        {
            lease.give_back();
        }
    }
}

impl http_body::Body for ProgramBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(_)) => self.give_back_at_end(),
            Some(Err(_)) => self.lease = None,
            None => {
                if let Some(lease) = self.lease.take() {
                    lease.give_back();
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How many responses and switched connections are under way.
#[derive(Debug, Clone, Default)]
pub(super) struct UnderWay(watch::Sender<usize>);

/// One of them.
#[derive(Debug)]
struct Begun(watch::Sender<usize>);

impl UnderWay {
    fn begin(&self) -> Begun {
        self.0.send_modify(|count| *count += 1);
        Begun(self.0.clone())
    }

    /// Completes when there are none.
    pub(super) async fn over(&self) {
        // The sender is this one's own: there is no other error.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}
