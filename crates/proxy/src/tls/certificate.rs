//! A certificate with its chain and key, read from the formats that Kestrel reads: PEM, DER, PKCS#12.

use std::error::Error;
use std::sync::Arc;

use p12_keystore::Pkcs12Archive;
use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};
use rustls::InconsistentKeys;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

const BEGIN: &[u8] = b"-----BEGIN ";
const BEGIN_ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const END_ENCRYPTED: &str = "-----END ENCRYPTED PRIVATE KEY-----";
/// OpenSSL's own encryption of keys, from before PKCS#8 (RFC 1421 section 4.6.1.1).
const LEGACY_ENCRYPTED: &[u8] = b"Proc-Type: 4,ENCRYPTED";

/// What a server shows of itself, and proves with a key that belongs to it.
#[derive(Debug, Clone)]
pub struct Certificate(Arc<CertifiedKey>);

/// A certificate cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// There is no certificate in the file.
    #[error("there is no certificate in it")]
    NoCertificate,
    /// There is no key in the file.
    #[error("there is no private key in it")]
    NoKey,
    /// The key is encrypted and there is no password.
    #[error("its private key is encrypted and there is no password")]
    NoPassword,
    /// What the password opens makes no sense: it is another one.
    #[error("its password does not fit")]
    WrongPassword,
    /// The key is encrypted in OpenSSL's own format.
    #[error("its private key is encrypted in a format from before PKCS#8")]
    LegacyEncryption,
    /// The file is neither of the formats that are read, or is damaged.
    #[error("it is neither PEM nor PKCS#12, or damaged")]
    Malformed(#[source] Box<dyn Error + Send + Sync>),
    /// The key is another certificate's.
    #[error("its private key does not belong to its first certificate")]
    Mismatch,
    /// Nobody can use such a key.
    #[error("its private key cannot be used")]
    Unusable(#[source] rustls::Error),
}

impl CertificateError {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NoCertificate => {
                "let Path name a PEM file with the certificate first and its chain behind it, or a .pfx file"
            }
            Self::NoKey => "name the file with the private key in KeyPath",
            Self::NoPassword | Self::WrongPassword => "set Password to that of the file",
            Self::LegacyEncryption => "convert the key with `openssl pkcs8 -topk8`",
            Self::Malformed(_) => "export it again, as PEM or as .pfx",
            Self::Mismatch => "let KeyPath name the key that the certificate was made with",
            Self::Unusable(_) => "use an RSA, ECDSA (P-256, P-384, P-521) or Ed25519 key",
        }
    }
}

fn malformed(error: impl Into<Box<dyn Error + Send + Sync>>) -> CertificateError {
    CertificateError::Malformed(error.into())
}

impl Certificate {
    /// Reads what files hold. Which format it is shows in the bytes: PEM, with the key in `key` or in
    /// the same file; a certificate in DER, with a `key` in PEM; or PKCS#12.
    ///
    /// # Errors
    ///
    /// When there is no certificate or no key, it cannot be decrypted, or the two do not belong
    /// together.
    pub fn read(
        file: &[u8],
        key: Option<&[u8]>,
        password: Option<&str>,
    ) -> Result<Self, CertificateError> {
        if !is_pem(file) && key.is_none() {
            return Self::from_pkcs12(file, password.unwrap_or_default());
        }
        let chain = match is_pem(file) {
            true => certificates(file)?,
            false => vec![CertificateDer::from(file.to_vec())],
        };
        if chain.is_empty() {
            return Err(CertificateError::NoCertificate);
        }
        let key = private_key(key.unwrap_or(file), password)?;
        Self::new(chain, key)
    }

