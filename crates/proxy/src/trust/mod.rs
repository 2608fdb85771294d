//! Whom a certificate convinces, a destination's and a client's: what webpki accepts, and beyond it what
//! .NET does.
//!
//! webpki refuses certificates that are made by hand every day: one that signs itself and is itself
//! trusted, a leaf that may also issue (`CA:TRUE`), a name in the subject alone, version 1. What it
//! refuses is looked at once more here ([`path`], [`name`]), with the same algorithms, times and purposes.

mod name;
mod path;
#[cfg(test)]
mod tests;
mod verifiers;

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

pub(crate) use verifiers::{ClientVerifier, ServerVerifier, verify_tls12, verify_tls13};

/// Those who vouch for others, and certificates that are trusted as they stand.
#[derive(Debug)]
pub(crate) struct TrustStore {
    roots: Arc<RootCertStore>,
    /// Whole, and sorted: of its anchors webpki keeps names and keys alone.
    certificates: Vec<CertificateDer<'static>>,
}

impl TrustStore {
    /// All of these that can be read.
    pub(crate) fn new(mut certificates: Vec<CertificateDer<'static>>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates.iter().cloned());
        certificates.sort_unstable_by(|one, other| one.as_ref().cmp(other.as_ref()));
        Self {
            roots: Arc::new(roots),
            certificates,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    fn has(&self, certificate: &CertificateDer<'_>) -> bool {
        self.certificates
            .binary_search_by(|one| one.as_ref().cmp(certificate.as_ref()))
            .is_ok()
    }
}
