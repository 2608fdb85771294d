//! The rules of reference A3.1, A3.3, A3.5 and A3.7 to A3.9, and the table against the scan.

use std::sync::Arc;

use ostler_config::schema::{
    HeaderMatchConfig, HeaderMatchMode, MatchConfig, QueryParameterMatchConfig,
    QueryParameterMatchMode, RouteConfig,
};

use super::scan::{Scan, in_words, messages};
use super::*;
use crate::route::testing::Request;

/// A route made step by step.
#[derive(Clone)]
struct Route(RouteConfig);

impl Route {
    fn new(id: &str) -> Self {
        Self(RouteConfig {
            route_id: id.to_owned(),
            ..RouteConfig::default()
        })
    }

    /// A route of which the path is the id.
    fn path(path: &str) -> Self {
        Self::new(path).with_path(path)
    }

    fn with_path(mut self, path: &str) -> Self {
        self.0.matches.path = Some(path.to_owned());
        self
    }

    fn methods(mut self, methods: &[&str]) -> Self {
        self.0.matches.methods = methods.iter().map(|method| (*method).to_owned()).collect();
        self
    }

    fn hosts(mut self, hosts: &[&str]) -> Self {
        self.0.matches.hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        self
    }

    /// The field must have this value.
    fn header(mut self, name: &str, value: &str) -> Self {
        self.0.matches.headers.push(HeaderMatchConfig {
            name: name.to_owned(),
            values: vec![value.to_owned()],
            ..HeaderMatchConfig::default()
        });
        self
    }

    /// The parameter must be there.
    fn query(mut self, name: &str) -> Self {
        self.0
            .matches
            .query_parameters
            .push(QueryParameterMatchConfig {
                name: name.to_owned(),
                mode: QueryParameterMatchMode::Exists,
                ..QueryParameterMatchConfig::default()
            });
        self
    }

    fn order(mut self, order: i32) -> Self {
        self.0.order = Some(order);
        self
    }

    fn cors(mut self) -> Self {
        self.0.cors_policy = Some("Disable".to_owned());
        self
    }
}

fn models(routes: &[Route]) -> Vec<Arc<RouteModel>> {
    let model = |route: &Route| {
        Arc::new(RouteModel {
            config: Arc::new(route.0.clone()),
            cluster: None,
            policies: Default::default(),
            action: None,
            transforms: None,
        })
    };
    routes.iter().map(model).collect()
}

/// The outcome in words; the same in whatever order the routes are, and by the scan.
fn find(routes: &[Route], request: &Request) -> String {
    let mut models = models(routes);
    let table = RouteTable::build(&models).unwrap_or_else(|errors| panic!("{}", messages(&errors)));
    let outcome = in_words(table.find(request));
    assert_eq!(
        Scan::new(&models).find(request),
        outcome,
        "the scan differs"
    );
    models.reverse();
    let reversed = RouteTable::build(&models).unwrap();
    assert_eq!(
        in_words(reversed.find(request)),
        outcome,
        "the order of routes matters"
    );
    outcome
}

#[test]
fn the_most_specific_template_wins() {
    let routes = [
        "/{**r}",
        "/{a}/x",
        "/api/{**r}",
        "/api/{id}",
        "/api/{id:int}",
        "/api/v{n}x",
        "/api/x",
        "/api",
    ]
    .map(Route::path);
    for (path, expected) in [
        ("/", "/{**r}"),
        ("/api", "/api"),
        ("/API/", "/api"),
        ("/api/X", "/api/x"),
        ("/api/7", "/api/{id:int}"),
        ("/api/v1x", "/api/v{n}x"),
        ("/api/y", "/api/{id}"),
        ("/api/y/z", "/api/{**r}"),
        ("/b/x", "/{a}/x"),
        ("/b/y", "/{**r}"),
        ("/%61pi/%58", "/api/x"),
        ("/b/../api", "/api"),
        ("/api%2Fx", "/{**r}"),
        ("*", "/{**r}"),
    ] {
        assert_eq!(find(&routes, &Request::to(path)), expected, "{path}");
    }
}

#[test]
fn a_route_without_a_path_matches_every_path() {
    let routes = [
        Route::new("any").hosts(&["localhost"]),
        Route::path("/a").hosts(&["localhost"]),
    ];
    assert_eq!(find(&routes, &Request::to("/x/y")), "any");
    assert_eq!(find(&routes, &Request::to("/a")), "/a");
    let empty = [Route::new("empty").with_path("").hosts(&["localhost"])];
    let table = RouteTable::build(&models(&empty)).unwrap();
    assert_eq!(in_words(table.find(&Request::to("/x"))), "empty");
}

