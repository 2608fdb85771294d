//! The tables of reference 3.4 and 3.6.

use super::*;
use crate::route::testing::Request;

fn header(mode: HeaderMatchMode, name: &str, lines: &[&str]) -> bool {
    let values = match mode {
        HeaderMatchMode::Exists | HeaderMatchMode::NotExists => Vec::new(),
        _ => vec!["abc".to_owned()],
    };
    let rule = HeaderMatchConfig {
        name: name.to_owned(),
        values,
        mode,
        is_case_sensitive: false,
    };
    let request = lines
        .iter()
        .fold(Request::to("/"), |request, line| request.field(name, line));
    header_holds(&rule, &request)
}

#[test]
fn header_modes() {
    use HeaderMatchMode::{Contains, ExactHeader, Exists, HeaderPrefix, NotContains, NotExists};
    for (mode, name, lines, wanted) in [
        (ExactHeader, "x", &["ab, abc"][..], true),
        (ExactHeader, "x", &["ab; abc"], false),
        (ExactHeader, "Cookie", &["ab; abc"], true),
        (ExactHeader, "x", &["\"abc\""], true),
        (ExactHeader, "x", &["\"abc"], false),
        (ExactHeader, "x", &["abc\""], false),
        (ExactHeader, "x", &["\"ab\", \"abc\""], true),
        (ExactHeader, "x", &["ab\"\", \"abc\""], true),
        (ExactHeader, "x", &["\"\"ab\"\"c,\"abc,\""], false),
        (ExactHeader, "x", &["def", "abc"], true),
        (ExactHeader, "x", &["ABC"], true),
        (ExactHeader, "x", &["abc "], false),
        (HeaderPrefix, "x", &["\"ab, abc\""], false),
        (HeaderPrefix, "x", &["\"ab\", abc\""], true),
        (HeaderPrefix, "x", &["abcd"], true),
        (Contains, "x", &["\"abc"], true),
        (Contains, "x", &["ab"], false),
        (NotContains, "x", &[], true),
        (NotContains, "x", &["xabcx"], false),
        (Exists, "x", &[""], false),
        (Exists, "x", &["", ""], true),
        (NotExists, "x", &[""], true),
        (NotExists, "x", &["y"], false),
    ] {
        assert_eq!(
            header(mode, name, lines),
            wanted,
            "{mode:?} {name} {lines:?}"
        );
    }
}

#[test]
fn query_modes() {
    use QueryParameterMatchMode::{Contains, Exact, Exists, NotContains, Prefix};
    let holds = |mode, query: Option<&str>| {
        let values = if mode == Exists {
            Vec::new()
        } else {
            vec!["a b".to_owned()]
        };
        let rule = QueryParameterMatchConfig {
            name: "N".to_owned(),
            values,
            mode,
            is_case_sensitive: false,
        };
        query_holds(&rule, query)
    };
    assert!(
        holds(Exact, Some("n=A+b"))
            && holds(Exact, Some("n=x&N=a%20b"))
            && !holds(Exact, Some("n=a b c"))
    );
    assert!(holds(Prefix, Some("n=a+bc")) && holds(Contains, Some("n=xa+bx")));
    assert!(
        holds(NotContains, None)
            && holds(NotContains, Some("n=x"))
            && !holds(NotContains, Some("n=a+b"))
    );
    assert!(
        holds(Exists, Some("n=x"))
            && !holds(Exists, Some("n"))
            && holds(Exists, Some("n&n"))
            && !holds(Exists, None)
    );
}
