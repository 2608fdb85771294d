//! Request lines: paths, queries, and the destination's address before them.

use super::{DEFAULTS, Row, check};

/// A request for `target` and the one the destination gets, both without fields of their own.
fn targets(transforms: &str, target: &str, sent: &str) -> Row {
    Row::new(
        transforms,
        format!("GET {target} HTTP/1.1\nHost: HOST\n\n"),
        format!("GET {sent} HTTP/1.1\nhost: DEST\n{DEFAULTS}\n"),
    )
}

#[test]
fn paths() {
    // Reference B3.1, with `{id}` = 7 and `{rest}` = `a b/c`.
    let target = "/api/7/a%20b/c";
    let mut rows = Vec::new();
    for (transforms, sent) in [
        ("", "/api/7/a%20b/c"),
        ("PathSet: /p", "/p"),
        ("PathSet: p", "/p"),
        ("PathSet: /", "/"),
        ("PathSet: /p/", "/p/"),
        ("PathSet: /a b", "/a%20b"),
        ("PathSet: /a%20b", "/a%2520b"),
        ("PathSet: /a%2Fb", "/a%252Fb"),
        ("PathSet: /é?#[]", "/%C3%A9%3F%23%5B%5D"),
        ("PathSet: /-._~!$&'()*+,;=:@", "/-._~!$&'()*+,;=:@"),
        ("pathset: /p", "/p"),
        ("PathPrefix: /p", "/p/api/7/a%20b/c"),
        ("PathPrefix: p", "/p/api/7/a%20b/c"),
        ("PathPrefix: /p/", "/p/api/7/a%20b/c"),
        ("PathPrefix: /p//", "/p//api/7/a%20b/c"),
        ("PathPrefix: /", "/api/7/a%20b/c"),
        ("PathRemovePrefix: /api + PathPrefix: /v2/", "/v2/7/a%20b/c"),
        ("PathRemovePrefix: /api", "/7/a%20b/c"),
        ("PathRemovePrefix: api", "/7/a%20b/c"),
        ("PathRemovePrefix: /API/7", "/a%20b/c"),
        ("PathRemovePrefix: /api/7/a b", "/c"),
        ("PathRemovePrefix: /ap", "/api/7/a%20b/c"),
        ("PathRemovePrefix: /api/", "/api/7/a%20b/c"),
        ("PathRemovePrefix: /", "/api/7/a%20b/c"),
        ("PathRemovePrefix: /api/7/a b/c", "/"),
        ("PathRemovePrefix: /api/7/a b/c + PathPrefix: /p/", "/p/"),
        ("PathRemovePrefix: /api/7/a b/c + PathPrefix: /p", "/p"),
        ("PathPattern: /{id}", "/7"),
        ("PathPattern: {id}", "/7"),
        ("PathPattern: /x/{ID}/y", "/x/7/y"),
        ("PathPattern: /{id}/{**rest}", "/7/a%20b/c"),
        ("PathPattern: /{id}.json", "/7.json"),
        ("PathPattern: /v{id}-x", "/v7-x"),
        // A slash in a value is encoded, and stays as it is: the deviation of 6.1.
        ("PathPattern: /{rest}/{id}", "/a%20b%2Fc/7"),
        ("PathPattern: /{*rest}", "/a%20b%2Fc"),
        ("PathPattern: /x/{none}", "/x"),
        ("PathPattern: /x/{none?}", "/x"),
        ("PathPattern: /x/{none}/{id}", "/"),
        ("PathPattern: /{none}/x", "/"),
        ("PathPattern: /{id}.{none?}", "/7"),
        ("PathPattern: /{id}.{none}", "/"),
        ("PathPattern: /x/{none}.{id?}", "/"),
        ("PathPattern: /x/{none=y}", "/x"),
        ("PathPattern: /x/{id=7}", "/x"),
        ("PathPattern: /{id=7}/x", "/7/x"),
        ("PathPattern: /{rest:int}", "/a%20b%2Fc"),
        ("PathPattern: /x/", "/x"),
        ("PathPattern: /", "/"),
        ("PathPattern: /é %", "/%C3%A9%20%25"),
        ("PathSet: /one + PathSet: /two + PathPrefix: /p", "/p/two"),
    ] {
        rows.push(targets(transforms, target, sent));
    }
    // The query is untouched, and an empty path leaves the destination's own as it is configured.
    rows.push(targets("PathSet: /p", "/api/7/x?a=b&c", "/p?a=b&c"));
    for (base, transforms, sent) in [
        ("/base/", "PathSet: /p", "/base/p"),
        ("/base", "PathPrefix: /p", "/base/p/api/7/x"),
        ("/base", "PathRemovePrefix: /api/7/x", "/base"),
        ("/base/", "PathRemovePrefix: /api/7/x", "/base/"),
        ("/", "PathRemovePrefix: /api/7/x", "/"),
        ("", "PathPattern: /", "/"),
        ("/base/", "PathPattern: /", "/base/"),
    ] {
        rows.push(Row {
            base,
            ..targets(transforms, "/api/7/x", sent)
        });
    }
    check(rows);
}

