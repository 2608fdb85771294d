//! Templates: what parses, what matches, what is captured (reference 3.2 and 3.5).

use super::*;

fn template(text: &str) -> PathTemplate {
    PathTemplate::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn matches(text: &str, path: &str) -> bool {
    template(text).capture(path).is_some()
}

#[test]
fn refuses_what_is_no_template() {
    for text in [
        "/a//b",
        "/{a",
        "/a}",
        "/{}",
        "/a?b",
        "/{a/b}",
        "/{***a}",
        "/{a}/{A}",
        "/{*a}/b",
        "/x{*a}",
        "/{a}{b}",
        "/{a?}.{b}",
        "/x{a?}",
        "/{*a?}",
        "/{a=b?}",
        "~a",
        "/{a:nobody}",
        "/{a:length}",
        "/{a:range(1)}",
        "/{a:min(x)}",
        "/{a:regex([)}",
    ] {
        assert!(PathTemplate::parse(text).is_err(), "{text}");
    }
    assert!(PathTemplate::parse(&"/a".repeat(29)).is_err());
    assert!(PathTemplate::parse(&"/a".repeat(28)).is_ok());
}

#[test]
fn literals_and_slashes() {
    for path in ["/a/b", "/A/B", "/a/b/", "/a/%62"] {
        assert!(matches("a/b", path), "{path}");
        assert!(matches("/a/b/", path), "{path}");
        assert!(matches("~/a/b", path), "{path}");
    }
    for path in ["/", "/a", "/a/b/c", "/a//b", "/a/bb"] {
        assert!(!matches("/a/b", path), "{path}");
    }
    assert!(matches("/", "/") && !matches("/", "/a"));
    assert!(matches("/{{x}}", "/{x}"));
    assert!(matches("/a/**", "/a/**") && !matches("/a/**", "/a/b"));
}

#[test]
fn parameters_optional_and_catch_all() {
    assert!(matches("/{a}", "/x") && !matches("/{a}", "/") && !matches("/{a}/b", "//b"));
    assert!(
        matches("/x/{a?}", "/x") && matches("/x/{a?}", "/x/y") && !matches("/x/{a?}", "/x/y/z")
    );
    for path in ["/api", "/api/", "/api/a/b", "/api//a"] {
        assert!(matches("/api/{**rest}", path), "{path}");
    }
    assert!(matches("/{**all}", "/") && !matches("/api/{*rest}", "/apis"));
    let values = template("/{a=1}/{*b}").capture("/").unwrap();
    assert_eq!(
        values,
        [
            ("a".to_owned(), Some("1".to_owned())),
            ("b".to_owned(), None)
        ]
    );
    let values = template("/{a}/{**b}").capture("/X%20y/c/d").unwrap();
    assert_eq!(values[0].1.as_deref(), Some("X y"));
    assert_eq!(values[1].1.as_deref(), Some("c/d"));
}

#[test]
fn mixed_segments_match_from_the_right() {
    let values = |text: &str, path: &str| -> Option<Vec<String>> {
        let values = template(text).capture(path)?;
        Some(
            values
                .into_iter()
                .map(|(_, value)| value.unwrap_or_default())
                .collect(),
        )
    };
    assert_eq!(
        values("/{a}.{b}", "/x.y.z"),
        Some(vec!["x.y".into(), "z".into()])
    );
    assert_eq!(values("/v{n}", "/V12"), Some(vec!["12".into()]));
    assert_eq!(values("/v{n}", "/v"), None);
    assert_eq!(
        values("/{file}.{ext?}", "/readme"),
        Some(vec!["readme".into(), String::new()])
    );
    assert_eq!(
        values("/{file}.{ext?}", "/a.b"),
        Some(vec!["a".into(), "b".into()])
    );
    assert_eq!(
        values("/{a}-{b}-x", "/1-2-3-x"),
        Some(vec!["1-2".into(), "3".into()])
    );
    assert_eq!(values("/{a}.{b}", "/.y"), None);
}

#[test]
fn constraints() {
    let holds = |constraint: &str, value: &str| Constraint::parse(constraint).unwrap().holds(value);
    for (constraint, yes, no) in [
        ("int", "-5", "3000000000"),
        ("long", "3000000000", "x"),
        ("bool", "TRUE", "1"),
        ("datetime", "2026-11-24", "tomorrow"),
        ("double", "1e5", "one"),
        ("guid", "CD2C1638-1638-72D5-1638-DEADBEEF1638", "cd2c"),
        ("alpha", "aZ", "a1"),
        ("minlength(2)", "ab", "a"),
        ("maxlength(2)", "ab", "abc"),
        ("length(2)", "ab", "a"),
        ("length(2,3)", "abc", "abcd"),
        ("min(5)", "5", "4"),
        ("max(5)", "5", "6"),
        ("range(1,3)", "2", "4"),
        ("regex(^a{{2}}$)", "AA", "aaa"),
        ("required", "x", ""),
        ("file", "a/b.txt", "a.b/c"),
        ("nonfile", "a.b/c", "b.txt"),
    ] {
        assert!(holds(constraint, yes), "{constraint} {yes}");
        assert!(!holds(constraint, no), "{constraint} {no}");
    }
    assert!(matches("/{id:int}", "/7") && !matches("/{id:int}", "/x"));
    assert!(matches("/x/{id:int?}", "/x"));
    assert!(matches("/{a:int:min(5)}", "/5") && !matches("/{a:int:min(5)}", "/4"));
}

#[test]
fn precedence_is_a_number_a_segment() {
    let mut templates = [
        "/{**r}",
        "/{a}/x",
        "/api/{**r}",
        "/api/{id}",
        "/api/{id:int}",
        "/api/x",
        "/api",
    ]
    .map(template);
    templates.reverse();
    assert!(
        templates
            .windows(2)
            .all(|pair| pair[0].precedence() < pair[1].precedence())
    );
}
