//! `Certificate` of an endpoint and `Kestrel:Certificates`: which files, not what is in them.

use std::fmt;

use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::reader::Reader;
use crate::tree::Section;

/// A certificate with its chain and key, in files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateConfig {
    /// Where it stands in the configuration.
    pub at: String,
    /// `Path`: PEM or PKCS#12.
    pub path: String,
    /// `KeyPath`: PEM, where the key is not in the same file.
    pub key_path: Option<String>,
    /// `Password`, of the key or of the PKCS#12 file.
    pub password: Option<Password>,
}

/// A password, which is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    pub(in crate::settings) fn new(password: String) -> Self {
        Self(password)
    }

    /// The password itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// Reads a certificate; `None` when there is none, or none that can be used, which is an error.
pub(super) fn read(
    section: Section<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<CertificateConfig> {
    let mut reader = Reader::new(section, &keys::CERTIFICATE, diagnostics);
    let at = reader.section.clone();
    let path = reader.text("Path");
    let key_path = reader.text("KeyPath");
    let password = reader.text("Password").map(Password);
    let of_store = ["Subject", "Store", "Location"]
        .map(|key| at.child(key))
        .into_iter()
        .find(|section| !section.is_empty());
    if let (Some(written), None) = (&of_store, &path) {
        let message = "there is no certificate store on this system";
        let remedy =
            "export the certificate with its key, as .pfx or PEM, and name the file in Path";
        reader.error(written, message, Some(remedy.to_owned()));
    } else if let (Some(written), Some(_)) = (&of_store, &path) {
        // As in Kestrel, which takes neither of the two.
        let message = "a certificate comes from a file or from a store, not from both";
        reader.error(written, message, Some("remove it".to_owned()));
    } else if path.is_none() && !at.is_empty() {
        let message = "the certificate has no Path";
        let remedy = "set Path to a PEM or .pfx file";
        reader.error(&at, message, Some(remedy.to_owned()));
    }
    reader.finish();
    Some(CertificateConfig {
        at: at.path().to_owned(),
        path: path?,
        key_path,
        password,
    })
}
