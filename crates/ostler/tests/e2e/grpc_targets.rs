//! A gRPC application (tonic) behind a request queue: the four kinds of call, their ends, and how they are
//! given up. Calls are streams over the rings: front and target share no socket.

use axum::Router;
use axum::extract::Request as HttpRequest;
use axum::routing::any;
use bytes::{Buf, BufMut, Bytes};
use futures_util::{Stream, StreamExt, stream};
use http::uri::PathAndQuery;
use ostler_target::{Arrival, RequestInfo, RequestQueue};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status, Streaming, client, server};
use tower::service_fn;

use crate::support::http2_client::run;
use crate::support::{PATIENCE, Sandbox, delegating_to};

/// Messages as they are.
#[derive(Debug, Clone, Copy, Default)]
struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(message);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(bytes.copy_to_bytes(bytes.remaining())))
    }
}

/// Says that it is dropped.
struct Told(UnboundedSender<()>);

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

type Messages = std::pin::Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

fn number(message: &[u8]) -> u64 {
    std::str::from_utf8(message).unwrap().parse().unwrap()
}

/// `told` hears of calls that are given up.
fn application(told: UnboundedSender<()>) -> Router {
    let unary = async |request: HttpRequest| {
        let info = request.extensions().get::<RequestInfo>().unwrap();
        assert_eq!(info.arrival(), Arrival::Streamed);
        let answer = service_fn(
            async |request: Request<Bytes>| match &request.get_ref()[..] {
                b"fail" => Err(Status::not_found("no such thing")),
                message => Ok(Response::new(Bytes::from([b"re: ", message].concat()))),
            },
        );
        server::Grpc::new(Plain).unary(answer, request).await
    };
    let sum = async |request: HttpRequest| {
        let answer = service_fn(async |request: Request<Streaming<Bytes>>| {
            let mut messages = request.into_inner();
            let mut sum = 0;
            while let Some(message) = messages.message().await? {
                sum += number(&message);
            }
            Ok::<_, Status>(Response::new(Bytes::from(sum.to_string())))
        });
        server::Grpc::new(Plain)
            .client_streaming(answer, request)
            .await
    };
    let count = async |request: HttpRequest| {
        let answer = service_fn(async |request: Request<Bytes>| {
            let most = number(request.get_ref());
            let messages = (0..most).map(|at| Ok(Bytes::from(vec![b'x'; (at * 100) as usize])));
            let messages: Messages = Box::pin(stream::iter(messages.collect::<Vec<_>>()));
            Ok::<_, Status>(Response::new(messages))
        });
        server::Grpc::new(Plain)
            .server_streaming(answer, request)
            .await
    };
    let talk = async |request: HttpRequest| {
        let answer = service_fn(async |request: Request<Streaming<Bytes>>| {
            let answers = request.into_inner().map(|message| {
                let message = message?;
                Ok(Bytes::from([b"re: ", &message[..]].concat()))
            });
            let answers: Messages = Box::pin(answers);
            Ok::<_, Status>(Response::new(answers))
        });
        server::Grpc::new(Plain).streaming(answer, request).await
    };
    let of_stream = told.clone();
    let hang = move |request: HttpRequest| {
        let told = told.clone();
        async move {
            let answer = service_fn(move |_: Request<Bytes>| {
                let told = Told(told.clone());
                async move {
                    let _told = told;
                    std::future::pending::<Result<Response<Bytes>, Status>>().await
                }
            });
            server::Grpc::new(Plain).unary(answer, request).await
        }
    };
    let endless = move |request: HttpRequest| {
        let told = of_stream.clone();
        async move {
            let answer = service_fn(move |_: Request<Bytes>| {
                let messages: Messages = Box::pin(stream::unfold(Told(told.clone()), more));
                std::future::ready(Ok::<_, Status>(Response::new(messages)))
            });
            server::Grpc::new(Plain)
                .server_streaming(answer, request)
                .await
        }
    };
    Router::new()
        .route("/t.T/Unary", any(unary))
        .route("/t.T/Sum", any(sum))
        .route("/t.T/Count", any(count))
        .route("/t.T/Talk", any(talk))
        .route("/t.T/Hang", any(hang))
        .route("/t.T/Endless", any(endless))
}

async fn more(told: Told) -> Option<(Result<Bytes, Status>, Told)> {
    tokio::task::yield_now().await;
    Some((Ok(Bytes::from_static(b"more")), told))
}

/// A client of the application behind a front, and what the application tells of calls that are given up.
async fn called(sandbox: &Sandbox, port: u16) -> (client::Grpc<Channel>, UnboundedReceiver<()>) {
    let (sender, told) = unbounded_channel();
    let queue = RequestQueue::builder("q")
        .runtime_folder(sandbox.runtime())
        .url_prefix("http://*:80/")
        .bind()
        .unwrap();
    let application = application(sender);
    tokio::spawn(async move { ostler_target::serve(queue, application).await });
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
    let mut client = client::Grpc::new(endpoint.connect().await.unwrap());
    client.ready().await.unwrap();
    (client, told)
}

