use std::cell::Cell;
use std::rc::Rc;

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::destinations::connection_key::ConnectionKey;
use crate::destinations::connection_limit::ConnectionLimits;
use crate::destinations::protocols::Protocols;
use crate::destinations::testing::{next, on_a_thread};

/// What a destination does with one request.
#[derive(Clone, Copy)]
enum Does {
    Says(&'static [u8]),
    Closes,
    SaysAndCloses(&'static [u8]),
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A destination that is a script: what each of its connections does, request by request. Further
/// requests are answered. It counts connections and requests.
struct Destination {
    port: u16,
    connections: Rc<Cell<usize>>,
    requests: Rc<Cell<usize>>,
}

impl Destination {
    async fn start(script: &'static [&'static [Does]]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let destination = Self {
            port: listener.local_addr().unwrap().port(),
            connections: Rc::default(),
            requests: Rc::default(),
        };
        let connections = Rc::clone(&destination.connections);
        let requests = Rc::clone(&destination.requests);
        tokio::task::spawn_local(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let does = script.get(connections.get()).copied().unwrap_or_default();
                connections.set(connections.get() + 1);
                let requests = Rc::clone(&requests);
                tokio::task::spawn_local(async move { play(stream, does, &requests).await });
            }
        });
        destination
    }

    fn pool(&self, protocols: Protocols, options: PoolOptions) -> Rc<Pool> {
        let connector = Connector::new(self.endpoint(), protocols, None, None);
        Pool::new(connector, options, Rc::new(Cell::new(crate::clock::now())))
    }

    fn endpoint(&self) -> ConnectionKey {
        ConnectionKey {
            socket: None,
            is_https: false,
            host: "127.0.0.1".to_owned(),
            port: self.port,
            server_name: String::new(),
        }
    }
}

async fn play(mut stream: TcpStream, does: &[Does], requests: &Cell<usize>) {
    let mut does = does.iter();
    let mut bytes = Vec::new();
    loop {
        while !bytes.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => bytes.push(byte),
                Err(_) => return,
            }
        }
        bytes.clear();
        requests.set(requests.get() + 1);
        let (says, closes) = match does.next() {
            None => (OK, false),
            Some(Does::Says(says)) => (*says, false),
            Some(Does::SaysAndCloses(says)) => (*says, true),
            Some(Does::Closes) => (&b""[..], true),
        };
        if stream.write_all(says).await.is_err() || closes {
            return;
        }
    }
}

const UNLIMITED: PoolOptions = PoolOptions {
    several_http2: true,
    lifetime: None,
    limit: None,
};

fn parts(method: Method) -> Parts {
    let request = Request::builder().method(method).uri("/x");
    request.header(HOST, "d").body(()).unwrap().into_parts().0
}

async fn send(pool: &Rc<Pool>, method: Method) -> Result<Response<ResponseBody>, SendError> {
    send_with(pool, method, None).await
}

async fn send_with(
    pool: &Rc<Pool>,
    method: Method,
    interim: Option<&Interim>,
) -> Result<Response<ResponseBody>, SendError> {
    let parts = parts(method);
    let request = Request::from_parts(parts.clone(), ForwardBody::empty());
    let sending = Sending {
        upgrade: false,
        again: &|| Some(parts.clone()),
        interim,
    };
    pool.send(request, sending).await.map_err(SendError::from)
}

async fn read(response: Response<ResponseBody>) -> Vec<u8> {
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = next(&mut body).await {
        bytes.extend_from_slice(&frame.unwrap().into_data().unwrap());
    }
    bytes
}

