//! Serves the sample application over TLS with HTTP/2 and HTTP/1.1, as a program does that nothing stands before.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::extract::ConnectInfo;
use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// How long a client may take to shake hands.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long accepting pauses after it has failed, as it does when descriptors have run out.
const PAUSE: Duration = Duration::from_millis(50);

/// The two PEM files of a server's certificate, as `--tls` names them.
#[derive(Debug, Clone)]
pub(crate) struct CertificateFiles {
    /// The certificate, followed by those that lead to its authority.
    chain: PathBuf,
    key: PathBuf,
}

impl std::str::FromStr for CertificateFiles {
    type Err = String;

    /// `CERT,KEY`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(',') {
            Some((chain, key)) if !chain.is_empty() && !key.is_empty() => Ok(Self {
                chain: chain.into(),
                key: key.into(),
            }),
            _ => Err("two files are needed: CERT,KEY".to_owned()),
        }
    }
}

impl CertificateFiles {
    /// The file of the certificate.
    pub(crate) fn certificate(&self) -> &Path {
        &self.chain
    }

    /// The file of its private key.
    pub(crate) fn key(&self) -> &Path {
        &self.key
    }

    /// What a TLS server with this certificate needs; it offers HTTP/2 and HTTP/1.1.
    pub(super) fn acceptor(&self) -> anyhow::Result<TlsAcceptor> {
        let chain = self.chain.display();
        let certificates = CertificateDer::pem_file_iter(&self.chain)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .with_context(|| format!("cannot read the certificate {chain}"))?;
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .with_context(|| format!("cannot read the private key {}", self.key.display()))?;
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(certificates, key)
            .with_context(|| format!("cannot use the certificate {chain} with its key"))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// Serves `app` to the listener's clients until `stop` comes to its end; then waits for what is under way.
pub(super) async fn serve(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    app: Router,
    stop: impl Future<Output = ()>,
) {
    let graceful = GracefulShutdown::new();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((socket, client)) => {
                let app = app.clone().layer(Extension(ConnectInfo(client)));
                let connection = Connection { socket, client };
                tokio::spawn(connection.serve(acceptor.clone(), app, graceful.watcher()));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    graceful.shutdown().await;
}

/// A client's connection before its handshake.
struct Connection {
    socket: TcpStream,
    client: SocketAddr,
}

impl Connection {
    async fn serve(self, acceptor: TlsAcceptor, app: Router, watcher: Watcher) {
        let client = self.client;
        // Small responses are not to wait for acknowledgements; without this they are only later.
        let _ = self.socket.set_nodelay(true);
        let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(self.socket));
        let stream = match handshake.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(%client, %error, "no handshake"),
            Err(_) => return tracing::debug!(%client, "no handshake in time"),
        };
        let mut builder = Builder::new(TokioExecutor::new());
        // For WebSockets in streams (RFC 8441).
        builder.http2().enable_connect_protocol();
        let served = builder
            .serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(app));
        if let Err(error) = watcher.watch(served.into_owned()).await {
            tracing::debug!(%client, error, "a connection ended");
        }
    }
}
