use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use h2::Reason;
use h2::server::{Connection, SendResponse};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;
use crate::destinations::response_body::ResponseBody;
use crate::destinations::testing::{Pieces, next, on_a_thread, pieces};

type Server = Connection<DuplexStream, Bytes>;
type Accepted = (Request<RecvStream>, SendResponse<Bytes>);

/// A connection, and the destination at its other end.
async fn connected(builder: &h2::server::Builder) -> (Http2, Server) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let now = Rc::new(Cell::new(crate::clock::now()));
    let client = Http2::handshake(ours, now);
    let (client, server) = tokio::join!(client, async {
        let mut server = builder.handshake(theirs).await.unwrap();
        // The SETTINGS leave when the connection is polled.
        poll_fn(|cx| {
            let _ = server.poll_closed(cx);
            Poll::Ready(())
        })
        .await;
        server
    });
    (client.unwrap(), server)
}

/// Accepts one stream and goes on serving the connection.
async fn accept_one(mut server: Server) -> Accepted {
    let accepted = server.accept().await.unwrap().unwrap();
    tokio::task::spawn_local(async move { while server.accept().await.is_some() {} });
    accepted
}

fn head(method: Method) -> Parts {
    let request = Request::builder().method(method).uri("http://d/x");
    request.body(()).unwrap().into_parts().0
}

fn fields(name: &'static str, value: &'static str) -> HeaderMap {
    let mut fields = HeaderMap::new();
    fields.insert(name, HeaderValue::from_static(value));
    fields
}

fn data(bytes: &'static [u8]) -> Frame<Bytes> {
    Frame::data(Bytes::from_static(bytes))
}

async fn data_of(body: &mut ResponseBody) -> Bytes {
    next(body).await.unwrap().unwrap().into_data().unwrap()
}

fn lost<B>(sent: Result<Response<Http2Body>, Unanswered<B>>) -> bool {
    matches!(sent, Err(Unanswered::Lost(_)))
}

#[test]
fn bodies_and_trailers_pass_both_ways() {
    on_a_thread(async {
        let (mut client, server) = connected(&h2::server::Builder::new()).await;
        let body = Pieces::of([
            data(b"ques"),
            data(b"tion"),
            Frame::trailers(fields("x", "1")),
        ]);
        let destination = async {
            let (mut request, mut respond) = accept_one(server).await;
            let mut received = Vec::new();
            while let Some(piece) = request.body_mut().data().await {
                received.extend_from_slice(&piece.unwrap());
            }
            assert_eq!(received, b"question");
            let trailers = request.body_mut().trailers().await.unwrap().unwrap();
            assert_eq!(trailers, fields("x", "1"));
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream
                .send_data(Bytes::from_static(b"answer"), false)
                .unwrap();
            stream.send_trailers(fields("y", "2")).unwrap();
        };
        let (response, ()) = tokio::join!(client.send(head(Method::POST), body, None), destination);
        let mut body = ResponseBody::Http2(response.ok().unwrap().into_body());
        assert_eq!(data_of(&mut body).await, "answer");
        let trailers = next(&mut body).await.unwrap().unwrap();
        assert_eq!(trailers.into_trailers().unwrap(), fields("y", "2"));
        assert!(next(&mut body).await.is_none());
        drop(body);
        assert!(client.unused_since().is_some());
    });
}

#[test]
fn a_response_may_begin_before_the_requests_body_ends() {
    // Reference B8: full duplex.
    on_a_thread(async {
        let (mut client, server) = connected(&h2::server::Builder::new()).await;
        let (sender, body) = pieces();
        let destination = tokio::task::spawn_local(async move {
            let (mut request, mut respond) = accept_one(server).await;
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            while let Some(piece) = request.body_mut().data().await {
                stream.send_data(piece.unwrap(), false).unwrap();
            }
            stream.send_data(Bytes::new(), true).unwrap();
        });
        let response = client.send(head(Method::POST), body, None).await;
        let mut body = ResponseBody::Http2(response.ok().unwrap().into_body());
        for piece in ["one", "two", "three"] {
            sender.send(Frame::data(Bytes::from(piece))).unwrap();
            assert_eq!(data_of(&mut body).await, piece);
        }
        drop(sender);
        assert!(next(&mut body).await.is_none());
        destination.await.unwrap();
    });
}