    fn from_pkcs12(file: &[u8], password: &str) -> Result<Self, CertificateError> {
        use p12_keystore::error::Error as Pkcs12Error;

        let archive = Pkcs12Archive::from_pkcs12(file, password).map_err(|error| match error {
            Pkcs12Error::MacError(_) => CertificateError::WrongPassword,
            error => malformed(error),
        })?;
        let key = archive.keys.first().ok_or(CertificateError::NoKey)?;
        let mut certificates: Vec<_> = archive.certs.iter().map(|bag| &bag.cert).collect();
        if certificates.is_empty() {
            return Err(CertificateError::NoCertificate);
        }
        let key = key.key.as_der();
        // Which certificate is the key's is told by its public key; bags come in any order.
        let own = |der: &[u8]| Self::new(vec![CertificateDer::from(der.to_vec())], pkcs8(key));
        let mut at = None;
        for (number, certificate) in certificates.iter().enumerate() {
            match own(certificate.as_der()) {
                Ok(_) => at = at.or(Some(number)),
                Err(CertificateError::Mismatch) => {}
                Err(error) => return Err(error),
            }
        }
        let mut last = certificates.remove(at.ok_or(CertificateError::Mismatch)?);
        let mut chain = vec![CertificateDer::from(last.as_der().to_vec())];
        // Behind it whoever issued it, and so on; a root vouches for itself and is not sent.
        while let Some(at) = certificates.iter().position(|issuer| {
            issuer.subject() == last.issuer() && issuer.subject() != issuer.issuer()
        }) {
            last = certificates.remove(at);
            chain.push(CertificateDer::from(last.as_der().to_vec()));
        }
        Self::new(chain, pkcs8(key))
    }

    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, CertificateError> {
        let made = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
        match made {
            Ok(made) => Ok(Self(Arc::new(made))),
            Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                Err(CertificateError::Mismatch)
            }
            Err(error @ rustls::Error::InvalidCertificate(_)) => Err(malformed(error)),
            Err(error) => Err(CertificateError::Unusable(error)),
        }
    }

    pub(super) fn certified_key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0)
    }
}

/// The certificates of a PEM file: those who vouch for clients.
///
/// # Errors
///
/// When there are none, or one is damaged.
pub fn authorities(file: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let all = certificates(file)?;
    match all.is_empty() {
        true => Err(CertificateError::NoCertificate),
        false => Ok(all),
    }
}

fn is_pem(file: &[u8]) -> bool {
    file.windows(BEGIN.len()).any(|bytes| bytes == BEGIN)
}

fn certificates(file: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    CertificateDer::pem_slice_iter(file)
        .collect::<Result<_, _>>()
        .map_err(malformed)
}

fn pkcs8(der: &[u8]) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(der.to_vec()).into()
}

fn private_key(
    file: &[u8],
    password: Option<&str>,
) -> Result<PrivateKeyDer<'static>, CertificateError> {
    let is_legacy = |bytes| bytes == LEGACY_ENCRYPTED;
    if file.windows(LEGACY_ENCRYPTED.len()).any(is_legacy) {
        return Err(CertificateError::LegacyEncryption);
    }
    if let Some(section) = encrypted_section(file) {
        let password = password.ok_or(CertificateError::NoPassword)?;
        let (_, encrypted) = SecretDocument::from_pem(section).map_err(malformed)?;
        let encrypted =
            EncryptedPrivateKeyInfoRef::try_from(encrypted.as_bytes()).map_err(malformed)?;
        let decrypted = encrypted.decrypt(password);
        let decrypted = decrypted.map_err(|_| CertificateError::WrongPassword)?;
        return Ok(pkcs8(decrypted.as_bytes()));
    }
    match PrivateKeyDer::from_pem_slice(file) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => Err(CertificateError::NoKey),
        Err(error) => Err(malformed(error)),
    }
}

