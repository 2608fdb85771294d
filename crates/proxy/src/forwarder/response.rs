//! A destination's response on its way to the client.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::Body;
use ostler_config::schema::HeaderEncoding;
use ostler_delegation::entry::directives;
use ostler_http1::BodyLength;
use ostler_model::transforms::Transforms;

use super::body::{Activity, Ceased, Side, Upload};
use super::reply_body::ReplyBody;
use crate::client_side::{Head, ResponseWriter, WriteError};
use crate::connection_fields::is_hop_by_hop;
use crate::context::ExchangeContext;
use crate::destinations::{Reason, header_encoding};
use crate::error_chain::Chain;
use crate::failing::warn_of_failure;
use crate::outcome::{ForwarderError, is_gone};

/// How long a client may take no byte.
const SEND_TIMEOUT: Duration = Duration::from_secs(120);

/// How passing a response on ended.
#[derive(Debug)]
pub(super) struct PassedOn {
    /// The response's.
    pub(super) status: StatusCode,
    pub(super) error: Option<PassError>,
    /// Whether the connection may carry another request.
    pub(super) keep_alive: bool,
}

/// Why a response was not passed on whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct PassError {
    pub(super) error: ForwarderError,
    /// For the client, if nothing has been sent; `None` when it is gone.
    pub(super) answer: Option<StatusCode>,
}

impl PassError {
    fn of_client_body(side: Side) -> Self {
        let (error, answer) = match side {
            Side::Client => (
                ForwarderError::RequestBodyClient,
                Some(StatusCode::BAD_REQUEST),
            ),
            Side::ClientTooLarge => (
                ForwarderError::RequestBodyClient,
                Some(StatusCode::PAYLOAD_TOO_LARGE),
            ),
            Side::ClientTooSlow => (
                ForwarderError::RequestBodyClient,
                Some(StatusCode::REQUEST_TIMEOUT),
            ),
            Side::ClientGone | Side::Destination => (ForwarderError::ResponseBodyCanceled, None),
        };
        Self { error, answer }
    }

    fn at_destination(status: StatusCode) -> Self {
        Self {
            error: ForwarderError::ResponseBodyDestination,
            answer: Some(status),
        }
    }
}

impl From<WriteError> for PassError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Client(error) => Self {
                error: match is_gone(&error) {
                    true => ForwarderError::ResponseBodyCanceled,
                    false => ForwarderError::ResponseBodyClient,
                },
                answer: None,
            },
            // It is the destination's Content-Length that is not true.
            WriteError::Length(_) => Self::at_destination(StatusCode::BAD_GATEWAY),
        }
    }
}

/// A response on its way to the client.
pub(super) struct Passing<'p, 'c> {
    pub(super) context: &'p ExchangeContext<'p>,
    pub(super) writer: &'p mut ResponseWriter<'c>,
    pub(super) activity: &'p Activity,
}

impl Passing<'_, '_> {
    /// Passes the response on, and what is left of the request's body the other way.
    pub(super) async fn pass_on(
        &mut self,
        response: http::Response<ReplyBody>,
        upload: &mut Upload<'_>,
    ) -> PassedOn {
        let status = response.status();
        let activity = self.activity;
        upload.response_has_begun();
        // Where the destination goes on taking the body, the client's connection goes on behind it.
        // What is to come of one that it does not take is read by nobody, and nothing can follow it.
        let goes_on = response.body().has_upload() && !upload.is_over();
        let keep_alive = upload.is_complete() || goes_on;
        let (parts, mut body) = response.into_parts();
        let ended = {
            let response = http::Response::from_parts(parts, Pin::new(&mut body));
            let mut uploading = pin!(upload.run(activity));
            let mut passing = pin!(self.pass(response, keep_alive));
            poll_fn(|cx| {
                if let Poll::Ready(ended) = passing.as_mut().poll(cx) {
                    return Poll::Ready(ended);
                }
                let broken = uploading.as_mut().poll(cx);
                broken.map(|side| Err(PassError::of_client_body(side)))
            })
            .await
        };
        if ended.is_ok() && body.has_upload() {
            self.finish_upload(&mut body, upload).await;
        }
        match ended {
            Ok(keep_alive) => PassedOn {
                status,
                error: None,
                keep_alive: keep_alive && upload.is_complete(),
            },
            Err(error) => PassedOn {
                status,
                error: Some(error),
                keep_alive: false,
            },
        }
    }

