//! The rules R4 and R5: transforms.

use super::*;

fn found(transform: &str) -> Vec<(String, String)> {
    let text = format!(
        r#"{{ "ReverseProxy": {{ "Routes": {{ "r": {{ "Match": {{ "Path": "/" }}, "Transforms": [ {transform} ] }} }} }} }}"#
    );
    let loaded = load_with(&tree(&text), &NothingBad);
    let errors = loaded.diagnostics.errors();
    errors
        .map(|error| {
            let path = error
                .path
                .strip_prefix("ReverseProxy:Routes:r:Transforms:")
                .unwrap();
            (
                path.to_owned(),
                format!("{} {:?}", error.message, error.remedy),
            )
        })
        .collect()
}

#[test]
fn r4_a_transform_of_no_known_kind() {
    for (transform, words) in [
        ("{}", "the transform is empty"),
        (
            r#"{ "Set": "x", "Nothing": "y" }"#,
            "no transform is known by the keys Nothing, Set",
        ),
        (r#"{ "PathSett": "/x" }"#, "did you mean PathSet?"),
    ] {
        let found = found(transform);
        assert_eq!(found.len(), 1, "{transform}: {found:?}");
        assert!(
            found[0].0 == "0" && found[0].1.contains(words),
            "{transform}: {found:?}"
        );
    }
}

#[test]
fn r5_every_kind_of_transform_is_accepted() {
    for transform in [
        r#"{ "X-Forwarded": "Set" }"#,
        r#"{ "x-forwarded": "Append", "HeaderPrefix": "", "For": "Off", "Prefix": "Remove", "Host": "Set", "Proto": "2" }"#,
        r#"{ "Forwarded": "for, by host;proto" }"#,
        r#"{ "Forwarded": "" }"#,
        r#"{ "Forwarded": "For,BY,host proto", "Action": "Append", "ForFormat": "ipandport", "ByFormat": "Random" }"#,
        r#"{ "ClientCert": "X-Cert" }"#,
        r#"{ "HttpMethodChange": "PUT", "Set": "POST" }"#,
        r#"{ "PathSet": "" }"#,
        r#"{ "PathPrefix": "/p" }"#,
        r#"{ "PathRemovePrefix": "/p" }"#,
        r#"{ "PathPattern": "/good" }"#,
        r#"{ "QueryValueParameter": "q", "Append": "" }"#,
        r#"{ "QueryRouteParameter": "q", "Set": "r" }"#,
        r#"{ "QueryRemoveParameter": "q" }"#,
        r#"{ "RequestHeadersCopy": " TRUE " }"#,
        r#"{ "RequestHeaderOriginalHost": true }"#,
        r#"{ "REQUESTHEADER": "h", "set": "" }"#,
        r#"{ "RequestHeaderRouteValue": "h", "Append": "r" }"#,
        r#"{ "RequestHeaderRemove": "h" }"#,
        r#"{ "RequestHeadersAllowed": "a;;b" }"#,
        r#"{ "ResponseHeadersCopy": false }"#,
        r#"{ "ResponseTrailersCopy": false }"#,
        r#"{ "ResponseHeader": "h", "Set": "v", "When": "always" }"#,
        r#"{ "ResponseTrailer": "h", "Append": "v" }"#,
        r#"{ "ResponseHeaderRemove": "h", "When": "Failure" }"#,
        r#"{ "ResponseTrailerRemove": "h" }"#,
        r#"{ "ResponseHeadersAllowed": "" }"#,
        r#"{ "ResponseTrailersAllowed": "a" }"#,
    ] {
        // `;` separates nothing in `Forwarded`.
        let wanted = usize::from(transform.contains("host;proto"));
        assert_eq!(
            found(transform).len(),
            wanted,
            "{transform}: {:?}",
            found(transform)
        );
    }
}

#[test]
fn r5_a_transform_with_wrong_values() {
    for (transform, key, words) in [
        (
            r#"{ "X-Forwarded": "set" }"#,
            "X-Forwarded",
            "is not one of Off, Set, Append, Remove, in this case",
        ),
        (r#"{ "X-Forwarded": "4" }"#, "X-Forwarded", "is not one of"),
        (
            r#"{ "X-Forwarded": "Set", "For": "x" }"#,
            "For",
            "is not one of",
        ),
        (
            r#"{ "X-Forwarded": "Set", "Append": "For" }"#,
            "Append",
            "X-Forwarded takes no Append",
        ),
        (
            r#"{ "Forwarded": "for,from" }"#,
            "Forwarded",
            "\"from\" is not one of for, by, host, proto",
        ),
        (
            r#"{ "Forwarded": "for", "Action": "append" }"#,
            "Action",
            "in this case",
        ),
        (
            r#"{ "Forwarded": "for", "ForFormat": "x" }"#,
            "ForFormat",
            "is not one of None, Random",
        ),
        (
            r#"{ "Forwarded": "for", "ByFormat": "Ip" }"#,
            "ByFormat",
            "does not list",
        ),
        (r#"{ "ClientCert": "" }"#, "ClientCert", "the name is empty"),
        (
            r#"{ "HttpMethodChange": "PUT" }"#,
            "HttpMethodChange",
            "needs Set",
        ),
        (
            r#"{ "HttpMethodChange": "PUT", "Set": "PO ST" }"#,
            "Set",
            "no method",
        ),
        (
            r#"{ "HttpMethodChange": "", "Set": "POST" }"#,
            "HttpMethodChange",
            "no method",
        ),
        (
            r#"{ "PathSet": "/x", "PathPrefix": "/y" }"#,
            "PathPrefix",
            "PathSet takes no PathPrefix",
        ),
        (r#"{ "PathPattern": "/bad" }"#, "PathPattern", "it is bad"),
        (
            r#"{ "QueryValueParameter": "q" }"#,
            "QueryValueParameter",
            "needs Set or Append",
        ),
        (
            r#"{ "QueryValueParameter": "", "Set": "x" }"#,
            "QueryValueParameter",
            "the name is empty",
        ),
        (
            r#"{ "QueryRouteParameter": "q", "Set": "" }"#,
            "Set",
            "the name is empty",
        ),
        (
            r#"{ "RequestHeadersCopy": "1" }"#,
            "RequestHeadersCopy",
            "neither true nor false",
        ),
        (
            r#"{ "RequestHeader": "h", "Set": "a", "Append": "b" }"#,
            "Append",
            "exclude each other",
        ),
        (
            r#"{ "RequestHeader": "h", "Set": "a", "When": "Always" }"#,
            "When",
            "takes no When",
        ),
        (
            r#"{ "RequestHeaderRemove": "h", "Set": "" }"#,
            "Set",
            "takes no Set",
        ),
        (
            r#"{ "ResponseHeader": "h", "Set": "a", "When": "Never" }"#,
            "When",
            "is not one of Always",
        ),
        (
            r#"{ "ResponseHeaderRemove": "" }"#,
            "ResponseHeaderRemove",
            "the name is empty",
        ),
    ] {
        let found = found(transform);
        assert_eq!(found.len(), 1, "{transform}: {found:?}");
        assert_eq!(found[0].0, format!("0:{key}"), "{transform}: {found:?}");
        assert!(found[0].1.contains(words), "{transform}: {found:?}");
    }
}

#[test]
fn names_of_fields_are_tokens() {
    for (transform, path) in [
        (
            r#"{ "RequestHeader": "a b", "Set": "x" }"#,
            "0:RequestHeader",
        ),
        (
            r#"{ "RequestHeadersAllowed": "a; b c" }"#,
            "0:RequestHeadersAllowed",
        ),
        (
            r#"{ "ResponseTrailerRemove": "a:" }"#,
            "0:ResponseTrailerRemove",
        ),
        (
            r#"{ "X-Forwarded": "Set", "HeaderPrefix": "X " }"#,
            "0:HeaderPrefix",
        ),
    ] {
        let found = found(transform);
        assert_eq!(found.len(), 1, "{transform}: {found:?}");
        assert_eq!(found[0].0, path, "{transform}");
    }
    assert_eq!(found(r#"{ "QueryRemoveParameter": "a b" }"#), []);
}
