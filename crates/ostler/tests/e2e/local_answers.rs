//! What the front answers by itself because the configuration says so: redirects, responses of routes, the
//! way to https, and pages for errors.

use std::path::Path;
use std::process::Command;

use http::Request;
use serde_json::json;

use crate::support::http2_client::{Http2Client, run, url};
use crate::support::{
    BothWays, Client, Response, Sandbox, TlsSettings, WAYS, delegating_to, eventually,
};
use crate::tls::{authority, kestrel, start};

/// What the program says that refuses to do this.
fn refusal(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ostler"));
    let output = command.args(arguments).output().unwrap();
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn get(client: &mut Client, path: &str, fields: &str) -> Response {
    client.send(format!(
        "GET {path} HTTP/1.1\r\nHost: a.example:81\r\n{fields}\r\n"
    ));
    client.response()
}

/// A configuration with these routes, and these sections before them.
fn routes(sections: &str, routes: &str) -> String {
    format!(r#"{{ {sections} "ReverseProxy": {{ "Routes": {{ {routes} }} }} }}"#)
}

const ACTIONS: &str = r#"
    "moved": { "Match": { "Path": "/old/{**rest}" },
        "Redirect": { "StatusCode": 308, "Location": "https://{host}/new/{rest}{query}" } },
    "elsewhere": { "Match": { "Path": "/x/{id}" }, "Redirect": { "Location": "/y?id={id}" } },
    "gone": { "Match": { "Path": "/gone" },
        "Respond": { "StatusCode": 410, "Body": "gone for good", "Headers": { "X-Why": "old" } } },
    "robots": { "Match": { "Path": "/robots.txt" }, "Respond": { "Body": "User-agent: *\n", "ContentType": "text/robots" } },
    "empty": { "Match": { "Path": "/empty" }, "Respond": { "StatusCode": 204 } },
    "limited": { "Match": { "Path": "/limited" }, "RateLimiterPolicy": "p", "Respond": { "Body": "in" } }"#;

const LIMITER: &str = r#""RateLimiter": { "RejectionStatusCode": 429, "Policies": { "p": {
    "Type": "FixedWindow", "PermitLimit": 1, "Window": "01:00:00" } } },"#;

