//! Encrypting and authenticating affinity keys, with keys that several fronts share and rotate.
//!
//! A protected text is, in unpadded base64:
//!
//! ```text
//! +----------+--------------------+------------+------------------+----------+
//! | 1 (byte) | key's id (4 bytes) | nonce (12) | ciphertext       | tag (16) |
//! +----------+--------------------+------------+------------------+----------+
//! ```
//!
//! AES-256-GCM with random nonces; what it is for is authenticated with it.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, STANDARD_PAD_INDIFFERENT};
use sha2::{Digest, Sha256};

const VERSION: u8 = 1;
const KEY_ID: usize = 4;
const NONCE: usize = 12;

/// The keys in use: the first encrypts, all decrypt. Clones share them.
#[derive(Debug, Clone)]
pub struct KeyRing(Arc<ArcSwap<Vec<ProtectionKey>>>);

/// One key.
#[derive(Clone)]
pub struct ProtectionKey {
    id: [u8; KEY_ID],
    key: Arc<RandomizedNonceKey>,
}

impl fmt::Debug for ProtectionKey {
    /// Shows which key it is, not the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProtectionKey({:02x?})", self.id)
    }
}

impl ProtectionKey {
    /// Makes a key of its 32 bytes.
    pub fn new(bytes: &[u8; 32]) -> Option<Self> {
        let digest = Sha256::digest(bytes);
        let mut id = [0; KEY_ID];
        id.copy_from_slice(digest.get(..KEY_ID)?);
        let key = RandomizedNonceKey::new(&AES_256_GCM, bytes).ok()?;
        Some(Self {
            id,
            key: Arc::new(key),
        })
    }

    /// A key nobody knows; `None` when the system gives no random bytes.
    pub fn random() -> Option<Self> {
        let mut bytes = [0; 32];
        aws_lc_rs::rand::fill(&mut bytes).ok()?;
        Self::new(&bytes)
    }
}

impl Default for KeyRing {
    /// One random key, which no other process has.
    fn default() -> Self {
        Self::new(ProtectionKey::random().into_iter().collect())
    }
}

impl KeyRing {
    /// A ring of these keys.
    pub fn new(keys: Vec<ProtectionKey>) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(keys)))
    }

    /// Puts other keys in place; what was encrypted by one that is not among them is not read any
    /// more.
    pub fn replace(&self, keys: Vec<ProtectionKey>) {
        self.0.store(Arc::new(keys));
    }

    /// Encrypts a text; `None` when there is no key.
    pub(super) fn protect(&self, purpose: &[u8], text: &str) -> Option<String> {
        let keys = self.0.load();
        let ProtectionKey { id, key } = keys.first()?;
        let mut sealed = text.as_bytes().to_vec();
        let nonce = key
            .seal_in_place_append_tag(Aad::from(purpose), &mut sealed)
            .ok()?;
        let mut token = Vec::with_capacity(1 + KEY_ID + NONCE + sealed.len());
        token.push(VERSION);
        token.extend_from_slice(id);
        token.extend_from_slice(nonce.as_ref());
        token.extend_from_slice(&sealed);
        Some(STANDARD_NO_PAD.encode(token))
    }

    /// Decrypts it; `None` when it is not what [`KeyRing::protect`] made with one of the keys.
    pub(super) fn unprotect(&self, purpose: &[u8], token: &str) -> Option<String> {
        let token = STANDARD_PAD_INDIFFERENT.decode(token).ok()?;
        let (version, rest) = token.split_first()?;
        if *version != VERSION {
            return None;
        }
        let (wanted, rest) = rest.split_at_checked(KEY_ID)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE)?;
        let keys = self.0.load();
        let with_id = keys.iter().filter(|key| key.id == wanted);
        for ProtectionKey { key, .. } in with_id {
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let mut sealed = sealed.to_vec();
            if let Ok(text) = key.open_in_place(nonce, Aad::from(purpose), &mut sealed) {
                return String::from_utf8(text.to_vec()).ok();
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PURPOSE: &[u8] = b"a test";

    fn key(byte: u8) -> ProtectionKey {
        ProtectionKey::new(&[byte; 32]).unwrap()
    }

    #[test]
    fn what_one_ring_protects_another_with_the_key_reads() {
        let old = KeyRing::new(vec![key(1)]);
        let token = old.protect(PURPOSE, "d1").unwrap();
        assert_ne!(old.protect(PURPOSE, "d1").unwrap(), token);
        // Rotated: another key encrypts, and this one still decrypts.
        let rotated = KeyRing::new(vec![key(2), key(1)]);
        assert_eq!(rotated.unprotect(PURPOSE, &token).as_deref(), Some("d1"));
        let new = rotated.protect(PURPOSE, "d2").unwrap();
        assert_eq!(old.unprotect(PURPOSE, &new), None);
        rotated.replace(vec![key(2)]);
        assert_eq!(rotated.unprotect(PURPOSE, &token), None);
        assert_eq!(rotated.unprotect(PURPOSE, &new).as_deref(), Some("d2"));
    }

    #[test]
    fn a_token_is_of_no_use_for_anything_else() {
        let ring = KeyRing::default();
        let token = ring.protect(PURPOSE, "d1").unwrap();
        assert_eq!(ring.unprotect(b"another", &token), None);
        assert_eq!(KeyRing::default().unprotect(PURPOSE, &token), None);
    }

    proptest! {
        #[test]
        fn no_garbage_is_read(garbage in ".{0,100}", at in 0usize..60, flip in 1u8..) {
            let ring = KeyRing::new(vec![key(1)]);
            prop_assert_eq!(ring.unprotect(PURPOSE, &garbage), None);
            let token = ring.protect(PURPOSE, "destination").unwrap();
            let mut bytes = STANDARD_NO_PAD.decode(token).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            prop_assert_eq!(ring.unprotect(PURPOSE, &STANDARD_NO_PAD.encode(bytes)), None);
        }
    }
}
