//! Writing a response to the client's socket: head and body in one call where they are ready.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::{HeaderMap, StatusCode};
use http_body::Body as _;
use ostler_http1::{
    BodyEncoder, BodyLength, BodyLengthError, RequestFacts, ResponseBody, ResponseTransforms,
    encode_response_head,
};

use crate::body::is_disconnect;
use crate::client::Client;
use crate::error::BoxError;
use crate::panics::{Panicked, contain};
use crate::send_file::{FileBody, SendFile, has_shrunk};

/// Most pieces given to one `sendmsg`, and most bytes gathered before it is called.
const MAX_PIECES: usize = 16;
const GATHER: usize = 256 * 1024;
/// Most bytes of a file given to one sendfile(2), after which others get their turn.
const AT_ONCE: usize = 512 * 1024;

/// What was sent, kept where it outlives a dropped exchange.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) status: u16,
    pub(crate) bytes: u64,
    pub(crate) first_byte_ns: u64,
}

/// Why a response was not sent whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResponseError {
    #[error("the client is gone")]
    ClientGone,
    #[error("the client took no byte for {} s", .0.as_secs())]
    TimedOut(Duration),
    #[error("the front's timeout is over")]
    Over,
    #[error("the response body failed")]
    Body(#[source] BoxError),
    #[error(transparent)]
    Panicked(#[from] Panicked),
    #[error("the response body is not as long as its content-length")]
    Length(#[from] BodyLengthError),
    #[error(
        "the fields of the response take more than the {0} bytes that there are for them where clients \
         speak HTTP/2, or TLS that the kernel does not encrypt"
    )]
    HeadTooLarge(usize),
    #[error(
        "the trailers take more than the {0} bytes that there are for them where clients speak HTTP/2, or \
         TLS that the kernel does not encrypt"
    )]
    TrailersTooLarge(usize),
    #[error("the client's socket failed")]
    Io(#[source] io::Error),
}

/// Where a response goes.
pub(crate) struct Responder<'a> {
    pub(crate) client: &'a Client,
    pub(crate) facts: RequestFacts,
    /// What is done to the response, before fields are added to it.
    pub(crate) transforms: Option<&'a ResponseTransforms>,
    pub(crate) directives: Vec<(&'a [u8], &'a [u8])>,
    /// The exchange also reads from the socket.
    pub(crate) reads: bool,
    pub(crate) timeout: Duration,
    /// Stores that response bytes are about to be written.
    pub(crate) responding: &'a (dyn Fn() + Sync),
    pub(crate) sent: &'a std::sync::Mutex<Sent>,
}

