//! What is described is what is read, and the other way round.

use serde_json::{Map, Value as Json, json};

use super::*;
use crate::reader::asked;
use crate::{ConfigurationTree, Loaded, load};

/// The id of every entry, and the name of every policy.
pub(crate) const ID: &str = "mine";

/// A key's value as one writes it.
fn example(key: &Key) -> Json {
    match key.value {
        Value::Object(object) => everything(object),
        Value::Objects(object) => json!([everything(object)]),
        Value::Map(object) => json!({ ID: everything(object) }),
        _ => key.example_value().expect(key.name),
    }
}

/// An object with every key that is read.
pub(crate) fn everything(object: &Object) -> Json {
    let keys = object.keys.iter().filter(|key| !key.is_idle);
    let pairs: Map<_, _> = keys
        .map(|key| (key.name.to_owned(), example(key)))
        .collect();
    Json::from(pairs)
}

fn load_json(json: &Json) -> Loaded {
    let mut tree = ConfigurationTree::new();
    tree.add_json("all.json", &json.to_string()).unwrap();
    load(&tree)
}

#[test]
fn every_key_that_is_described_is_read_and_no_other() {
    asked::begin();
    let all = everything(&ROOT).to_string();
    // Of limiters each type has keys of its own.
    for limiter in ["FixedWindow", "SlidingWindow", "TokenBucket"] {
        let all = all.replace("\"FixedWindow\"", &json!(limiter).to_string());
        load_json(&serde_json::from_str(&all).unwrap());
    }
    let asked = asked::end();
    let mut missing = Vec::new();
    visit(&ROOT, String::new(), &mut |path, object| {
        let path = path.replace('*', ID);
        for key in object.keys.iter().filter(|key| !key.is_idle) {
            let whole = format!("{path}:{}", key.name);
            // Arrays are numbered where maps have ids; and sections may be read by their paths.
            let is_asked = |(at, name): &(String, String)| {
                let at = at.replace(":0", &format!(":{ID}"));
                (at == path && name == key.name) || at.starts_with(&whole)
            };
            let is_open = path.is_empty() || path == "Authentication" || path.ends_with(":Schemes");
            if !is_open && !asked.iter().any(is_asked) {
                missing.push(format!("{path}:{}", key.name));
            }
        }
    });
    assert!(missing.is_empty(), "described and not read: {missing:#?}");
    // That what is read is described the reader itself asserts.
    assert!(asked.len() > 180, "{}", asked.len());
}

#[test]
fn every_example_is_taken() {
    let loaded = load_json(&everything(&ROOT));
    let exclude_each_other = [
        "TimeoutPolicy",
        "JwksUrl",
        "DataProtection:Keys:0",
        ":Redirect",
        ":Respond",
    ];
    let errors: Vec<_> = loaded
        .diagnostics
        .errors()
        .filter(|error| {
            !exclude_each_other
                .iter()
                .any(|end| error.path.ends_with(end))
        })
        .map(ToString::to_string)
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let unknown: Vec<_> = loaded
        .diagnostics
        .warnings()
        .filter(|said| said.message.contains("is unknown") || said.message.contains("not read"))
        .map(ToString::to_string)
        .collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
}

/// Everything, but for one key's value; and the path that mistakes of it have.
fn everything_but(path: &str, key: &Key, value: &Json) -> (Json, String) {
    let mut all = everything(&ROOT);
    let mut at = &mut all;
    let mut names = Vec::new();
    for name in path.split(':').filter(|name| !name.is_empty()) {
        let is_array = at.is_array();
        names.push(match (name, is_array) {
            ("*", true) => "0",
            ("*", false) => ID,
            (name, _) => name,
        });
        at = match is_array {
            true => &mut at[0],
            false => &mut at[*names.last().unwrap()],
        };
    }
    at[key.name] = value.clone();
    // Of limiters each type has keys of its own.
    if path.starts_with("RateLimiter") && key.name != "Type" {
        at["Type"] = json!(match key.name {
            "SegmentsPerWindow" => "SlidingWindow",
            "TokenLimit" | "TokensPerPeriod" | "ReplenishmentPeriod" => "TokenBucket",
            _ => "FixedWindow",
        });
    }
    names.push(key.name);
    (all, names.join(":"))
}

/// Whether a value of a key is an error.
fn is_refused(path: &str, key: &Key, value: &Json) -> bool {
    let (all, at) = everything_but(path, key, value);
    let loaded = load_json(&all);
    loaded
        .diagnostics
        .errors()
        .any(|error| error.path == at || error.path.starts_with(&format!("{at}:")))
}