#[test]
fn a_connection_is_used_again_once_its_response_is_read() {
    on_a_thread(async {
        let destination = Destination::start(&[]).await;
        let pool = destination.pool(Protocols::Http1, UNLIMITED);
        for method in [Method::GET, Method::POST, Method::HEAD, Method::GET] {
            let response = send(&pool, method.clone()).await.unwrap();
            match method {
                // Its body is never asked for, and the next exchange finds it in the way.
                Method::HEAD => drop(response),
                _ => assert_eq!(read(response).await, b"ok"),
            }
        }
        assert_eq!(destination.requests.get(), 4);
        assert!(destination.connections.get() <= 2);
        // Two at a time need two; the last to be given back is the first to be used.
        let one = send(&pool, Method::GET).await.unwrap();
        let two = send(&pool, Method::GET).await.unwrap();
        let before = destination.connections.get();
        read(one).await;
        read(two).await;
        assert_eq!(pool.idle.borrow().len(), 2);
        for _ in 0..10 {
            read(send(&pool, Method::GET).await.unwrap()).await;
        }
        assert_eq!(destination.connections.get(), before);
        pool.now.set(pool.now.get() + IDLE_TIMEOUT);
        assert!(pool.sweep(pool.now.get()));
    });
}

#[test]
fn a_response_that_is_not_read_closes_its_connection() {
    on_a_thread(async {
        const LONG: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nand so on";
        const SCRIPT: &[&[Does]] = &[&[Does::Says(LONG)]];
        let destination = Destination::start(SCRIPT).await;
        let pool = destination.pool(Protocols::Http1, UNLIMITED);
        drop(send(&pool, Method::GET).await.unwrap());
        assert!(pool.idle.borrow().is_empty());
        read(send(&pool, Method::GET).await.unwrap()).await;
        assert_eq!(destination.connections.get(), 2);
    });
}

#[test]
fn a_pooled_connection_that_closes_without_a_word_is_no_reason_to_fail() {
    // RFC 9110 section 9.2.2.
    for method in [Method::GET, Method::HEAD, Method::DELETE] {
        on_a_thread(async {
            let script: &[&[Does]] = &[&[Does::Says(OK), Does::Closes]];
            let destination = Destination::start(script).await;
            let pool = destination.pool(Protocols::Http1, UNLIMITED);
            read(send(&pool, Method::GET).await.unwrap()).await;
            assert_eq!(send(&pool, method).await.unwrap().status(), StatusCode::OK);
            assert_eq!(destination.connections.get(), 2);
            assert_eq!(destination.requests.get(), 3);
        });
    }
}

#[test]
fn what_may_do_harm_twice_is_not_sent_again() {
    for method in [Method::POST, Method::PUT, Method::PATCH] {
        on_a_thread(async {
            let script: &[&[Does]] = &[&[Does::Says(OK), Does::Closes]];
            let destination = Destination::start(script).await;
            let pool = destination.pool(Protocols::Http1, UNLIMITED);
            read(send(&pool, Method::GET).await.unwrap()).await;
            assert!(send(&pool, method).await.is_err());
            assert_eq!(destination.requests.get(), 2);
        });
    }
}

#[test]
fn a_new_connection_is_not_tried_twice_nor_one_that_has_begun_to_answer() {
    on_a_thread(async {
        let script: &[&[Does]] = &[
            &[Does::Closes],
            &[Does::Says(OK), Does::SaysAndCloses(b"HTTP/1.1 2")],
        ];
        let destination = Destination::start(script).await;
        let pool = destination.pool(Protocols::Http1, UNLIMITED);
        assert!(send(&pool, Method::GET).await.is_err());
        assert_eq!(destination.requests.get(), 1);
        read(send(&pool, Method::GET).await.unwrap()).await;
        assert!(send(&pool, Method::GET).await.is_err());
        assert_eq!(destination.requests.get(), 3);
    });
}

#[test]
fn connections_that_close_while_idle_are_forgotten() {
    on_a_thread(async {
        let script: &[&[Does]] = &[&[Does::SaysAndCloses(OK)], &[Does::Says(OK)]];
        let destination = Destination::start(script).await;
        let pool = destination.pool(Protocols::Http1, UNLIMITED);
        read(send(&pool, Method::GET).await.unwrap()).await;
        while !pool.sweep(pool.now.get()) {
            tokio::task::yield_now().await;
        }
        read(send(&pool, Method::GET).await.unwrap()).await;
        assert!(!pool.sweep(pool.now.get()));
        assert_eq!(destination.connections.get(), 2);
    });
}

