//! Against destinations that are written here, byte by byte.

use std::io::IoSlice;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::destinations::relay_connections::RelayedConnections;
use crate::destinations::testing::{Pieces, next, on_a_thread, pieces};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn connected() -> (Http1, DuplexStream) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    (Http1::new(ours), theirs)
}

async fn over_tcp() -> (Http1, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).await;
    (
        Http1::new(ours.unwrap()),
        listener.accept().await.unwrap().0,
    )
}

fn request(method: Method, body: Pieces) -> Request<Pieces> {
    let request = Request::builder().method(method).uri("/x");
    request.header("host", "d").body(body).unwrap()
}

fn get() -> Request<Pieces> {
    request(Method::GET, Pieces::empty())
}

fn post(body: Pieces) -> Request<Pieces> {
    request(Method::POST, body)
}

fn data(bytes: &'static [u8]) -> Frame<Bytes> {
    Frame::data(Bytes::from_static(bytes))
}

/// What the destination has received up to and with these bytes.
async fn received(theirs: &mut (impl AsyncRead + Unpin), end: &[u8]) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end) {
        bytes.push(theirs.read_u8().await.unwrap());
    }
    String::from_utf8(bytes).unwrap()
}

/// Where connections go that can be used again.
fn home() -> Rc<RelayedConnections> {
    Rc::default()
}

/// The body of a response.
fn body(
    response: Response<Incoming>,
    connection: Http1,
    home: &Rc<RelayedConnections>,
) -> Http1Body {
    Http1Body::new(
        response.into_body(),
        connection,
        Home::Relayed(Rc::clone(home)),
    )
}