#[test]
fn order_beats_the_template() {
    let routes = [
        Route::path("/{**r}").order(-1),
        Route::path("/a"),
        Route::path("/b").order(-2),
    ];
    assert_eq!(find(&routes, &Request::to("/a")), "/{**r}");
    assert_eq!(find(&routes, &Request::to("/b")), "/b");
}

#[test]
fn methods_rank_before_hosts_and_hosts_before_rules() {
    let a = || Route::new("bare").with_path("/a");
    let ruled = |route: Route| route.header("h", "1").header("i", "1").query("q");
    let hosts = || {
        Route(RouteConfig {
            route_id: "hosts".into(),
            ..a().0
        })
        .hosts(&["localhost"])
    };
    let methods = || {
        Route(RouteConfig {
            route_id: "methods".into(),
            ..a().0
        })
        .methods(&["GET"])
    };
    let rules = || {
        ruled(Route(RouteConfig {
            route_id: "rules".into(),
            ..a().0
        }))
    };
    let request = Request::to("/a?q=1").field("H", "1").field("I", "1");
    assert_eq!(
        find(&[a(), hosts(), methods(), rules()], &request),
        "methods"
    );
    assert_eq!(find(&[a(), hosts(), rules()], &request), "hosts");
    assert_eq!(find(&[a(), rules()], &request), "rules");
}

#[test]
fn more_rules_go_first_and_header_rules_before_query_rules() {
    let route = |id: &str| Route::new(id).with_path("/a");
    let routes = [
        route("none"),
        route("one header").header("h", "1"),
        route("two headers").header("h", "1").header("i", "1"),
        route("two queries").query("q").query("r"),
    ];
    let request = Request::to("/a?q=1&r=1");
    assert_eq!(find(&routes, &request), "two queries");
    let request = request.field("h", "1");
    assert_eq!(find(&routes, &request), "one header");
    let request = request.field("i", "1");
    assert_eq!(find(&routes, &request), "two headers");
    assert_eq!(find(&routes, &Request::to("/a?q=1")), "none");
}

#[test]
fn a_tie_on_everything_is_ambiguous() {
    let route = |id: &str| Route::new(id).with_path("/a/{x}");
    let routes = [
        route("r1"),
        route("r2").with_path("/A/{y}"),
        route("r3").header("h", "1"),
    ];
    assert_eq!(find(&routes, &Request::to("/a/1")), "500 r1 r2");
    // Something better ends it.
    assert_eq!(find(&routes, &Request::to("/a/1").field("h", "1")), "r3");
    // So does a filter.
    let routes = [route("r1").query("q"), route("r2").query("r")];
    assert_eq!(find(&routes, &Request::to("/a/1?q=1")), "r1");
    assert_eq!(find(&routes, &Request::to("/a/1?q=1&r=1")), "500 r1 r2");
    assert_eq!(find(&routes, &Request::to("/a/1")), "404");
    // Different places of the index can tie: a constraint counts as a mixed segment does.
    let routes = [
        route("r1").with_path("/{x:int}"),
        route("r2").with_path("/{x:min(1)}"),
    ];
    assert_eq!(find(&routes, &Request::to("/1")), "500 r1 r2");
    assert_eq!(find(&routes, &Request::to("/0")), "r1");
}

#[test]
fn the_method_is_judged_before_the_host() {
    let routes = [Route::path("/x").methods(&["GET"]).hosts(&["a.com"])];
    let post = |authority| Request::to("/x").method("POST").at(authority);
    assert_eq!(find(&routes, &post("b.com")), "405 GET");
    assert_eq!(find(&routes, &post("a.com")), "405 GET");
    assert_eq!(find(&routes, &Request::to("/x").at("b.com")), "404");
    assert_eq!(find(&routes, &Request::to("/x").at("A.com")), "/x");
}

#[test]
fn a_405_lists_every_method_of_the_path_sorted() {
    let routes = [
        Route::path("/x").methods(&["put", "GET"]),
        Route::path("/{a}").methods(&["GET", "DELETE"]),
        Route::path("/{a:int}").methods(&["PATCH"]),
        Route::path("/y").methods(&["POST"]),
    ];
    // A route names the text `x`, so constraints are looked at: PATCH is not among them.
    let request = Request::to("/x").method("TRACE");
    assert_eq!(find(&routes, &request), "405 DELETE, GET, PUT");
    assert_eq!(
        find(&routes, &Request::to("/x").method("PURGE")),
        "405 DELETE, GET, PUT"
    );
    // None names this one.
    assert_eq!(
        find(&routes, &Request::to("/z").method("PURGE")),
        "405 DELETE, GET, PATCH"
    );
    assert_eq!(find(&routes, &Request::to("/x").method("get")), "/x");
    assert_eq!(find(&routes, &Request::to("/x").method("Put")), "/x");
}