#[test]
fn interim_responses_are_told_of_those_that_are_not_passed_on_apart() {
    on_a_thread(async {
        const EARLY: &[u8] = b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n\
            HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        const SCRIPT: &[&[Does]] = &[&[Does::Says(EARLY), Does::Says(EARLY)]];
        let destination = Destination::start(SCRIPT).await;
        let pool = destination.pool(Protocols::Http1, UNLIMITED);
        let interim = Interim::default();
        for _ in 0..2 {
            // What an exchange leaves is not given to the next.
            let response = send_with(&pool, Method::GET, Some(&interim)).await;
            assert_eq!(response.unwrap().status(), StatusCode::OK);
        }
        let told = interim.take().unwrap();
        assert_eq!(told.headers()["link"], "a");
        assert!(interim.take().is_none());
    });
}

fn limited(destination: &Destination, limits: &ConnectionLimits, most: u32) -> Rc<Pool> {
    let options = PoolOptions {
        lifetime: None,
        several_http2: true,
        limit: Some(limits.of("c", &destination.endpoint(), most)),
    };
    destination.pool(Protocols::Http1, options)
}

#[test]
fn requests_wait_for_one_of_as_many_connections_as_there_may_be() {
    // Reference B16.2: MaxConnectionsPerServer.
    on_a_thread(async {
        let destination = Destination::start(&[]).await;
        let limits = ConnectionLimits::default();
        let pool = limited(&destination, &limits, 2);
        let requests: Vec<_> = (0..50)
            .map(|_| {
                let pool = Rc::clone(&pool);
                tokio::task::spawn_local(async move {
                    let response = send(&pool, Method::GET).await.unwrap();
                    tokio::task::yield_now().await;
                    read(response).await
                })
            })
            .collect();
        for request in requests {
            assert_eq!(request.await.unwrap(), b"ok");
        }
        assert_eq!(destination.requests.get(), 50);
        assert_eq!(destination.connections.get(), 2);
    });
}

#[test]
fn requests_are_served_in_the_order_they_came_and_who_leaves_is_passed_over() {
    on_a_thread(async {
        let destination = Destination::start(&[]).await;
        let limits = ConnectionLimits::default();
        let pool = limited(&destination, &limits, 1);
        let first = send(&pool, Method::GET).await.unwrap();
        let order = Rc::new(RefCell::new(Vec::new()));
        let waiting: Vec<_> = (0..4)
            .map(|number| {
                let (pool, order) = (Rc::clone(&pool), Rc::clone(&order));
                tokio::task::spawn_local(async move {
                    let response = send(&pool, Method::GET).await.unwrap();
                    order.borrow_mut().push(number);
                    read(response).await;
                })
            })
            .collect();
        tokio::task::yield_now().await;
        waiting[1].abort();
        tokio::task::yield_now().await;
        read(first).await;
        for (number, waiting) in waiting.into_iter().enumerate() {
            assert_eq!(waiting.await.is_err(), number == 1);
        }
        assert_eq!(*order.borrow(), [0, 2, 3]);
        assert_eq!(destination.connections.get(), 1);
    });
}

#[test]
fn pools_of_other_threads_share_the_limit() {
    on_a_thread(async {
        let destination = Destination::start(&[]).await;
        let limits = ConnectionLimits::default();
        let one = limited(&destination, &limits, 1);
        let other = limited(&destination, &limits, 1);
        // One pool's idle connection makes room for the other's request.
        read(send(&one, Method::GET).await.unwrap()).await;
        assert_eq!(one.idle.borrow().len(), 1);
        read(send(&other, Method::GET).await.unwrap()).await;
        assert!(one.idle.borrow().is_empty());
        // However busy one is, the other gets its turn.
        let busy: Vec<_> = (0..3)
            .map(|_| {
                let one = Rc::clone(&one);
                tokio::task::spawn_local(async move {
                    loop {
                        read(send(&one, Method::GET).await.unwrap()).await;
                    }
                })
            })
            .collect();
        for _ in 0..5 {
            assert_eq!(read(send(&other, Method::GET).await.unwrap()).await, b"ok");
        }
        for busy in busy {
            busy.abort();
        }
        assert!(destination.requests.get() > 7);
    });
}