/// The rest of a body's data, its trailers, or why it broke off.
async fn rest(body: &mut Http1Body) -> Result<(Vec<u8>, Option<HeaderMap>), Http1Error> {
    let (mut bytes, mut trailers) = (Vec::new(), None);
    while let Some(frame) = poll_fn(|cx| body.poll_frame(cx)).await {
        match frame?.into_data() {
            Ok(data) => bytes.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    Ok((bytes, trailers))
}

/// Sends a request, for which the destination says this at once and closes or not.
async fn answered(
    says: &'static [u8],
    closes: bool,
) -> Result<(Response<Incoming>, Http1, Option<DuplexStream>), Unanswered<Pieces>> {
    let (mut client, mut theirs) = connected();
    theirs.write_all(says).await.unwrap();
    let theirs = (!closes).then_some(theirs);
    let response = client.send(get(), None).await?;
    Ok((response, client, theirs))
}

#[test]
fn trailers_are_sent_behind_chunks() {
    on_a_thread(async {
        let (mut client, mut theirs) = connected();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("1"));
        let request = post(Pieces::of([data(b"hello"), Frame::trailers(trailers)]));
        let destination = async {
            let head = received(&mut theirs, b"\r\n\r\n").await;
            assert!(head.contains("transfer-encoding: chunked"), "{head}");
            let body = received(&mut theirs, b"\r\n\r\n").await;
            assert_eq!(body, "5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n");
            theirs.write_all(OK).await.unwrap();
        };
        let (sent, ()) = tokio::join!(client.send(request, None), destination);
        assert!(sent.is_ok());
    });
}

#[test]
fn a_get_has_its_body_too() {
    on_a_thread(async {
        let (mut client, mut theirs) = connected();
        let request = request(Method::GET, Pieces::of([data(b"hello")]));
        let destination = async {
            let sent = received(&mut theirs, b"0\r\n\r\n").await;
            let expected = "GET /x HTTP/1.1\r\nhost: d\r\ntransfer-encoding: chunked\r\n\r\n\
                            5\r\nhello\r\n0\r\n\r\n";
            assert_eq!(sent, expected);
            theirs.write_all(OK).await.unwrap();
        };
        let (sent, ()) = tokio::join!(client.send(request, None), destination);
        assert!(sent.is_ok());
    });
}

/// A stream that counts writes, and takes so many bytes at a time.
struct Counted {
    stream: DuplexStream,
    writes: Arc<AtomicUsize>,
    most: usize,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        let most = self.most.min(bytes.len());
        Pin::new(&mut self.stream).poll_write(cx, &bytes[..most])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes: Vec<u8> = pieces
            .iter()
            .flat_map(|piece| piece.iter().copied())
            .collect();
        self.as_mut().poll_write(cx, &bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Stream for Counted {
    fn look(&self) -> stream::Unread {
        self.stream.look()
    }
}

/// The connection ends in the very turn in which the next request is sent: one that may be repeated
/// is sent all the same, and comes to nothing; one that may not is not sent.
#[test]
fn what_may_not_be_repeated_is_not_sent_where_the_kernel_knows_of_an_end() {
    on_a_thread(async {
        for (request, is_unsent) in [
            (get(), false),
            (post(Pieces::empty()), true),
            (post(Pieces::of([data(b"body")])), true),
        ] {
            let (mut client, theirs) = over_tcp().await;
            client.is_new = false;
            drop(theirs);
            let method = request.method().clone();
            let Err(failed) = client.send(request, None).await else {
                panic!("there is no response to {method}");
            };
            assert_eq!(failed.unsent.is_some(), is_unsent, "{method}");
        }
    });
}

#[test]
fn head_and_body_are_written_at_once_however_little_is_taken() {
    const SENT: &str = "POST /x HTTP/1.1\r\nhost: d\r\ntransfer-encoding: chunked\r\n\r\n\
                        5\r\nhello\r\n0\r\n\r\n";
    // What is sent, how much is taken at a time, and in how many writes it goes.
    let at_once = usize::MAX;
    for (is_late, most, expected) in [
        (false, at_once, 2),
        (true, at_once, 3),
        (false, 1, SENT.len()),
    ] {
        on_a_thread(async {
            let (stream, mut theirs) = tokio::io::duplex(1024);
            let writes = Arc::new(AtomicUsize::new(0));
            let mut client = Http1::new(Counted {
                stream,
                writes: Arc::clone(&writes),
                most,
            });
            let (frames, body) = pieces();
            let destination = async move {
                if is_late {
                    // The head does not wait for a body that does not come.
                    received(&mut theirs, b"\r\n\r\n").await;
                }
                frames.send(data(b"hello")).unwrap();
                drop(frames);
                received(&mut theirs, b"0\r\n\r\n").await;
                theirs.write_all(OK).await.unwrap();
            };
            let (sent, ()) = tokio::join!(client.send(post(body), None), destination);
            assert!(sent.is_ok());
            // The end comes by itself: this body does not say that a piece is its last.
            assert_eq!(writes.load(Ordering::Relaxed), expected, "{is_late} {most}");
        });
    }
}

#[test]
fn interim_responses_are_handed_on_less_what_is_the_connections() {
    on_a_thread(async {
        let (mut client, mut theirs) = connected();
        let interim = Interim::default();
        let destination = async {
            received(&mut theirs, b"\r\n\r\n").await;
            let early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\
                          X-Hop: 1\r\nConnection: x-hop\r\n\r\n";
            theirs.write_all(early).await.unwrap();
            theirs.write_all(OK).await.unwrap();
        };
        let (sent, ()) = tokio::join!(client.send(get(), Some(&interim)), destination);
        assert_eq!(sent.ok().unwrap().status(), StatusCode::OK);
        let early = interim.take().unwrap();
        assert_eq!(early.status(), StatusCode::EARLY_HINTS);
        assert_eq!(early.headers()["link"], "a");
        assert!(!early.headers().contains_key("x-hop"));
        assert!(interim.take().is_none());
    });
}

#[test]
fn it_is_known_whether_the_destination_has_said_anything() {
    for (says, heard) in [(&b""[..], false), (b"HTTP/1.1 2", true)] {
        on_a_thread(async {
            let unanswered = answered(says, true).await.err().unwrap();
            assert_eq!(unanswered.heard, heard);
            assert!(unanswered.error.is_of_body());
        });
    }
}

#[test]
fn a_connection_that_has_ended_while_idle_gives_the_request_back() {
    for says in [
        &b""[..],
        b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n",
    ] {
        on_a_thread(async {
            let (mut client, mut theirs) = connected();
            theirs.write_all(OK).await.unwrap();
            let response = client.send(get(), None).await.ok().unwrap();
            let home = home();
            drop(body(response, client, &home));
            let mut client = home.take().unwrap();
            assert!(client.is_still_open());
            theirs.write_all(says).await.unwrap();
            drop(theirs);
            let sent = client.send(post(Pieces::of([data(b"x")])), None).await;
            let mut unsent = sent.err().unwrap().unsent.unwrap();
            let first = next(unsent.body_mut()).await.unwrap().unwrap();
            assert_eq!(
                first.into_data().unwrap(),
                "x",
                "nothing of the body is lost"
            );
            assert!(!client.is_still_open());
        });
    }
}

#[test]
fn what_a_new_connection_says_at_once_is_the_answer() {
    on_a_thread(async {
        let busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy";
        let (response, client, _) = answered(busy, true).await.ok().unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.extensions().get::<Reason>().unwrap().0, "Busy");
        let mut body = body(response, client, &home());
        assert_eq!(rest(&mut body).await.unwrap().0, b"busy");
    });
}

#[test]
fn a_connection_is_given_back_when_both_messages_are_over_and_another_may_follow() {
    for (says, given_back) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true),
        ("HTTP/1.1 204 No Content\r\n\r\n", true),
        (
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nok\n0\n\n",
            true,
        ),
        ("HTTP/1.2 200 OK\r\nContent-Length : 2\r\n\r\nok", true),
        (
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
            true,
        ),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false),
        (
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\nKeep-Alive: max=0\r\nContent-Length: 2\r\n\r\nok",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=9, max=1\r\nContent-Length: 0\r\n\r\n",
            true,
        ),
        // More than was said comes: nobody knows what it belongs to.
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nok", false),
    ] {
        on_a_thread(async {
            let (response, client, _theirs) = answered(says.as_bytes(), false).await.ok().unwrap();
            let home = home();
            let mut body = body(response, client, &home);
            rest(&mut body).await.unwrap();
            assert_eq!(home.take().is_some(), given_back, "{says}");
        });
    }
}