#[test]
fn a_destination_may_send_only_what_is_taken() {
    on_a_thread(async {
        let (mut client, server) = connected(&h2::server::Builder::new()).await;
        let window = window::FIRST as usize;
        let (said, mut says) = tokio::sync::mpsc::unbounded_channel();
        tokio::task::spawn_local(async move {
            let (_request, mut respond) = accept_one(server).await;
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream.reserve_capacity(3 * window);
            let mut left = 3 * window;
            while left > 0 {
                let room = poll_fn(|cx| stream.poll_capacity(cx)).await.unwrap();
                let room = room.unwrap().min(left);
                stream.send_data(Bytes::from(vec![0; room]), false).unwrap();
                left -= room;
                said.send(3 * window - left).unwrap();
            }
            stream.send_data(Bytes::new(), true).unwrap();
        });
        let body = Pieces::of([]);
        let response = client.send(head(Method::GET), body, None).await;
        let mut body = ResponseBody::Http2(response.ok().unwrap().into_body());
        while says.recv().await.unwrap() < window {}
        // Nothing has been taken, so that this is all for now.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(says.try_recv().is_err());
        let mut taken = 0;
        while let Some(frame) = next(&mut body).await {
            taken += frame.unwrap().into_data().unwrap().len();
        }
        assert_eq!(taken, 3 * window);
    });
}

#[test]
fn a_refused_stream_gives_an_untouched_body_back() {
    // RFC 9113 section 8.7.
    on_a_thread(async {
        let (mut client, mut server) = connected(&h2::server::Builder::new()).await;
        tokio::task::spawn_local(async move {
            let mut turn = 0;
            while let Some(accepted) = server.accept().await {
                let (mut request, mut respond) = accepted.unwrap();
                turn += 1;
                tokio::task::spawn_local(async move {
                    match turn {
                        1 => respond.send_reset(Reason::REFUSED_STREAM),
                        2 => {
                            let _ = request.body_mut().data().await;
                            respond.send_reset(Reason::REFUSED_STREAM);
                        }
                        3 => respond.send_reset(Reason::INTERNAL_ERROR),
                        _ => drop(respond.send_response(Response::new(()), true)),
                    }
                });
            }
        });
        let (sender, body) = pieces();
        let refused = client.send(head(Method::POST), body, None).await;
        let Err(Unanswered::Unprocessed(body, _)) = refused else {
            panic!("it can be sent again");
        };
        // Once something of it is gone it cannot.
        sender.send(data(b"piece")).unwrap();
        assert!(lost(client.send(head(Method::POST), body, None).await));
        let other = client.send(head(Method::POST), Pieces::of([]), None).await;
        assert!(lost(other));
        assert!(!client.has_ended());
        let last = client.send(head(Method::POST), Pieces::of([]), None).await;
        assert_eq!(last.ok().unwrap().status(), StatusCode::OK);
    });
}

#[test]
fn streams_above_a_goaway_have_not_been_processed() {
    // RFC 9113 section 6.8: the last stream processed is 0.
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const GOAWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    on_a_thread(async {
        let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
        let now = Rc::new(Cell::new(crate::clock::now()));
        theirs.write_all(&SETTINGS).await.unwrap();
        let mut client = Http2::handshake(ours, now).await.unwrap();
        let away = async {
            let mut preface = [0; 24];
            theirs.read_exact(&mut preface).await.unwrap();
            // Until the request's HEADERS.
            loop {
                let mut frame = [0; 9];
                theirs.read_exact(&mut frame).await.unwrap();
                let length = u32::from_be_bytes([0, frame[0], frame[1], frame[2]]);
                let mut payload = vec![0; length as usize];
                theirs.read_exact(&mut payload).await.unwrap();
                if frame[3] == 1 {
                    break;
                }
            }
            theirs.write_all(&GOAWAY).await.unwrap();
        };
        let body = Pieces::of([]);
        let (sent, ()) = tokio::join!(client.send(head(Method::POST), body, None), away);
        assert!(matches!(sent, Err(Unanswered::Unprocessed(..))));
        assert!(client.has_ended());
        // What comes later is not even begun.
        let body = Pieces::of([]);
        let sent = client.send(head(Method::POST), body, None).await;
        assert!(matches!(sent, Err(Unanswered::Unprocessed(..))));
    });
}

