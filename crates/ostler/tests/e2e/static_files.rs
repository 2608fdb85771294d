//! Static files beside the proxy, and the file for paths that no route matches (reference
//! A9.3): static files, then routes, then the fallback.

use std::path::PathBuf;

use crate::support::http2_client::{Http2Client, run, url};
use crate::support::{BothWays, Client, Front, Response, Sandbox};

const ON: &str = r#""StaticFiles": { "Enabled": true },"#;
const FALLBACK: &str = r#""NavigationFallback": { "Path": "/index.html" },"#;
const PAGE: &str = "<p>the page</p>";

/// Routes `/forwarded/...`, `/delegated/...` and `/free/...`, and files beside the configuration.
struct Site {
    front: Front,
    _ways: BothWays,
    sandbox: Sandbox,
}

impl Site {
    fn new(sections: &str) -> Self {
        Self::with(sections, &[])
    }

    fn with(sections: &str, variables: &[(&str, &str)]) -> Self {
        let sandbox = Sandbox::new();
        for (name, text) in [
            ("wwwroot/index.html", PAGE),
            ("wwwroot/style.css", "p { }"),
            ("wwwroot/b\u{fc}cher und mehr.txt", "umlauts"),
            ("wwwroot/docs/index.htm", "the documents"),
            ("wwwroot/docs/default.html", "the default"),
            ("wwwroot/empty/a.txt", ""),
            ("wwwroot/forwarded/known.txt", "before the route"),
            ("wwwroot/data.unknown", "no type"),
            ("wwwroot/.secret.txt", "hidden"),
            ("outside.txt", "outside"),
        ] {
            let path = sandbox.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let ways = BothWays::new(&sandbox);
        let front = sandbox.front_in(&ways.configuration("", sections), variables);
        Self {
            front,
            _ways: ways,
            sandbox,
        }
    }

    fn root(&self) -> PathBuf {
        self.sandbox.path().join("wwwroot")
    }
}

/// A request with further fields, as lines.
fn ask(client: &mut Client, method: &str, path: &str, fields: &str) -> Response {
    client.send(format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n"
    ));
    match method {
        "HEAD" => client.head_response(),
        _ => client.response(),
    }
}

#[test]
fn files_are_served_with_their_type_and_length_on_one_connection() {
    let site = Site::new(ON);
    let mut client = site.front.connect();
    for (path, content_type, text) in [
        ("/style.css", "text/css", "p { }"),
        ("/style.css?v=2", "text/css", "p { }"),
        ("/index.html", "text/html", PAGE),
        ("/b%C3%BCcher%20und%20mehr.txt", "text/plain", "umlauts"),
        ("/empty/a.txt", "text/plain", ""),
        ("/x/../style.css", "text/css", "p { }"),
    ] {
        let response = client.ask("GET", path);
        assert_eq!(
            (response.status, response.text().as_str()),
            (200, text),
            "{path}"
        );
        assert_eq!(response.field("content-type"), Some(content_type), "{path}");
        assert_eq!(response.field("accept-ranges"), Some("bytes"));
        assert_eq!(
            response.field("content-length"),
            Some(&*text.len().to_string())
        );
        assert!(response.field("last-modified").is_some());
        let head = client.ask("HEAD", path);
        let without_date = |fields: &[(String, String)]| -> Vec<_> {
            let fields = fields.iter().filter(|(name, _)| name != "date");
            fields.cloned().collect()
        };
        assert_eq!(head.status, 200);
        assert_eq!(
            without_date(&head.fields),
            without_date(&response.fields),
            "{path}"
        );
    }
}

#[test]
fn a_large_file_arrives_whole() {
    let site = Site::new(ON);
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    std::fs::write(site.root().join("large.bin"), &bytes).unwrap();
    let mut client = site.front.connect();
    for _ in 0..2 {
        assert!(client.ask("GET", "/large.bin").body == bytes);
    }
    let range = ask(
        &mut client,
        "GET",
        "/large.bin",
        "Range: bytes=1000000-1999999\r\n",
    );
    assert!(range.body == bytes[1_000_000..2_000_000]);
}