#[test]
fn head_is_not_implied_by_get() {
    let routes = [Route::path("/x").methods(&["GET"])];
    assert_eq!(find(&routes, &Request::to("/x").method("HEAD")), "405 GET");
}

#[test]
fn a_route_whose_constraint_refuses_a_named_text_has_no_say_in_method_and_host() {
    let get = |path, host| Request::to(path).at(host);
    let hosts = [
        Route::path("/d/x").hosts(&["*"]),
        Route::path("/d/{a}.{b}").hosts(&["b.test"]),
    ];
    assert_eq!(find(&hosts, &get("/d/X", "b.test")), "/d/x");
    assert_eq!(find(&hosts, &get("/d/x.y", "b.test")), "/d/{a}.{b}");
    for other in ["/h/{a}.{b}", "/h/{a:int}"] {
        let methods = [Route::path("/h/x").methods(&["POST"]), Route::path(other)];
        assert_eq!(find(&methods, &get("/h/x", "b.test")), "405 POST");
    }
    let listed = [
        Route::path("/h/x").methods(&["POST"]),
        Route::path("/h/{a:int}").methods(&["DELETE"]),
        Route::path("/h/{a}").methods(&["PUT"]),
    ];
    assert_eq!(find(&listed, &get("/h/x", "b.test")), "405 POST, PUT");
    // Nobody names this text: its routes count until the constraint is asked.
    assert_eq!(find(&listed, &get("/h/y", "b.test")), "405 DELETE, PUT");
    // An optional parameter is asked late, and so is everything where no route names the text.
    for routes in [["/h/x", "/h/{a:int?}"], ["/h/{z}", "/h/{a:int}"]] {
        let [first, second] = routes;
        let methods = [Route::path(first).methods(&["POST"]), Route::path(second)];
        assert_eq!(find(&methods, &get("/h/x", "b.test")), "404");
    }
}

#[test]
fn there_is_no_405_where_some_route_takes_every_method() {
    let get = Route::path("/x").methods(&["GET"]);
    let post = Request::to("/x").method("POST");
    assert_eq!(find(&[get.clone(), Route::path("/{**r}")], &post), "/{**r}");
    // Even where that route then fails.
    let ruled = Route::path("/{**r}").header("h", "1");
    assert_eq!(find(&[get.clone(), ruled], &post), "404");
    assert_eq!(
        find(&[get, Route::path("/{**r}").hosts(&["a.com"])], &post),
        "404"
    );
}

#[test]
fn a_failing_filter_gives_the_next_route_or_404_but_never_405() {
    let routes = [
        Route::path("/x").methods(&["GET"]).header("h", "1"),
        Route::path("/{a}").methods(&["GET"]).query("q"),
        Route::path("/{a:int}").methods(&["GET"]),
    ];
    assert_eq!(find(&routes, &Request::to("/x").field("h", "1")), "/x");
    assert_eq!(find(&routes, &Request::to("/x?q=1")), "/{a}");
    assert_eq!(find(&routes, &Request::to("/x")), "404");
}

#[test]
fn host_keys_are_chosen_from_the_most_specific_to_the_least() {
    let keys = ["a.com:81", "a.com", "*.a.com:81", "*.a.com", "*:81", "*"];
    let routes = keys.map(|key| Route::new(key).with_path("/").hosts(&[key]));
    for (authority, expected) in [
        ("a.com:81", "a.com:81"),
        ("A.COM:82", "a.com"),
        ("x.a.com:81", "*.a.com:81"),
        ("x.y.a.com", "*.a.com"),
        (".a.com", "*"),
        ("x..a.com:81", "*:81"),
        ("b.com:81", "*:81"),
        ("b.com", "*"),
        ("", "*"),
    ] {
        assert_eq!(
            find(&routes, &Request::to("/").at(authority)),
            expected,
            "{authority}"
        );
    }
    let without_any = &routes[..4];
    assert_eq!(find(without_any, &Request::to("/").at("b.com")), "404");
}

#[test]
fn the_port_is_the_schemes_where_the_request_names_none() {
    let routes = ["a.com:80", "a.com:443"].map(|key| Route::new(key).with_path("/").hosts(&[key]));
    assert_eq!(find(&routes, &Request::to("/").at("a.com")), "a.com:80");
    assert_eq!(
        find(&routes, &Request::to("/").at("a.com").https()),
        "a.com:443"
    );
    assert_eq!(
        find(&routes, &Request::to("/").at("a.com:443")),
        "a.com:443"
    );
    assert_eq!(find(&routes, &Request::to("/").at("a.com:81")), "404");
}