#[test]
fn what_does_not_speak_http_2_is_no_connection() {
    on_a_thread(async {
        let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
        let now = Rc::new(Cell::new(crate::clock::now()));
        let answer = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
        theirs.write_all(answer).await.unwrap();
        assert!(Http2::handshake(ours, Rc::clone(&now)).await.is_err());
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        drop(theirs);
        assert!(Http2::handshake(ours, now).await.is_err());
    });
}

#[test]
fn interim_responses_are_handed_on_in_order() {
    on_a_thread(async {
        let (mut client, server) = connected(&h2::server::Builder::new()).await;
        let destination = async {
            let (_request, mut respond) = accept_one(server).await;
            for (status, value) in [(100, "0"), (103, "1"), (103, "2")] {
                let mut early = Response::new(());
                *early.status_mut() = StatusCode::from_u16(status).unwrap();
                early
                    .headers_mut()
                    .insert("link", HeaderValue::from_static(value));
                respond.send_informational(early).unwrap();
            }
            respond.send_response(Response::new(()), true).unwrap();
        };
        let interim = Interim::default();
        let body = Pieces::of([]);
        let sent = client.send(head(Method::GET), body, Some(&interim));
        let (sent, ()) = tokio::join!(sent, destination);
        assert_eq!(sent.ok().unwrap().status(), StatusCode::OK);
        for value in ["1", "2"] {
            let early = interim.take().unwrap();
            assert_eq!(early.status(), StatusCode::EARLY_HINTS);
            assert_eq!(early.headers()["link"], value);
        }
        assert!(interim.take().is_none());
    });
}

#[test]
fn the_destination_says_how_many_streams_it_takes() {
    on_a_thread(async {
        let mut builder = h2::server::Builder::new();
        let (client, _server) = connected(builder.max_concurrent_streams(2)).await;
        assert!(client.has_room());
        let one = client.place();
        assert!(client.has_room());
        let two = client.place();
        assert!(!client.has_room());
        assert!(client.unused_since().is_none());
        drop(one);
        assert!(client.has_room());
        drop(two);
        assert!(client.unused_since().is_some());
    });
}

#[test]
fn a_dropped_body_resets_its_stream_alone() {
    on_a_thread(async {
        let (mut client, mut server) = connected(&h2::server::Builder::new()).await;
        let (said, says) = tokio::sync::oneshot::channel();
        tokio::task::spawn_local(async move {
            let (_request, mut respond) = server.accept().await.unwrap().unwrap();
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream
                .send_data(Bytes::from_static(b"more to come"), false)
                .unwrap();
            tokio::task::spawn_local(async move {
                let reset = poll_fn(|cx| stream.poll_reset(cx)).await;
                said.send(reset.unwrap()).unwrap();
            });
            while let Some(accepted) = server.accept().await {
                let (_, mut respond) = accepted.unwrap();
                respond.send_response(Response::new(()), true).unwrap();
            }
        });
        let response = client.send(head(Method::GET), Pieces::of([]), None).await;
        drop(response);
        assert_eq!(says.await.unwrap(), Reason::CANCEL);
        let next = client.send(head(Method::GET), Pieces::of([]), None).await;
        assert!(next.is_ok());
    });
}

