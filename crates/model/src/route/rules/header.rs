//! Rules about header fields (reference A3.4).

use ostler_config::schema::{HeaderMatchConfig, HeaderMatchMode};

use super::{Emptiness, Wanted};
use crate::route::RequestView;

/// One entry of `Match:Headers`.
#[derive(Debug, Clone)]
pub(crate) struct HeaderRule {
    name: String,
    mode: HeaderMatchMode,
    wanted: Wanted,
    /// What separates the items of a line: `;` in `Cookie`, `,` everywhere else.
    separator: u8,
}

impl HeaderRule {
    /// Compiles a rule; `None` when it has an empty value (reference A3.8).
    pub(crate) fn new(config: &HeaderMatchConfig) -> Option<Self> {
        let is_cookie = config.name.eq_ignore_ascii_case("cookie");
        Some(Self {
            name: config.name.clone(),
            mode: config.mode,
            wanted: Wanted::new(&config.values, config.is_case_sensitive)?,
            separator: if is_cookie { b';' } else { b',' },
        })
    }

    /// Whether the request satisfies the rule.
    pub(crate) fn holds<R: RequestView + ?Sized>(&self, request: &R) -> bool {
        let mut emptiness = Emptiness::default();
        let mut found = false;
        request.for_each_field_value(&self.name, &mut |line| {
            emptiness.see(line);
            found = found || self.is_found_in(line);
        });
        let is_empty = emptiness.is_empty();
        match self.mode {
            HeaderMatchMode::Exists => !is_empty,
            HeaderMatchMode::NotExists => is_empty,
            HeaderMatchMode::NotContains => is_empty || !found,
            HeaderMatchMode::ExactHeader
            | HeaderMatchMode::HeaderPrefix
            | HeaderMatchMode::Contains => !is_empty && found,
        }
    }

    fn is_found_in(&self, line: &[u8]) -> bool {
        let mut items = Items {
            rest: Some(line),
            separator: self.separator,
        };
        match self.mode {
            HeaderMatchMode::Exists | HeaderMatchMode::NotExists => false,
            HeaderMatchMode::Contains | HeaderMatchMode::NotContains => self.wanted.any_is_in(line),
            HeaderMatchMode::ExactHeader => items.any(|item| self.wanted.any_equals(item)),
            HeaderMatchMode::HeaderPrefix => items.any(|item| self.wanted.any_begins(item)),
        }
    }
}

/// The items of a line. Blanks before an item are skipped, those behind it are not. A separator
/// within quotes separates nothing; a quote that is not closed makes the rest one item. One pair of
/// quotes around an item is removed.
struct Items<'l> {
    rest: Option<&'l [u8]>,
    separator: u8,
}

impl<'l> Iterator for Items<'l> {
    type Item = &'l [u8];

    fn next(&mut self) -> Option<&'l [u8]> {
        let line = self.rest.take()?;
        let blanks = line.iter().take_while(|byte| **byte == b' ').count();
        let line = &line[blanks..];
        let mut is_quoted = false;
        let end = line.iter().position(|byte| {
            is_quoted ^= *byte == b'"';
            *byte == self.separator && !is_quoted
        });
        let item = match end {
            Some(end) => {
                self.rest = Some(&line[end + 1..]);
                &line[..end]
            }
            None => line,
        };
        match item {
            [b'"', inner @ .., b'"'] => Some(inner),
            item => Some(item),
        }
    }
}

#[cfg(test)]
mod tests {
    use HeaderMatchMode::{Contains, ExactHeader, Exists, HeaderPrefix, NotContains, NotExists};

    use super::*;
    use crate::route::testing::Request;

    fn holds(mode: HeaderMatchMode, name: &str, values: &[&str], lines: &[&str]) -> bool {
        let rule = HeaderRule::new(&HeaderMatchConfig {
            name: name.to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            mode,
            is_case_sensitive: false,
        });
        let request = lines
            .iter()
            .fold(Request::to("/"), |request, line| request.field(name, line));
        rule.unwrap().holds(&request)
    }

