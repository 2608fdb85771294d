//! Asks a server how requests come to its application, before it is measured.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::certificate::Certificate;

/// Is content with nothing but one of `arrivals`: a front that relays or forwards what it was to delegate would be
/// measured as something else. With a certificate it asks over TLS.
pub(crate) fn ask(
    address: SocketAddr,
    certificate: Option<&Certificate>,
    arrivals: &[&str],
) -> anyhow::Result<()> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let response = match certificate {
        None => exchange(stream, address)?,
        Some(certificate) => {
            let session = session(certificate)?;
            exchange(StreamOwned::new(session, stream), address)?
        }
    };
    ensure!(
        response.starts_with("HTTP/1.1 200 "),
        "answered {response:?}"
    );
    let came = |arrival: &&str| response.contains(&format!("\"arrival\":\"{arrival}\""));
    ensure!(
        arrivals.iter().any(came),
        "arrived otherwise than {arrivals:?}: {response:?}"
    );
    Ok(())
}

fn exchange(mut stream: impl Read + Write, address: SocketAddr) -> anyhow::Result<String> {
    write!(
        stream,
        "GET /echo HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut response = Vec::new();
    match stream.read_to_end(&mut response) {
        // Some servers end a TLS session without saying so; the response says how long it is.
        Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => Err(error.into()),
        _ => Ok(String::from_utf8(response)?),
    }
}

fn session(certificate: &Certificate) -> anyhow::Result<ClientConnection> {
    let chain = &certificate.chain;
    let pem = fs::read(chain).with_context(|| format!("cannot read {}", chain.display()))?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&pem)?)?;
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost")?;
    Ok(ClientConnection::new(Arc::new(config), name)?)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::net::{Ipv4Addr, TcpListener};
    use std::thread;

    use super::*;

    #[test]
    fn only_a_200_that_came_as_it_should_counts_as_an_answer() {
        let responses = [
            ("200 OK", "{\"arrival\":\"delegated\"}", true),
            ("200 OK", "{\"arrival\":\"relayed\"}", false),
            (
                "503 Service Unavailable",
                "{\"arrival\":\"delegated\"}",
                false,
            ),
        ];
        for (status, body, is_answer) in responses {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let address = listener.local_addr().unwrap();
            let server = thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                // Unread bytes would make the close a reset.
                for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                    if line.unwrap().is_empty() {
                        break;
                    }
                }
                write!(stream, "HTTP/1.1 {status}\r\n\r\n{body}").unwrap();
            });
            assert_eq!(
                ask(address, None, &["delegated"]).is_ok(),
                is_answer,
                "{status} {body}"
            );
            server.join().unwrap();
        }
    }
}