#[test]
fn folders_have_default_documents_in_asp_nets_order() {
    let site = Site::new(ON);
    let mut client = site.front.connect();
    assert_eq!(client.ask("GET", "/").text(), PAGE);
    assert_eq!(client.ask("GET", "/docs/").text(), "the default");
    let response = client.ask("GET", "/docs?a=b");
    assert_eq!(response.status, 301);
    assert_eq!(response.field("location"), Some("/docs/?a=b"));
    // No listing, and no document to send a client to.
    for path in ["/empty", "/empty/"] {
        assert_eq!(client.ask("GET", path).status, 404, "{path}");
    }
}

#[test]
fn ranges_are_served() {
    let site = Site::new(ON);
    let mut client = site.front.connect();
    let path = "/index.html";
    let length = PAGE.len();
    for (range, from, to) in [
        ("bytes=0-2", 0, 3),
        ("bytes=3-", 3, length),
        ("bytes=-4", length - 4, length),
        ("bytes=10-1000", 10, length),
    ] {
        let response = ask(&mut client, "GET", path, &format!("Range: {range}\r\n"));
        assert_eq!(response.status, 206, "{range}");
        assert_eq!(response.text(), &PAGE[from..to], "{range}");
        let stated = format!("bytes {from}-{}/{length}", to - 1);
        assert_eq!(response.field("content-range"), Some(&*stated));
    }
    let beyond = ask(&mut client, "GET", path, "Range: bytes=1000-\r\n");
    assert_eq!(beyond.status, 416);
    assert_eq!(
        beyond.field("content-range"),
        Some(&*format!("bytes */{length}"))
    );
    let several = ask(&mut client, "GET", path, "Range: bytes=0-1,3-4\r\n");
    assert_eq!((several.status, several.text().as_str()), (200, PAGE));
}

#[test]
fn odd_ranges_are_taken_as_the_rfc_and_asp_net_have_them() {
    let site = Site::new(ON);
    let mut client = site.front.connect();
    let path = "/index.html";
    let length = PAGE.len();
    let huge = "9".repeat(30);
    for (range, from) in [
        (format!("bytes=-{}", length + 1), 0),
        (format!("bytes=-{huge}"), 0),
        (format!("bytes=3-{huge}"), 3),
        ("BYTES=3-".to_owned(), 3),
        ("bytes=003-".to_owned(), 3),
    ] {
        let response = ask(&mut client, "GET", path, &format!("Range: {range}\r\n"));
        assert_eq!(response.status, 206, "{range}");
        assert_eq!(response.text(), &PAGE[from..], "{range}");
        let stated = format!("bytes {from}-{}/{length}", length - 1);
        assert_eq!(response.field("content-range"), Some(&*stated), "{range}");
    }
    // What is no range, or of something else than bytes, is as if it were not there.
    for range in [
        "items=0-2",
        "bytes=a-b",
        "bytes=5-2",
        "bytes",
        "bytes=0-1,3-4",
    ] {
        let response = ask(&mut client, "GET", path, &format!("Range: {range}\r\n"));
        assert_eq!(
            (response.status, response.text().as_str()),
            (200, PAGE),
            "{range}"
        );
    }
    for (path, range, length) in [
        (path, format!("bytes={huge}-"), length),
        (path, "bytes=-0".to_owned(), length),
        ("/empty/a.txt", "bytes=0-".to_owned(), 0),
        ("/empty/a.txt", "bytes=-5".to_owned(), 0),
    ] {
        let response = ask(&mut client, "GET", path, &format!("Range: {range}\r\n"));
        assert_eq!(response.status, 416, "{path} {range}");
        let stated = format!("bytes */{length}");
        assert_eq!(response.field("content-range"), Some(&*stated), "{range}");
    }
    // RFC 9110 section 14.2: a range is for GET.
    let head = ask(&mut client, "HEAD", path, "Range: bytes=0-2\r\n");
    assert_eq!(head.status, 200);
    assert_eq!(head.field("content-length"), Some(&*length.to_string()));
    // A second field makes two of it.
    let two = ask(
        &mut client,
        "GET",
        path,
        "Range: bytes=0-2\r\nRange: bytes=0-2\r\n",
    );
    assert_eq!((two.status, two.text().as_str()), (200, PAGE));
}

