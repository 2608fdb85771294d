//! Values from clients, so written that none can end its column or its line.

/// How what may not stand in a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    /// Between quotes: `\"`, `\\`, `\x0A`, as Apache has it.
    Quoted,
    /// Between blanks: `+` for a blank and a tab, as W3CLogger has it, and `%0A`.
    Column,
}

/// Appends a value; `-` where it is empty.
pub(super) fn append(line: &mut Vec<u8>, value: &[u8], escape: Escape) {
    if value.is_empty() {
        line.push(b'-');
    }
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            let mut bytes = [0; 4];
            let bytes = character.encode_utf8(&mut bytes).as_bytes();
            match (character, escape) {
                ('"' | '\\', Escape::Quoted) => line.extend([b'\\', bytes[0]]),
                (' ' | '\t', Escape::Column) => line.push(b'+'),
                _ if ends_lines(character) => append_bytes(line, bytes, escape),
                _ => line.extend(bytes),
            }
        }
        append_bytes(line, chunk.invalid(), escape);
    }
}

/// Control characters, and what some programs take for the end of a line or a blank.
fn ends_lines(character: char) -> bool {
    character.is_control() || (character.is_whitespace() && character != ' ')
}

fn append_bytes(line: &mut Vec<u8>, bytes: &[u8], escape: Escape) {
    let mark: &[u8] = match escape {
        Escape::Quoted => b"\\x",
        Escape::Column => b"%",
    };
    for byte in bytes {
        line.extend(mark);
        line.extend(format!("{byte:02X}").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_ends_its_column_or_its_line() {
        let rows: [(&[u8], &str, &str); 8] = [
            (b"", "-", "-"),
            (b"plain/1.0", "plain/1.0", "plain/1.0"),
            (b"a b\tc", "a b\\x09c", "a+b+c"),
            (b"\" 200 1 \"x\\", "\\\" 200 1 \\\"x\\\\", "\"+200+1+\"x\\"),
            (b"a\r\nb", "a\\x0D\\x0Ab", "a%0D%0Ab"),
            (
                "\u{e4}\u{20ac}".as_bytes(),
                "\u{e4}\u{20ac}",
                "\u{e4}\u{20ac}",
            ),
            (b"\xff\x80a", "\\xFF\\x80a", "%FF%80a"),
            (
                "\u{2028}\u{85}\u{7f}".as_bytes(),
                "\\xE2\\x80\\xA8\\xC2\\x85\\x7F",
                "%E2%80%A8%C2%85%7F",
            ),
        ];
        for (value, quoted, column) in rows {
            let written = |escape| {
                let mut line = Vec::new();
                append(&mut line, value, escape);
                String::from_utf8(line).unwrap()
            };
            assert_eq!(written(Escape::Quoted), quoted, "{value:?}");
            assert_eq!(written(Escape::Column), column, "{value:?}");
        }
    }
}