#[test]
fn routes_redirect_and_respond() {
    let sandbox = Sandbox::new();
    let front = sandbox.front(&routes(LIMITER, ACTIONS));
    let mut client = front.connect();
    let moved = get(&mut client, "/old/a%20b/c?d=e", "");
    assert_eq!(moved.status, 308);
    assert_eq!(
        moved.field("location"),
        Some("https://a.example/new/a%20b/c?d=e")
    );
    // A body that is there whole does not end the connection.
    client.send("POST /x/1%262 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    let elsewhere = client.response();
    assert_eq!(
        (elsewhere.status, elsewhere.field("location")),
        (307, Some("/y?id=1%262"))
    );
    let gone = get(&mut client, "/gone", "");
    assert_eq!((gone.status, gone.text().as_str()), (410, "gone for good"));
    assert_eq!(gone.field("x-why"), Some("old"));
    assert_eq!(
        gone.field("content-type"),
        Some("text/plain; charset=utf-8")
    );
    let head = client.ask("HEAD", "/robots.txt");
    assert_eq!(
        (head.status, head.field("content-length")),
        (200, Some("14"))
    );
    assert_eq!(head.field("content-type"), Some("text/robots"));
    assert_eq!(client.ask("GET", "/empty").status, 204);
    // Its policies hold.
    assert_eq!(client.ask("GET", "/limited").text(), "in");
    assert_eq!(client.ask("GET", "/limited").status, 429);
    run(async {
        let client = Http2Client::connect(front.port).await;
        let moved = client.get("/old/b").await;
        assert_eq!(moved.status(), 308);
        assert_eq!(moved.head.headers["location"], "https://example.org/new/b");
        assert_eq!(client.get("/gone").await.text(), "gone for good");
    });
}

#[test]
fn what_a_route_cannot_answer_is_an_error_where_it_stands() {
    let sandbox = Sandbox::new();
    let says = |route: &str| {
        let json = routes(
            "",
            &format!(r#""r": {{ "Match": {{ "Path": "/p/{{id}}" }}, {route} }}"#),
        );
        let path = sandbox.own_configuration(&json);
        refusal(&["check", "--config", path.to_str().unwrap()])
    };
    for (route, words) in [
        (
            r#""ClusterId": "c", "Redirect": { "Location": "/" }"#,
            "exclude each other",
        ),
        (
            r#""Respond": { "Body": "a" }, "Redirect": { "Location": "/" }"#,
            "exclude each other",
        ),
        (r#""Redirect": { "StatusCode": 301 }"#, "where to"),
        (r#""Redirect": { "Location": "/{ip}" }"#, "did you mean id?"),
        (
            r#""Redirect": { "Location": "https://a.example{id}" }"#,
            "which host",
        ),
        (
            r#""Redirect": { "Location": "/", "StatusCode": 304 }"#,
            "304",
        ),
        (r#""Respond": { "StatusCode": 101 }"#, "101"),
        (
            r#""Respond": { "StatusCode": 204, "Body": "a" }"#,
            "no body",
        ),
        (
            r#""Respond": { "Headers": { "Content-Length": "1" } }"#,
            "remove it",
        ),
    ] {
        let said = says(route);
        assert!(said.contains(words), "{route}: {said}");
        assert!(said.contains("ReverseProxy:Routes:r:"), "{route}: {said}");
    }
}

#[test]
fn clients_are_sent_to_https_before_anything_else() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let sections = r#""HttpsRedirection": { "HttpsPort": 8443, "RedirectStatusCode": 308 },
        "ForwardedHeaders": { "ForwardedHeaders": "XForwardedProto, XForwardedPrefix" },"#;
    let front = sandbox.front(&both.configuration("", sections));
    let mut client = front.connect();
    for way in WAYS {
        let path = format!("{way}/echo");
        let sent = get(
            &mut client,
            &format!("{path}?a=b"),
            "X-Forwarded-Prefix: /base\r\n",
        );
        let location = format!("https://a.example:8443/base{path}?a=b");
        assert_eq!(
            (sent.status, sent.field("location")),
            (308, Some(location.as_str()))
        );
        // Whoever ends TLS before the front says so.
        let let_in = get(&mut client, &path, "X-Forwarded-Proto: https\r\n");
        assert_eq!(let_in.status, 200);
    }
    assert_eq!(get(&mut client, "/nowhere", "").status, 308);
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.response().status, 400, "it could be sent nowhere");
}

#[test]
fn browsers_are_told_to_ask_by_https_over_every_way() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let both = BothWays::new(&sandbox);
    let kestrel = kestrel(&sandbox, json!({}));
    let hsts = r#""Hsts": { "MaxAge": "00:01:00", "IncludeSubDomains": true, "ExcludedHosts": [ "b.example" ] },"#;
    // A destination's own gives way.
    let route = r#""Transforms": [ { "ResponseHeader": "Strict-Transport-Security", "Set": "max-age=1" } ],"#;
    for route in ["", route] {
        let front = start(
            &sandbox,
            &both.configuration(route, &format!("{hsts} {kestrel}")),
        );
        let mut settings = TlsSettings::new(&authority);
        let mut client = settings.connect(front.port);
        for path in ["/forwarded/x", "/delegated/x", "/nowhere"] {
            for (host, told) in [("a.example", 1), ("b.example:444", 0)] {
                client.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
                let response = client.response();
                let fields = response.fields.iter();
                let said: Vec<_> = fields
                    .filter(|(name, value)| {
                        name == "strict-transport-security"
                            && value == "max-age=60; includeSubDomains"
                    })
                    .collect();
                assert_eq!(said.len(), told, "{path} {host}");
                if told == 1 {
                    let all = response.fields.iter();
                    let all = all.filter(|(name, _)| name == "strict-transport-security");
                    assert_eq!(all.count(), 1, "{path}");
                }
            }
        }
        settings.alpn = &[b"h2"];
        run(async {
            let client = Http2Client::over_tls(front.port, &settings).await;
            for path in ["/forwarded/x", "/delegated/x", "/nowhere"] {
                let request = Request::get(url(path)).body(()).unwrap();
                let response = client.ask(request).await;
                let said = response.head.headers.get_all("strict-transport-security");
                let said: Vec<_> = said.iter().collect();
                assert_eq!(said, ["max-age=60; includeSubDomains"], "{path}");
            }
        });
    }
}

/// Over clear text, where a load balancer has ended TLS, a target says it for the front.
#[test]
fn targets_tell_browsers_for_the_front() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let sections = r#""Hsts": { "Enabled": true },
        "ForwardedHeaders": { "ForwardedHeaders": "XForwardedProto" },"#;
    let front = sandbox.front(&both.configuration("", sections));
    let mut client = front.connect();
    for way in WAYS {
        let told = get(
            &mut client,
            &format!("{way}/x"),
            "X-Forwarded-Proto: https\r\n",
        );
        assert_eq!(
            told.field("strict-transport-security"),
            Some("max-age=2592000"),
            "{way}"
        );
        let not = get(&mut client, &format!("{way}/x"), "");
        assert_eq!(not.field("strict-transport-security"), None, "{way}");
    }
}

fn page(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}

#[test]
fn errors_of_the_front_s_own_have_pages() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path().join("errors");
    std::fs::create_dir(&folder).unwrap();
    page(&folder, "404.html", "<p>not here");
    page(&folder, "404.json", r#"{"title":"not here"}"#);
    page(&folder, "5xx.html", "<p>later");
    page(&folder, "style.css", "no page");
    let section = r#""Ostler": { "ErrorPages": { "Folder": "errors" } },"#;
    // A queue that nobody serves, a destination that nobody is at, a target that says 404 itself.
    let both = BothWays::new(&sandbox);
    let configuration = both.configuration("", section).replacen(
        r#""free": {"#,
        r#""dead": { "ClusterId": "dead", "Match": { "Path": "/dead" } },
           "nobody": { "ClusterId": "nobody", "Match": { "Path": "/nobody" } },
           "plain": { "Match": { "Path": "/plain" }, "Respond": { "StatusCode": 404, "Body": "mine" } },
           "free": {"#,
        1,
    );
    let configuration = configuration.replacen(
        r#""Clusters": {"#,
        r#""Clusters": {
            "dead": { "Destinations": { "d": { "Address": "http://127.0.0.1:1/" } } },
            "nobody": { "Destinations": { "d": { "Address": "http://*:80/",
                "Metadata": { "HttpSysDelegationQueue": "nobody" } } } },"#,
        1,
    );
    let front = sandbox.front(&configuration);
    let mut client = front.connect();
    let page_of = |response: &Response| {
        let kind = response
            .field("content-type")
            .unwrap_or_default()
            .to_owned();
        (response.status, kind, response.text())
    };
    let html = |status: u16, text: &str| {
        (
            status,
            "text/html; charset=utf-8".to_owned(),
            text.to_owned(),
        )
    };
    let missing = get(&mut client, "/nowhere", "");
    assert_eq!(page_of(&missing), html(404, "<p>not here"));
    assert_eq!(missing.field("vary"), Some("Accept"));
    let json = get(
        &mut client,
        "/nowhere",
        "Accept: application/json, */*;q=0.1\r\n",
    );
    assert_eq!(json.field("content-type"), Some("application/json"));
    assert_eq!(json.json()["title"], "not here");
    assert_eq!(
        get(&mut client, "/nowhere", "Accept: image/png\r\n").text(),
        ""
    );
    assert_eq!(
        page_of(&get(&mut client, "/dead", "")),
        html(502, "<p>later")
    );
    assert_eq!(
        page_of(&get(&mut client, "/nobody", "")),
        html(503, "<p>later")
    );
    // What an application says, or a route, is theirs.
    for way in WAYS {
        let response = get(&mut client, &format!("{way}/status/404"), "");
        assert_eq!(
            (response.status, response.text().contains("not here")),
            (404, false),
            "{way}"
        );
    }
    assert_eq!(get(&mut client, "/plain", "").text(), "mine");
    let head = client.ask("HEAD", "/nowhere");
    assert_eq!(
        (head.status, head.field("content-length")),
        (404, Some("11"))
    );
    run(async {
        let client = Http2Client::connect(front.port).await;
        let missing = client.get("/nowhere").await;
        assert_eq!((missing.status(), missing.text()), (404, "<p>not here"));
    });
    // One that changes is read again, and one that comes.
    page(&folder, "404.html", "<p>still not here");
    eventually("the page is another one", || {
        get(&mut client, "/nowhere", "").text() == "<p>still not here"
    });
    page(&folder, "405.txt", "not so");
    page(&folder, "502.txt", "dead");
    eventually("there is another page", || {
        get(&mut client, "/dead", "Accept: text/plain\r\n").text() == "dead"
    });
}

#[test]
fn a_folder_of_pages_that_is_not_there_is_an_error() {
    let sandbox = Sandbox::new();
    let section = r#"{ "Ostler": { "ErrorPages": { "Folder": "missing" } },"#;
    let json = delegating_to(&["q"]).replacen('{', section, 1);
    let path = sandbox.own_configuration(&json);
    let path = path.to_str().unwrap();
    let said = refusal(&["run", "--config", path, "--urls", "http://127.0.0.1:0"]);
    assert!(
        said.contains("Ostler:ErrorPages:Folder") && said.contains("missing"),
        "{said}"
    );
}