fn method(name: &str) -> PathAndQuery {
    format!("/t.T/{name}").parse().unwrap()
}

async fn ready(client: &mut client::Grpc<Channel>) -> &mut client::Grpc<Channel> {
    client.ready().await.unwrap();
    client
}

#[test]
fn unary_calls_are_answered_and_fail_with_their_status() {
    let sandbox = Sandbox::new();
    let front = sandbox.front(&delegating_to(&["q"]));
    run(async {
        let (mut client, _told) = called(&sandbox, front.port).await;
        for size in [0, 1, 100, 100_000, 1_000_000] {
            let message = Bytes::from(vec![b'x'; size]);
            let request = Request::new(message.clone());
            let client = ready(&mut client).await;
            let answer = client.unary(request, method("Unary"), Plain).await.unwrap();
            assert_eq!(answer.get_ref().len(), size + 4);
        }
        let request = Request::new(Bytes::from_static(b"fail"));
        let client = ready(&mut client).await;
        let status = client.unary(request, method("Unary"), Plain).await;
        let status = status.map(Response::into_inner).unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (Code::NotFound, "no such thing")
        );
    });
}

#[test]
fn messages_stream_to_and_from_the_application() {
    let sandbox = Sandbox::new();
    let front = sandbox.front(&delegating_to(&["q"]));
    run(async {
        let (mut client, _told) = called(&sandbox, front.port).await;
        let numbers = stream::iter((0..5000u32).map(|at| Bytes::from(at.to_string())));
        let sum = ready(&mut client)
            .await
            .client_streaming(Request::new(numbers), method("Sum"), Plain)
            .await
            .unwrap();
        assert_eq!(number(sum.get_ref()), 4999 * 5000 / 2);

        let request = Request::new(Bytes::from_static(b"200"));
        let answer = ready(&mut client)
            .await
            .server_streaming(request, method("Count"), Plain)
            .await
            .unwrap();
        let mut messages = answer.into_inner();
        for at in 0..200 {
            let message = messages.message().await.unwrap().unwrap();
            assert_eq!(message.len(), at * 100);
        }
        assert!(messages.message().await.unwrap().is_none());
    });
}

#[test]
fn a_conversation_goes_both_ways_at_once() {
    let sandbox = Sandbox::new();
    let front = sandbox.front(&delegating_to(&["q"]));
    run(async {
        let (mut client, _told) = called(&sandbox, front.port).await;
        let (say, heard) = unbounded_channel::<Bytes>();
        let said = stream::unfold(heard, async |mut heard| {
            let message = heard.recv().await?;
            Some((message, heard))
        });
        let answer = ready(&mut client)
            .await
            .streaming(Request::new(said), method("Talk"), Plain)
            .await
            .unwrap();
        let mut answers = answer.into_inner();
        for at in 0..100 {
            say.send(at.to_string().into()).unwrap();
            let answer = answers.message().await.unwrap().unwrap();
            assert_eq!(answer, format!("re: {at}"));
        }
        drop(say);
        assert!(answers.message().await.unwrap().is_none());
    });
}

#[test]
fn a_call_that_is_given_up_is_cancelled_in_the_application() {
    let sandbox = Sandbox::new();
    let front = sandbox.front(&delegating_to(&["q"]));
    run(async {
        let (mut client, mut told) = called(&sandbox, front.port).await;
        // By its deadline.
        let mut request = Request::new(Bytes::new());
        request.set_timeout(std::time::Duration::from_millis(300));
        let client = ready(&mut client).await;
        let status = client.unary(request, method("Hang"), Plain).await;
        let code = status.map(Response::into_inner).unwrap_err().code();
        assert!(
            matches!(code, Code::Cancelled | Code::DeadlineExceeded),
            "{code:?}"
        );
        let heard = tokio::time::timeout(PATIENCE, told.recv()).await;
        assert_eq!(heard, Ok(Some(())), "the handler is dropped");
        // By a client that reads no further.
        let request = Request::new(Bytes::new());
        let client = ready(client).await;
        let answer = client.server_streaming(request, method("Endless"), Plain);
        let mut messages = answer.await.unwrap().into_inner();
        for _ in 0..1000 {
            assert_eq!(messages.message().await.unwrap().unwrap(), "more");
        }
        drop(messages);
        let heard = tokio::time::timeout(PATIENCE, told.recv()).await;
        assert_eq!(heard, Ok(Some(())), "the stream is dropped");
    });
}