#[test]
fn what_a_client_has_already_is_not_sent_again() {
    let site = Site::new(ON);
    let mut client = site.front.connect();
    let path = "/index.html";
    let first = client.ask("GET", path);
    let modified = first.field("last-modified").unwrap();
    let tag = first.field("etag").unwrap();
    let old = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (fields, status) in [
        (format!("If-Modified-Since: {modified}\r\n"), 304),
        (format!("If-Modified-Since: {old}\r\n"), 200),
        (format!("If-None-Match: {tag}\r\n"), 304),
        ("If-None-Match: \"other\"\r\n".to_owned(), 200),
        (format!("If-Unmodified-Since: {old}\r\n"), 412),
        // RFC 9110 section 13.1.5.
        (format!("Range: bytes=0-2\r\nIf-Range: {tag}\r\n"), 206),
        (format!("Range: bytes=0-2\r\nIf-Range: {modified}\r\n"), 206),
        (format!("Range: bytes=0-2\r\nIf-Range: {old}\r\n"), 200),
        (
            "Range: bytes=0-2\r\nIf-Range: \"other\"\r\n".to_owned(),
            200,
        ),
    ] {
        let response = ask(&mut client, "GET", path, &fields);
        assert_eq!(response.status, status, "{fields}");
        if status == 304 {
            assert_eq!(response.field("etag"), Some(tag), "{fields}");
        }
    }
}

#[test]
fn nothing_outside_the_root_and_nothing_hidden_is_served() {
    let site = Site::new(ON);
    let mut client = site.front.connect();
    for path in [
        "/../outside.txt",
        "/../../../../../../etc/passwd",
        "/%2e%2e/outside.txt",
        "/docs/..%2f..%2foutside.txt",
        "/docs/%2e%2e%2f%2e%2e%2foutside.txt",
        "/..%5coutside.txt",
        "/..\\outside.txt",
        "//outside.txt",
        "/.secret.txt",
        "/%2esecret.txt",
        "/index.html/",
        "/data.unknown",
        "/no-such.txt",
    ] {
        let response = client.ask("GET", path);
        assert_eq!((response.status, response.body.len()), (404, 0), "{path}");
    }
    // A NUL ends the connection.
    let response = site.front.ask("GET", "/index.html%00.css");
    assert_eq!(response.status, 400);
}

