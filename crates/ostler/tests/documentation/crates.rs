//! Which crate may know of which: the drawing in `docs/architecture.md`, and what it says is absent.

use std::collections::BTreeSet;
use std::path::Path;

use crate::repository::{files, pattern, root, shown, text};

/// Each crate, and those of ours that it may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("http1", &[]),
    ("shm", &[]),
    ("readiness", &[]),
    ("config", &[]),
    ("delegation", &["http1", "shm"]),
    ("target-sdk", &["delegation", "http1", "readiness", "shm"]),
    ("target-c", &["target-sdk"]),
    ("model", &["config", "http1"]),
    ("discovery", &["config", "model"]),
    ("etcd", &[]),
    (
        "proxy",
        &["config", "delegation", "http1", "model", "readiness", "shm"],
    ),
    (
        "ostler",
        &[
            "config",
            "delegation",
            "discovery",
            "etcd",
            "http1",
            "model",
            "proxy",
            "readiness",
            "shm",
            "target-sdk",
        ],
    ),
    (
        "test-support",
        &["config", "delegation", "model", "proxy", "shm"],
    ),
];

/// Crates that do without an async runtime.
const WITHOUT_RUNTIME: &[&str] = &["http1", "shm", "delegation", "config", "model"];

/// What a crate depends on when it is used, its tests apart.
fn dependencies(name: &str) -> BTreeSet<String> {
    let manifest = text(&root().join("crates").join(name).join("Cargo.toml"));
    let table = manifest
        .split_once("[dependencies]")
        .map_or("", |(_, rest)| rest.split("\n[").next().unwrap_or_default());
    let entry = pattern(r"(?m)^([a-z0-9_-]+)(?:\.workspace)? *=");
    entry
        .captures_iter(table)
        .map(|found| found[1].to_owned())
        .collect()
}

#[test]
fn crates_use_only_what_stands_below_them() {
    for (name, may_use) in MAY_USE {
        let ours: BTreeSet<String> = dependencies(name)
            .iter()
            .filter_map(|it| it.strip_prefix("ostler-").map(str::to_owned))
            .map(|it| {
                if it == "target" {
                    "target-sdk".to_owned()
                } else {
                    it
                }
            })
            .collect();
        let allowed: BTreeSet<String> = may_use.iter().map(|&it| it.to_owned()).collect();
        assert!(
            ours.is_subset(&allowed),
            "{name} uses {:?}, which the architecture does not allow",
            ours.difference(&allowed)
        );
    }
}

#[test]
fn crates_below_the_data_path_have_no_async_runtime() {
    for name in WITHOUT_RUNTIME {
        let dependencies = dependencies(name);
        for runtime in ["tokio", "hyper", "h2", "tower"] {
            assert!(
                !dependencies.contains(runtime),
                "{name} depends on {runtime}"
            );
        }
    }
}

#[test]
fn unsafe_code_stands_where_the_architecture_says() {
    for (name, _) in MAY_USE {
        let sources = root().join("crates").join(name).join("src");
        let library = sources.join("lib.rs");
        if *name == "shm" || !library.exists() {
            continue;
        }
        let at_the_border = |file: &Path| {
            let of_c = *name == "target-c";
            of_c && (file.starts_with(sources.join("abi")) || file.ends_with("signals.rs"))
        };
        assert!(
            *name == "target-c" || text(&library).contains("#![forbid(unsafe_code)]"),
            "{name} does not forbid unsafe code"
        );
        for file in files(&sources, "rs") {
            assert!(
                at_the_border(&file) || !text(&file).contains("unsafe {"),
                "{} has unsafe code",
                shown(&file)
            );
        }
    }
}

#[test]
fn the_architecture_names_every_crate() {
    let page = text(&root().join("docs/architecture.md"));
    for (name, _) in MAY_USE {
        assert!(
            page.contains(&format!("  {name}/")),
            "{name} is not in the code map"
        );
    }
}
