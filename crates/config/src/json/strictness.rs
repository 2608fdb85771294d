//! What the parser of JSON takes and .NET's reader does not: raw control characters in strings, white
//! space that is not JSON's (RFC 8259 sections 2 and 7), and text that is another format altogether.

/// The offset of the first such mistake, and what is wrong. Anything else is left to the parser.
pub(super) fn first_mistake(text: &str) -> Option<(usize, String)> {
    if let Some(mistake) = another_format(text) {
        return Some(mistake);
    }
    let mut rest = text.char_indices().peekable();
    while let Some((at, character)) = rest.next() {
        match character {
            '"' => {
                if let Some(mistake) = in_string(&mut rest) {
                    return Some(mistake);
                }
            }
            '/' => skip_comment(text, at, &mut rest),
            ' ' | '\t' | '\n' | '\r' => {}
            other if other.is_whitespace() || other.is_control() || other == '\u{feff}' => {
                let message = format!("the character {} is no white space of JSON", name(other));
                return Some((at, message));
            }
            _ => {}
        }
    }
    None
}

type Characters<'t> = std::iter::Peekable<std::str::CharIndices<'t>>;

/// Goes behind a string whose quotation mark has been taken.
fn in_string(rest: &mut Characters<'_>) -> Option<(usize, String)> {
    while let Some((at, character)) = rest.next() {
        match character {
            '"' => return None,
            '\\' => _ = rest.next_if(|(_, next)| *next >= ' '),
            control if control < ' ' => {
                let code = u32::from(control);
                let message = format!(
                    "a string holds the control character {}; write it as \\u{code:04x}",
                    name(control)
                );
                return Some((at, message));
            }
            _ => {}
        }
    }
    None
}

fn skip_comment(text: &str, at: usize, rest: &mut Characters<'_>) {
    let end = match text.as_bytes().get(at + 1) {
        Some(b'/') => text[at..].find('\n').map(|length| at + length),
        Some(b'*') => text[at + 2..].find("*/").map(|length| at + 2 + length + 2),
        _ => return,
    };
    // One that never ends is the parser's to refuse.
    let end = end.unwrap_or(text.len());
    while rest.next_if(|(offset, _)| *offset < end).is_some() {}
}

fn name(character: char) -> String {
    format!("U+{:04X}", u32::from(character))
}

/// A first line that no JSON begins with, and YAML does.
fn another_format(text: &str) -> Option<(usize, String)> {
    let mut offset = 0;
    let first = text.split_inclusive('\n').find_map(|line| {
        let begins = offset;
        offset += line.len();
        let line = line.trim();
        let is_said = !line.is_empty() && !line.starts_with('#');
        is_said.then_some((begins, line))
    });
    let (begins, line) = first?;
    let key = line.split([':', ' ']).next().unwrap_or_default();
    let is_key = !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_alphanumeric() || "_-.".contains(c))
        && line[key.len()..].trim_start().starts_with(':');
    (line == "---" || line.starts_with("--- ") || is_key || line.starts_with("- ")).then(|| {
        let message = "this looks like YAML, and JSON is read here; convert the file, for instance \
                       with `yq -o json`";
        (begins, message.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_in_strings_and_foreign_white_space_are_refused() {
        for (text, at, words) in [
            ("{ \"a\": \"b\tc\" }", 9, "U+0009"),
            ("{ \"a\": \"b\nc\" }", 9, "write it as \\u000a"),
            ("{ \"a\nb\": 1 }", 4, "U+000A"),
            ("{ \"a\": \"\\\nb\" }", 9, "U+000A"),
            ("{\u{a0}\"a\": 1 }", 1, "U+00A0"),
            ("{ \"a\":\u{2003}1 }", 6, "U+2003"),
            ("{ \"a\": 1 }\u{b}", 10, "U+000B"),
            ("{ /* \u{a0} */ \u{a0} }", 11, "U+00A0"),
        ] {
            let (offset, message) = first_mistake(text).expect(text);
            assert_eq!(offset, at, "{text:?}: {message}");
            assert!(message.contains(words), "{text:?}: {message}");
        }
    }

    #[test]
    fn what_json_allows_and_comments_hold_is_left_alone() {
        for text in [
            "{ \"a\": \"\\u0009 \\\" \\\\\" }",
            "{ \"a\": \"\u{a0}\u{7f}\u{2003}\" }",
            "// \u{a0} \"\n{ /* \t \" \u{2003} */ }\r\n",
            "{ \"never closed",
            "/* never closed \u{a0}",
            "",
            "#",
        ] {
            assert_eq!(first_mistake(text), None, "{text:?}");
        }
    }

    #[test]
    fn yaml_hears_that_json_is_read() {
        for text in [
            "ReverseProxy:\n  Routes:\n",
            "---\nReverseProxy: {}\n",
            "# a comment\n\nreverse-proxy :\n",
            "- a: 1\n",
        ] {
            let (_, message) = first_mistake(text).expect(text);
            assert!(message.contains("YAML"), "{text:?}: {message}");
        }
        for text in ["{ a: 1 }", "[]", "\"a\": 1", "// a: b\n{}", "1", "x"] {
            assert_eq!(first_mistake(text), None, "{text:?}");
        }
    }
}
