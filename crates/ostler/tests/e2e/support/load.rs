//! Clients that ask and ask while fronts come and go, and hold it against them when one is not answered.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use h2::client::SendRequest;

use super::http2_client::{get, whole};
use super::{Client, PATIENCE, TlsSettings};

/// What all clients of a load share.
#[derive(Default)]
pub(crate) struct Load {
    stop: AtomicBool,
    /// Fronts that have been killed: begun and done. Who had a connection then may have lost it.
    kills: (AtomicUsize, AtomicUsize),
    http1: AtomicUsize,
    tls: AtomicUsize,
    http2: AtomicUsize,
    complaints: Mutex<Vec<String>>,
}

/// How many clients of each kind.
#[derive(Clone, Copy)]
pub(crate) struct Clients {
    pub(crate) http1: usize,
    pub(crate) tls: usize,
    /// Connections; each has four streams at a time.
    pub(crate) http2: usize,
}

/// Ports of a front in clear text and over TLS.
#[derive(Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) clear: u16,
    pub(crate) tls: u16,
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: load\r\n\r\n";
/// Requests of one connection.
const REQUESTS: usize = 40;
const PAUSE: Duration = Duration::from_millis(5);

impl Load {
    /// Has clients ask while something is done; then nobody may have a complaint.
    pub(crate) fn during(
        &self,
        clients: Clients,
        ports: Ports,
        settings: &TlsSettings<'_>,
        act: impl FnOnce(),
    ) {
        std::thread::scope(|scope| {
            for _ in 0..clients.http1 {
                scope.spawn(|| self.ask(&self.http1, || clear(ports.clear)));
            }
            for _ in 0..clients.tls {
                scope.spawn(|| self.ask(&self.tls, || settings.try_connect(ports.tls)));
            }
            scope.spawn(|| self.ask_http2(clients.http2, ports.clear));
            // However it ends, the clients end too.
            let acted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
            self.stop.store(true, Ordering::Relaxed);
            if let Err(panic) = acted {
                std::panic::resume_unwind(panic);
            }
        });
        let complaints = self.complaints.lock().unwrap();
        assert!(
            complaints.is_empty(),
            "{} of {:?}: {:#?}",
            complaints.len(),
            self.answered(),
            complaints.iter().take(20).collect::<Vec<_>>()
        );
    }

    /// Kills a front.
    pub(crate) fn killing(&self, kill: impl FnOnce()) {
        self.kills.0.fetch_add(1, Ordering::SeqCst);
        kill();
        self.kills.1.fetch_add(1, Ordering::SeqCst);
    }

    /// Answers over HTTP/1.1, TLS and HTTP/2 so far.
    pub(crate) fn answered(&self) -> [usize; 3] {
        [&self.http1, &self.tls, &self.http2].map(|count| count.load(Ordering::Relaxed))
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn complain(&self, complaint: String) {
        self.complaints.lock().unwrap().push(complaint);
        std::thread::sleep(PAUSE);
    }

    /// Kills that were done when a connection was begun.
    fn begin(&self) -> usize {
        self.kills.1.load(Ordering::SeqCst)
    }

    /// Whether a front was killed that may have had a connection begun then.
    fn is_excused(&self, begun: usize) -> bool {
        self.kills.0.load(Ordering::SeqCst) > begun
    }

    fn ask<S: Read + Write>(
        &self,
        answered: &AtomicUsize,
        connect: impl Fn() -> io::Result<Client<S>>,
    ) {
        while !self.is_over() {
            let begun = self.begin();
            let mut client = match connect() {
                Ok(client) => client,
                Err(_) if self.is_excused(begun) => continue,
                Err(error) => {
                    self.complain(format!("no connection: {error}"));
                    continue;
                }
            };
            for number in 0..REQUESTS {
                if self.is_over() {
                    break;
                }
                match exchange(&mut client) {
                    Ok(Some(stays)) => {
                        answered.fetch_add(1, Ordering::Relaxed);
                        if !stays {
                            break;
                        }
                    }
                    // Closed as it was idle, which every client asks again for.
                    Ok(None) if number > 0 => break,
                    Ok(None) | Err(_) if self.is_excused(begun) => break,
                    Ok(None) => {
                        self.complain("a new connection is closed without an answer".to_owned());
                        break;
                    }
                    Err(error) => {
                        self.complain(format!("request {number} of a connection: {error}"));
                        break;
                    }
                }
                std::thread::sleep(PAUSE);
            }
        }
    }

    fn ask_http2(&self, connections: usize, port: u16) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let all = (0..connections).map(|_| self.ask_over_http2(port));
            futures_util::future::join_all(all).await;
        });
    }

    async fn ask_over_http2(&self, port: u16) {
        while !self.is_over() {
            let begun = self.begin();
            let stream = match tokio::net::TcpStream::connect(("127.0.0.1", port)).await {
                Ok(stream) => stream,
                Err(error) => {
                    self.complain(format!("no connection for HTTP/2: {error}"));
                    continue;
                }
            };
            let Ok((sender, connection)) = h2::client::handshake(stream).await else {
                if !self.is_excused(begun) {
                    self.complain("HTTP/2 does not begin".to_owned());
                }
                continue;
            };
            let connection = tokio::spawn(connection);
            let streams = (0..4).map(|_| self.ask_in_streams(sender.clone(), begun));
            futures_util::future::join_all(streams).await;
            drop(sender);
            let _ = tokio::time::timeout(PATIENCE, connection).await;
        }
    }

    async fn ask_in_streams(&self, sender: SendRequest<bytes::Bytes>, begun: usize) {
        for _ in 0..REQUESTS {
            // Over, or about to be: no stream has begun.
            let Ok(mut ready) = sender.clone().ready().await else {
                return;
            };
            let Ok((response, _)) = ready.send_request(get("/"), true) else {
                return;
            };
            match response.await {
                Ok(response) if response.status() == 200 => {
                    whole(response).await;
                    self.http2.fetch_add(1, Ordering::Relaxed);
                }
                Ok(response) => self.complain(format!("HTTP/2: {}", response.status())),
                Err(_) if self.is_excused(begun) => return,
                // Not processed, says the front: to be asked again (RFC 9113 section 6.8).
                Err(error) if error.is_go_away() && error.is_remote() => return,
                Err(error) => {
                    self.complain(format!("a stream: {error}"));
                    return;
                }
            }
            if self.is_over() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn clear(port: u16) -> io::Result<Client> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(Client::over(stream))
}

/// One exchange, and whether another may follow; `None` where the connection is closed instead.
fn exchange<S: Read + Write>(client: &mut Client<S>) -> io::Result<Option<bool>> {
    if client.try_send(REQUEST).is_err() || client.is_closed() {
        return Ok(None);
    }
    let response = client.try_response()?;
    if response.status != 200 {
        return Err(io::Error::other(format!("status {}", response.status)));
    }
    Ok(Some(response.field("connection") != Some("close")))
}
