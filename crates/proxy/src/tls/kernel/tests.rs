//! A rustls client against a session that has been moved. What needs a kernel with TLS says so and
//! passes over elsewhere, unless `OSTLER_EXPECT_KERNEL_TLS` is set, as it is in `tests/vm`.

use std::collections::HashSet;
use std::io::{IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;

use ostler_shm::kernel_tls::{recv_kernel_tls, send_close_notify};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig};

use super::*;

const MARKER: &[u8] = b"PLAINTEXT MARKER";

fn offered() -> Option<KernelTls> {
    match KernelTls::probe() {
        Ok(offered) => Some(offered),
        Err(error) => {
            let expected = std::env::var_os("OSTLER_EXPECT_KERNEL_TLS").is_some();
            assert!(!expected, "kernel TLS is expected: {error:?}");
            eprintln!("passed over: {error}");
            None
        }
    }
}

/// A client that keeps what it saw on the wire.
struct Client {
    session: ClientConnection,
    socket: TcpStream,
    wire: Vec<u8>,
}

impl Client {
    fn send(&mut self, bytes: &[u8]) {
        self.session.writer().write_all(bytes).unwrap();
        self.flush();
    }

    fn flush(&mut self) {
        while self.session.wants_write() {
            self.session.write_tls(&mut self.socket).unwrap();
        }
    }

