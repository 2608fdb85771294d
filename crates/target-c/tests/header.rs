//! Whether `include/ostler_target.h` says what the crate does.

use std::path::Path;

/// What stands before what is made of the crate.
const PREAMBLE: &str = include_str!("header/preamble.h");

#[test]
fn the_header_is_the_crates() {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut configuration =
        cbindgen::Config::from_file(crate_folder.join("cbindgen.toml")).unwrap();
    configuration.header = Some(PREAMBLE.to_owned());
    let sources = ["codes", "event", "memory", "queue", "request", "response"];
    let mut builder = cbindgen::Builder::new().with_config(configuration);
    for source in sources {
        builder = builder.with_src(crate_folder.join(format!("src/abi/{source}.rs")));
    }
    let mut made = Vec::new();
    builder.generate().unwrap().write(&mut made);
    let made = without_rust(&String::from_utf8(made).unwrap());
    let path = crate_folder.join("include/ostler_target.h");
    if std::env::var_os("OSTLER_WRITE_HEADER").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        made == committed,
        "the header is not the crate's any more: OSTLER_WRITE_HEADER=1 cargo test -p ostler-target-c --test header"
    );
}

/// Without what Rust's readers alone are told: the sections `# Safety`, which say that pointers are pointers.
fn without_rust(header: &str) -> String {
    let mut lines = Vec::new();
    let mut safety = false;
    for line in header.lines() {
        safety = match line.trim() {
            "// # Safety" => true,
            text if text.starts_with("//") => safety,
            _ => false,
        };
        if safety {
            while lines.last().is_some_and(|line: &&str| line.trim() == "//") {
                lines.pop();
            }
        } else {
            lines.push(line);
        }
    }
    lines.join("\n") + "\n"
}
