//! CORS: preflight requests are answered by the front, other responses carry the fields, whoever
//! answers (reference A11.2).

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::support::{BothWays, Client, Response, Sandbox, WAYS, eventually};

const SECTION: &str = r#""Cors": { "Policies": { "Mine": {
    "Origins": [ "https://a.example", "https://*.b.example" ], "Methods": [ "GET", "PUT" ], "Headers": [ "*" ],
    "ExposedHeaders": [ "X-One" ], "SupportsCredentials": true, "PreflightMaxAge": "00:10:00" } } },"#;

const PREFLIGHT: &str = "Origin: https://x.b.example\r\nAccess-Control-Request-Method: PUT\r\n\
     Access-Control-Request-Headers: x-two, x-three\r\n";

fn ask(client: &mut Client, method: &str, path: &str, fields: &str) -> Response {
    client.send(format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n"
    ));
    client.response()
}

/// The fields of CORS, sorted, without the beginning of their names.
fn cors(response: &Response) -> Vec<String> {
    let fields = response.fields.iter();
    let mut fields: Vec<_> = fields
        .filter_map(|(name, value)| match name.strip_prefix("access-control-") {
            Some(name) => Some(format!("{name}: {value}")),
            None => (name == "vary").then(|| format!("vary: {value}")),
        })
        .collect();
    fields.sort();
    fields
}

const ALLOWED: [&str; 4] = [
    "allow-credentials: true",
    "allow-origin: https://a.example",
    "expose-headers: X-One",
    "vary: Origin",
];

#[test]
fn a_preflight_is_answered_by_the_front() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let front = sandbox.front(&both.configuration(r#""CorsPolicy": "mine","#, SECTION));
    // Nobody else is there to answer.
    both.target.kill();
    let mut client = front.connect();
    for way in WAYS {
        let response = ask(&mut client, "OPTIONS", &format!("{way}/x"), PREFLIGHT);
        assert_eq!(
            (response.status, response.field("content-length")),
            (204, None)
        );
        assert_eq!(
            cors(&response),
            [
                "allow-credentials: true",
                "allow-headers: x-two,x-three",
                "allow-methods: GET,PUT",
                "allow-origin: https://x.b.example",
                "max-age: 600",
                "vary: Origin",
            ]
        );
        let stranger = PREFLIGHT.replace("x.b.example", "c.example");
        let response = ask(&mut client, "OPTIONS", &format!("{way}/x"), &stranger);
        assert_eq!((response.status, cors(&response)), (204, vec![]));
    }
}

#[test]
fn responses_carry_the_fields() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let front = sandbox.front(&both.configuration(r#""CorsPolicy": "Mine","#, SECTION));
    let mut client = front.connect();
    for way in WAYS {
        for (method, path, fields, wanted) in [
            ("GET", "/x", "Origin: https://a.example\r\n", &ALLOWED[..]),
            // What is no preflight is passed on, OPTIONS too.
            ("OPTIONS", "/x", "Origin: https://a.example\r\n", &ALLOWED),
            (
                "GET",
                "/stream/10",
                "Origin: https://a.example\r\n",
                &ALLOWED,
            ),
            (
                "GET",
                "/status/404",
                "Origin: https://a.example\r\n",
                &ALLOWED,
            ),
            ("GET", "/x", "Origin: https://c.example\r\n", &[]),
            ("GET", "/x", "", &[]),
            (
                "OPTIONS",
                "/x",
                "Access-Control-Request-Method: PUT\r\n",
                &[],
            ),
            (
                "GET",
                "/x",
                "Origin: https://a.example\r\nOrigin: https://a.example\r\n",
                &[],
            ),
        ] {
            let response = ask(&mut client, method, &format!("{way}{path}"), fields);
            assert_ne!(response.status, 204);
            assert_eq!(cors(&response), wanted, "{way} {method} {path} {fields}");
        }
    }
}

#[test]
fn answers_of_the_front_itself_carry_the_fields() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let front = sandbox.front(&both.configuration(r#""CorsPolicy": "Mine","#, SECTION));
    both.target.signal("TERM");
    both.target.wait();
    for (way, status) in WAYS.into_iter().zip([502, 503]) {
        let mut client = front.connect();
        let path = format!("{way}/x");
        let response = ask(&mut client, "GET", &path, "Origin: https://a.example\r\n");
        assert_eq!(response.status, status);
        assert_eq!(cors(&response), ALLOWED, "{way}");
    }
}

#[test]
fn the_destinations_own_fields_give_way() {
    let sandbox = Sandbox::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let front = sandbox.front(&format!(
        r#"{{ {SECTION} "ReverseProxy": {{
            "Routes": {{ "r": {{ "ClusterId": "c", "CorsPolicy": "Mine", "Match": {{ "Path": "{{**rest}}" }} }} }},
            "Clusters": {{ "c": {{ "Destinations": {{ "d": {{ "Address": "http://{address}/" }} }} }} }} }} }}"#
    ));
    let mut client = front.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\n\r\n");
    let (mut destination, _) = listener.accept().unwrap();
    let mut buffer = [0; 4096];
    assert!(destination.read(&mut buffer).unwrap() > 0);
    destination
        .write_all(
            b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nVary: Accept\r\nContent-Length: 0\r\n\r\n",
        )
        .unwrap();
    let response = client.response();
    let mut wanted = ALLOWED.map(str::to_owned).to_vec();
    wanted.insert(3, "vary: Accept".to_owned());
    assert_eq!(cors(&response), wanted);
}