#[test]
fn what_is_described_as_a_number_a_time_or_a_name_is_read_as_one() {
    visit(&ROOT, String::new(), &mut |path, object| {
        for key in object.keys.iter().filter(|key| !key.is_idle) {
            let wrong = match key.value {
                Value::Boolean | Value::Integer | Value::Number | Value::TimeSpan => json!("~"),
                Value::Version | Value::Member(_) | Value::Choice(_) => json!("~"),
                Value::Members(_) => json!(["~"]),
                _ => continue,
            };
            assert!(is_refused(path, key, &wrong), "{path}:{}", key.name);
        }
    });
}

#[test]
fn every_member_that_is_described_is_taken() {
    visit(&ROOT, String::new(), &mut |path, object| {
        for key in object.keys.iter().filter(|key| !key.is_idle) {
            let values: Vec<_> = match key.value {
                Value::Member(names) | Value::Choice(names) | Value::Name(names) => {
                    names.iter().map(|name| json!(name)).collect()
                }
                Value::Names(names) | Value::Members(names) => {
                    names.iter().map(|name| json!([name])).collect()
                }
                Value::Boolean => vec![json!(true), json!(false)],
                _ => continue,
            };
            for value in values {
                // What it says may not go with the rest, which is another mistake.
                let whole = format!("{path}:{}={value}", key.name);
                let is_known = ["TimeoutPolicy=", "RequireAuthenticatedUser=false"];
                let excused = is_known.iter().any(|known| whole.contains(known));
                assert!(excused || !is_refused(path, key, &value), "{whole}");
            }
        }
    });
}

/// Objects that there is one of, and whose defaults are in force without being written.
const ONCE: [&str; 8] = [
    "Kestrel:Limits",
    "Kestrel:Limits:Http2",
    "Kestrel:Limits:MinRequestBodyDataRate",
    "Kestrel:Limits:MinResponseDataRate",
    "Ostler",
    "Ostler:HealthChecks:Active",
    "Ostler:HealthChecks:Passive",
    "StaticFiles",
];

#[test]
fn every_default_that_is_told_is_what_holds() {
    let mut root = json!({ "Urls": "http://localhost:5000", "AllowedHosts": "*" });
    visit(&ROOT, String::new(), &mut |path, object| {
        if !ONCE.contains(&path) {
            return;
        }
        for key in object.keys {
            if let Ok(default) = serde_json::from_str::<Json>(key.default) {
                let names = path.split(':').chain([key.name]);
                let place = names.fold(&mut root, |at, name| &mut at[name]);
                *place = default;
            }
        }
    });
    assert!(root["Kestrel"]["Limits"]["Http2"]["MaxFrameSize"].is_number());
    let (written, unwritten) = (load_json(&root), load_json(&json!({})));
    assert!(written.diagnostics.is_empty(), "{:?}", written.diagnostics);
    assert_eq!(written.settings, unwritten.settings);
}

#[test]
fn what_is_told_reads_well() {
    visit(&ROOT, String::new(), &mut |path, object| {
        assert!(object.doc.ends_with('.'), "{path}");
        for key in object.keys {
            assert!(key.doc.ends_with('.'), "{path}:{}", key.name);
            let has_default = key.default.is_empty()
                || serde_json::from_str::<Json>(key.default).is_ok()
                || key.default.chars().any(char::is_lowercase);
            assert!(has_default, "{path}:{}: {}", key.name, key.default);
        }
    });
}

#[test]
fn a_key_of_before_hears_its_new_name_and_a_misplaced_one_its_place() {
    for (object, key, words) in [
        (&HTTP_REQUEST, "timeout", "ActivityTimeout"),
        (&SESSION_AFFINITY, "Mode", "Policy"),
        (&CLUSTER, "LoadBalancing", "LoadBalancingPolicy"),
        (&ROUTE, "BackendId", "ClusterId"),
    ] {
        let instead = object.instead_of(key).unwrap_or_default();
        assert!(instead.contains(words), "{key}: {instead}");
    }
    assert_eq!(ROUTE.instead_of("Timeout"), None);
    assert_eq!(
        only_owner(&ROOT, "hosts").as_deref(),
        Some("ReverseProxy:Routes:*:Match")
    );
    assert_eq!(only_owner(&ROOT, "urls").as_deref(), Some(""));
    assert_eq!(only_owner(&ROOT, "Name"), None);
    assert_eq!(only_owner(&ROOT, "Nothing"), None);
    // Several have it, of which one is below.
    assert_eq!(only_owner(&ROOT, "MaxRequestBodySize"), None);
    let below = only_owner(&KESTREL, "MaxRequestBodySize");
    assert_eq!(below.as_deref(), Some("Limits"));
}