/// The text of an encrypted PKCS#8 key (RFC 7468 section 11).
fn encrypted_section(file: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(file).ok()?;
    let text = &text[text.find(BEGIN_ENCRYPTED)?..];
    let end = text.find(END_ENCRYPTED)? + END_ENCRYPTED.len();
    text.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! fixture {
        ($name:literal) => {
            &include_bytes!(concat!("fixtures/", $name))[..]
        };
    }

    const SERVER: &[u8] = include_bytes!("fixtures/server.der");

    #[test]
    fn every_format_gives_the_certificate_with_its_chain() {
        let secret = Some("secret");
        for (what, file, key, password, length) in [
            (
                "PEM",
                fixture!("server.pem"),
                Some(fixture!("server.key")),
                None,
                1,
            ),
            (
                "SEC1",
                fixture!("chain.pem"),
                Some(fixture!("sec1.key")),
                None,
                2,
            ),
            (
                "PBES2",
                fixture!("chain.pem"),
                Some(fixture!("encrypted.key")),
                secret,
                2,
            ),
            (
                "DER",
                fixture!("server.der"),
                Some(fixture!("server.key")),
                None,
                1,
            ),
            // Issuers stand in no order in these; the root is not sent.
            ("AES", fixture!("modern.pfx"), None, secret, 2),
            ("3DES", fixture!("3des.pfx"), None, secret, 2),
            ("RC2", fixture!("rc2.pfx"), None, secret, 2),
            ("empty password", fixture!("no-password.pfx"), None, None, 2),
        ] {
            let read = Certificate::read(file, key, password);
            let read = read.unwrap_or_else(|error| panic!("{what}: {error:?}"));
            let chain = &read.certified_key().cert;
            assert_eq!(&*chain[0], SERVER, "{what}");
            assert_eq!(chain.len(), length, "{what}");
        }
        let together = [fixture!("encrypted.key"), fixture!("chain.pem")].concat();
        assert!(Certificate::read(&together, None, secret).is_ok());
        // A password that nothing asks for is left alone.
        let key = Some(fixture!("server.key"));
        assert!(Certificate::read(fixture!("chain.pem"), key, secret).is_ok());
    }

    #[test]
    fn each_mistake_has_an_error_and_a_remedy() {
        let (chain, key) = (fixture!("chain.pem"), fixture!("server.key"));
        let encrypted = Some(fixture!("encrypted.key"));
        let traditional = Some(fixture!("traditional.key"));
        let damaged = &SERVER[..SERVER.len() - 1];
        let (secret, wrong) = (Some("secret"), Some("wrong"));
        let modern = fixture!("modern.pfx");
        for (file, key, password, words, remedy) in [
            (key, None, None, "no certificate", "certificate first"),
            (chain, None, None, "no private key", "KeyPath"),
            (chain, encrypted, None, "there is no password", "Password"),
            (chain, encrypted, wrong, "does not fit", "Password"),
            (
                chain,
                traditional,
                secret,
                "before PKCS#8",
                "openssl pkcs8 -topk8",
            ),
            (
                fixture!("above.pem"),
                Some(key),
                None,
                "does not belong",
                "KeyPath",
            ),
            (modern, None, wrong, "does not fit", "Password"),
            (modern, None, None, "does not fit", "Password"),
            (
                &modern[..100],
                None,
                secret,
                "neither PEM nor PKCS#12",
                "export",
            ),
            (
                fixture!("no-key.pfx"),
                None,
                secret,
                "no private key",
                "KeyPath",
            ),
            (
                damaged,
                Some(key),
                None,
                "neither PEM nor PKCS#12",
                "export",
            ),
            (b"", None, None, "neither PEM nor PKCS#12", "export"),
        ] {
            let error = Certificate::read(file, key, password).unwrap_err();
            assert!(error.to_string().contains(words), "{words}: {error:?}");
            assert!(
                error.remedy().contains(remedy),
                "{words}: {}",
                error.remedy()
            );
        }
    }

    #[test]
    fn authorities_are_all_that_a_file_holds() {
        assert_eq!(authorities(fixture!("above.pem")).unwrap().len(), 2);
        let nobody = authorities(fixture!("server.key")).unwrap_err();
        assert!(matches!(nobody, CertificateError::NoCertificate));
    }
}