#[test]
fn punycode_is_compared_as_unicode() {
    let routes = [
        Route::new("exact").with_path("/").hosts(&["Bücher.de"]),
        Route::new("below").with_path("/").hosts(&["*.bücher.de"]),
    ];
    assert_eq!(
        find(&routes, &Request::to("/").at("xn--bcher-kva.DE")),
        "exact"
    );
    assert_eq!(
        find(&routes, &Request::to("/").at("www.xn--bcher-kva.de:8")),
        "below"
    );
    assert_eq!(find(&routes, &Request::to("/").at("BÜCHER.de")), "exact");
}

#[test]
fn any_of_several_hosts_is_enough() {
    let routes = [Route::path("/").hosts(&["a.com", "*.b.com", "A.com"])];
    assert_eq!(find(&routes, &Request::to("/").at("a.com")), "/");
    assert_eq!(find(&routes, &Request::to("/").at("x.b.com")), "/");
    assert_eq!(find(&routes, &Request::to("/").at("b.com")), "404");
}

#[test]
fn there_is_no_fall_through_from_a_specific_host_but_to_a_route_without_hosts() {
    let strict = || {
        Route::new("strict")
            .with_path("/")
            .hosts(&["www.a.com"])
            .header("h", "1")
    };
    let wildcard = || Route::new("wildcard").with_path("/").hosts(&["*.a.com"]);
    let request = Request::to("/").at("www.a.com");
    assert_eq!(find(&[strict(), wildcard()], &request), "404");
    assert_eq!(
        find(&[strict(), wildcard(), Route::path("/{**r}")], &request),
        "/{**r}"
    );
    assert_eq!(
        find(&[strict(), wildcard()], &Request::to("/").at("x.a.com")),
        "wildcard"
    );
}

#[test]
fn order_does_not_beat_a_more_specific_host() {
    let request = Request::to("/").at("a.com");
    let specific = Route::new("specific")
        .with_path("/")
        .hosts(&["a.com"])
        .order(10);
    let any = Route::new("any").with_path("/").hosts(&["*"]).order(1);
    assert_eq!(find(&[specific.clone(), any], &request), "specific");
    let hostless = Route::new("hostless").with_path("/").order(1);
    assert_eq!(find(&[specific, hostless], &request), "hostless");
}

#[test]
fn only_hosts_of_routes_the_method_leaves_are_chosen_among() {
    let routes = [
        Route::new("exact")
            .with_path("/")
            .hosts(&["a.b.com"])
            .methods(&["GET"]),
        Route::new("wildcard")
            .with_path("/")
            .hosts(&["*.b.com"])
            .methods(&["POST"]),
    ];
    assert_eq!(find(&routes, &Request::to("/").at("a.b.com")), "exact");
    assert_eq!(
        find(&routes, &Request::to("/").at("a.b.com").method("POST")),
        "wildcard"
    );
}

#[test]
fn a_host_is_chosen_across_all_templates_of_a_path() {
    let routes = [
        Route::path("/a").hosts(&["*.b.com"]),
        Route::path("/{**r}").hosts(&["x.b.com"]),
    ];
    // The exact host of the catch-all discards the literal path of the wildcard.
    assert_eq!(find(&routes, &Request::to("/a").at("x.b.com")), "/{**r}");
    assert_eq!(find(&routes, &Request::to("/a").at("y.b.com")), "/a");
}

#[test]
fn nested_wildcards_see_each_other() {
    let outer = || Route::new("outer").with_path("/").hosts(&["*.a.com"]);
    let inner = || Route::new("inner").with_path("/").hosts(&["*.x.a.com"]);
    let request = Request::to("/").at("foo.a.com");
    assert_eq!(find(&[outer(), inner()], &request), "500 inner outer");
    // Unless something else ranks them.
    assert_eq!(
        find(&[outer(), inner().header("h", "1")], &request),
        "outer"
    );
    assert_eq!(find(&[outer(), inner().order(-1)], &request), "inner");
    // Below the inner one, whichever comes first in rank is chosen.
    let request = Request::to("/").at("foo.x.a.com");
    assert_eq!(find(&[outer(), inner().order(-1)], &request), "inner");
    assert_eq!(find(&[outer().order(-1), inner()], &request), "outer");
    // With different ports they do not see each other.
    let inner = inner().hosts(&["*.x.a.com:80"]);
    assert_eq!(
        find(&[outer(), inner], &Request::to("/").at("foo.a.com")),
        "outer"
    );
}

