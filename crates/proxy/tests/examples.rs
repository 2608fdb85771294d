//! Every example runs by itself to its end and shows what it says it shows.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

use std::process::Command;

fn output(example: &str) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "-p", "ostler-proxy", "--example", example])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_example_has_an_expectation() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let names = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut names: Vec<_> = names
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    let expected = [
        "config_filter",
        "custom_affinity",
        "custom_health",
        "custom_load_balancing",
        "custom_step",
        "custom_transform",
        "direct_forwarding",
        "in_memory_provider",
    ];
    assert_eq!(names, expected);
}

#[test]
fn in_memory_provider() {
    let said = output("in_memory_provider");
    for line in [
        "answered by blue",
        "in force: turn 19",
        "some requests were answered meanwhile: true; failed: 0",
        "still answered by blue",
    ] {
        assert!(said.lines().any(|said| said == line), "{line}: {said}");
    }
    assert!(
        said.contains("refused: the configuration has errors"),
        "{said}"
    );
}

#[test]
fn config_filter() {
    let said = output("config_filter");
    assert!(
        said.contains("/shop is answered by the shop\nunder repair, by the page\n"),
        "{said}"
    );
    assert!(
        said.contains("Clusters:shop: there is no service \"shoop\" (memory)"),
        "{said}"
    );
}

#[test]
fn custom_load_balancing() {
    let said = output("custom_load_balancing");
    assert_eq!(said, "answered by the long one\n".repeat(3));
}

#[test]
fn custom_step() {
    let said = output("custom_step");
    assert_eq!(
        said,
        "mistakes: 0\npipeline: [\"KeyRequired\", \"LoadBalancing\"]\n\
         without a key: (403, \"no key\")\nwith one: (200, \"the destination\")\n\
         exchanges that have ended: 2\n"
    );
}

#[test]
fn custom_health() {
    let said = output("custom_health");
    assert!(
        said.contains("both say so: the policy leaves the first"),
        "{said}"
    );
}

#[test]
fn custom_affinity() {
    assert_eq!(
        output("custom_affinity"),
        "anna: (200, \"anna's\")\nbert: (200, \"bert's\")\nanna: (200, \"anna's\")\nzoe: (503, \"\")\n"
    );
}

#[test]
fn custom_transform() {
    assert_eq!(
        output("custom_transform"),
        "(200, \"the destination\")\n(418, \"short and stout\\n\")\nsigned: true\n"
    );
}

#[test]
fn direct_forwarding() {
    let said = output("direct_forwarding");
    for line in [
        "without the field: the cluster",
        "with it: GET /beta/x?y HTTP/1.1; host: x; x-tag: direct",
        "a mapped path: GET /tiles/1/2 HTTP/1.1; x-forwarded-host: x",
        "ended: [\"200 None\"]",
    ] {
        assert!(said.lines().any(|said| said == line), "{line}: {said}");
    }
    assert!(
        said.contains("no prefix: the configuration has errors"),
        "{said}"
    );
}
