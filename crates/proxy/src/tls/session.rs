//! A TLS session over a socket that is not waited on here: what can be moved at once is moved.

use std::cell::{Cell, RefCell};
use std::io::{self, BufRead, IoSlice, Write};
use std::os::fd::BorrowedFd;

use ostler_shm::kernel_tls::KernelTls;
use rustls::ServerConnection;

use super::kernel::{ToKernel, to_kernel};
use super::records::RecordBoundary;

/// Bytes asked of the kernel at a time: two records of the largest size.
const READ: usize = 32 * 1024;

/// Encrypts what a client is sent and decrypts what it sends.
///
/// Both directions of a tunnel use it at once, in one task: nothing is borrowed between two calls.
#[derive(Debug)]
pub(crate) struct TlsSession {
    connection: RefCell<Box<ServerConnection>>,
    /// Received and not decrypted yet. Idle connections hold no memory for it.
    received: RefCell<Received>,
    cut_short: Cell<bool>,
}

#[derive(Debug, Default)]
struct Received {
    bytes: Vec<u8>,
    start: usize,
    /// Where the records end that have been decrypted, and those of the handshake before them.
    boundary: RecordBoundary,
}

impl TlsSession {
    /// A session whose handshake is over, and how far into a record it has read.
    pub(crate) fn new(connection: ServerConnection, boundary: RecordBoundary) -> Self {
        let received = Received {
            boundary,
            ..Received::default()
        };
        Self {
            connection: RefCell::new(Box::new(connection)),
            received: RefCell::new(received),
            cut_short: Cell::new(false),
        }
    }

    /// Appends up to `max` bytes of what has been received; `None` when there is nothing, 0 when the
    /// client has ended its direction. Its socket's end without a word is an error: somebody else
    /// may have cut the connection.
    pub(crate) fn take(&self, out: &mut Vec<u8>, max: usize) -> io::Result<Option<usize>> {
        let mut connection = self.connection.borrow_mut();
        let mut received = self.received.borrow_mut();
        let mut taken = 0;
        loop {
            let mut reader = connection.reader();
            while taken < max {
                let chunk = match reader.fill_buf() {
                    Ok([]) => return Ok(Some(taken)),
                    Ok(chunk) => chunk,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(_) if taken > 0 => return Ok(Some(taken)),
                    Err(error) => return Err(error),
                };
                let length = chunk.len().min(max - taken);
                out.extend_from_slice(&chunk[..length]);
                reader.consume(length);
                taken += length;
            }
            if taken == max || !received.decrypt(&mut connection)? {
                return Ok((taken > 0).then_some(taken));
            }
        }
    }

    /// Reads from the socket what [`take`](Self::take) gives; the number of bytes, still encrypted.
    pub(crate) fn receive(&self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let mut received = self.received.borrow_mut();
        let read = ostler_shm::recv(socket, &mut received.bytes, READ)?;
        if read == 0 {
            self.connection.borrow_mut().read_tls(&mut io::empty())?;
        }
        Ok(read)
    }

    /// Bytes that are to come of a record whose beginning has been received, as far as is known; 0 when
    /// the socket's next byte begins a record, once everything has been taken.
    pub(crate) fn missing(&self) -> usize {
        self.received.borrow().boundary.missing()
    }

    /// Reads from the socket what is missing of a record, and no more.
    pub(crate) fn receive_missing(&self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let mut received = self.received.borrow_mut();
        let missing = received.boundary.missing();
        ostler_shm::recv(socket, &mut received.bytes, missing)
    }

    /// Moves the session into the kernel, once nothing is [`missing`](Self::missing) and everything
    /// has been taken.
    pub(crate) fn into_kernel(self, socket: BorrowedFd<'_>, offered: KernelTls) -> ToKernel<Self> {
        let received = self.received.into_inner();
        match to_kernel(self.connection.into_inner(), socket, offered) {
            ToKernel::Moved => ToKernel::Moved,
            ToKernel::Spent(error) => ToKernel::Spent(error),
            ToKernel::Stays(connection, stays) => {
                let session = Self {
                    connection: RefCell::new(connection),
                    received: RefCell::new(received),
                    cut_short: self.cut_short,
                };
                ToKernel::Stays(session, stays)
            }
        }
    }

    /// How much a full [`receive`](Self::receive) reads.
    pub(crate) const RECEIVES: usize = READ;

    /// Encrypts as much as there is room for.
    pub(crate) fn put(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.connection.borrow_mut().writer().write_vectored(pieces)
    }

    /// Whether there is something to give to the socket.
    pub(crate) fn wants_send(&self) -> bool {
        self.connection.borrow().wants_write()
    }

    /// Gives the socket what it takes now: `WouldBlock` when that is nothing.
    pub(crate) fn send(&self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.connection.borrow_mut().write_tls(&mut Socket(socket))
    }

    /// The next end of the connection is no end of what was being said: closing it says nothing.
    pub(crate) fn cut_short(&self) {
        self.cut_short.set(true);
    }

    /// Says that nothing more comes (RFC 8446 section 6.1), unless something has been cut short.
    pub(crate) fn close(&self) {
        if !self.cut_short.get() {
            self.connection.borrow_mut().send_close_notify();
        }
    }
}