#[test]
fn preflight_requests_are_matched_by_the_method_they_ask_for() {
    let put = || Route::new("put").with_path("/x").methods(&["PUT"]).cors();
    let preflight = |method: &str| {
        let request = Request::to("/x")
            .method("OPTIONS")
            .field("Origin", "http://o");
        request.field("Access-Control-Request-Method", method)
    };
    assert_eq!(find(&[put()], &preflight("put")), "put");
    // A method that none of them lists is 404, and routes without methods do not help.
    assert_eq!(
        find(&[put(), Route::path("/{**r}")], &preflight("GET")),
        "404"
    );
    assert_eq!(
        find(
            &[put(), Route::path("/x").methods(&["OPTIONS"])],
            &preflight("GET")
        ),
        "404"
    );
    // Without one of its fields it is an ordinary OPTIONS request.
    let options = Request::to("/x").method("OPTIONS");
    assert_eq!(find(&[put()], &options), "405 PUT");
    assert_eq!(
        find(&[put()], &options.clone().field("Origin", "o")),
        "405 PUT"
    );
    let without_origin = options
        .clone()
        .field("Access-Control-Request-Method", "PUT");
    assert_eq!(find(&[put()], &without_origin), "405 PUT");
    assert_eq!(find(&[put()], &preflight("")), "405 PUT");
    let twice = preflight("PUT").field("Access-Control-Request-Method", "PUT");
    assert_eq!(find(&[put()], &twice), "404");
    // Only OPTIONS is asked with.
    assert_eq!(find(&[put()], &preflight("PUT").method("GET")), "405 PUT");
}

#[test]
fn without_methods_or_policy_options_is_a_method_like_others() {
    let preflight = Request::to("/x").method("OPTIONS").field("Origin", "o");
    let preflight = preflight.field("Access-Control-Request-Method", "PUT");
    assert_eq!(find(&[Route::path("/x")], &preflight), "/x");
    assert_eq!(find(&[Route::path("/x").cors()], &preflight), "/x");
    assert_eq!(
        find(&[Route::path("/x").methods(&["PUT"])], &preflight),
        "405 PUT"
    );
    assert_eq!(
        find(&[Route::path("/x").methods(&["options"])], &preflight),
        "/x"
    );
}

#[test]
fn a_route_that_cannot_be_used_is_named_with_all_its_mistakes() {
    let mut bad = Route::path("/{")
        .methods(&["GET", "BREW"])
        .hosts(&["a.com", "a:b:c", ""]);
    bad = bad.header("h", "").header("h", "1");
    bad.0
        .matches
        .query_parameters
        .push(QueryParameterMatchConfig {
            values: vec![String::new()],
            ..QueryParameterMatchConfig::default()
        });
    let good = Route::path("/a");
    let unknown = Route::path("/{a:nobody}");
    let errors = RouteTable::build(&models(&[bad, good, unknown])).unwrap_err();
    let places: Vec<_> = errors
        .iter()
        .map(|error| (error.route_id.as_str(), error.part.as_str()))
        .collect();
    assert_eq!(
        places,
        [
            ("/{", "Match:Path"),
            ("/{", "Match:Hosts:1"),
            ("/{", "Match:Hosts:2"),
            ("/{", "Match:Methods:1"),
            ("/{", "Match:Headers:0:Values"),
            ("/{", "Match:QueryParameters:0:Values"),
            ("/{a:nobody}", "Match:Path"),
        ]
    );
    let text = messages(&errors[6..]);
    assert_eq!(
        text,
        r#"route "/{a:nobody}": Match:Path: there is no constraint "nobody" with such arguments"#
    );
}

#[test]
fn an_empty_table_finds_nothing() {
    assert_eq!(find(&[], &Request::to("/")), "404");
    assert!(matches!(
        RouteTable::default().find(&Request::to("/")),
        Found::NotFound
    ));
}

mod against_the_scan {
    use proptest::prelude::*;
    use proptest::sample::{select, subsequence};

    use super::*;