    /// What the server says, decrypted: `most` bytes, fewer only if it says that there is no more.
    fn read(&mut self, most: usize) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            let mut bytes = vec![0; most - out.len()];
            match self.session.reader().read(&mut bytes) {
                Ok(0) => return out,
                Ok(read) => out.extend_from_slice(&bytes[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut wire = [0; 4096];
                    let read = self.socket.read(&mut wire).unwrap();
                    self.wire.extend_from_slice(&wire[..read]);
                    let mut wire = &wire[..read];
                    while !wire.is_empty() || read == 0 {
                        self.session.read_tls(&mut wire).unwrap();
                        self.session.process_new_packets().unwrap();
                        if read == 0 {
                            break;
                        }
                    }
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Type and content of each record that the server has sent.
    fn records(&self) -> Vec<(u8, &[u8])> {
        let mut records = Vec::new();
        let mut rest = &self.wire[..];
        while let [content_type, _, _, high, low, ..] = *rest {
            let end = 5 + usize::from(u16::from_be_bytes([high, low]));
            records.push((content_type, &rest[5..end]));
            rest = &rest[end..];
        }
        records
    }
}

struct Pair {
    client: Client,
    server: Box<ServerConnection>,
    socket: TcpStream,
}

fn provider(suite: SupportedCipherSuite) -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = vec![suite];
    Arc::new(provider)
}

/// A client and a server before their handshake.
fn strangers(suite: SupportedCipherSuite) -> Pair {
    let algorithm = match suite.suite().as_str().unwrap_or_default().contains("RSA") {
        // Longer keys take long to make.
        true => &rcgen::PKCS_RSA_SHA256,
        false => &rcgen::PKCS_ECDSA_P256_SHA256,
    };
    let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
    let parameters = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let mut server = ServerConfig::builder_with_provider(provider(suite))
        .with_protocol_versions(&[suite.version()])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .unwrap();
    server.enable_secret_extraction = true;
    server.ticketer = aws_lc_rs::Ticketer::new().unwrap();
    let client = ClientConfig::builder_with_provider(provider(suite))
        .with_protocol_versions(&[suite.version()])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let name = "localhost".try_into().unwrap();
    Pair {
        client: Client {
            session: ClientConnection::new(Arc::new(client), name).unwrap(),
            socket: near,
            wire: Vec::new(),
        },
        server: Box::new(ServerConnection::new(Arc::new(server)).unwrap()),
        socket: listener.accept().unwrap().0,
    }
}

/// The same behind their handshake.
fn acquainted(suite: SupportedCipherSuite) -> Pair {
    let mut pair = strangers(suite);
    while pair.client.session.is_handshaking() || pair.server.is_handshaking() {
        pair.client.flush();
        if pair.server.is_handshaking() {
            pair.server.read_tls(&mut pair.socket).unwrap();
            pair.server.process_new_packets().unwrap();
        }
        while pair.server.wants_write() {
            pair.server.write_tls(&mut pair.socket).unwrap();
        }
        if pair.client.session.is_handshaking() {
            let mut wire = [0; 16 * 1024];
            let read = pair.client.socket.read(&mut wire).unwrap();
            pair.client.wire.extend_from_slice(&wire[..read]);
            let mut wire = &wire[..read];
            while !wire.is_empty() {
                pair.client.session.read_tls(&mut wire).unwrap();
                pair.client.session.process_new_packets().unwrap();
            }
        }
    }
    pair
}

impl Pair {
    /// One word each way, decrypted and encrypted in this process.
    fn speak(&mut self) {
        self.client.send(b"hello");
        let mut read = [0; 5];
        while self.server.reader().read_exact(&mut read).is_err() {
            self.server.read_tls(&mut self.socket).unwrap();
            self.server.process_new_packets().unwrap();
        }
        assert_eq!(&read, b"hello");
        self.server.writer().write_all(b"world").unwrap();
        while self.server.wants_write() {
            self.server.write_tls(&mut self.socket).unwrap();
        }
        assert_eq!(self.client.read(5), b"world");
    }

    /// Moves the session, which must succeed.
    fn moved(self, offered: KernelTls) -> (Client, TcpStream) {
        match to_kernel(self.server, self.socket.as_fd(), offered) {
            ToKernel::Moved => (self.client, self.socket),
            ToKernel::Stays(_, stays) => panic!("{stays}"),
            ToKernel::Spent(error) => panic!("{error}"),
        }
    }

    /// Why the session stays, which it must.
    fn stays(&mut self, offered: KernelTls) -> Stays {
        let spare = ServerConfig::builder_with_provider(provider(any_suite()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::server::ResolvesServerCertUsingSni::new()));
        let spare = Box::new(ServerConnection::new(Arc::new(spare)).unwrap());
        let server = std::mem::replace(&mut self.server, spare);
        match to_kernel(server, self.socket.as_fd(), offered) {
            ToKernel::Stays(server, stays) => {
                self.server = server;
                stays
            }
            other => panic!("{other:?}"),
        }
    }
}

fn any_suite() -> SupportedCipherSuite {
    aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256
}

fn receive(socket: &TcpStream, out: &mut Vec<u8>) -> io::Result<usize> {
    loop {
        match recv_kernel_tls(socket.as_fd(), out, 16 * 1024) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
            done => return done,
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn a_session_of_every_suite_goes_on_in_the_kernel() {
    let Some(offered) = offered() else { return };
    for &suite in aws_lc_rs::ALL_CIPHER_SUITES {
        eprintln!("{:?}", suite.suite());
        let mut pair = acquainted(suite);
        for _ in 0..20 {
            pair.speak();
        }
        let (mut client, socket) = pair.moved(offered);
        // Longer than a record can be.
        let body = MARKER.repeat(2500);
        let mut sent = 0;
        while sent < body.len() {
            sent += ostler_shm::send(socket.as_fd(), &[IoSlice::new(&body[sent..])]).unwrap();
        }
        assert_eq!(client.read(body.len()), body);
        assert!(!contains(&client.wire, &MARKER[..6]));

        client.send(&body[..100]);
        let mut received = Vec::new();
        while received.len() < 100 {
            receive(&socket, &mut received).unwrap();
        }
        assert_eq!(received, body[..100]);
        for word in [&b"one"[..], b"two", b"three"] {
            ostler_shm::send(socket.as_fd(), &[IoSlice::new(word)]).unwrap();
            assert_eq!(client.read(word.len()), word);
        }

        client.session.send_close_notify();
        client.flush();
        assert_eq!(receive(&socket, &mut received).unwrap(), 0);
        send_close_notify(socket.as_fd()).unwrap();
        drop(socket);
        assert_eq!(client.read(1), b"");

        if suite.tls13().is_none() && !suite.suite().as_str().unwrap().contains("CHACHA") {
            each_record_has_a_nonce_of_its_own(&client);
        }
    }
}

/// RFC 5288 section 3: a nonce that occurs twice gives the key away.
fn each_record_has_a_nonce_of_its_own(client: &Client) {
    let records = client.records();
    // Encrypted is what follows ChangeCipherSpec: Finished, application data, alerts.
    let begin = records
        .iter()
        .position(|&(content_type, _)| content_type == 20);
    let encrypted = &records[begin.unwrap() + 1..];
    assert!(encrypted.len() > 25, "{}", encrypted.len());
    let nonces: HashSet<_> = encrypted.iter().map(|(_, content)| &content[..8]).collect();
    assert_eq!(nonces.len(), encrypted.len());
}

#[test]
fn new_keys_of_the_client_end_the_connection() {
    let Some(offered) = offered() else { return };
    let (mut client, socket) = acquainted(any_suite()).moved(offered);
    client.session.refresh_traffic_keys().unwrap();
    client.send(b"encrypted with the new keys");
    let error = receive(&socket, &mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
}

#[test]
fn a_false_claim_leaves_the_session_as_it_was() {
    let mut pair = acquainted(any_suite());
    // No TCP socket, so that no kernel offers TLS on it.
    let (other, _end) = std::os::unix::net::UnixStream::pair().unwrap();
    let server = pair.server;
    match to_kernel(server, other.as_fd(), KernelTls::claimed()) {
        ToKernel::Stays(server, Stays::NotOffered(_)) => pair.server = server,
        other => panic!("{other:?}"),
    }
    pair.speak();
}

#[test]
fn a_session_with_something_to_do_stays() {
    let claimed = KernelTls::claimed();
    let not_now = |stays| matches!(stays, Stays::NotNow(_));

    let mut pair = strangers(any_suite());
    assert!(not_now(pair.stays(claimed)));

    let mut pair = acquainted(any_suite());
    pair.server.writer().write_all(b"not sent").unwrap();
    assert!(not_now(pair.stays(claimed)));

    let mut pair = acquainted(any_suite());
    pair.client.send(b"not taken");
    pair.server.read_tls(&mut pair.socket).unwrap();
    pair.server.process_new_packets().unwrap();
    assert!(not_now(pair.stays(claimed)));
    let mut taken = [0; 9];
    pair.server.reader().read_exact(&mut taken).unwrap();
    assert_eq!(&taken, b"not taken");

    let mut pair = acquainted(any_suite());
    pair.client.session.send_close_notify();
    pair.client.flush();
    pair.server.read_tls(&mut pair.socket).unwrap();
    pair.server.process_new_packets().unwrap();
    assert!(not_now(pair.stays(claimed)));
}

#[test]
fn a_suite_that_the_kernel_does_not_take_stays() {
    let mut pair = acquainted(any_suite());
    let stays = pair.stays(KernelTls::nothing());
    assert!(matches!(
        stays,
        Stays::Cipher(Some(CipherSuite::TLS13_AES_128_GCM_SHA256))
    ));
    pair.speak();
}

#[test]
fn every_suite_that_is_spoken_is_known() {
    for &suite in aws_lc_rs::ALL_CIPHER_SUITES {
        assert!(cipher_of(suite).is_some(), "{suite:?}");
    }
}
