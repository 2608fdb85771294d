//! Names of hosts in their two spellings: Unicode, and the `xn--` labels of Punycode (RFC 3492).
//!
//! Of IDNA's mappings only letter case is done: what a name's owner has registered is in that form
//! already.

use std::borrow::Cow;

const BASE: u32 = 36;
const T_MIN: u32 = 1;
const T_MAX: u32 = 26;
const SKEW: u32 = 38;
const DAMP: u32 = 700;
const INITIAL_BIAS: u32 = 72;
const INITIAL_N: u32 = 128;

/// The longest label of the domain name system (RFC 1035 section 2.3.4). Longer ones stay as they
/// are, which also bounds the decoder's work, quadratic in a label's length.
const LONGEST_LABEL: usize = 63;

/// Whether a label of the host begins with `xn--`.
pub fn is_punycode(host: &str) -> bool {
    host.split('.').any(|label| {
        label
            .get(..4)
            .is_some_and(|prefix| prefix.eq_ignore_ascii_case("xn--"))
    })
}

/// The name as names are compared: in Unicode and lower case, whichever way it is spelled. A label
/// that is no Punycode stays.
pub fn canonical(host: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii() && !byte.is_ascii_uppercase();
    // Two hyphens in a row are rare, and every Punycode label has them.
    if host.bytes().all(is_plain) && !host.contains("--") {
        return Cow::Borrowed(host);
    }
    match decode_host(host) {
        Some(unicode) => Cow::Owned(unicode.to_lowercase()),
        None => Cow::Owned(host.to_lowercase()),
    }
}

/// The name as it stands in messages and is looked up: labels beyond ASCII in Punycode.
pub fn to_ascii(host: &str) -> Cow<'_, str> {
    if host.is_ascii() {
        return Cow::Borrowed(host);
    }
    let ascii = host
        .to_lowercase()
        .split('.')
        .map(|label| match label.is_ascii() {
            true => label.to_owned(),
            false => format!("xn--{}", encode(label)),
        })
        .collect::<Vec<_>>();
    Cow::Owned(ascii.join("."))
}

/// The host with its `xn--` labels decoded; `None` when there are none that can be.
pub fn decode_host(host: &str) -> Option<String> {
    let unicode = |label: &str| match label.split_at_checked(4) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("xn--") => decode(rest),
        _ => None,
    };
    let mut labels = host.split('.').map(|label| (label, unicode(label)));
    if !labels.clone().any(|(_, unicode)| unicode.is_some()) {
        return None;
    }
    let mut decoded = String::with_capacity(host.len());
    if let Some((label, unicode)) = labels.next() {
        decoded.push_str(unicode.as_deref().unwrap_or(label));
    }
    for (label, unicode) in labels {
        decoded.push('.');
        decoded.push_str(unicode.as_deref().unwrap_or(label));
    }
    Some(decoded)
}

/// Decodes what follows `xn--` (RFC 3492 section 6.2).
fn decode(label: &str) -> Option<String> {
    if label.len() > LONGEST_LABEL || !label.is_ascii() {
        return None;
    }
    let (mut decoded, deltas): (Vec<char>, _) = match label.rsplit_once('-') {
        Some((basic, deltas)) => (basic.chars().collect(), deltas),
        None => (Vec::new(), label),
    };
    let (mut n, mut i, mut bias) = (INITIAL_N, 0u32, INITIAL_BIAS);
    let mut digits = deltas.chars();
    while !digits.as_str().is_empty() {
        let before = i;
        let mut weight = 1u32;
        for k in (BASE..).step_by(BASE as usize) {
            let digit = digit(digits.next()?)?;
            i = i.checked_add(digit.checked_mul(weight)?)?;
            let threshold = k.saturating_sub(bias).clamp(T_MIN, T_MAX);
            if digit < threshold {
                break;
            }
            weight = weight.checked_mul(BASE - threshold)?;
        }
        let length = decoded.len() as u32 + 1;
        bias = adapt(i - before, length, before == 0);
        n = n.checked_add(i / length)?;
        i %= length;
        decoded.insert(i as usize, char::from_u32(n)?);
        i += 1;
    }
    Some(decoded.into_iter().collect())
}

/// What follows `xn--` for a label (RFC 3492 section 6.3).
fn encode(label: &str) -> String {
    let mut encoded: String = label.chars().filter(char::is_ascii).collect();
    let basic = encoded.len() as u32;
    if basic > 0 {
        encoded.push('-');
    }
    let (mut n, mut delta, mut bias, mut written) = (INITIAL_N, 0u32, INITIAL_BIAS, basic);
    let mut left: Vec<u32> = label.chars().map(u32::from).filter(|c| *c >= n).collect();
    left.sort_unstable();
    left.dedup();
    for next in left {
        // Labels are short (63 bytes in a name that can be looked up); longer ones are only wrong.
        delta = delta.wrapping_add((next - n).wrapping_mul(written + 1));
        n = next;
        for character in label.chars().map(u32::from) {
            if character < n {
                delta = delta.wrapping_add(1);
            }
            if character == n {
                put_number(&mut encoded, delta, bias);
                bias = adapt(delta, written + 1, written == basic);
                delta = 0;
                written += 1;
            }
        }
        delta = delta.wrapping_add(1);
        n += 1;
    }
    encoded
}