    #[test]
    fn the_table_of_reference_3_4() {
        for (mode, name, lines, expected) in [
            (ExactHeader, "x", &["ab, abc"][..], true),
            (ExactHeader, "x", &["ab; abc"], false),
            (ExactHeader, "Cookie", &["ab; abc"], true),
            (ExactHeader, "x", &[r#""abc""#], true),
            (ExactHeader, "x", &[r#""abc"#], false),
            (ExactHeader, "x", &[r#"abc""#], false),
            (ExactHeader, "x", &[r#""ab", "abc""#], true),
            (ExactHeader, "x", &[r#"ab"", "abc""#], true),
            (ExactHeader, "x", &[r#"""ab""c,"abc,""#], false),
            (ExactHeader, "x", &["def", "abc"], true),
            (HeaderPrefix, "x", &[r#""ab, abc""#], false),
            (HeaderPrefix, "x", &[r#""ab", abc""#], true),
            (Contains, "x", &[r#""abc"#], true),
            (NotContains, "x", &[], true),
        ] {
            assert_eq!(
                holds(mode, name, &["abc"], lines),
                expected,
                "{mode:?} {name} {lines:?}"
            );
        }
    }

    #[test]
    fn one_empty_line_is_as_no_line_but_two_are_not() {
        for (mode, absent, one_empty, two_empty, text) in [
            (Exists, false, false, true, true),
            (NotExists, true, true, false, false),
            (Contains, false, false, false, true),
            (NotContains, true, true, true, false),
            (ExactHeader, false, false, false, true),
            (HeaderPrefix, false, false, false, true),
        ] {
            let values: &[&str] = if matches!(mode, Exists | NotExists) {
                &[]
            } else {
                &["abc"]
            };
            assert_eq!(holds(mode, "x", values, &[]), absent, "{mode:?} absent");
            assert_eq!(
                holds(mode, "x", values, &[""]),
                one_empty,
                "{mode:?} one empty"
            );
            assert_eq!(
                holds(mode, "x", values, &["", ""]),
                two_empty,
                "{mode:?} two empty"
            );
            assert_eq!(holds(mode, "x", values, &["abc"]), text, "{mode:?} text");
        }
    }

    #[test]
    fn any_value_of_any_line_or_item_is_enough() {
        assert!(holds(ExactHeader, "x", &["a", "b"], &["c, b"]));
        assert!(holds(HeaderPrefix, "x", &["a", "b"], &["c", "d, bc"]));
        assert!(holds(Contains, "x", &["a", "b"], &["c", "xbx"]));
        assert!(!holds(NotContains, "x", &["a", "b"], &["c", "xbx"]));
        assert!(holds(NotContains, "x", &["a", "b"], &["c", "d"]));
        // Contains looks at the line as it is: items mean nothing to it.
        assert!(holds(Contains, "x", &["a, b"], &["a, b"]));
    }

    #[test]
    fn blanks_before_an_item_are_skipped_and_those_behind_it_are_not() {
        assert!(holds(ExactHeader, "x", &["abc"], &["a,   abc"]));
        assert!(!holds(ExactHeader, "x", &["abc"], &["abc , a"]));
        assert!(!holds(ExactHeader, "x", &["abc"], &["a,\tabc"]));
        assert!(holds(ExactHeader, "x", &["abc "], &["abc , a"]));
        // Only `Cookie` is split at semicolons.
        assert!(!holds(ExactHeader, "Set-Cookie", &["b"], &["a; b"]));
        assert!(!holds(ExactHeader, "cookie", &["b"], &["a, b"]));
    }

    #[test]
    fn case_matters_only_when_asked_for() {
        let rule = |is_case_sensitive| {
            HeaderRule::new(&HeaderMatchConfig {
                name: "X-Name".to_owned(),
                values: vec!["Abc".to_owned()],
                mode: ExactHeader,
                is_case_sensitive,
            })
            .unwrap()
        };
        let request = Request::to("/").field("x-nAME", "aBC");
        assert!(rule(false).holds(&request));
        assert!(!rule(true).holds(&request));
        assert!(rule(true).holds(&Request::to("/").field("x-name", "Abc")));
    }
}