#[test]
fn disable_refuses_and_default_without_a_policy_does_nothing() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let disabled = sandbox.front(&both.configuration(r#""CorsPolicy": "Disable","#, SECTION));
    let undefined = sandbox.front(&both.configuration(r#""CorsPolicy": "Default","#, SECTION));
    let section = r#""Cors": { "DefaultPolicy": { "Origins": [ "*" ] } },"#;
    let defined = sandbox.front(&both.configuration(r#""CorsPolicy": "Default","#, section));
    for way in WAYS {
        let path = format!("{way}/x");
        for (front, preflight, other) in [
            (&disabled, (204, vec![]), vec![]),
            // The target answers.
            (&undefined, (200, vec![]), vec![]),
            (
                &defined,
                (204, vec!["allow-origin: *".to_owned()]),
                vec!["allow-origin: *".to_owned()],
            ),
        ] {
            let mut client = front.connect();
            let response = ask(&mut client, "OPTIONS", &path, PREFLIGHT);
            assert_eq!((response.status, cors(&response)), preflight, "{way}");
            let response = ask(&mut client, "GET", &path, "Origin: https://a.example\r\n");
            assert_eq!((response.status, cors(&response)), (200, other), "{way}");
            assert_eq!(response.pid(), both.target.pid());
        }
    }
}

/// Reference A3.7.
#[test]
fn a_preflight_finds_the_route_of_the_method_it_asks_for() {
    let sandbox = Sandbox::new();
    let route = |id: &str, method: &str, policy: &str| {
        format!(
            r#""{id}": {{ "ClusterId": "c", "CorsPolicy": "{policy}",
                "Match": {{ "Path": "/x", "Methods": [ "{method}" ] }} }}"#
        )
    };
    let routes = [route("get", "GET", "Disable"), route("put", "PUT", "Mine")].join(",");
    let front = sandbox.front(&format!(
        r#"{{ {SECTION} "ReverseProxy": {{ "Routes": {{ {routes} }},
            "Clusters": {{ "c": {{ "Destinations": {{ }} }} }} }} }}"#
    ));
    let mut client = front.connect();
    let response = ask(&mut client, "OPTIONS", "/x", PREFLIGHT);
    assert_eq!((response.status, cors(&response).len()), (204, 6));
    let get = PREFLIGHT.replace("PUT", "GET");
    let response = ask(&mut client, "OPTIONS", "/x", &get);
    assert_eq!((response.status, cors(&response).len()), (204, 0));
    let delete = PREFLIGHT.replace("PUT", "DELETE");
    assert_eq!(ask(&mut client, "OPTIONS", "/x", &delete).status, 404);
}

#[test]
fn a_reload_changes_the_policy() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let route = r#""CorsPolicy": "Mine","#;
    let front = sandbox.front(&both.configuration(route, SECTION));
    let mut client = front.connect();
    let origin = "Origin: https://c.example\r\n";
    for way in WAYS {
        let response = ask(&mut client, "GET", &format!("{way}/x"), origin);
        assert_eq!(cors(&response), Vec::<String>::new());
    }
    sandbox.configuration(&both.configuration(route, &SECTION.replace("a.example", "c.example")));
    front.process.signal("HUP");
    for way in WAYS {
        eventually("the new policy is in force", || {
            let response = ask(&mut client, "GET", &format!("{way}/x"), origin);
            cors(&response).contains(&"allow-origin: https://c.example".to_owned())
        });
    }
}

#[test]
fn check_reports_mistakes_at_their_places() {
    let sandbox = Sandbox::new();
    let path = sandbox.configuration(
        r#"{ "Cors": { "DefaultPolicy": { "Origins": [ "*" ], "SupportsCredentials": true },
             "Policies": { "Disable": { "Origins": [ "example.com" ], "Method": [ "GET" ] } } },
  "ReverseProxy": { "Routes": { "r": { "CorsPolicy": "mime", "Match": { "Path": "/" } } } } }"#,
    );
    let check = sandbox.ostler(&["check", "--config", path.to_str().unwrap()]);
    assert_eq!(check.wait().code(), Some(64));
    for wanted in [
        "error: Cors:DefaultPolicy:SupportsCredentials: credentials cannot be allowed to any origin",
        "error: Cors:Policies:Disable: the name \"Disable\" is reserved",
        "error: Cors:Policies:Disable:Origins:0: \"example.com\" is no origin",
        "warning: Cors:Policies:Disable:Method: the key \"Method\" is unknown and has no effect",
        "error: ReverseProxy:Routes:r:CorsPolicy: there is no policy \"mime\"",
    ] {
        eventually("the mistake is told", || {
            let lines = check.errors();
            lines
                .iter()
                .any(|line| line.starts_with(wanted) && line.contains("ostler.json:"))
        });
    }
}