#[test]
fn a_connection_is_not_used_when_the_destination_is_about_to_close_it() {
    on_a_thread(async {
        let says = b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=30\r\nContent-Length: 0\r\n\r\n";
        let (response, client, _theirs) = answered(says, false).await.ok().unwrap();
        let home = home();
        drop(body(response, client, &home));
        let mut client = home.take().unwrap();
        let until = client.usable_until.unwrap();
        let left = until.saturating_duration_since(crate::clock::now());
        assert!(left <= Duration::from_secs(29) && client.is_ready());
        client.usable_until = Some(crate::clock::now());
        assert!(!client.is_ready() && !client.is_still_open());
    });
}

#[test]
fn a_body_that_ends_early_is_not_whole() {
    for (says, whole) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", false),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot a size\r\n",
            false,
        ),
        ("HTTP/1.1 200 OK\r\n\r\nhell", true),
    ] {
        on_a_thread(async {
            let (mut client, mut theirs) = connected();
            let destination = async {
                received(&mut theirs, b"\r\n\r\n").await;
                theirs.write_all(says.as_bytes()).await.unwrap();
                drop(theirs);
            };
            let (sent, ()) = tokio::join!(client.send(get(), None), destination);
            let home = home();
            let mut body = body(sent.ok().unwrap(), client, &home);
            assert_eq!(rest(&mut body).await.is_ok(), whole, "{says}");
            assert!(home.take().is_none());
        });
    }
}

#[test]
fn a_reset_behind_an_answer_does_not_take_the_answer_away() {
    on_a_thread(async {
        for _ in 0..50 {
            let (mut client, mut theirs) = over_tcp().await;
            let (frames, body) = pieces();
            let destination = async {
                received(&mut theirs, b"\r\n\r\n").await;
                let refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno";
                theirs.write_all(refusal).await.unwrap();
                // Bytes that nobody has read: the kernel resets.
                theirs.readable().await.unwrap();
                drop(theirs);
                frames
                    .send(Frame::data(Bytes::from(vec![0; 1 << 20])))
                    .unwrap();
                frames
                    .send(Frame::data(Bytes::from(vec![0; 1 << 20])))
                    .unwrap();
            };
            frames.send(data(b"first")).unwrap();
            let first = std::future::ready(());
            let (sent, (), ()) = tokio::join!(client.send(post(body), None), destination, first);
            let response = sent.map_err(|failed| failed.error).unwrap();
            assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
            let mut body = self::body(response, client, &home());
            assert!(!body.has_upload());
            assert_eq!(rest(&mut body).await.unwrap().0, b"no");
        }
    });
}

#[test]
fn an_end_behind_a_reset_does_not_make_a_body_whole() {
    on_a_thread(async {
        let (mut client, mut theirs) = over_tcp().await;
        let (frames, body) = pieces();
        frames.send(data(b"first")).unwrap();
        let destination = async {
            received(&mut theirs, b"5\r\nfirst\r\n").await;
            theirs
                .write_all(b"HTTP/1.1 200 OK\r\n\r\nhalf")
                .await
                .unwrap();
            theirs.set_zero_linger().unwrap();
            drop(theirs);
        };
        let (sent, ()) = tokio::join!(client.send(post(body), None), destination);
        drop(frames);
        let mut body = self::body(sent.ok().unwrap(), client, &home());
        assert!(rest(&mut body).await.is_err());
    });
}

