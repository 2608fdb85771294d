//! Text compared as .NET's `OrdinalIgnoreCase` does: by simple upper-case mapping, no culture.

use std::cmp::Ordering;

/// The upper-case form of one character, where there is a single one. A character outside ASCII
/// never becomes one inside it (`ı` and `ſ` stay), so ASCII text compares as ASCII does.
fn upper(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_uppercase();
    }
    let mut mapped = c.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(one), None) if !one.is_ascii() => one,
        _ => c,
    }
}

/// The form that is equal for texts that are equal without case.
pub(crate) fn fold(text: &str) -> String {
    if text.is_ascii() {
        text.to_ascii_uppercase()
    } else {
        text.chars().map(upper).collect()
    }
}

/// Whether two texts are equal without case.
pub(crate) fn eq(left: &str, right: &str) -> bool {
    if left.is_ascii() && right.is_ascii() {
        return left.eq_ignore_ascii_case(right);
    }
    left.chars().map(upper).eq(right.chars().map(upper))
}

/// The order of two texts without case.
pub(crate) fn cmp(left: &str, right: &str) -> Ordering {
    left.chars().map(upper).cmp(right.chars().map(upper))
}

/// Where the right-most occurrence of `wanted` in `text` starts and ends, without case.
pub(crate) fn rfind(text: &str, wanted: &str) -> Option<(usize, usize)> {
    text.char_indices()
        .map(|(at, _)| at)
        .chain([text.len()])
        .rev()
        .find_map(|at| Some((at, at + prefix_length(&text[at..], wanted)?)))
}

/// How many bytes of `text` its beginning `prefix` takes, compared without case.
fn prefix_length(text: &str, prefix: &str) -> Option<usize> {
    let mut rest = text.chars();
    for wanted in prefix.chars() {
        if upper(rest.next()?) != upper(wanted) {
            return None;
        }
    }
    Some(text.len() - rest.as_str().len())
}

/// A hash that is equal for ASCII texts that are equal without case, and for equal texts.
///
/// Fast and without a secret: what is stored under it comes from the configuration, and a request
/// only looks up, so a client that makes collisions gains nothing.
pub(crate) fn hash(text: &[u8]) -> u64 {
    const WORD: usize = size_of::<u64>();
    let mut hash = mix(0x9e37_79b9_7f4a_7c15, text.len() as u64);
    let mut words = text.chunks_exact(WORD);
    for word in &mut words {
        hash = mix(hash, upper_word(word_of(word)));
    }
    let rest = words.remainder();
    if rest.is_empty() {
        hash
    } else {
        mix(hash, upper_word(word_of(rest)))
    }
}

/// The same for any text: equal for texts that are equal without case.
pub(crate) fn folded_hash(text: &str) -> u64 {
    match text.is_ascii() {
        true => hash(text.as_bytes()),
        false => hash(fold(text).as_bytes()),
    }
}

/// Mixes two words into one in which every bit depends on all bits of both.
pub(crate) fn mix(left: u64, right: u64) -> u64 {
    let product = u128::from(left ^ right ^ 0xa076_1d64_78bd_642f) * 0xe703_7ed1_a0b4_28db;
    (product as u64) ^ ((product >> 64) as u64)
}

/// Up to eight bytes as one word.
fn word_of(bytes: &[u8]) -> u64 {
    match bytes.try_into() {
        Ok(word) => u64::from_le_bytes(word),
        Err(_) => bytes
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

/// Makes the ASCII letters among eight bytes upper case, all at once.
fn upper_word(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * ONES;
    let low_bits = word & !HIGH;
    // Bit 7 of a byte is set where its low bits are at least `a`, and above `z`.
    let from_a = low_bits + (0x80 - b'a' as u64) * ONES;
    let above_z = low_bits + (0x7f - b'z' as u64) * ONES;
    let lower = from_a & !above_z & !word & HIGH;
    word ^ lower >> 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_letters_of_every_script_without_case() {
        assert!(eq("/API", "/api"));
        assert!(eq("Bücher", "BÜCHER"));
        assert!(eq("привет", "ПРИВЕТ"));
        assert!(!eq("a", "b"));
        assert!(!eq("a", "aa"));
    }

    #[test]
    fn characters_outside_ascii_never_equal_ascii_ones() {
        // Their full mappings are S, I and k; those of OrdinalIgnoreCase are not.
        assert!(!eq("ſ", "s"));
        assert!(!eq("ı", "i"));
        assert!(!eq("\u{212a}", "k"));
        assert!(!eq("ß", "ss"));
    }

    #[test]
    fn orders_an_underscore_after_letters() {
        // By upper case `_` (0x5f) is above `A` (0x41); by lower case it would be below `a`.
        assert_eq!(cmp("a_b", "aab"), Ordering::Greater);
        assert_eq!(cmp("B", "a"), Ordering::Greater);
    }

    #[test]
    fn finds_the_right_most_occurrence() {
        assert_eq!(rfind("a.B.c", "."), Some((3, 4)));
        assert_eq!(rfind("xABxab", "Ab"), Some((4, 6)));
        assert_eq!(rfind("aüxÜ", "ü"), Some((4, 6)));
        assert_eq!(rfind("abc", "d"), None);
    }

    #[test]
    fn hashes_are_equal_without_case_and_differ_otherwise() {
        for text in [
            "",
            "a",
            "api",
            "segment",
            "segments",
            "segmentss",
            "AbCdEfGhIjKlMnOpQ",
            "[`{@~",
        ] {
            assert_eq!(
                hash(text.as_bytes()),
                hash(text.to_ascii_uppercase().as_bytes()),
                "{text}"
            );
        }
        assert_ne!(hash(b"a"), hash(b"b"));
        assert_ne!(hash(b"a\0"), hash(b"a"));
        assert_ne!(hash(b"[`{@~"), hash(b"{@[`^"));
    }

    #[test]
    fn upper_word_changes_only_ascii_letters() {
        for byte in 0..=u8::MAX {
            let word = u64::from_le_bytes([byte; 8]);
            assert_eq!(
                upper_word(word).to_le_bytes(),
                [byte.to_ascii_uppercase(); 8],
                "{byte}"
            );
        }
    }
}
