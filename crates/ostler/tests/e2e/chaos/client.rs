//! A strict client: connections that are kept, requests behind each other, answers compared.

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::request::{Request, Way};
use crate::support::{Client, Mischief, PATIENCE, Response};

/// How an exchange ended that has not got the answer of its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// There was no connection to be had.
    NoConnection,
    /// The connection was closed before a byte of the answer.
    Closed,
    /// It was closed within the answer.
    CutOff,
    /// This status, whole.
    Status(u16),
}

#[derive(Debug)]
pub(super) struct Failure {
    pub(super) way: Way,
    pub(super) can_be_sent_again: bool,
    pub(super) ending: Ending,
    /// When the connection was asked for, when the request's first byte was sent, when it failed.
    pub(super) opened: Instant,
    pub(super) sent: Instant,
    pub(super) ended: Instant,
    pub(super) request: String,
}

/// What one client does, and what becomes of it.
pub(super) struct Load {
    address: SocketAddr,
    mischief: Mischief,
    sent: usize,
    pub(super) answered: usize,
    pub(super) failures: Vec<Failure>,
    /// What nothing excuses.
    pub(super) mistakes: Vec<String>,
}

struct Connection {
    client: Client,
    opened: Instant,
}

impl Load {
    pub(super) fn new(port: u16, client: u64, seed: u64) -> Self {
        Self {
            address: ([127, 0, 0, 1], port).into(),
            mischief: Mischief::new(seed * 1000 + client + 1),
            sent: 0,
            answered: 0,
            failures: Vec::new(),
            mistakes: Vec::new(),
        }
    }

    /// Asks until it is told to stop; what is under way is finished.
    pub(super) fn run(&mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let Some(mut connection) = self.connect() else {
                std::thread::sleep(Duration::from_millis(10));
                continue;
            };
            for _ in 0..1 + self.mischief.below(12) {
                if stop.load(Ordering::Relaxed) || !self.batch(&mut connection) {
                    break;
                }
            }
        }
    }

    fn connect(&mut self) -> Option<Connection> {
        let opened = Instant::now();
        let stream = TcpStream::connect_timeout(&self.address, PATIENCE);
        let Ok(stream) = stream else {
            self.failures.push(Failure {
                way: Way::Delegated,
                can_be_sent_again: true,
                ending: Ending::NoConnection,
                opened,
                sent: opened,
                ended: Instant::now(),
                request: "a connection".to_owned(),
            });
            return None;
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Some(Connection {
            client: Client::over(stream),
            opened,
        })
    }

    /// One request or some behind each other; whether the connection can be used on.
    fn batch(&mut self, connection: &mut Connection) -> bool {
        let requests = self.requests();
        let sent = Instant::now();
        let mut writable = true;
        // Those without a body leave at once.
        let bodiless = requests.iter().filter(|request| request.body.is_none());
        let bytes: Vec<u8> = bodiless.flat_map(Request::pieces).flatten().collect();
        writable &= connection.client.try_send(bytes).is_ok();
        for piece in requests
            .iter()
            .filter(|request| request.body.is_some())
            .flat_map(Request::pieces)
        {
            // An answer may be there already, and the connection closed behind it.
            writable = writable && connection.client.try_send(piece).is_ok();
            if requests.len() == 1 {
                std::thread::sleep(Duration::from_millis(self.mischief.number() % 8));
            }
        }
        requests
            .iter()
            .all(|request| self.answer(request, connection, sent))
            && writable
    }

    /// Bodies come last, small ones, or alone: no end waits for the other to read.
    fn requests(&mut self) -> Vec<Request> {
        if self.mischief.below(4) == 0 {
            return vec![Request::with_body(300_000, &mut self.mischief)];
        }
        let count = match self.mischief.below(2) {
            0 => 1,
            _ => 2 + self.mischief.below(3),
        };
        let mut requests = Vec::new();
        for _ in 0..count {
            self.sent += 1;
            requests.push(Request::without_body(self.sent, &mut self.mischief));
        }
        if count > 1 && self.mischief.below(3) == 0 {
            requests.push(Request::with_body(8_000, &mut self.mischief));
        }
        requests
    }

    /// Reads one answer; whether another may follow it.
    fn answer(&mut self, request: &Request, connection: &mut Connection, sent: Instant) -> bool {
        let ending = if connection.client.is_closed() {
            Ending::Closed
        } else {
            match connection.client.try_response() {
                Ok(response) => return self.take(request, connection, sent, &response),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    let (method, path) = (request.method, &request.path);
                    let mistake = format!("{method} {path} has no answer");
                    self.mistakes.push(mistake);
                    return false;
                }
                Err(_) => Ending::CutOff,
            }
        };
        self.fail(request, connection, sent, ending);
        false
    }

    fn take(
        &mut self,
        request: &Request,
        connection: &Connection,
        sent: Instant,
        response: &Response,
    ) -> bool {
        let framed = ["content-length", "transfer-encoding"]
            .iter()
            .any(|name| response.field(name).is_some());
        if !framed {
            let mistake = format!("only the end ends the answer: {:?}", response.fields);
            self.mistakes.push(mistake);
        }
        match response.status {
            200 => {
                self.answered += 1;
                self.mistakes.extend(request.mistake(response));
            }
            404 if request.way == Way::Sometimes => {}
            status => self.fail(request, connection, sent, Ending::Status(status)),
        }
        // The requests behind it are nobody's then: they have not failed.
        response.field("connection") != Some("close")
    }

    fn fail(&mut self, request: &Request, connection: &Connection, sent: Instant, ending: Ending) {
        self.failures.push(Failure {
            way: request.way,
            can_be_sent_again: request.can_be_sent_again(),
            ending,
            opened: connection.opened,
            sent,
            ended: Instant::now(),
            request: format!("{} {}", request.method, request.path),
        });
    }
}