    // Few words, so that routes and requests meet often.
    const PATHS: [&str; 26] = [
        "/",
        "/a",
        "/A/b",
        "/a/{x}",
        "/{x}/b",
        "/{x}",
        "/{x?}",
        "/a/{x=1}",
        "/{x:int}",
        "/a/{x:int}",
        "/{*r}",
        "/a/{**r}",
        "/a/{x?}/{y?}",
        "/v{x}",
        "/{x}.{y?}",
        "/a/{x=1}/{*r}",
        "/{x}/{y}",
        "/{x:minlength(2)}/{**r}",
        "/ü",
        "/{*r:nonfile}",
        "/a/b/c",
        "/{x?}/{y=2}",
        "/{x}/{y:alpha}",
        "/{x:minlength(2)?}",
        "/a/12",
        "/{x:int}/{y}",
    ];
    const SEGMENTS: [&str; 12] = [
        "a", "A", "b", "c", "1", "12", "v1", "x.y", "", "%61", "..", "%C3%9C",
    ];
    const HOSTS: [&str; 11] = [
        "a.com",
        "A.com:80",
        "a.com:81",
        "*.a.com",
        "*.a.com:81",
        "*.x.a.com",
        "*.x.a.com:81",
        "*.com",
        "*",
        "*:81",
        "x.a.com",
    ];
    const AUTHORITIES: [&str; 10] = [
        "a.com",
        "a.com:81",
        "x.a.com",
        "y.x.a.com:81",
        "y.x.a.com",
        "foo.a.com",
        "b.org",
        "",
        ".a.com",
        "z.com:81",
    ];
    const METHODS: [&str; 4] = ["GET", "put", "OPTIONS", "DELETE"];

    fn header_rule() -> impl Strategy<Value = HeaderMatchConfig> {
        let modes = [
            HeaderMatchMode::ExactHeader,
            HeaderMatchMode::NotContains,
            HeaderMatchMode::Exists,
            HeaderMatchMode::NotExists,
        ];
        (select(modes.to_vec()), select(vec!["1", "2"])).prop_map(|(mode, value)| {
            let has_values = matches!(
                mode,
                HeaderMatchMode::ExactHeader | HeaderMatchMode::NotContains
            );
            HeaderMatchConfig {
                name: "h".to_owned(),
                values: if has_values {
                    vec![value.to_owned()]
                } else {
                    Vec::new()
                },
                mode,
                is_case_sensitive: false,
            }
        })
    }

    fn query_rule() -> impl Strategy<Value = QueryParameterMatchConfig> {
        let modes = [
            QueryParameterMatchMode::Exact,
            QueryParameterMatchMode::NotContains,
        ];
        select(modes.to_vec()).prop_map(|mode| QueryParameterMatchConfig {
            name: "q".to_owned(),
            values: vec!["1".to_owned()],
            mode,
            is_case_sensitive: false,
        })
    }

    fn route() -> impl Strategy<Value = RouteConfig> {
        let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect::<Vec<_>>();
        let matches = (
            proptest::option::weighted(0.9, select(PATHS.to_vec())),
            prop_oneof![2 => Just(vec![]), 3 => subsequence(HOSTS.to_vec(), 1..3)],
            prop_oneof![2 => Just(vec![]), 1 => subsequence(METHODS.to_vec(), 1..3)],
            prop_oneof![3 => Just(vec![]), 1 => prop::collection::vec(header_rule(), 1..3)],
            prop_oneof![4 => Just(vec![]), 1 => prop::collection::vec(query_rule(), 1..2)],
        );
        let matches = matches.prop_map(move |(path, hosts, methods, headers, query_parameters)| {
            MatchConfig {
                path: path.map(str::to_owned),
                hosts: owned(hosts),
                methods: owned(methods),
                headers,
                query_parameters,
            }
        });
        let order = prop_oneof![4 => Just(None), 1 => (-1..2).prop_map(Some)];
        let cors = prop_oneof![3 => Just(None), 1 => Just(Some("Disable".to_owned()))];
        (matches, order, cors).prop_map(|(matches, order, cors_policy)| RouteConfig {
            matches,
            order,
            cors_policy,
            ..RouteConfig::default()
        })
    }

    fn request() -> impl Strategy<Value = Request> {
        let path = prop::collection::vec(select(SEGMENTS.to_vec()), 0..4);
        let fields = prop::collection::vec(
            prop_oneof![
                select(vec![("h", ""), ("h", "1"), ("h", "2, 1")]),
                Just(("Origin", "o")),
                select(METHODS.to_vec()).prop_map(|m| ("Access-Control-Request-Method", m)),
            ],
            0..4,
        );
        let query = proptest::option::of(select(vec!["q", "q=1", "q=2&q=1"]));
        let method = prop_oneof![2 => Just("GET"), 2 => select(METHODS.to_vec()), 1 => Just("X")];
        (
            path,
            fields,
            query,
            method,
            select(AUTHORITIES.to_vec()),
            any::<bool>(),
        )
            .prop_map(|(path, fields, query, method, authority, is_https)| {
                let request = Request {
                    query: query.map(str::to_owned),
                    is_https,
                    ..Request::to(&format!("/{}", path.join("/")))
                        .method(method)
                        .at(authority)
                };
                fields
                    .into_iter()
                    .fold(request, |request, (name, value)| request.field(name, value))
            })
    }

