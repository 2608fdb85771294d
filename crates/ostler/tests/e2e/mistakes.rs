//! `ostler check` names every mistake of a file: its path, its place and what to do about it.

use std::path::Path;
use std::process::Command;

/// Line, column, path below `ReverseProxy` (or from the root), what to do.
const MISTAKES: [(u32, u32, &str, &str); 20] = [
    (
        3,
        28,
        "Kestrel:Limits:MaxRequestHeadersTotalSize",
        "correct it, or remove MaxRequestHeadersTotalSize for its default",
    ),
    (
        5,
        5,
        "Ostler:Threads",
        "correct it, or remove Threads for its default",
    ),
    (9, 19, "Pipeline:1", "did you mean HttpSysDelegation?"),
    (
        13,
        9,
        "Routes:r1:Order",
        "correct it, or remove Order for its default",
    ),
    (
        14,
        9,
        "Routes:r1:Timeout",
        "correct it, or remove Timeout for its default",
    ),
    (
        15,
        9,
        "Routes:r1:CorsPolicy",
        "define Cors:Policies:mine, or name one of Default, Disable",
    ),
    (
        17,
        11,
        "Routes:r1:Match:Path",
        "write it in the manner of /api/{id}/{**rest}",
    ),
    (19, 22, "Routes:r1:Match:Hosts:1", "write it in Unicode"),
    (
        20,
        22,
        "Routes:r1:Match:Hosts:2",
        "write it as name, *.name, name:port or *",
    ),
    (22, 24, "Routes:r1:Match:Methods:1", "did you mean PATCH?"),
    (
        24,
        26,
        "Routes:r1:Match:Headers:0:Mode",
        "correct it, or remove Mode for its default",
    ),
    (
        25,
        32,
        "Routes:r1:Match:QueryParameters:0:Name",
        "set it to what the rule looks at",
    ),
    (27, 25, "Routes:r1:Transforms:0", "did you mean PathSet?"),
    (
        29,
        7,
        "Routes:r2:Match",
        "set Match:Path, to \"/{**catch-all}\" for everything",
    ),
    (
        33,
        9,
        "Clusters:c1:LoadBalancingPolicy",
        "did you mean RoundRobin?",
    ),
    (
        34,
        9,
        "Clusters:c1:SessionAffinity:AffinityKeyName",
        "set it to the name of the cookie or header",
    ),
    (
        35,
        25,
        "Clusters:c1:HttpClient:MaxConnectionsPerServer",
        "correct it, or remove MaxConnectionsPerServer for its default",
    ),
    (
        36,
        26,
        "Clusters:c1:HttpRequest:Version",
        "correct it, or remove Version for its default",
    ),
    (
        38,
        11,
        "Clusters:c1:Destinations:d1:Address",
        "set Address to a URL such as http://localhost:5001/",
    ),
    (
        39,
        19,
        "Clusters:c1:Destinations:d2:Address",
        "write it as http://host:port/",
    ),
];

#[test]
fn check_names_twenty_mistakes_with_place_and_remedy() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/twenty_mistakes.json");
    let output = Command::new(env!("CARGO_BIN_EXE_ostler"))
        .args(["check", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
    let said = String::from_utf8(output.stderr).unwrap();
    let errors: Vec<_> = said
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect();
    assert_eq!(errors.len(), MISTAKES.len(), "{said}");
    for (error, (line, column, path, remedy)) in errors.iter().zip(MISTAKES) {
        let below = format!("error: ReverseProxy:{path}: ");
        let root = format!("error: {path}: ");
        assert!(
            error.starts_with(&below) || error.starts_with(&root),
            "{path}: {error}"
        );
        let place = format!(" ({}:{line}:{column}); ", file.display());
        let (_, todo) = error.split_once(&place).expect(error);
        assert_eq!(todo, remedy, "{path}");
    }
}