    /// The response is whole, and the destination goes on taking the request's body (reference
    /// B1, step 16). What becomes of it is nothing to the client, which has its answer.
    async fn finish_upload(&mut self, body: &mut ReplyBody, upload: &mut Upload<'_>) {
        let mut uploading = pin!(upload.finish(self.activity));
        let mut is_read = false;
        let mut is_broken = false;
        let mut ceased = pin!(self.activity.ceased());
        poll_fn(|cx| {
            if !is_read && let Poll::Ready(ended) = uploading.as_mut().poll(cx) {
                is_read = true;
                is_broken = ended.is_err();
            }
            let over = is_broken
                || body.poll_uploaded(cx).is_ready()
                || self.writer.poll_gone(cx).is_ready()
                || ceased.as_mut().poll(cx).is_ready();
            if over { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Passes head, body and trailers on. True when the connection may carry another request.
    async fn pass<B>(
        &mut self,
        response: http::Response<B>,
        keep_alive: bool,
    ) -> Result<bool, PassError>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = response.into_parts();
        let body = pin!(body);
        let encoding = parts.extensions.get::<HeaderEncoding>().copied();
        let length = match body.size_hint().exact() {
            Some(length) => BodyLength::Known(length),
            None => BodyLength::Unknown,
        };
        let added: Vec<_> = directives(self.context.directives()).collect();
        let reason = parts.extensions.get::<Reason>();
        let reason = reason.and_then(|Reason(reason)| std::str::from_utf8(reason).ok());
        let transforms = self.context.transforms();
        let mut fields = passed_fields(transforms, parts.status, parts.headers);
        if length == BodyLength::Unknown {
            // How long it is, a transform cannot know.
            fields.remove(http::header::CONTENT_LENGTH);
        }
        let may_follow = self.writer.head(Head {
            status: parts.status,
            reason,
            fields,
            added: &added,
            length,
            keep_alive,
        });
        let trailers = match may_follow {
            true => self.pass_body(body, encoding).await?,
            false => HeaderMap::new(),
        };
        let pass = |trailers| pass_fields(parts.status, trailers);
        let trailers = match transforms {
            Some(transforms) => transforms.trailers(parts.status, trailers, pass),
            None => pass(trailers),
        };
        let trailers = Some(trailers).filter(|trailers| !trailers.is_empty());
        let most = self.activity.at_most(SEND_TIMEOUT);
        Ok(self.writer.end(trailers, most).await?)
    }

    /// Passes the body on; what comes behind it is its trailers.
    async fn pass_body<B>(
        &mut self,
        mut body: Pin<&mut B>,
        encoding: Option<HeaderEncoding>,
    ) -> Result<HeaderMap, PassError>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut trailers = HeaderMap::new();
        let mut is_flushed = false;
        let mut ahead = None;
        loop {
            let piece = match ahead.take() {
                Some(piece) => piece,
                None => self.next(body.as_mut(), is_flushed).await,
            };
            match piece {
                NextPiece::Data(data) => {
                    if !is_flushed {
                        // A body that is known to be broken by now is an answer of the front's own
                        // yet.
                        ahead = self.soon(body.as_mut()).await;
                        if let Some(NextPiece::Failed(error)) = ahead {
                            return Err(self.broken(error.as_ref()));
                        }
                    }
                    let most = self.activity.at_most(SEND_TIMEOUT);
                    match ahead {
                        Some(NextPiece::End | NextPiece::Trailers(_)) => {
                            self.writer.last(data, most).await?;
                        }
                        _ => self.writer.data(data, most).await?,
                    }
                    is_flushed = true;
                }
                NextPiece::Later => {
                    if let Some(piece) = self.soon(body.as_mut()).await {
                        ahead = Some(piece);
                        continue;
                    }
                    let most = self.activity.at_most(SEND_TIMEOUT);
                    self.writer.flush(most).await?;
                    is_flushed = true;
                }
                NextPiece::Trailers(mut sent) => {
                    if let Some(encoding) = encoding {
                        header_encoding::decode(&mut sent, encoding);
                    }
                    trailers = sent;
                }
                NextPiece::End => return Ok(trailers),
                NextPiece::ClientGone => return Err(PassError::of_client_body(Side::ClientGone)),
                NextPiece::Failed(error) => return Err(self.broken(error.as_ref())),
            }
            self.activity.happened();
        }
    }

    /// What comes next of the body without waiting for it: what has arrived by now is taken in first.
    async fn soon<B>(&mut self, mut body: Pin<&mut B>) -> Option<NextPiece>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let piece = match self.next(body.as_mut(), false).await {
            NextPiece::Later => {
                // The runtime asks the kernel before this goes on.
                tokio::task::yield_now().await;
                self.next(body.as_mut(), false).await
            }
            piece => piece,
        };
        match piece {
            NextPiece::Later => None,
            piece => Some(piece),
        }
    }

    /// The next piece of the body. With a head still to be sent (`may_wait` is false) a body that has
    /// nothing yet does not hold it back.
    async fn next<B>(&mut self, mut body: Pin<&mut B>, may_wait: bool) -> NextPiece
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut ceased = pin!(self.activity.ceased());
        if self.activity.is_over() {
            return over();
        }
        poll_fn(|cx| {
            match body.as_mut().poll_frame(cx) {
                Poll::Ready(None) => return Poll::Ready(NextPiece::End),
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(NextPiece::Failed(error.into()));
                }
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) if data.is_empty() => cx.waker().wake_by_ref(),
                    Ok(data) => return Poll::Ready(NextPiece::Data(data)),
                    Err(frame) => match frame.into_trailers() {
                        Ok(trailers) => return Poll::Ready(NextPiece::Trailers(trailers)),
                        Err(_) => cx.waker().wake_by_ref(),
                    },
                },
                Poll::Pending if !may_wait => return Poll::Ready(NextPiece::Later),
                Poll::Pending => {}
            }
            if self.writer.poll_gone(cx).is_ready() {
                return Poll::Ready(NextPiece::ClientGone);
            }
            ceased.as_mut().poll(cx).map(|why| match why {
                Ceased::Silent => NextPiece::Failed("the destination is silent".into()),
                Ceased::Over(_) => over(),
            })
        })
        .await
    }

    fn broken(&self, error: &(dyn std::error::Error + 'static)) -> PassError {
        let context = self.context;
        warn_of_failure!(context, error = %Chain(error), "the response's body failed");
        let over = context.deadline().filter(|_| self.activity.is_over());
        let status = over.map_or(StatusCode::BAD_GATEWAY, |over| over.status);
        PassError::at_destination(status)
    }
}

/// What comes next of a response's body.
enum NextPiece {
    Data(Bytes),
    /// Nothing yet, and the head should not wait for it.
    Later,
    Trailers(HeaderMap),
    End,
    ClientGone,
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

/// The response has begun, so all that is left is to cut it off.
fn over() -> NextPiece {
    NextPiece::Failed("the route's timeout is over".into())
}

/// The fields for the client.
pub(super) fn passed_fields(
    transforms: Option<&Transforms>,
    status: StatusCode,
    fields: HeaderMap,
) -> HeaderMap {
    let pass = |fields| pass_fields(status, fields);
    match transforms {
        Some(transforms) => transforms.response(status, fields, pass),
        None => pass(fields),
    }
}

/// The response's fields less those of the destination's connection.
pub(super) fn pass_fields(status: StatusCode, mut fields: HeaderMap) -> HeaderMap {
    let dropped: Vec<_> = fields
        .keys()
        .filter(|name| is_hop_by_hop(name))
        .cloned()
        .collect();
    for name in dropped {
        fields.remove(name);
    }
    if status.is_informational() || status == StatusCode::NO_CONTENT {
        fields.remove(http::header::CONTENT_LENGTH);
    }
    fields
}
