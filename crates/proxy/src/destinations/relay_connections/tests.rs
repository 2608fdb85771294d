//! Against targets that are written here, byte by byte.

use std::cell::Cell;
use std::time::Duration;

use http::Method;
use http::header::HOST;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::testing::{next, on_a_thread};
use super::*;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn parts(method: Method) -> Parts {
    let request = Request::builder().method(method).uri("/x");
    request.header(HOST, "d").body(()).unwrap().into_parts().0
}

/// A target of which each connection answers so many requests, and then closes at the next one.
#[derive(Default)]
struct Target {
    opened: Cell<usize>,
    answers: Cell<usize>,
}

impl Target {
    fn connect(&self) -> Result<UnixStream, SendError> {
        self.opened.set(self.opened.get() + 1);
        let (ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let mut stream = tokio::net::UnixStream::from_std(theirs).unwrap();
        let answers = self.answers.get();
        tokio::task::spawn_local(async move {
            for _ in 0..answers {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => return,
                    }
                }
                stream.write_all(OK).await.unwrap();
            }
            let _ = stream.read_u8().await;
        });
        Ok(ours)
    }

    async fn ask(
        &self,
        connections: &Rc<RelayedConnections>,
    ) -> Result<Response<ResponseBody>, NotRelayed> {
        self.ask_by(Method::GET, connections).await
    }

    async fn ask_by(
        &self,
        method: Method,
        connections: &Rc<RelayedConnections>,
    ) -> Result<Response<ResponseBody>, NotRelayed> {
        let make = || Some(parts(method.clone()));
        let connect = || self.connect();
        let interim = Interim::default();
        connections
            .send(&make, ForwardBody::empty(), &connect, &interim)
            .await
    }

    async fn ask_whole(&self, connections: &Rc<RelayedConnections>) {
        let mut response = self.ask(connections).await.unwrap();
        while let Some(frame) = next(response.body_mut()).await {
            frame.unwrap();
        }
    }
}

#[test]
fn a_connection_is_used_again_and_one_that_ended_costs_no_request() {
    on_a_thread(async {
        let target = Target::default();
        target.answers.set(2);
        let connections = Rc::new(RelayedConnections::default());
        for opened in [1, 1, 2, 2, 3] {
            target.ask_whole(&connections).await;
            assert_eq!(target.opened.get(), opened);
        }
    });
}

#[test]
fn a_new_connection_that_says_nothing_is_not_asked_again() {
    on_a_thread(async {
        let target = Target::default();
        let connections = Rc::new(RelayedConnections::default());
        let failed = target.ask(&connections).await.unwrap_err();
        assert!(matches!(failed.left, Left::Unheard | Left::Unsent(_)));
        assert_eq!(target.opened.get(), 1);
    });
}

#[test]
fn what_may_do_harm_twice_is_not_sent_again() {
    on_a_thread(async {
        let target = Target::default();
        target.answers.set(1);
        let connections = Rc::new(RelayedConnections::default());
        target.ask_whole(&connections).await;
        let failed = target.ask_by(Method::POST, &connections).await;
        assert!(matches!(failed.unwrap_err().left, Left::Unheard));
        assert_eq!(target.opened.get(), 1);
    });
}

#[test]
fn unused_ones_are_few_and_grow_old() {
    on_a_thread(async {
        let target = Target::default();
        target.answers.set(usize::MAX);
        let connections = Rc::new(RelayedConnections::default());
        let mut responses = Vec::new();
        for _ in 0..2 * MOST_IDLE {
            responses.push(target.ask(&connections).await.unwrap());
        }
        for mut response in responses {
            while let Some(frame) = next(response.body_mut()).await {
                frame.unwrap();
            }
        }
        let unused = || connections.idle.borrow().len();
        assert_eq!(unused(), MOST_IDLE);
        let now = crate::clock::now();
        connections.sweep(now);
        connections.sweep(now + IDLE_TIMEOUT - Duration::from_secs(1));
        assert_eq!(unused(), MOST_IDLE);
        target.ask_whole(&connections).await;
        connections.sweep(now + IDLE_TIMEOUT);
        assert_eq!(unused(), 1);
        connections.close();
        assert_eq!(unused(), 0);
        target.ask_whole(&connections).await;
        assert_eq!(unused(), 0);
    });
}