/// An HTTP/2 destination that takes `most` streams a connection and answers when told.
async fn http2_destination(most: u32) -> (Destination, Rc<Notify>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let answer = Rc::new(Notify::new());
    let destination = Destination {
        port: listener.local_addr().unwrap().port(),
        connections: Rc::default(),
        requests: Rc::default(),
    };
    let connections = Rc::clone(&destination.connections);
    let requests = Rc::clone(&destination.requests);
    let told = Rc::clone(&answer);
    tokio::task::spawn_local(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            connections.set(connections.get() + 1);
            let (requests, told) = (Rc::clone(&requests), Rc::clone(&told));
            tokio::task::spawn_local(async move {
                let mut builder = h2::server::Builder::new();
                builder.max_concurrent_streams(most);
                let mut server = builder.handshake::<_, bytes::Bytes>(stream).await.unwrap();
                while let Some(accepted) = server.accept().await {
                    let (_request, mut respond) = accepted.unwrap();
                    requests.set(requests.get() + 1);
                    let told = Rc::clone(&told);
                    tokio::task::spawn_local(async move {
                        told.notified().await;
                        let _ = respond.send_response(Response::new(()), true);
                    });
                }
            });
        }
    });
    (destination, answer)
}

#[test]
fn where_streams_run_out_another_connection_is_opened_or_requests_queue() {
    // Reference B16.2: EnableMultipleHttp2Connections.
    for (several_http2, connections, at_once) in [(true, 2, 4), (false, 1, 2)] {
        on_a_thread(async {
            let (destination, answer) = http2_destination(2).await;
            let options = PoolOptions {
                lifetime: None,
                several_http2,
                limit: None,
            };
            let pool = destination.pool(Protocols::Http2, options);
            let asked: Vec<_> = (0..4)
                .map(|_| {
                    let pool = Rc::clone(&pool);
                    tokio::task::spawn_local(async move {
                        send(&pool, Method::GET).await.unwrap().status()
                    })
                })
                .collect();
            while destination.requests.get() < at_once {
                tokio::task::yield_now().await;
            }
            for _ in 0..4 {
                answer.notify_one();
                tokio::task::yield_now().await;
            }
            let answering = async {
                loop {
                    answer.notify_one();
                    tokio::task::yield_now().await;
                }
            };
            let asked = async {
                for asked in asked {
                    assert_eq!(asked.await.unwrap(), StatusCode::OK);
                }
            };
            tokio::select! {
                () = asked => {}
                () = answering => {}
            }
            assert_eq!(destination.requests.get(), 4);
            assert_eq!(destination.connections.get(), connections);
        });
    }
}

#[test]
fn an_extended_connect_asks_for_http_2() {
    // Reference B12.3 and RFC 8441.
    on_a_thread(async {
        let destination = Destination::start(&[]).await;
        let pool = destination.pool(Protocols::Http1, UNLIMITED);
        let again = || Some(parts(Method::CONNECT));
        let connected = pool.extended_connect(&again, "websocket").await.unwrap();
        assert!(matches!(connected, ExtendedConnect::NotSupported));
        assert_eq!(destination.connections.get(), 0);
        // Nor does this one say that it knows it.
        let (destination, _answer) = http2_destination(2).await;
        let pool = destination.pool(Protocols::Http2, UNLIMITED);
        let connected = pool.extended_connect(&again, "websocket").await.unwrap();
        assert!(matches!(connected, ExtendedConnect::NotSupported));
        assert_eq!(destination.connections.get(), 1);
        assert_eq!(destination.requests.get(), 0);
    });
}

#[test]
fn a_head_is_given_its_http_2_form() {
    let mut head = parts(Method::GET);
    in_http2_form(&mut head, "https").unwrap();
    assert_eq!(head.uri, "https://d/x");
    assert_eq!(head.headers, HeaderMap::new());
    let mut head = parts(Method::GET);
    head.headers
        .insert(HOST, HeaderValue::from_static("no host"));
    assert!(in_http2_form(&mut head, "https").is_err());
}
