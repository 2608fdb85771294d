//! `Ostler:DataProtection`: the keys that the affinity policies `Cookie` and `CustomHeader` encrypt with.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::diagnostics::{Diagnostics, Severity};
use crate::keys;
use crate::reader::{Reader, note};
use crate::schema::ProxyConfig;
use crate::tree::Section;
use crate::tree::key::same;

/// `Ostler:DataProtection`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataProtectionConfig {
    /// `Keys`: the first encrypts, all decrypt. Fronts that share clients share them; to rotate, put
    /// the new one first and take the old one away when its cookies have expired.
    pub keys: Vec<ProtectionKeyConfig>,
}

/// One of `Ostler:DataProtection:Keys`.
#[derive(Clone, PartialEq, Eq)]
pub enum ProtectionKeyConfig {
    /// `Key`: 32 bytes in base64.
    Bytes([u8; 32]),
    /// `KeyFile`: a file that holds the same text.
    File(String),
}

impl std::fmt::Debug for ProtectionKeyConfig {
    /// Does not show the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes(_) => f.write_str("Bytes(..)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

impl ProtectionKeyConfig {
    /// The 32 bytes that a text in base64 stands for.
    ///
    /// # Errors
    ///
    /// What is wrong with it, without showing it.
    pub fn decode(text: &str) -> Result<[u8; 32], String> {
        let bytes = STANDARD
            .decode(text.trim())
            .map_err(|_| "the key is not base64".to_owned())?;
        let length = bytes.len();
        bytes
            .try_into()
            .map_err(|_| format!("the key has {length} bytes and not 32"))
    }
}

const REMEDY: &str = "make one with `openssl rand -base64 32`";

pub(super) fn read(section: Section<'_>, diagnostics: &mut Diagnostics) -> DataProtectionConfig {
    let mut reader = Reader::new(section, &keys::DATA_PROTECTION, diagnostics);
    let items = reader.elements("Keys");
    let keys = items
        .into_iter()
        .filter_map(|item| read_key(item, reader.diagnostics))
        .collect();
    reader.finish();
    DataProtectionConfig { keys }
}

fn read_key(section: Section<'_>, diagnostics: &mut Diagnostics) -> Option<ProtectionKeyConfig> {
    let mut reader = Reader::new(section, &keys::PROTECTION_KEY, diagnostics);
    let at = reader.section.clone();
    let (text, file) = (reader.text("Key"), reader.text("KeyFile"));
    let key = match (text, file) {
        (Some(text), None) => match ProtectionKeyConfig::decode(&text) {
            Ok(bytes) => Some(ProtectionKeyConfig::Bytes(bytes)),
            Err(message) => {
                reader.error(&at.child("Key"), message, Some(REMEDY.to_owned()));
                None
            }
        },
        (None, Some(file)) => Some(ProtectionKeyConfig::File(file)),
        (Some(_), Some(_)) => {
            let remedy = "keep one of them".to_owned();
            reader.error(&at, "Key and KeyFile exclude each other", Some(remedy));
            None
        }
        (None, None) => {
            let remedy = format!("set Key or KeyFile; {REMEDY}");
            reader.error(&at, "the key is missing", Some(remedy));
            None
        }
    };
    reader.finish();
    key
}

/// Warns of affinity that ends with the process, since nobody else has its key.
pub(super) fn warn_of_missing_keys(
    section: &Section<'_>,
    proxy: &ProxyConfig,
    config: &DataProtectionConfig,
    diagnostics: &mut Diagnostics,
) {
    let encrypts = |policy: &String| same(policy, "Cookie") || same(policy, "CustomHeader");
    let affinities = proxy.clusters.iter().filter_map(|cluster| {
        let policy = cluster.session_affinity.as_ref()?.policy.as_ref()?;
        encrypts(policy).then_some(&cluster.cluster_id)
    });
    if let Some(cluster) = affinities.into_iter().next()
        && config.keys.is_empty()
    {
        let message = format!(
            "session affinity of cluster {cluster:?} is encrypted with a key that is made at \
             start-up: it ends with a restart, and other fronts cannot read it"
        );
        let at = section.child("Keys");
        let remedy = format!("set a key: {REMEDY}");
        note(diagnostics, Severity::Warning, &at, message, Some(remedy));
    }
}