/// A generalized variable-length integer (RFC 3492 section 3.3).
fn put_number(out: &mut String, mut number: u32, bias: u32) {
    for k in (BASE..).step_by(BASE as usize) {
        let threshold = k.saturating_sub(bias).clamp(T_MIN, T_MAX);
        if number < threshold {
            break;
        }
        let rest = number - threshold;
        out.push(letter(threshold + rest % (BASE - threshold)));
        number = rest / (BASE - threshold);
    }
    out.push(letter(number));
}

/// The digit of a value below 36.
fn letter(value: u32) -> char {
    const LETTERS: &[u8; BASE as usize] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    char::from(LETTERS[value as usize])
}

/// Bias adaptation (RFC 3492 section 6.1).
fn adapt(delta: u32, length: u32, is_first: bool) -> u32 {
    let mut delta = if is_first { delta / DAMP } else { delta / 2 };
    delta += delta / length;
    let mut k = 0;
    while delta > (BASE - T_MIN) * T_MAX / 2 {
        delta /= BASE - T_MIN;
        k += BASE;
    }
    k + (BASE - T_MIN + 1) * delta / (delta + SKEW)
}

/// The value of a digit (RFC 3492 section 5): `a` to `z` are 0 to 25, `0` to `9` are 26 to 35.
fn digit(character: char) -> Option<u32> {
    match character {
        'a'..='z' => Some(u32::from(character) - u32::from('a')),
        'A'..='Z' => Some(u32::from(character) - u32::from('A')),
        '0'..='9' => Some(u32::from(character) - u32::from('0') + 26),
        _ => None,
    }
}

/// What is left of `host:port` or `[v6]:port`.
pub fn without_port(authority: &str) -> &str {
    let name_end = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    match authority[name_end..].find(':') {
        Some(colon) => &authority[..name_end + colon],
        None => authority,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decodes_the_samples_of_rfc_3492() {
        // Section 7.1: (A), (C), (F), (L), (N), (S).
        for (label, unicode) in [
            ("egbpdaj6bu4bxfgehfvwxn", "ليهمابتكلموشعربي؟"),
            ("ihqwctvzc91f659drss3x8bo0yb", "他們爲什麽不說中文"),
            ("4dbcagdahymbxekheh6e0a7fei0b", "למההםפשוטלאמדבריםעברית"),
            ("3B-ww4c5e180e575a65lsy2b", "3年B組金八先生"),
            (
                "Hello-Another-Way--fc4qua05auwb3674vfr0b",
                "Hello-Another-Way-それぞれの場所",
            ),
            ("-> $1.00 <--", "-> $1.00 <-"),
        ] {
            assert_eq!(decode(label).as_deref(), Some(unicode), "{label}");
            if !unicode.is_ascii() {
                assert_eq!(encode(unicode), label, "{unicode}");
            }
        }
    }

    #[test]
    fn both_spellings_are_one_name() {
        for (name, ascii, unicode) in [
            ("Bücher.Example", "xn--bcher-kva.example", "bücher.example"),
            (
                "XN--BCHER-KVA.example",
                "XN--BCHER-KVA.example",
                "bücher.example",
            ),
            ("A.com", "A.com", "a.com"),
            ("a--b.com", "a--b.com", "a--b.com"),
            ("xn--a-!.com", "xn--a-!.com", "xn--a-!.com"),
        ] {
            assert_eq!(to_ascii(name), ascii);
            assert_eq!(canonical(name), unicode);
        }
    }

    #[test]
    fn decodes_label_by_label_without_case() {
        assert_eq!(
            decode_host("www.xn--bcher-kva.de").as_deref(),
            Some("www.bücher.de")
        );
        assert_eq!(
            decode_host("XN--BCHER-KVA.DE").as_deref(),
            Some("BüCHER.DE")
        );
        assert_eq!(decode_host("a.com"), None);
    }

    #[test]
    fn what_is_no_punycode_stays() {
        // Not a digit, the end within a number, beyond u32, no character.
        for label in [
            "xn--a-ü",
            "xn--a-!",
            "xn--a-b",
            "xn--99999999999",
            "xn--a-999999b",
        ] {
            assert_eq!(decode_host(label), None, "{label}");
        }
        assert_eq!(decode_host(&format!("xn--{}", "a".repeat(64))), None);
        assert_eq!(
            decode_host("xn--a-!.xn--bcher-kva").as_deref(),
            Some("xn--a-!.bücher")
        );
    }

    proptest! {
        #[test]
        fn any_host_is_decoded_or_left(host in "([xX][nN]--)?[ -~ü]{0,70}(\\.xn--[a-z0-9-]{0,70})?") {
            let _ = decode_host(&host);
            let _ = canonical(&host);
        }

        #[test]
        fn what_is_encoded_is_decoded_again(label in "[a-zà-ž一-三]{1,20}") {
            let ascii = to_ascii(&label).into_owned();
            prop_assert_eq!(canonical(&ascii), label.to_lowercase());
        }
    }
}
