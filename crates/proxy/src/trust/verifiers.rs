//! rustls' verifiers: webpki first, then once more.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::path::{self, Purpose, trust};
use super::{TrustStore, name};

/// Judges destinations.
#[derive(Debug)]
pub(crate) struct ServerVerifier {
    webpki: Arc<WebPkiServerVerifier>,
    store: Arc<TrustStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Judges clients.
#[derive(Debug)]
pub(crate) struct ClientVerifier {
    webpki: Arc<dyn ClientCertVerifier>,
    store: Arc<TrustStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerVerifier {
    pub(crate) fn new(
        store: Arc<TrustStore>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, rustls::server::VerifierBuilderError> {
        let roots = Arc::clone(&store.roots);
        let builder = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider));
        Ok(Self {
            webpki: builder.build()?,
            store,
            algorithms: provider.signature_verification_algorithms,
        })
    }
}

impl ClientVerifier {
    /// In the place of webpki's, which was made of the same store.
    pub(crate) fn new(
        webpki: Arc<dyn ClientCertVerifier>,
        store: Arc<TrustStore>,
        provider: &CryptoProvider,
    ) -> Self {
        Self {
            webpki,
            store,
            algorithms: provider.signature_verification_algorithms,
        }
    }
}

impl TrustStore {
    /// For webpki's builders.
    pub(crate) fn roots(&self) -> Arc<rustls::RootCertStore> {
        Arc::clone(&self.roots)
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let (webpki, store, algorithms) = (&self.webpki, &self.store, &self.algorithms);
        let judged =
            webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        judged.or_else(|error| {
            trust(
                end_entity,
                intermediates,
                store,
                Purpose::Server,
                now,
                algorithms,
            )
            .map_err(|own| the_plainer(error, own))?;
            match name::is_of(end_entity, server_name) {
                true => Ok(ServerCertVerified::assertion()),
                false => Err(CertificateError::NotValidForName.into()),
            }
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn offer_client_auth(&self) -> bool {
        self.webpki.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.webpki.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.webpki.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let (store, algorithms) = (&self.store, &self.algorithms);
        let judged = self
            .webpki
            .verify_client_cert(end_entity, intermediates, now);
        judged.or_else(|error| {
            trust(
                end_entity,
                intermediates,
                store,
                Purpose::Client,
                now,
                algorithms,
            )
            .map_err(|own| the_plainer(error, own))?;
            Ok(ClientCertVerified::assertion())
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// What is said of a certificate that is refused twice: webpki's word, unless it stumbled over what does
/// not matter here.
fn the_plainer(webpki: Error, own: CertificateError) -> Error {
    match webpki {
        Error::InvalidCertificate(
            CertificateError::Other(_)
            | CertificateError::BadEncoding
            | CertificateError::NotValidForName
            | CertificateError::NotValidForNameContext { .. },
        ) => own.into(),
        webpki => webpki,
    }
}

/// The signature of a handshake by TLS 1.2, of a certificate of any version.
pub(crate) fn verify_tls12(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let judged = verify_tls12_signature(message, certificate, signed, algorithms);
    judged.or_else(|error| verify_once_more(message, certificate, signed, algorithms, error))
}

/// The same by TLS 1.3.
pub(crate) fn verify_tls13(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let judged = verify_tls13_signature(message, certificate, signed, algorithms);
    judged.or_else(|error| verify_once_more(message, certificate, signed, algorithms, error))
}

/// A handshake's signature by the key of a certificate that webpki cannot read: one of version 1.
fn verify_once_more(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
    error: Error,
) -> Result<HandshakeSignatureValid, Error> {
    let is_of_certificate = matches!(error, Error::InvalidCertificate(_));
    if !is_of_certificate || webpki::EndEntityCert::try_from(certificate).is_ok() {
        return Err(error);
    }
    let of_scheme = algorithms.mapping.iter();
    let mut of_scheme = of_scheme.filter(|(scheme, _)| *scheme == signed.scheme);
    let is_valid = path::parse(certificate).is_some_and(|signer| {
        of_scheme
            .any(|(_, those)| path::is_signed_with(&signer, those, message, signed.signature()))
    });
    match is_valid {
        true => Ok(HandshakeSignatureValid::assertion()),
        false => Err(error),
    }
}
