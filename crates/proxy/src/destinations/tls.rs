//! TLS towards destinations: rustls, with the system's roots.

use std::error::Error;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use ostler_config::schema::{HttpClientConfig, SslProtocols};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};

use super::protocols::Protocols;
use crate::trust::{ServerVerifier, TrustStore, verify_tls12, verify_tls13};

/// Settings for each choice of protocols; they differ in what ALPN offers.
#[derive(Debug)]
pub(super) struct TlsConfigs {
    /// Nothing is offered: HTTP/1.1 (reference B9).
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    either: Arc<ClientConfig>,
}

/// TLS cannot be set up as a cluster wants it.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("SslProtocols allows neither TLS 1.2 nor TLS 1.3, and nothing older is spoken")]
    NoVersion,
    #[error(
        "the system has no root certificates, so no destination's certificate can be checked; install \
         the package ca-certificates, or name a PEM file in SSL_CERT_FILE"
    )]
    NoRoots,
    #[error("TLS cannot be set up")]
    Setup(#[source] Arc<dyn Error + Send + Sync>),
}

impl TlsConfigs {
    pub(super) fn new(http_client: &HttpClientConfig) -> Result<Rc<Self>, TlsError> {
        let setup = |error: rustls::Error| TlsError::Setup(Arc::new(error));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let versions = versions(http_client.ssl_protocols.unwrap_or(SslProtocols::NONE))?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .map_err(setup)?;
        let accept_any = http_client
            .dangerous_accept_any_server_certificate
            .unwrap_or_default();
        let config = if accept_any {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
                .with_no_client_auth()
        } else {
            let verifier = ServerVerifier::new(Arc::new(system_roots()?), &provider)
                .map_err(|error| TlsError::Setup(Arc::new(error)))?;
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
                .with_no_client_auth()
        };
        let offering = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
            Arc::new(config)
        };
        Ok(Rc::new(Self {
            http1: offering(&[]),
            http2: offering(&[b"h2"]),
            either: offering(&[b"h2", b"http/1.1"]),
        }))
    }

    pub(super) fn of(&self, protocols: Protocols) -> Arc<ClientConfig> {
        Arc::clone(match protocols {
            Protocols::Http1 => &self.http1,
            Protocols::Http2 => &self.http2,
            Protocols::Either => &self.either,
        })
    }
}

fn versions(
    allowed: SslProtocols,
) -> Result<Vec<&'static rustls::SupportedProtocolVersion>, TlsError> {
    let any = allowed == SslProtocols::NONE;
    let mut versions = Vec::new();
    if any || allowed.contains(SslProtocols::TLS13) {
        versions.push(&TLS13);
    }
    if any || allowed.contains(SslProtocols::TLS12) {
        versions.push(&TLS12);
    }
    match versions.is_empty() {
        true => Err(TlsError::NoVersion),
        false => Ok(versions),
    }
}

/// What OpenSSL and .NET trust on this system; `SSL_CERT_FILE` and `SSL_CERT_DIR` override it.
pub(crate) fn system_roots() -> Result<TrustStore, TlsError> {
    let loaded = rustls_native_certs::load_native_certs();
    for error in &loaded.errors {
        tracing::warn!(%error, "some root certificates cannot be read");
    }
    let store = TrustStore::new(loaded.certs);
    match store.is_empty() {
        true => Err(TlsError::NoRoots),
        false => Ok(store),
    }
}

/// No TLS with a destination, and what can be done about it.
#[derive(Debug, thiserror::Error)]
#[error("no TLS with the destination{}{}", remedy.map_or("", |_| ": "), remedy.unwrap_or_default())]
pub(super) struct HandshakeError {
    remedy: Option<&'static str>,
    source: io::Error,
}

impl HandshakeError {
    pub(super) fn new(source: io::Error, server_name: &str) -> Self {
        let cause = source.get_ref();
        let cause = cause.and_then(|error| error.downcast_ref::<rustls::Error>());
        let is_local = matches!(server_name, "localhost" | "127.0.0.1" | "::1");
        Self {
            remedy: cause.and_then(|cause| remedy(cause, is_local)),
            source,
        }
    }
}

fn remedy(error: &rustls::Error, is_local: bool) -> Option<&'static str> {
    use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};
    Some(match error {
        Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) if is_local => {
            "nobody trusts its certificate; for ASP.NET's of development run `dotnet dev-certs https -ep \
             /usr/local/share/ca-certificates/dev.crt --format PEM` and `update-ca-certificates`"
        }
        Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => {
            "nobody trusts its certificate; put it, or its issuer's, into /usr/local/share/ca-certificates \
             and run update-ca-certificates, or name a PEM file in SSL_CERT_FILE"
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => {
            "its certificate is for another name; set the destination's Host, or Address, to one that it has"
        }
        Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "its certificate is over; renew it",
        Error::AlertReceived(
            AlertDescription::HandshakeFailure
            | AlertDescription::ProtocolVersion
            | AlertDescription::InsufficientSecurity,
        )
        | Error::PeerIncompatible(_) => {
            "it agrees to nothing that is spoken here; allow TLS 1.3, or TLS 1.2 with ECDHE and AES-GCM or \
             ChaCha20-Poly1305 (suites with CBC are not spoken), and check SslProtocols"
        }
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "what it says is not TLS, and nothing is asked of it in clear: if it speaks HTTP alone, write \
             http:// in its address, or before its endpoint in Services"
        }
        _ => return None,
    })
}

/// `DangerousAcceptAnyServerCertificate`: whoever holds the key of any certificate will do.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
