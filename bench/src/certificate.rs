//! The certificate that all servers of a run show, so that none signs more dearly than another.

use std::fs;
use std::path::{Path, PathBuf};

/// A self-signed certificate for `localhost` and 127.0.0.1, with its key (P-256), as each server wants it.
#[derive(Debug)]
pub(crate) struct Certificate {
    /// The certificate, PEM.
    pub(crate) chain: PathBuf,
    /// Its private key, PEM.
    pub(crate) key: PathBuf,
    /// Both in one file, as HAProxy reads them.
    pub(crate) both: PathBuf,
}

impl Certificate {
    /// Makes one, and writes it to files in `folder`.
    pub(crate) fn make(folder: &Path) -> anyhow::Result<Self> {
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names)?;
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let files = Self {
            chain: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
            both: folder.join("both.pem"),
        };
        fs::write(&files.chain, &chain)?;
        fs::write(&files.key, &key)?;
        fs::write(&files.both, chain + &key)?;
        Ok(files)
    }
}
