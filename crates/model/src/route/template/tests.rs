//! Templates: what parses, what matches, what is captured (reference A3.2 and A3.5).

use TemplateError as E;

use super::*;
use crate::route::path::RequestPath;

fn template(text: &str) -> PathTemplate {
    PathTemplate::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn matches(text: &str, path: &str) -> bool {
    template(text).matches(&RequestPath::new(path))
}

/// `name=value` for each parameter, `name` for one without a value.
fn captured(text: &str, path: &str) -> Option<String> {
    let template = template(text);
    let values = template.capture(path)?.into_iter();
    let values = values.map(|(name, value)| match value {
        Some(value) => format!("{name}={value}"),
        None => name.to_owned(),
    });
    Some(values.collect::<Vec<_>>().join(" "))
}

#[test]
fn refuses_what_is_no_template() {
    let name = |text: &str| E::ParameterName(text.to_owned());
    let adjacent = |left: &str, right: &str| E::AdjacentParameters(left.into(), right.into());
    for (text, error) in [
        ("//", E::EmptySegment),
        ("/a//b", E::EmptySegment),
        ("a//", E::EmptySegment),
        ("~//a", E::EmptySegment),
        ("/{", E::UnbalancedBrace),
        ("/{a", E::UnbalancedBrace),
        ("/a}", E::UnbalancedBrace),
        ("/a}b", E::UnbalancedBrace),
        ("/a{", E::UnbalancedBrace),
        ("/{a{b}", E::UnbalancedBrace),
        ("/{a}}", E::UnbalancedBrace),
        ("/{{a}", E::UnbalancedBrace),
        (r"/{a:regex(^\d{3}$)}", E::UnbalancedBrace),
        ("/a?", E::QuestionMark("a?".into())),
        ("/a?b=c", E::QuestionMark("a?b=c".into())),
        ("/{}", name("")),
        ("/{?}", name("")),
        ("/{*}", name("")),
        ("/{**}", name("")),
        ("/{***a}", name("*a")),
        ("/{a/b}", name("a/b")),
        ("/{a{{b}", name("a{b")),
        ("/{a?b}", name("a?b")),
        ("/{a*}", name("a*")),
        ("/{a}/{A}", E::RepeatedParameter("A".into())),
        ("/{a}.{a}", E::RepeatedParameter("a".into())),
        ("/{*a}/b", E::CatchAllNotLast),
        ("/{*a}/{*b}", E::CatchAllNotLast),
        ("/x{*a}", E::CatchAllNotLast),
        ("/{a}{b}", adjacent("a", "b")),
        ("/x{a}{b}y", adjacent("a", "b")),
        ("/{a}{b?}", adjacent("a", "b")),
        ("/{a?}.{b}", E::OptionalPart("a".into())),
        ("/{a}.{b?}c", E::OptionalPart("b".into())),
        ("/x{a?}", E::OptionalPart("a".into())),
        ("/{a}-{b?}", E::OptionalPart("b".into())),
        ("/{a}x.{b?}", E::OptionalPart("b".into())),
        ("/{*a?}", E::OptionalCatchAll("a".into())),
        ("/{**a?}", E::OptionalCatchAll("a".into())),
        ("/{a=b?}", E::OptionalWithDefault("a".into())),
        ("/{a:int=1?}", E::OptionalWithDefault("a".into())),
        ("~", E::Tilde),
        ("~a", E::Tilde),
    ] {
        assert_eq!(PathTemplate::parse(text).err(), Some(error), "{text}");
    }
}

#[test]
fn at_most_28_segments_can_be_ranked() {
    assert_eq!(template(&"/a".repeat(28)).segments().len(), 28);
    let too_many = PathTemplate::parse(&"/a".repeat(29)).err();
    assert_eq!(too_many, Some(E::TooManySegments(29)));
}

#[test]
fn refuses_constraints_nobody_knows_and_unusable_arguments() {
    for constraint in [
        "nobody", "int()", "int(1)", "int(", "length", "range(1)", "min", "regex", " int",
    ] {
        let error = PathTemplate::parse(&format!("/{{a:{constraint}}}")).unwrap_err();
        assert_eq!(error, E::UnknownConstraint(constraint.into()));
    }
    for constraint in [
        "min(x)",
        "length(-1)",
        "length(3,2)",
        "range(3,2)",
        "minlength()",
        "regex([)",
        "regex((?=a))",
    ] {
        let error = PathTemplate::parse(&format!("/{{a:{constraint}}}")).unwrap_err();
        assert!(
            matches!(error, E::ConstraintArguments { .. }),
            "{constraint}: {error}"
        );
    }
}

#[test]
fn literals_compare_decoded_and_without_case_and_slashes_at_the_ends_do_not_count() {
    for text in ["a/b", "/a/b", "/a/b/", "~/a/b"] {
        for path in ["/a/b", "/A/B", "/a/b/", "/a/%62", "/x/../a/b"] {
            assert!(matches(text, path), "{text} {path}");
        }
        for path in ["/", "/a", "/a/b/c", "/a//b", "/a/b//", "/a/bb", "/a%2Fb"] {
            assert!(!matches(text, path), "{text} {path}");
        }
    }
    assert!(matches("", "/") && matches("/", "/") && !matches("/", "/a"));
    assert!(matches("/a b", "/a%20b") && !matches("/a%20b", "/a%20b"));
    assert!(matches("/a%2fb", "/a%2Fb"));
    assert!(matches("/{{x}}", "/{x}"));
    assert!(matches("/grün", "/GR%C3%9CN"));
    // Not a wildcard.
    assert!(matches("/a/**", "/a/**") && !matches("/a/**", "/a/b"));
}

#[test]
fn a_parameter_takes_one_segment_that_is_not_empty() {
    assert_eq!(captured("/{a}", "/X").as_deref(), Some("a=X"));
    assert_eq!(
        captured("/{a}/b/{C}", "/1/B/2/").as_deref(),
        Some("a=1 C=2")
    );
    assert_eq!(captured("/{a}", "/x%20y%2Fz").as_deref(), Some("a=x y%2Fz"));
    assert_eq!(captured("/{a}", "/"), None);
    assert_eq!(captured("/{a}/b", "//b"), None);
    assert_eq!(captured("/{a}", "/x/y"), None);
}

#[test]
fn optional_and_default_parameters_may_be_missing_at_the_end() {
    assert_eq!(captured("/x/{a?}", "/x").as_deref(), Some("a"));
    assert_eq!(captured("/x/{a?}", "/x/1").as_deref(), Some("a=1"));
    assert_eq!(captured("/x/{a?}", "/x/1/2"), None);
    assert_eq!(captured("/x/{a=7}", "/x").as_deref(), Some("a=7"));
    assert_eq!(captured("/x/{a=7}", "/x/1").as_deref(), Some("a=1"));
    assert_eq!(
        captured("/{a=7}/{b?}/{*c}", "/").as_deref(),
        Some("a=7 b c")
    );
    assert_eq!(captured("/{a=}", "/").as_deref(), Some("a="));
    // In the middle it is needed, unless everything after it may be missing too.
    assert_eq!(captured("/{a?}/b", "/b"), None);
    assert_eq!(captured("/{a?}/b", "/1/b").as_deref(), Some("a=1"));
    assert_eq!(captured("/{a?}/{b}", "/1"), None);
    assert_eq!(captured("/{a?}/{b?}", "/1").as_deref(), Some("a=1 b"));
}

#[test]
fn a_catch_all_takes_the_rest_which_may_be_nothing() {
    for star in ["*", "**"] {
        let text = format!("/api/{{{star}rest}}");
        for (path, values) in [
            ("/api", "rest"),
            ("/api/", "rest"),
            ("/api/a/b", "rest=a/b"),
            ("/api/a/b/", "rest=a/b/"),
            ("/api//a", "rest=/a"),
            ("/api//", "rest=/"),
        ] {
            assert_eq!(
                captured(&text, path).as_deref(),
                Some(values),
                "{text} {path}"
            );
        }
        assert_eq!(captured(&text, "/apis"), None);
        assert_eq!(captured(&text, "/"), None);
    }
    assert_eq!(captured("/{**all}", "/").as_deref(), Some("all"));
    assert_eq!(captured("/{*all=x/y}", "/").as_deref(), Some("all=x/y"));
    assert_eq!(captured("/{*all}", "*").as_deref(), Some("all"));
}

#[test]
fn mixed_segments_match_from_right_to_left() {
    for (text, path, values) in [
        ("/{a}.{b}", "/x.y.z", Some("a=x.y b=z")),
        ("/{a}.{b}", "/x.", None),
        ("/{a}.{b}", "/.y", None),
        ("/{a}.{b}", "/xy", None),
        ("/{a}.{b}", "/...", Some("a=. b=.")),
        ("/v{n}", "/V12", Some("n=12")),
        ("/v{n}", "/v", None),
        ("/v{n}", "/12", None),
        ("/{n}px", "/12PX", Some("n=12")),
        ("/{n}px", "/12pxx", None),
        ("/{n}px", "/px", None),
        ("/{a}-{b}-x", "/1-2-3-x", Some("a=1-2 b=3")),
        ("/a{b}c{d}e", "/aXcYe", Some("b=X d=Y")),
        ("/a{b}c{d}e", "/zaXcYe", None),
        // There is no going back: the right-most `aa` leaves `{x}` nothing.
        ("/{x}aa{y}", "/aaab", Some("x=a y=b")),
        ("/aa{y}", "/aaab", None),
        ("/{a}ü{b}", "/1%C3%9C2", Some("a=1 b=2")),
    ] {
        assert_eq!(captured(text, path).as_deref(), values, "{text} {path}");
    }
}

#[test]
fn the_optional_end_of_a_mixed_segment_takes_its_dot_with_it() {
    for (path, values) in [
        ("/readme", Some("name=readme ext")),
        ("/a.b", Some("name=a ext=b")),
        ("/a.b.c", Some("name=a.b ext=c")),
        ("/a.", None),
        ("/.a", Some("name=.a ext")),
    ] {
        assert_eq!(
            captured("/{name}.{ext?}", path).as_deref(),
            values,
            "{path}"
        );
    }
    assert_eq!(captured("/.{ext?}", "/.a").as_deref(), Some("ext=a"));
    assert_eq!(captured("/.{ext?}", "/."), None);
}

#[test]
fn all_constraints_must_hold() {
    for (constraint, yes, no) in [
        ("int", "-5", "3000000000"),
        ("long", "3000000000", "x"),
        ("bool", "TRUE", "1"),
        ("datetime", "2026-11-24", "tomorrow"),
        ("decimal", "1.5", "1e5"),
        ("double", "1e5", "one"),
        ("float", "1e5", "one"),
        ("guid", "CD2C1638-1638-72D5-1638-DEADBEEF1638", "cd2c"),
        ("alpha", "aZ", "a1"),
        ("alpha", "aZ", "%C3%BC"),
        ("minlength(2)", "ab", "a"),
        ("maxlength(2)", "ab", "abc"),
        ("length(2)", "ab", "a"),
        ("length( 2 , 3 )", "abc", "abcd"),
        // A horse is two UTF-16 units.
        ("length(2)", "%F0%9F%90%B4", "a"),
        ("min(5)", "5", "4"),
        ("max(-5)", "-5", "-4"),
        ("range(1,3)", "3", "4"),
        ("range(1,3)", "1", "x"),
        ("regex(b)", "aBc", "ac"),
        ("regex(^a{{2}}$)", "AA", "aaa"),
        ("regex(^(a|b)$)", "b", "ab"),
        ("regex(^[a-z:]+=?$)", "a:b=", "1"),
        ("regex(^a,b$)", "a,b", "a"),
        ("required", "x", ""),
        ("INT", "1", "x"),
        ("int:min(5):max(7)", "6", "8"),
        ("minlength(1):regex(^x)", "xy", "yx"),
    ] {
        let text = format!("/{{a:{constraint}}}");
        assert!(matches(&text, &format!("/{yes}")), "{text} {yes}");
        assert!(!matches(&text, &format!("/{no}")), "{text} {no}");
    }
    assert!(matches("/{*a:file}", "/x/y.txt") && !matches("/{*a:file}", "/x.y/z"));
    assert!(matches("/{*a:nonfile}", "/x.y/z") && !matches("/{*a:nonfile}", "/x/y.txt"));
    assert!(matches("/v{a:int}.{b:alpha}", "/v1.x") && !matches("/v{a:int}.{b:alpha}", "/v1.2"));
}

#[test]
fn a_missing_value_passes_where_it_is_optional() {
    assert!(matches("/x/{a:int?}", "/x") && !matches("/x/{a:int?}", "/x/y"));
    // A default is a value.
    assert!(matches("/x/{a:int=1}", "/x") && !matches("/x/{a:int=y}", "/x"));
    assert_eq!(captured("/x/{a:int=1}", "/x").as_deref(), Some("a=1"));
    // A catch-all of nothing has none, and only `nonfile` is content with that.
    assert!(!matches("/x/{*a:int}", "/x") && !matches("/x/{*a:required}", "/x"));
    assert!(matches("/x/{*a:nonfile}", "/x"));
}

#[test]
fn parentheses_and_delimiters_are_split_as_asp_net_splits_them() {
    for (text, path, values) in [
        ("/{a:regex(^x(y)$)=x}", "/", None),
        ("/{a:regex(^x(y)$)=xy}", "/", Some("a=xy")),
        ("/{a:regex(a:b)}", "/a:b", Some("a=a:b")),
        ("/{a:minlength(3):regex(a=b)}", "/a=b", Some("a=a=b")),
        ("/{a:int=1=2}", "/5", Some("a=5")),
        ("/{a=b:c}", "/", Some("a=b:c")),
        ("/{a::int}", "/5", Some("a=5")),
        ("/{=a}", "/x", Some("=a=x")),
        ("/{:a}", "/x", Some(":a=x")),
    ] {
        assert_eq!(captured(text, path).as_deref(), values, "{text} {path}");
    }
}

#[test]
fn precedence_is_one_digit_a_segment() {
    let ordered = [
        "/",
        "/api",
        "/api/x",
        "/api/{id:int}",
        "/api/{id:int}/x",
        "/api/{id}",
        "/api/{id?}/x",
        "/api/{**r:nonfile}",
        "/api/{**r}",
        "/v{n}",
        "/{a}/x",
        "/{a}/{b}",
        "/{**r}",
    ];
    for pair in ordered.windows(2) {
        assert!(
            template(pair[0]).precedence() < template(pair[1]).precedence(),
            "{pair:?}"
        );
    }
    assert_eq!(
        template("/api/{id:int}/{a}.{b}/{c=1}/{**r}").precedence(),
        [1, 2, 2, 3, 5]
    );
    assert_eq!(
        template("/{a:int}").precedence(),
        template("/v{n}").precedence()
    );
}

#[test]
fn only_constraints_and_mixed_segments_are_filters() {
    for (text, has) in [
        ("/a/{b}/{c?}/{*d}", false),
        ("/{a:int}", true),
        ("/a{b}", true),
        ("/{*a:file}", true),
    ] {
        assert_eq!(template(text).has_filters(), has, "{text}");
    }
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in "[/{}?*:=.()a-cü~]{0,24}", path in "[/%a-c.ü]{0,12}") {
            if let Ok(template) = PathTemplate::parse(&text) {
                let path = format!("/{path}");
                let matches = template.matches(&RequestPath::new(&path));
                prop_assert_eq!(template.capture(&path).is_some(), matches);
            }
        }
    }
}
