//! Files as texts and bytes, whatever mark of its encoding an editor has put at their beginning.

use std::io;
use std::path::Path;

/// The mark of a UTF-8 text.
const UTF_8: &[u8] = b"\xef\xbb\xbf";

/// Reads a file of text: UTF-8 with or without a mark, or UTF-16 with one, as .NET reads texts.
pub(crate) fn read_text(path: impl AsRef<Path>) -> io::Result<String> {
    String::from_utf8(read_bytes(path)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is no UTF-8 text"))
}

/// Reads a file that may be a text: without its mark, and in UTF-8 where the mark says UTF-16.
pub(crate) fn read_bytes(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    Ok(without_mark(std::fs::read(path)?))
}

fn without_mark(bytes: Vec<u8>) -> Vec<u8> {
    match bytes.as_slice() {
        [0xef, 0xbb, 0xbf, ..] => bytes[UTF_8.len()..].to_vec(),
        [0xff, 0xfe, rest @ ..] => from_utf_16(rest, u16::from_le_bytes).unwrap_or(bytes),
        [0xfe, 0xff, rest @ ..] => from_utf_16(rest, u16::from_be_bytes).unwrap_or(bytes),
        _ => bytes,
    }
}

/// `None` where it is none after all.
fn from_utf_16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<Vec<u8>> {
    let (pairs, odd) = bytes.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
    let text = String::from_utf16(&units).ok().filter(|_| odd.is_empty())?;
    Some(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_encodings_are_taken_off_and_other_bytes_are_left() {
        for (bytes, wanted) in [
            (&b"\xef\xbb\xbf-----BEGIN"[..], &b"-----BEGIN"[..]),
            (b"\xff\xfe{\0}\0", b"{}"),
            (b"\xfe\xff\0{\0}", b"{}"),
            (b"\xff\xfe{\0}", b"\xff\xfe{\0}"),
            (b"\x30\x82\xef\xbb\xbf", b"\x30\x82\xef\xbb\xbf"),
            (b"", b""),
        ] {
            assert_eq!(without_mark(bytes.to_vec()), wanted, "{bytes:?}");
        }
    }
}