#[test]
fn files_come_before_routes_and_routes_still_work() {
    let site = Site::new(ON);
    let mut client = site.front.connect();
    for way in ["/forwarded", "/delegated"] {
        for _ in 0..2 {
            assert_eq!(client.ask("GET", "/style.css").text(), "p { }");
            let echo = client.post(&format!("{way}/echo"), b"hello").json();
            assert_eq!(echo["length"], 5, "{way}");
        }
    }
    assert_eq!(
        client.ask("GET", "/forwarded/known.txt").text(),
        "before the route"
    );
    // Files are read and not written: everything else goes on to the routes.
    let posted = client.post("/forwarded/known.txt", b"x");
    assert_ne!(posted.text(), "before the route");
    assert_eq!(client.ask("POST", "/style.css").status, 404);
    // A body that nobody reads is not taken for the next request.
    client.send("GET /style.css HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(client.response().text(), "p { }");
    assert_eq!(client.ask("GET", "/style.css").text(), "p { }");
    client.send("GET /style.css HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nh");
    let response = client.response();
    assert_eq!(response.field("connection"), Some("close"));
}

#[test]
fn the_fallback_is_for_paths_that_no_route_matches_and_that_are_no_files() {
    for sections in [format!("{ON}{FALLBACK}"), FALLBACK.to_owned()] {
        let site = Site::new(&sections);
        let mut client = site.front.connect();
        for path in ["/", "/orders/1", "/a.b/c", "/orders?x=y.z", "/a."] {
            let response = client.ask("GET", path);
            assert_eq!(
                (response.status, response.text().as_str()),
                (200, PAGE),
                "{path}"
            );
            assert_eq!(response.field("content-type"), Some("text/html"));
            assert_eq!(client.ask("HEAD", path).status, 200);
        }
        for path in ["/orders/1.js", "/app.js"] {
            assert_eq!(client.ask("GET", path).status, 404, "{path}");
        }
        let posted = client.ask("POST", "/orders/1");
        assert_eq!(posted.status, 405);
        assert_eq!(posted.field("allow"), Some("GET, HEAD"));
        let is_served = client.ask("GET", "/style.css").status == 200;
        assert_eq!(is_served, sections.starts_with(ON));
        for way in ["/forwarded", "/delegated"] {
            assert_eq!(
                client.ask("GET", &format!("{way}/echo")).json()["method"],
                "GET"
            );
        }
    }
}

#[test]
fn without_the_sections_nothing_is_served() {
    let site = Site::new("");
    for path in ["/", "/index.html", "/orders/1"] {
        assert_eq!(site.front.ask("GET", path).status, 404, "{path}");
    }
}

#[test]
fn the_variables_of_before_do_what_they_did() {
    let on = ("YARP_ENABLE_STATIC_FILES", "TRUE");
    let site = Site::with("", &[on]);
    assert_eq!(site.front.ask("GET", "/style.css").text(), "p { }");
    assert_eq!(site.front.ask("GET", "/orders/1").text(), PAGE);
    let site = Site::with("", &[on, ("YARP_DISABLE_SPA_FALLBACK", "true")]);
    assert_eq!(site.front.ask("GET", "/style.css").text(), "p { }");
    assert_eq!(site.front.ask("GET", "/orders/1").status, 404);
}

#[test]
fn the_folder_and_unknown_types_are_settings() {
    let sections = r#""StaticFiles": { "Enabled": true, "ServeUnknownFileTypes": true },
        "WebRoot": "wwwroot/docs/../../wwwroot","#;
    let site = Site::new(sections);
    let response = site.front.ask("GET", "/data.unknown");
    assert_eq!(response.text(), "no type");
    assert_eq!(
        response.field("content-type"),
        Some("application/octet-stream")
    );
    let site = Site::new(&format!(r#"{ON} "WebRoot": "nowhere","#));
    assert_eq!(site.front.ask("GET", "/style.css").status, 404);
    crate::support::eventually("it is told", || {
        let log = site.front.process.errors().join("\n");
        log.contains("there is no folder with static files")
    });
}

#[test]
fn streams_are_served_as_connections_are() {
    let site = Site::new(&format!("{ON}{FALLBACK}"));
    let bytes: Vec<u8> = (0..2_000_000_u32).map(|at| (at % 251) as u8).collect();
    std::fs::write(site.root().join("large.bin"), &bytes).unwrap();
    run(async {
        let client = Http2Client::connect(site.front.port).await;
        let css = client.get("/style.css").await;
        assert_eq!((css.status(), css.text()), (200, "p { }"));
        assert_eq!(css.head.headers["content-type"], "text/css");
        assert_eq!(css.head.headers["content-length"], "5");
        assert!(client.get("/large.bin").await.body == bytes);
        let head = http::Request::head(url("/large.bin")).body(()).unwrap();
        let head = client.ask(head).await;
        assert_eq!(head.head.headers["content-length"], "2000000");
        assert!(head.body.is_empty());
        let tag = css.head.headers["etag"].clone();
        let again = http::Request::get(url("/style.css")).header("if-none-match", tag);
        assert_eq!(client.ask(again.body(()).unwrap()).await.status(), 304);
        assert_eq!(client.get("/docs").await.status(), 301);
        assert_eq!(client.get("/orders/1").await.text(), PAGE);
        assert_eq!(client.get("/no-such.txt").await.status(), 404);
        assert_eq!(client.post("/orders/1", b"x").await.status(), 405);
        let echo = client.post("/forwarded/echo", b"hello").await.json();
        assert_eq!(echo["length"], 5);
    });
}