#[test]
fn queries() {
    // Reference B3.2, with `{id}` = 7 and `{rest}` = `a b/c`.
    let mut rows = Vec::new();
    for (transforms, query, sent) in [
        ("QueryValueParameter: n | Set: v", "", "?n=v"),
        ("QueryValueParameter: n | Append: v", "", "?n=v"),
        (
            "QueryValueParameter: q | Set: v",
            "?q=1&r=2&q=3",
            "?q=v&r=2",
        ),
        (
            "QueryValueParameter: q | Append: v",
            "?q=1&r=2&q=3",
            "?q=1&q=3&q=v&r=2",
        ),
        ("QueryValueParameter: Q | Append: v", "?q=1", "?q=1&q=v"),
        ("QueryValueParameter: q | Set: ", "?q=1", "?q="),
        ("QueryRouteParameter: q | Set: id", "?q=1&r=2", "?q=7&r=2"),
        (
            "QueryRouteParameter: q | Append: id",
            "?q=1&r=2",
            "?q=1&q=7&r=2",
        ),
        ("QueryRouteParameter: q | Set: rest", "", "?q=a%20b%2Fc"),
        // Without a value nothing happens, and the query is not written anew.
        ("QueryRouteParameter: q | Set: none", "?q=%41+", "?q=%41+"),
        ("QueryRemoveParameter: q", "?q=1&r=2&Q=3", "?r=2"),
        ("QueryRemoveParameter: q", "?q=1", ""),
        (
            "QueryRemoveParameter: none",
            "?bare&a=%41+b",
            "?bare=&a=A%20b",
        ),
        ("QueryRemoveParameter: none", "?", ""),
        ("QueryRemoveParameter: none", "?&&a=1&&", "?a=1"),
        ("QueryRemoveParameter: none", "?a=b=c", "?a=b%3Dc"),
        ("QueryRemoveParameter: none", "?a=1&b=2&A=3", "?A=1&A=3&b=2"),
        ("QueryRemoveParameter: none", "?=v", "?=v"),
        ("QueryRemoveParameter: none", "?a=%C3%a9", "?a=%C3%A9"),
        ("QueryRemoveParameter: none", "?a=%zz", "?a=%25zz"),
        (
            "QueryRemoveParameter: none",
            "?a=-._~!$()*,;@",
            "?a=-._~!$()*,;@",
        ),
        (
            "QueryRemoveParameter: none",
            "?a=%20%2F%3A%27%2B%26%3d%5b%25",
            "?a=%20%2F%3A%27%2B%26%3D%5B%25",
        ),
        (
            "QueryValueParameter: a b | Set: c/d:'+&=é",
            "",
            "?a%20b=c%2Fd%3A%27%2B%26%3D%C3%A9",
        ),
        (
            "QueryValueParameter: n | Set: v + QueryRemoveParameter: n",
            "?a=1",
            "?a=1",
        ),
        (
            "QueryValueParameter: n | Set: v + PathSet: /p",
            "?a=1",
            "?a=1&n=v",
        ),
    ] {
        let path = match transforms.contains("PathSet") {
            true => "/p",
            false => "/api/7/a%20b/c",
        };
        let target = format!("/api/7/a%20b/c{query}");
        rows.push(targets(transforms, &target, &format!("{path}{sent}")));
    }
    check(rows);
}

#[test]
fn targets_without_transforms() {
    // Reference B6.2; an encoded slash leaves as it came.
    let mut rows = Vec::new();
    for (base, target, sent) in [
        ("", "/", "/"),
        ("/b", "/", "/b/"),
        ("/b/", "/", "/b/"),
        ("/b//", "/x", "/b//x"),
        ("/b?k=1", "/x", "/b?k=1/x"),
        ("", "/caf%c3%a9", "/caf%C3%A9"),
        ("", "/%63%61t%3Bv", "/cat;v"),
        ("", "/x%3fy%23z", "/x%3Fy%23z"),
        ("", "/x%2fy%252Fz", "/x%2fy%252Fz"),
        ("", "/50%", "/50%25"),
        ("", "/a/%2e%2E/b", "/b"),
        ("", "/a/./b/../../..", "/"),
        ("", "//a///b/", "//a///b/"),
        ("", "/x?u=http://y/?q", "/x?u=http://y/?q"),
        ("", "/x?", "/x?"),
        ("", "/x?a=\\^`{|}%4&[]", "/x?a=%5C%5E%60%7B%7C%7D%254&[]"),
        ("", "/x<>\\^`?\"<>", "/x%3C%3E%5C%5E%60?%22%3C%3E"),
        ("/a b/%7Ex/ü", "/x", "/a%20b/~x/%C3%BC/x"),
        ("", "/%zz%C3%28", "/%25zz%25C3("),
        ("", "/a|b\"{}[]", "/a%7Cb%22%7B%7D%5B%5D"),
        ("", "/-._~!$&'()*+,;=:@", "/-._~!$&'()*+,;=:@"),
        // A': absolute form.
        ("/b", "http://HOST/x?q", "/b/x?q"),
        ("", "http://HOST", "/"),
    ] {
        for transforms in ["", "RequestHeaderRemove: None"] {
            rows.push(Row {
                path: "/{**all}",
                base,
                ..targets(transforms, target, sent)
            });
        }
    }
    // A `#` is refused, since a later parser may take it for the start of a fragment: a deviation. A
    // NUL is refused by Kestrel too.
    for target in ["/x?u=http://y/?q#f", "/x#f", "/x%00"] {
        rows.push(Row {
            path: "/{**all}",
            expected: "HTTP/1.1 400".to_owned(),
            ..targets("", target, "")
        });
    }
    // A'': the destination gets its own path, and never `*`.
    for (base, sent) in [("/b", "/b"), ("", "/")] {
        rows.push(Row {
            path: "/{**all}",
            base,
            ..Row::new(
                "",
                "OPTIONS * HTTP/1.1\nHost: HOST\n\n",
                format!("OPTIONS {sent} HTTP/1.1\nhost: DEST\n{DEFAULTS}\n"),
            )
        });
    }
    check(rows);
}