    fn model(config: RouteConfig) -> Arc<RouteModel> {
        Arc::new(RouteModel {
            config: Arc::new(config),
            cluster: None,
            policies: Default::default(),
            action: None,
            transforms: None,
        })
    }

    /// What is done to a list of routes: taken out, put in, put in the place of another.
    #[derive(Debug, Clone)]
    enum Change {
        Remove(prop::sample::Index),
        Insert(prop::sample::Index, RouteConfig),
        Replace(prop::sample::Index, RouteConfig),
        Swap(prop::sample::Index, prop::sample::Index),
    }

    fn change() -> impl Strategy<Value = Change> {
        let at = any::<prop::sample::Index>;
        prop_oneof![
            3 => at().prop_map(Change::Remove),
            4 => (at(), route()).prop_map(|(at, route)| Change::Insert(at, route)),
            3 => (at(), route()).prop_map(|(at, route)| Change::Replace(at, route)),
            1 => (at(), at()).prop_map(|(one, other)| Change::Swap(one, other)),
        ]
    }

    fn carry_out(change: Change, models: &mut Vec<Arc<RouteModel>>, id: &str) {
        let named = |config| {
            model(RouteConfig {
                route_id: id.to_owned(),
                ..config
            })
        };
        match change {
            Change::Insert(at, config) => models.insert(at.index(models.len() + 1), named(config)),
            _ if models.is_empty() => {}
            Change::Remove(at) => drop(models.remove(at.index(models.len()))),
            Change::Replace(at, config) => {
                let at = at.index(models.len());
                models[at] = named(config);
            }
            Change::Swap(one, other) => {
                let count = models.len();
                models.swap(one.index(count), other.index(count));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(600))]

        /// Whatever is changed, in whatever order: nothing is left of what was there before.
        #[test]
        fn an_updated_table_finds_what_one_from_scratch_finds(
            routes in prop::collection::vec(route(), 0..12),
            turns in prop::collection::vec(prop::collection::vec(change(), 1..5), 1..8),
            requests in prop::collection::vec(request(), 1..8),
        ) {
            let named = |(at, config)| model(RouteConfig { route_id: format!("r{at}"), ..config });
            let mut models: Vec<_> = routes.into_iter().enumerate().map(named).collect();
            let fail = |errors: Vec<RouteBuildError>| TestCaseError::fail(messages(&errors));
            let mut table = RouteTable::build(&models).map_err(fail)?;
            for (turn, changes) in turns.into_iter().enumerate() {
                let before = models.clone();
                for (at, change) in changes.into_iter().enumerate() {
                    carry_out(change, &mut models, &format!("t{turn}c{at}"));
                }
                let stood = |model: &Arc<RouteModel>| {
                    let at = before.iter().position(|before| Arc::ptr_eq(before, model));
                    at.map(|at| at as u32)
                };
                let stood: Vec<_> = models.iter().map(stood).collect();
                table = table.update(models.clone(), &stood).map_err(fail)?;
                let scan = Scan::new(&models);
                for request in &requests {
                    prop_assert_eq!(in_words(table.find(request)), scan.find(request), "{:?}", request);
                }
            }
        }

        #[test]
        fn the_table_finds_what_the_scan_finds(
            routes in prop::collection::vec(route(), 1..12),
            requests in prop::collection::vec(request(), 1..8),
        ) {
            let models: Vec<_> = routes
                .into_iter()
                .enumerate()
                .map(|(at, config)| {
                    model(RouteConfig { route_id: format!("r{at}"), ..config })
                })
                .collect();
            let table = RouteTable::build(&models).map_err(|errors| {
                TestCaseError::fail(messages(&errors))
            })?;
            let scan = Scan::new(&models);
            for request in requests {
                prop_assert_eq!(in_words(table.find(&request)), scan.find(&request), "{:?}", request);
            }
        }

        #[test]
        fn what_is_said_to_take_a_route_takes_it(
            routes in prop::collection::vec(route(), 1..5),
            first in request(),
            requests in prop::collection::vec(request(), 1..24),
        ) {
            let models = models(routes);
            let table = RouteTable::build(&models).map_err(|errors| {
                TestCaseError::fail(messages(&errors))
            })?;
            let Found::Route(route) = table.find(&first) else { return Ok(()) };
            let Some(exclusive) = table.exclusive_paths(route, &first, 8) else { return Ok(()) };
            for request in requests {
                let request = Request {
                    authority: first.authority.clone(),
                    is_https: first.is_https,
                    ..request
                };
                let is_meant = exclusive.any_method || request.method == first.method;
                // Of OPTIONS it is asked in fields which method is meant.
                if is_meant && request.method != "OPTIONS" && includes(&exclusive.paths, &request.path) {
                    prop_assert_eq!(in_words(table.find(&request)), &*route.config.route_id, "{:?}", request);
                }
            }
        }
    }