impl Received {
    /// Decrypts some; false when there is nothing to decrypt.
    fn decrypt(&mut self, connection: &mut ServerConnection) -> io::Result<bool> {
        let mut rest = &self.bytes[self.start..];
        if rest.is_empty() {
            return Ok(false);
        }
        // Takes a few kilobytes at a time. There is room for it, since everything decrypted has been
        // taken out.
        let read = connection.read_tls(&mut rest)?;
        self.boundary.pass(&self.bytes[self.start..][..read]);
        self.start += read;
        if self.start == self.bytes.len() {
            (self.bytes, self.start) = (Vec::new(), 0);
        }
        let decrypted = connection.process_new_packets();
        decrypted.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(read > 0)
    }
}

/// Writes without waiting and without SIGPIPE.
struct Socket<'a>(BorrowedFd<'a>);

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        ostler_shm::send(self.0, parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;

    use ostler_config::schema::SslProtocols;
    use ostler_config::{ClientCertificateMode, HttpProtocols};
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

    use super::*;
    use crate::tls::{Certificate, TlsEndpoint, TlsHostOptions, TlsOptions};

    type Client = StreamOwned<ClientConnection, UnixStream>;

    /// A session whose handshake is over, its socket, and a client at the other end.
    fn pair() -> (TlsSession, UnixStream, Client) {
        let (certificate, key) = (
            include_bytes!("fixtures/chain.pem"),
            include_bytes!("fixtures/server.key"),
        );
        let host = TlsHostOptions {
            certificate: Certificate::read(certificate, Some(key), None).unwrap(),
            protocols: HttpProtocols::Http1,
            ssl_protocols: SslProtocols::NONE,
            client_certificates: ClientCertificateMode::NoCertificate,
        };
        let tls = TlsOptions {
            any: Some(host),
            ..TlsOptions::default()
        };
        let endpoint = TlsEndpoint::new(&tls).unwrap();
        let server = ServerConnection::new(endpoint.host(None).unwrap().config).unwrap();
        let mut roots = RootCertStore::empty();
        // The authority in the middle is trusted as it is.
        let middle = include_bytes!("fixtures/middle.pem");
        roots
            .add(CertificateDer::from_pem_slice(middle).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let client = ClientConnection::new(Arc::new(config), name).unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut client = StreamOwned::new(client, theirs);
        let handshake = std::thread::spawn(move || {
            while client.conn.is_handshaking() {
                client.conn.complete_io(&mut client.sock).unwrap();
            }
            client
        });
        let (mut server, mut socket) = (server, ours);
        while server.is_handshaking() {
            server.complete_io(&mut socket).unwrap();
        }
        let session = TlsSession::new(server, RecordBoundary::default());
        (session, socket, handshake.join().unwrap())
    }

    /// What is there to take, however it comes.
    fn heard(session: &TlsSession, socket: &UnixStream, max: usize) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        loop {
            match session.take(&mut out, max)? {
                Some(0) => return Ok(out),
                Some(_) => {}
                None => match session.receive(socket.as_fd()) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(out),
                    received => drop(received?),
                },
            }
        }
    }

    #[test]
    fn everything_is_heard_whatever_is_asked_for_at_a_time() {
        for max in [1, 100, 4096, 16 * 1024, 1_000_000] {
            let (session, socket, mut client) = pair();
            let said: Vec<u8> = (0..100_000u32).map(|at| (at % 251) as u8).collect();
            client.write_all(&said).unwrap();
            client.conn.send_close_notify();
            client.flush().unwrap();
            assert_eq!(heard(&session, &socket, max).unwrap(), said, "{max}");
            let received = session.received.borrow();
            assert_eq!(received.bytes.capacity(), 0, "an idle session holds memory");
        }
    }

    #[test]
    fn a_socket_that_ends_without_a_word_is_an_error() {
        let (session, socket, mut client) = pair();
        client.write_all(b"half").unwrap();
        client.sock.shutdown(std::net::Shutdown::Write).unwrap();
        let mut out = Vec::new();
        while out.is_empty() {
            session.receive(socket.as_fd()).unwrap();
            session.take(&mut out, 100).unwrap();
        }
        assert_eq!(out, b"half");
        let error = heard(&session, &socket, 100).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn garbage_is_an_error_that_the_client_is_told() {
        let (session, socket, mut client) = pair();
        let garbage = [
            23, 3, 3, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        client.sock.write_all(&garbage).unwrap();
        let error = heard(&session, &socket, 100).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(session.wants_send());
        session.send(socket.as_fd()).unwrap();
        let told = client.read(&mut [0; 10]).unwrap_err().to_string();
        assert!(told.contains("BadRecordMac"), "{told}");
    }

    #[test]
    fn what_the_socket_does_not_take_is_sent_later_and_cutting_short_says_nothing() {
        for cut_short in [false, true] {
            let (session, socket, client) = pair();
            let said = vec![7; 2_000_000];
            let reader = std::thread::spawn(move || {
                let (mut client, mut heard) = (client, Vec::new());
                let ended = client.read_to_end(&mut heard).map_err(|error| error.kind());
                (heard, ended.map(drop))
            });
            // The socket may be full at any time, when the last word is said too.
            let send = || match session.send(socket.as_fd()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    std::thread::yield_now();
                }
                sent => drop(sent.unwrap()),
            };
            let mut rest = &said[..];
            while !rest.is_empty() || session.wants_send() {
                let taken = session.put(&[IoSlice::new(rest)]).unwrap();
                rest = &rest[taken..];
                send();
            }
            if cut_short {
                session.cut_short();
            }
            session.close();
            while session.wants_send() {
                send();
            }
            drop(socket);
            let (heard, ended) = reader.join().unwrap();
            assert_eq!(heard, said);
            let expected = match cut_short {
                true => Err(io::ErrorKind::UnexpectedEof),
                false => Ok(()),
            };
            assert_eq!(ended, expected);
        }
    }
}
