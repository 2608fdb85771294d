//! The hashes that stand for destinations in cookies (reference A6.1).

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// The hashes of a destination's id, which never changes: made once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DestinationHashes {
    /// XXH64, seed 0, over the upper-case id in UTF-16LE: 16 lower-case hexadecimal digits.
    pub(crate) hash_cookie: String,
    /// SHA-256 over the lower-case id in UTF-16LE: 64 upper-case hexadecimal digits, as IIS' ARR.
    pub(crate) arr_cookie: String,
}

impl DestinationHashes {
    pub(crate) fn of(id: &str) -> Self {
        let upper = utf16(id, |c| only(c.to_uppercase(), c));
        let lower = utf16(id, |c| only(c.to_lowercase(), c));
        let mut arr_cookie = String::with_capacity(64);
        for byte in Sha256::digest(lower) {
            // Writing to a string cannot fail.
            let _ = write!(arr_cookie, "{byte:02X}");
        }
        Self {
            hash_cookie: format!("{:016x}", xxhash_rust::xxh64::xxh64(&upper, 0)),
            arr_cookie,
        }
    }
}

fn utf16(text: &str, fold: impl Fn(char) -> char) -> Vec<u8> {
    let folded: String = text.chars().map(fold).collect();
    folded.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// .NET's invariant case mapping never makes two characters of one.
fn only(mut mapped: impl Iterator<Item = char>, c: char) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_reference_6_2() {
        for (id, hash_cookie, arr_cookie) in [
            (
                "dest-B",
                "53c079ed4c377b0d",
                "920A160FA519353932B655488361A944531650016793761EE7224DE632863B13",
            ),
            (
                "d1",
                "3ca257a575bfff71",
                "E1A81620F938713C58BD2D3627E2FD60538B502CCE1E2DF25C6D79F2F7F8EDAF",
            ),
            (
                "destination1",
                "3053977fe20783c2",
                "8BCB8A94848003715AE483D7A28753DAC9F5A57CB4414C8A158F6E11D2E63386",
            ),
        ] {
            let hashes = DestinationHashes::of(id);
            assert_eq!(hashes.hash_cookie, hash_cookie);
            assert_eq!(hashes.arr_cookie, arr_cookie);
        }
    }

    #[test]
    fn the_case_of_an_id_does_not_matter() {
        assert_eq!(
            DestinationHashes::of("Größe-1"),
            DestinationHashes::of("gRÖßE-1")
        );
    }
}