impl Responder<'_> {
    /// Sends a response; true when the connection may carry another request.
    pub(crate) async fn send<B>(&self, response: http::Response<B>) -> Result<bool, ResponseError>
    where
        B: http_body::Body,
        B::Error: Into<BoxError>,
    {
        let (mut parts, body) = response.into_parts();
        let file = parts.extensions.remove::<SendFile>();
        let mut length = match (&file, body.size_hint().exact()) {
            (Some(file), _) => BodyLength::Known(file.length()),
            (None, _) if body.is_end_stream() => BodyLength::Known(0),
            (None, Some(length)) => BodyLength::Known(length),
            (None, None) => BodyLength::Unknown,
        };
        let date = crate::clock::date();
        if let Some(transforms) = self.transforms {
            let fields = &mut parts.headers;
            length = transforms.head(self.facts, parts.status, fields, length, &date);
        }
        let mut output = Output::default();
        let framing = encode_response_head(
            &mut output.head,
            self.facts,
            parts.status,
            None,
            &parts.headers,
            &self.directives,
            length,
            &date,
        );
        self.lock().status = parts.status.as_u16();
        // What the handler gives all the same is not sent (RFC 9110 section 15.3.6).
        let is_reset = parts.status == StatusCode::RESET_CONTENT;
        if framing.body == ResponseBody::None || is_reset {
            self.flush(&mut output).await?;
            return Ok(framing.keep_alive);
        }
        if let Some(file) = file {
            Box::pin(self.send_file(parts.status, file, framing.body, output)).await?;
        } else {
            let encoder = BodyEncoder::new(framing.body);
            self.send_body(parts.status, pin!(body), encoder, output)
                .await?;
        }
        Ok(framing.keep_alive)
    }

    /// Sends what is gathered, then the body as it comes.
    async fn send_body<B>(
        &self,
        status: StatusCode,
        mut body: Pin<&mut B>,
        mut encoder: BodyEncoder,
        mut output: Output,
    ) -> Result<(), ResponseError>
    where
        B: http_body::Body,
        B::Error: Into<BoxError>,
    {
        loop {
            let gathered = poll_fn(|cx| {
                self.poll_gather(cx, status, body.as_mut(), &mut encoder, &mut output)
            });
            match gathered.await? {
                Gathered::All => return self.flush(&mut output).await,
                Gathered::Some => self.flush(&mut output).await?,
            }
        }
    }

    /// Sends the head, then a file: by the kernel if the bytes go as they are.
    async fn send_file(
        &self,
        status: StatusCode,
        file: SendFile,
        framing: ResponseBody,
        mut output: Output,
    ) -> Result<(), ResponseError> {
        let length = file.length();
        let as_it_is = framing == ResponseBody::Length(length);
        if length == 0 || !as_it_is || !ostler_shm::can_send_files(self.client.as_fd()) {
            let encoder = BodyEncoder::new(framing);
            return self
                .send_body(status, pin!(file.into_body()), encoder, output)
                .await;
        }
        output.more_follows = true;
        self.flush(&mut output).await?;
        let mut gone = 0;
        while gone < length {
            let count = usize::try_from(length - gone).map_or(AT_ONCE, |left| left.min(AT_ONCE));
            let from = (file.file(), file.offset() + gone);
            let send = poll_fn(|cx| self.client.poll_send_file(cx, from, count, self.reads));
            let sent = match tokio::time::timeout(self.timeout, send).await {
                Ok(Ok(0)) => return Err(ResponseError::Body(has_shrunk().into())),
                Ok(Ok(sent)) => sent as u64,
                Ok(Err(error)) => return Err(of_send(error)),
                Err(_elapsed) => return Err(ResponseError::TimedOut(self.timeout)),
            };
            gone += sent;
            self.lock().bytes += sent;
        }
        Ok(())
    }

    /// Takes frames while they are ready. Ready with `Some` when there is something to send and no
    /// more to gather now; pending only when there is nothing to send.
    fn poll_gather<B>(
        &self,
        cx: &mut Context<'_>,
        status: StatusCode,
        mut body: Pin<&mut B>,
        encoder: &mut BodyEncoder,
        output: &mut Output,
    ) -> Poll<Result<Gathered, ResponseError>>
    where
        B: http_body::Body,
        B::Error: Into<BoxError>,
    {
        while output.bytes < GATHER && output.pieces.len() + 4 <= MAX_PIECES {
            let frame = match contain(|| body.as_mut().poll_frame(cx))? {
                Poll::Ready(frame) => frame,
                Poll::Pending if output.is_empty() => return Poll::Pending,
                Poll::Pending => return Poll::Ready(Ok(Gathered::Some)),
            };
            let mut framing = Vec::new();
            let Some(frame) = frame else {
                self.finish(status, encoder, None, &mut framing)?;
                output.push(framing.into());
                return Poll::Ready(Ok(Gathered::All));
            };
            match frame
                .map_err(|error| ResponseError::Body(error.into()))?
                .into_data()
            {
                Ok(mut data) => {
                    let data = data.copy_to_bytes(data.remaining());
                    if !data.is_empty() {
                        let suffix = encoder.begin_data(data.len(), &mut framing)?;
                        output.push(framing.into());
                        output.push(data);
                        output.push(Bytes::from_static(suffix));
                    }
                }
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        self.finish(status, encoder, Some(trailers), &mut framing)?;
                        output.push(framing.into());
                        return Poll::Ready(Ok(Gathered::All));
                    }
                }
            }
            if body.is_end_stream() {
                let mut framing = Vec::new();
                self.finish(status, encoder, None, &mut framing)?;
                output.push(framing.into());
                return Poll::Ready(Ok(Gathered::All));
            }
        }
        Poll::Ready(Ok(Gathered::Some))
    }

    /// Ends the body, with the trailers that transforms make of those there are.
    fn finish(
        &self,
        status: StatusCode,
        encoder: &mut BodyEncoder,
        mut trailers: Option<HeaderMap>,
        out: &mut Vec<u8>,
    ) -> Result<(), BodyLengthError> {
        if let Some(transforms) = self.transforms {
            trailers = transforms.trailers(status, trailers);
        }
        encoder.finish(trailers.as_ref(), out)
    }

    /// Sends everything gathered.
    async fn flush(&self, output: &mut Output) -> Result<(), ResponseError> {
        (self.responding)();
        if self.lock().first_byte_ns == 0 {
            self.lock().first_byte_ns = ostler_shm::monotonic_nanoseconds();
        }
        let sent = output.with_slices(|slices| match output.more_follows {
            true => ostler_shm::send_before_more(self.client.as_fd(), slices),
            false => self.client.try_send(slices),
        });
        match sent {
            Ok(sent) => self.advance(output, sent),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(of_send(error)),
        }
        if output.is_empty() {
            return Ok(());
        }
        // On the heap, so that exchanges that never wait do not carry the room for it.
        Box::pin(self.flush_rest(output)).await
    }

    /// Sends what the socket did not take at once, as it takes it.
    async fn flush_rest(&self, output: &mut Output) -> Result<(), ResponseError> {
        while !output.is_empty() {
            let send = poll_fn(|cx| {
                output.with_slices(|slices| self.client.poll_send(cx, slices, self.reads))
            });
            match tokio::time::timeout(self.timeout, send).await {
                Ok(Ok(sent)) => self.advance(output, sent),
                Ok(Err(error)) => return Err(of_send(error)),
                Err(_elapsed) => return Err(ResponseError::TimedOut(self.timeout)),
            }
        }
        Ok(())
    }

    fn advance(&self, output: &mut Output, sent: usize) {
        self.lock().bytes += sent as u64;
        output.advance(sent);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Sent> {
        self.sent
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

enum Gathered {
    /// There is more to come.
    Some,
    /// The last byte is among what was gathered.
    All,
}

/// Bytes on their way to the socket: the head, then pieces of the body.
struct Output {
    head: Vec<u8>,
    /// Bytes of the head that are sent. <= head.len()
    head_sent: usize,
    pieces: VecDeque<Bytes>,
    /// Bytes in `pieces`.
    bytes: usize,
    /// What follows is sent by other means at once.
    more_follows: bool,
}

thread_local! {
    /// The buffer of the last head: most responses find one here.
    static HEAD: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Default for Output {
    fn default() -> Self {
        Self {
            head: HEAD.take(),
            head_sent: 0,
            pieces: VecDeque::new(),
            bytes: 0,
            more_follows: false,
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        const MOST: usize = 16 * 1024;
        if self.head.capacity() <= MOST {
            self.head.clear();
            HEAD.set(std::mem::take(&mut self.head));
        }
    }
}

impl Output {
    fn is_empty(&self) -> bool {
        self.head_sent == self.head.len() && self.pieces.is_empty()
    }

    fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.bytes += piece.len();
            self.pieces.push_back(piece);
        }
    }

    fn with_slices<T>(&self, call: impl FnOnce(&[IoSlice<'_>]) -> T) -> T {
        let mut slices = [IoSlice::new(&[]); MAX_PIECES];
        let head = &self.head[self.head_sent..];
        let head = (!head.is_empty()).then_some(head);
        let pieces = head
            .into_iter()
            .chain(self.pieces.iter().map(|piece| &piece[..]));
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(pieces) {
            *slice = IoSlice::new(piece);
            count += 1;
        }
        call(&slices[..count])
    }

    fn advance(&mut self, mut sent: usize) {
        let of_head = sent.min(self.head.len() - self.head_sent);
        self.head_sent += of_head;
        sent -= of_head;
        self.bytes = self.bytes.saturating_sub(sent);
        while let Some(piece) = self.pieces.front_mut() {
            if sent < piece.len() {
                piece.advance(sent);
                return;
            }
            sent -= piece.len();
            self.pieces.pop_front();
        }
    }
}

fn of_send(error: io::Error) -> ResponseError {
    if is_disconnect(&error) {
        ResponseError::ClientGone
    } else {
        ResponseError::Io(error)
    }
}

/// A response of the library's own: a status and nothing else.
pub(crate) fn bare(status: StatusCode) -> http::Response<Nothing> {
    let mut response = http::Response::new(Nothing);
    *response.status_mut() = status;
    response
}

/// An empty body.
pub(crate) struct Nothing;

impl http_body::Body for Nothing {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(0)
    }
}

/// Keeps the client alive for as long as something speaks to it.
pub(crate) type SharedClient = Arc<Client>;

pin_project_lite::pin_project! {
    /// The body of a handler's response or of the library's own.
    #[project = EitherProjection]
    pub(crate) enum Either<B> {
        Handler { #[pin] body: B },
        File { body: FileBody },
        Library,
    }
}

impl<B> Either<B> {
    /// The body of a handler's response, which is copied if it is a file.
    pub(crate) fn of(mut response: http::Response<B>) -> http::Response<Self> {
        match response.extensions_mut().remove::<SendFile>() {
            Some(file) => response.map(|_none| Self::File {
                body: file.into_body(),
            }),
            None => response.map(|body| Self::Handler { body }),
        }
    }
}

/// Bytes of a handler's body or of a file.
pub(crate) enum EitherData<D> {
    Handler(D),
    File(Bytes),
}

impl<D: Buf> Buf for EitherData<D> {
    fn remaining(&self) -> usize {
        match self {
            Self::Handler(data) => data.remaining(),
            Self::File(data) => data.remaining(),
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Self::Handler(data) => data.chunk(),
            Self::File(data) => data.chunk(),
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Handler(data) => data.advance(count),
            Self::File(data) => data.advance(count),
        }
    }

    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        match self {
            Self::Handler(data) => data.copy_to_bytes(count),
            Self::File(data) => data.copy_to_bytes(count),
        }
    }
}

impl<B: http_body::Body<Error: Into<BoxError>>> http_body::Body for Either<B> {
    type Data = EitherData<B::Data>;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Self::Data>, BoxError>>> {
        match self.project() {
            EitherProjection::Handler { body } => body.poll_frame(cx).map(|frame| {
                frame.map(|frame| match frame {
                    Ok(frame) => Ok(frame.map_data(EitherData::Handler)),
                    Err(error) => Err(error.into()),
                })
            }),
            EitherProjection::File { body } => Pin::new(body).poll_frame(cx).map(|frame| {
                frame.map(|frame| match frame {
                    Ok(frame) => Ok(frame.map_data(EitherData::File)),
                    Err(error) => Err(error.into()),
                })
            }),
            EitherProjection::Library => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Handler { body } => body.is_end_stream(),
            Self::File { body } => body.is_end_stream(),
            Self::Library => true,
        }
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self {
            Self::Handler { body } => body.size_hint(),
            Self::File { body } => body.size_hint(),
            Self::Library => http_body::SizeHint::with_exact(0),
        }
    }
}