    fn models(routes: Vec<RouteConfig>) -> Vec<Arc<RouteModel>> {
        let numbered = routes.into_iter().enumerate().map(|(at, config)| {
            let config = RouteConfig {
                route_id: format!("r{at}"),
                ..config
            };
            Arc::new(RouteModel {
                config: Arc::new(config),
                cluster: None,
                policies: Default::default(),
                action: None,
                transforms: None,
            })
        });
        numbered.collect()
    }

    /// As a lease reads it.
    fn includes(paths: &PathSet, path: &str) -> bool {
        let is_plain = !path.contains("//") && !path.contains("/.") && !path.contains('%');
        is_plain
            && match paths {
                PathSet::Exactly(exactly) => path == exactly,
                PathSet::Below { prefix, excluded } => {
                    let starts_with = |longer: &String| {
                        let start = path.as_bytes().get(..longer.len());
                        start.is_some_and(|start| start.eq_ignore_ascii_case(longer.as_bytes()))
                    };
                    path.starts_with(prefix.as_str()) && !excluded.iter().any(starts_with)
                }
            }
    }
}

mod exclusive_paths {
    use super::*;

    #[track_caller]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "each is made for one question"
    )]
    fn exclusive(routes: Vec<Route>, taken: &str, request: &Request) -> Option<ExclusivePaths> {
        let table = RouteTable::build(&models(&routes)).unwrap();
        let Found::Route(route) = table.find(request) else {
            panic!("no route is taken");
        };
        assert_eq!(route.config.route_id, taken);
        table.exclusive_paths(route, request, 1)
    }

    fn below(prefix: &str, excluded: &[&str], any_method: bool) -> Option<ExclusivePaths> {
        let paths = PathSet::Below {
            prefix: prefix.to_owned(),
            excluded: excluded.iter().map(|path| (*path).to_owned()).collect(),
        };
        Some(ExclusivePaths { paths, any_method })
    }

    fn exactly(path: &str) -> Option<ExclusivePaths> {
        let paths = PathSet::Exactly(path.to_owned());
        Some(ExclusivePaths {
            paths,
            any_method: true,
        })
    }

    #[test]
    fn a_route_has_what_lies_below_it_and_below_no_other() {
        let all = || Route::path("/{**all}");
        let api = || Route::path("/api/{**rest}");
        let request = Request::to("/x");
        assert_eq!(
            exclusive(vec![all()], "/{**all}", &request),
            below("/", &[], true)
        );
        assert_eq!(
            exclusive(vec![all(), api()], "/{**all}", &request),
            below("/", &["/API"], true)
        );
        assert_eq!(
            exclusive(vec![all(), api()], "/api/{**rest}", &Request::to("/Api/x")),
            below("/Api/", &[], true)
        );
        // More than may be left out, and what may lie anywhere.
        let third = Route::path("/b/{**rest}");
        assert_eq!(
            exclusive(vec![all(), api(), third], "/{**all}", &request),
            exactly("/x")
        );
        let any = Route::path("/{any}/b");
        assert_eq!(
            exclusive(vec![all(), any], "/{**all}", &request),
            exactly("/x")
        );
        let posts = api().methods(&["POST"]);
        assert_eq!(
            exclusive(vec![all(), posts], "/{**all}", &request),
            below("/", &["/API"], false)
        );
    }

    #[test]
    fn other_hosts_and_rules_count_where_they_may() {
        let host = |host| Route::new(host).hosts(&[host]);
        let request = Request::to("/x").at("a.com");
        assert_eq!(
            exclusive(vec![host("a.com"), host("b.com")], "a.com", &request),
            below("/", &[], true)
        );
        assert_eq!(
            exclusive(vec![host("a.com"), host("*.com")], "a.com", &request),
            exactly("/x")
        );
        let canary = Route::new("canary").header("X-Canary", "1");
        assert_eq!(
            exclusive(vec![Route::path("/{**all}"), canary], "/{**all}", &request),
            None
        );
    }
}
