use super::*;

/// Paths that mean a file, and paths that could lead elsewhere.
#[test]
fn a_path_stays_below_the_root() {
    for (path, expected) in [
        ("/", Some("")),
        ("/a.txt", Some("a.txt")),
        ("/a/b%20c/%C3%A9.css", Some("a/b c/\u{e9}.css")),
        ("/a/", Some("a")),
        // Dot segments are gone before a file is looked for.
        ("/../etc/passwd", Some("etc/passwd")),
        ("/a/../../etc/passwd", Some("etc/passwd")),
        ("/a/%2e%2e/b", Some("b")),
        ("a.txt", None),
        ("/a%2Fb", None),
        ("/a%2f..%2f..%2fetc", None),
        ("//etc/passwd", None),
        ("/a//b", None),
        ("/a%5c..%5cb", None),
        ("/a%00", None),
        ("/a%FF", Some("a%FF")),
        ("/...", None),
        ("/.git/config", None),
        ("/a/.htpasswd", None),
        ("/a/%2Ehtpasswd", None),
    ] {
        let found = below(&forwarded(path));
        assert_eq!(found.as_deref(), expected.map(Path::new), "{path}");
    }
    // Where nobody has taken them out, they are refused.
    for path in ["/..", "/a/../b", "/a/%2e%2e/b"] {
        assert_eq!(below(path), None, "{path}");
    }
}

/// ASP.NET's `nonfile` constraint.
#[test]
fn names_of_files_have_something_behind_a_dot() {
    for (path, expected) in [
        ("/", false),
        ("/orders/1", false),
        ("/a.b/c", false),
        ("/app.js", true),
        ("/a/.x", true),
        ("/a.", false),
        ("/a...", false),
        ("/a..b", true),
    ] {
        assert_eq!(is_file_name(path), expected, "{path}");
    }
}