#[test]
fn an_upload_goes_on_beside_the_response_and_behind_it() {
    const PIECE: usize = 256 * 1024;
    on_a_thread(async {
        let (mut client, mut theirs) = over_tcp().await;
        let (frames, body) = pieces();
        let destination = async {
            received(&mut theirs, b"\r\n\r\n").await;
            let accepted = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok";
            theirs.write_all(accepted).await.unwrap();
            theirs
        };
        let (sent, mut theirs) = tokio::join!(client.send(post(body), None), destination);
        let home = home();
        let mut body = self::body(sent.ok().unwrap(), client, &home);
        assert_eq!(rest(&mut body).await.unwrap().0, b"ok");
        assert!(body.has_upload() && home.take().is_none());
        let reading = async {
            for _ in 0..10 {
                frames
                    .send(Frame::data(Bytes::from(vec![b'x'; PIECE])))
                    .unwrap();
                let chunk = received(&mut theirs, b"x\r\n").await;
                assert_eq!(chunk.len(), "40000\r\n\r\n".len() + PIECE);
            }
            drop(frames);
            received(&mut theirs, b"0\r\n\r\n").await;
        };
        let ended = poll_fn(|cx| body.poll_uploaded(cx));
        tokio::join!(ended, reading);
        assert!(!body.has_upload());
        assert!(home.take().is_some(), "both messages are over");
    });
}

#[test]
fn neither_direction_waits_for_the_other() {
    const LENGTH: usize = 8 << 20;
    on_a_thread(async {
        let (mut client, mut theirs) = over_tcp().await;
        let (frames, body) = pieces();
        // It answers what it reads, and reads no more than it can answer.
        let destination = async {
            received(&mut theirs, b"\r\n\r\n").await;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n");
            theirs.write_all(head.as_bytes()).await.unwrap();
            let (mut reader, mut writer) = theirs.into_split();
            tokio::io::copy(&mut (&mut reader).take(LENGTH as u64), &mut writer)
                .await
                .unwrap();
            reader
        };
        for _ in 0..LENGTH / (1 << 16) + 1 {
            frames
                .send(Frame::data(Bytes::from(vec![b'x'; 1 << 16])))
                .unwrap();
        }
        let exchange = async {
            let response = client.send(post(body), None).await.ok().unwrap();
            let mut body = self::body(response, client, &home());
            rest(&mut body).await.unwrap().0.len()
        };
        let (length, _reader) = tokio::join!(exchange, destination);
        assert_eq!(length, LENGTH);
    });
}

#[test]
fn who_refuses_a_request_is_not_sent_the_rest() {
    on_a_thread(async {
        let (mut client, mut theirs) = connected();
        let (frames, body) = pieces();
        let destination = async {
            received(&mut theirs, b"\r\n\r\n").await;
            let refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
            theirs.write_all(refusal).await.unwrap();
        };
        let (sent, ()) = tokio::join!(client.send(post(body), None), destination);
        let home = home();
        let mut body = self::body(sent.ok().unwrap(), client, &home);
        assert!(!body.has_upload());
        assert_eq!(rest(&mut body).await.unwrap().0, b"no");
        assert!(home.take().is_none() && frames.is_closed());
        assert_eq!(theirs.read(&mut [0]).await.unwrap(), 0);
    });
}

#[test]
fn a_switched_connection_begins_with_what_has_arrived() {
    on_a_thread(async {
        let says =
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nnew";
        let (response, client, theirs) = answered(says, false).await.ok().unwrap();
        assert_eq!(response.headers()["upgrade"], "x");
        let mut upgraded = body(response, client, &home()).upgrade().unwrap();
        let mut theirs = theirs.unwrap();
        theirs.write_all(b"er").await.unwrap();
        let mut bytes = [0; 5];
        upgraded.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"newer");
        upgraded.write_all(b"x").await.unwrap();
        received(&mut theirs, b"x").await;
    });
}

#[test]
fn heads_are_bound_by_size_and_not_by_count() {
    on_a_thread(async {
        let (mut client, mut theirs) = connected();
        let fields = "Set-Cookie: a\r\n".repeat(3000);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{fields}\r\n");
        theirs.write_all(head.as_bytes()).await.unwrap();
        let response = client.send(get(), None).await.ok().unwrap();
        assert_eq!(
            response.headers().get_all("set-cookie").iter().count(),
            3000
        );
        for (length, fits) in [(65_536, true), (65_537, false)] {
            let (mut client, mut theirs) = connected();
            let start = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: ";
            let filling = "x".repeat(length - start.len() - 4);
            let head = format!("{start}{filling}\r\n\r\n");
            // In pieces, as reads fall.
            let destination = async {
                for piece in head.as_bytes().chunks(5000) {
                    if theirs.write_all(piece).await.is_err() {
                        return;
                    }
                    tokio::task::yield_now().await;
                }
            };
            let (sent, ()) = tokio::join!(client.send(get(), None), destination);
            assert_eq!(sent.is_ok(), fits, "{length}");
        }
    });
}