#[test]
fn a_body_that_is_shorter_than_stated_is_an_error() {
    on_a_thread(async {
        let (mut client, mut server) = connected(&h2::server::Builder::new()).await;
        let (seen, is_seen) = tokio::sync::oneshot::channel::<()>();
        tokio::task::spawn_local(async move {
            let mut is_seen = Some(is_seen);
            while let Some(accepted) = server.accept().await {
                let (_request, mut respond) = accepted.unwrap();
                let response = Response::builder().header(CONTENT_LENGTH, 10).body(());
                let mut stream = respond.send_response(response.unwrap(), false).unwrap();
                let short = Bytes::from_static(b"short");
                let Some(is_seen) = is_seen.take() else {
                    stream.send_data(short, true).unwrap();
                    continue;
                };
                tokio::task::spawn_local(async move {
                    stream.send_data(short, false).unwrap();
                    is_seen.await.unwrap();
                    // As if only the rest of the request were not wanted.
                    stream.send_reset(Reason::NO_ERROR);
                });
            }
        });
        let sent = client.send(head(Method::GET), Pieces::of([]), None).await;
        let mut body = ResponseBody::Http2(sent.ok().unwrap().into_body());
        assert_eq!(body.size_hint().exact(), Some(10));
        assert_eq!(data_of(&mut body).await, "short");
        seen.send(()).unwrap();
        assert!(next(&mut body).await.unwrap().is_err());
        let sent = client.send(head(Method::GET), Pieces::of([]), None).await;
        let mut body = ResponseBody::Http2(sent.ok().unwrap().into_body());
        let mut received = 0;
        let error = loop {
            match next(&mut body).await.unwrap() {
                Ok(frame) => received += frame.into_data().unwrap().len(),
                Err(error) => break error,
            }
        };
        assert!(received <= 5, "{error}");
    });
}

#[test]
fn an_extended_connect_becomes_a_tunnel_where_the_destination_agrees() {
    // RFC 8441 sections 3 to 5.
    on_a_thread(async {
        let plain = connected(&h2::server::Builder::new()).await;
        assert!(!plain.0.allows_extended_connect());
        let mut builder = h2::server::Builder::new();
        let (mut client, mut server) = connected(builder.enable_connect_protocol()).await;
        assert!(client.allows_extended_connect());
        tokio::task::spawn_local(async move {
            while let Some(accepted) = server.accept().await {
                let (request, mut respond) = accepted.unwrap();
                assert_eq!(request.method(), Method::CONNECT);
                let protocol = request.extensions().get::<Protocol>().unwrap();
                if protocol.as_str() != "websocket" {
                    let mut no = Response::new(());
                    *no.status_mut() = StatusCode::NOT_FOUND;
                    respond.send_response(no, true).unwrap();
                    continue;
                }
                let mut stream = respond.send_response(Response::new(()), false).unwrap();
                tokio::task::spawn_local(async move {
                    let mut body = request.into_body();
                    while let Some(piece) = body.data().await {
                        let piece = piece.unwrap();
                        let flow = body.flow_control();
                        flow.release_capacity(piece.len()).unwrap();
                        stream.send_data(piece, false).unwrap();
                    }
                    stream.send_data(Bytes::from_static(b"bye"), true).unwrap();
                });
            }
        });
        let connected = client.connect(head(Method::CONNECT), "websocket").await;
        let Ok(Connected::Tunnel(tunnel)) = connected else {
            panic!("the destination agrees");
        };
        let (mut reader, mut writer) = tokio::io::split(tunnel.into_body());
        // More than the destination takes at once.
        let bytes: Vec<u8> = (0..300_000_u32).map(|at| at as u8).collect();
        let sent = bytes.clone();
        let writing = tokio::task::spawn_local(async move {
            writer.write_all(&sent).await.unwrap();
            writer.shutdown().await.unwrap();
        });
        let mut received = Vec::new();
        reader.read_to_end(&mut received).await.unwrap();
        writing.await.unwrap();
        assert!(received == [&bytes[..], b"bye"].concat());
        let connected = client.connect(head(Method::CONNECT), "other").await;
        let Ok(Connected::Response(response)) = connected else {
            panic!("the destination says no");
        };
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
    });
}
