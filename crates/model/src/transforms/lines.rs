//! Several lines of one field made one, as .NET's client writes them: many applications read the
//! first line alone.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// The lines of a field as one value; `None` where there is none.
pub(super) fn joined(name: &HeaderName, lines: &[&[u8]]) -> Option<HeaderValue> {
    let separator: &[u8] = match *name {
        header::COOKIE => b"; ",
        header::USER_AGENT => b" ",
        _ => b", ",
    };
    match lines {
        [] => None,
        // Values and separators are what may stand in a value.
        lines => HeaderValue::from_bytes(&lines.join(separator)).ok(),
    }
}

/// Leaves each field of a request on one line.
pub fn join_lines(fields: &mut HeaderMap) {
    if fields.len() == fields.keys_len() {
        return;
    }
    let has_several = |name: &&HeaderName| fields.get_all(*name).iter().nth(1).is_some();
    let names: Vec<HeaderName> = fields.keys().filter(has_several).cloned().collect();
    for name in names {
        let lines: Vec<_> = fields
            .get_all(&name)
            .iter()
            .map(HeaderValue::as_bytes)
            .collect();
        if let Some(value) = joined(&name, &lines) {
            fields.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_left_on_one_line() {
        let mut fields = HeaderMap::new();
        for (name, value) in [
            ("x-a", "1"),
            ("cookie", "a=1; b=2"),
            ("x-a", ""),
            ("user-agent", "a/1"),
            ("cookie", "c=3"),
            ("x-b", "1"),
            ("user-agent", "b/2"),
            ("x-a", "3"),
        ] {
            let name = HeaderName::from_static(name);
            fields.append(name, HeaderValue::from_static(value));
        }
        join_lines(&mut fields);
        assert_eq!((fields.len(), fields.keys_len()), (4, 4));
        assert_eq!(fields["x-a"], "1, , 3");
        assert_eq!(fields["cookie"], "a=1; b=2; c=3");
        assert_eq!(fields["user-agent"], "a/1 b/2");
    }
}
