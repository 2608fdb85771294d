//! From a certificate to somebody who is trusted (RFC 5280 section 6), where its own basic constraints
//! and version do not matter.

use rustls::CertificateError;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use webpki::RawPublicKeyEntity;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer as _;

use super::TrustStore;

/// What a certificate is shown for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Server,
    Client,
}

/// Issuers between a certificate and a trusted one, at most.
const LONGEST_PATH: usize = 6;

/// Signatures that are checked for one certificate, at most: the peer chooses what it sends.
const MOST_SIGNATURES: usize = 32;

/// Reads a certificate, all of it.
pub(super) fn parse<'c>(certificate: &'c CertificateDer<'_>) -> Option<X509Certificate<'c>> {
    let (rest, parsed) = X509Certificate::from_der(certificate).ok()?;
    rest.is_empty().then_some(parsed)
}

/// Finds out whether a certificate is trusted for a purpose: as it stands, or by its issuers.
pub(super) fn trust(
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    store: &TrustStore,
    purpose: Purpose,
    now: UnixTime,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<(), CertificateError> {
    let leaf = parse(end_entity).ok_or(CertificateError::BadEncoding)?;
    if !is_valid_at(&leaf, now) {
        return Err(CertificateError::Expired);
    }
    if !is_for(&leaf, purpose) {
        return Err(CertificateError::InvalidPurpose);
    }
    if has_unknown_constraint(&leaf) {
        return Err(CertificateError::UnhandledCriticalExtension);
    }
    if store.has(end_entity) {
        return Ok(());
    }
    let given: Vec<_> = intermediates.iter().filter_map(parse).collect();
    let trusted: Vec<_> = store.certificates.iter().filter_map(parse).collect();
    let mut search = Search {
        given: &given,
        trusted: &trusted,
        now,
        algorithms,
        signatures: MOST_SIGNATURES,
    };
    match search.reaches(&leaf, 0) {
        true => Ok(()),
        false => Err(CertificateError::UnknownIssuer),
    }
}

struct Search<'s> {
    given: &'s [X509Certificate<'s>],
    trusted: &'s [X509Certificate<'s>],
    now: UnixTime,
    algorithms: &'s WebPkiSupportedAlgorithms,
    signatures: usize,
}

impl Search<'_> {
    /// Whether somebody trusted stands behind a certificate, `below` issuers above the first.
    fn reaches(&mut self, certificate: &X509Certificate<'_>, below: usize) -> bool {
        let (trusted, given) = (self.trusted, self.given);
        if trusted
            .iter()
            .any(|root| self.vouches(root, certificate, below, true))
        {
            return true;
        }
        below < LONGEST_PATH
            && given.iter().any(|issuer| {
                self.vouches(issuer, certificate, below, false) && self.reaches(issuer, below + 1)
            })
    }

    fn vouches(
        &mut self,
        issuer: &X509Certificate<'_>,
        certificate: &X509Certificate<'_>,
        below: usize,
        is_anchor: bool,
    ) -> bool {
        issuer.subject().as_raw() == certificate.issuer().as_raw()
            && is_valid_at(issuer, self.now)
            && may_issue(issuer, below, is_anchor)
            && self.has_signed(issuer, certificate)
    }

    fn has_signed(&mut self, issuer: &X509Certificate<'_>, of: &X509Certificate<'_>) -> bool {
        let Some(left) = self.signatures.checked_sub(1) else {
            return false;
        };
        self.signatures = left;
        let (signed, signature) = (of.tbs_certificate.as_ref(), &of.signature_value.data);
        is_signed_with(issuer, self.algorithms.all, signed, signature)
    }
}

/// Whether the key of a certificate has signed something, by one of these algorithms.
pub(super) fn is_signed_with(
    signer: &X509Certificate<'_>,
    algorithms: &[&dyn rustls::pki_types::SignatureVerificationAlgorithm],
    signed: &[u8],
    signature: &[u8],
) -> bool {
    let key = SubjectPublicKeyInfoDer::from(signer.public_key().raw);
    let Ok(key) = RawPublicKeyEntity::try_from(&key) else {
        return false;
    };
    let mut algorithms = algorithms.iter();
    algorithms.any(|algorithm| key.verify_signature(*algorithm, signed, signature).is_ok())
}

/// Section 4.1.2.5.
fn is_valid_at(certificate: &X509Certificate<'_>, now: UnixTime) -> bool {
    let Ok(now) = i64::try_from(now.as_secs()) else {
        return false;
    };
    let validity = certificate.validity();
    (validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&now)
}

/// Section 4.2.1.12: without a word it is for everything.
fn is_for(certificate: &X509Certificate<'_>, purpose: Purpose) -> bool {
    match certificate.extended_key_usage() {
        Err(_) => false,
        Ok(None) => true,
        Ok(Some(usage)) => {
            let usage = usage.value;
            usage.any
                || match purpose {
                    Purpose::Server => usage.server_auth,
                    Purpose::Client => usage.client_auth,
                }
        }
    }
}

/// Sections 4.2.1.3 and 4.2.1.9. An anchor may be of a version that has no such words.
fn may_issue(issuer: &X509Certificate<'_>, below: usize, is_anchor: bool) -> bool {
    let signs = match issuer.key_usage() {
        Err(_) => return false,
        Ok(usage) => usage.is_none_or(|usage| usage.value.key_cert_sign()),
    };
    let is_authority = match issuer.basic_constraints() {
        Err(_) => return false,
        Ok(None) => is_anchor && issuer.version() != x509_parser::x509::X509Version::V3,
        Ok(Some(constraints)) => {
            let longest = constraints.value.path_len_constraint;
            constraints.value.ca && longest.is_none_or(|longest| below <= longest as usize)
        }
    };
    signs && is_authority && !has_unknown_constraint(issuer)
}

/// What is critical and not looked at here: name constraints, policies (section 4.2).
fn has_unknown_constraint(certificate: &X509Certificate<'_>) -> bool {
    certificate.extensions().iter().any(|extension| {
        let is_known = matches!(
            extension.parsed_extension(),
            ParsedExtension::BasicConstraints(_)
                | ParsedExtension::KeyUsage(_)
                | ParsedExtension::ExtendedKeyUsage(_)
                | ParsedExtension::SubjectAlternativeName(_)
        );
        let is_constraint = matches!(
            extension.parsed_extension(),
            ParsedExtension::NameConstraints(_)
        );
        is_constraint || (extension.critical && !is_known)
    })
}
