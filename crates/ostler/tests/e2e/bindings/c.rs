//! The C library, by its example: served by a poll loop and by callbacks, under valgrind, and with the
//! address sanitizer in the C part.

use std::ffi::OsStr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use super::suite::holds_for;
use super::{Program, pattern};
use crate::support::{Sandbox, delegating_to};

// Its libraries are built since it is a dependency of these tests.
use ostler_target_c as _;

/// The folder in which Cargo has put the libraries.
fn libraries() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().to_owned()
}

fn crate_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target-c")
}

/// Compiles the example with these arguments.
fn compile(name: &str, arguments: &[&OsStr]) -> PathBuf {
    // Other runs may be running theirs.
    let program = libraries().join(format!("c-example-{name}"));
    let made = program.with_extension(std::process::id().to_string());
    let compiled = Command::new("cc")
        .args([
            "-std=gnu11",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-O1",
            "-g",
            "-I",
        ])
        .arg(crate_folder().join("include"))
        .arg(crate_folder().join("examples/c/server.c"))
        .arg("-o")
        .arg(&made)
        .args(arguments)
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{compiled:?}");
    std::fs::rename(made, &program).unwrap();
    program
}

/// Compiles it against the shared library, which the program finds by the name it will be installed by.
fn compile_shared(name: &str, arguments: &[&str]) -> PathBuf {
    let folder = libraries().join("c-library");
    std::fs::create_dir_all(&folder).unwrap();
    for linked in ["libostler_target.so", "libostler_target.so.0"] {
        match symlink("../libostler_target_c.so", folder.join(linked)) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            done => done.unwrap(),
        }
    }
    let run_path = format!("-Wl,-rpath,{}", folder.display());
    let search = format!("-L{}", folder.display());
    let mut all: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
    all.extend([&search, &run_path, "-lostler_target", "-lpthread"].map(OsStr::new));
    compile(name, &all)
}

static PLAIN: LazyLock<PathBuf> = LazyLock::new(|| compile_shared("plain", &[]));

mod by_poll {
    use super::*;

    holds_for!(Some(Program::new(|| Command::new(&*PLAIN))));
}

mod by_callback {
    use super::*;

    holds_for!(Some(Program::new(|| {
        let mut command = Command::new(&*PLAIN);
        command.arg("--callback");
        command
    })));
}

/// Everything that the example does, once, and an end in peace.
fn everything(program: &Program) {
    let sandbox = Sandbox::new();
    let target = program.start(&sandbox, "one");
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = front.connect();
    assert_eq!(client.ask("GET", "/").status, 200);
    assert_eq!(client.ask("GET", "/about").status, 200);
    assert_eq!(client.ask("GET", "/delay/10").status, 200);
    assert!(client.ask("GET", "/bytes/1000000").body == pattern(1_000_000));
    assert!(client.ask("GET", "/stream/1000000").body == pattern(1_000_000));
    assert_eq!(client.ask("GET", "/file").body.len(), super::FILE);
    assert!(client.post("/echo", &pattern(1_000_000)).body == pattern(1_000_000));
    assert_eq!(
        client.post("/upload", &pattern(1000)).json()["length"],
        1000
    );
    client.send("GET /line HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: line\r\n\r\n");
    assert_eq!(client.try_head().unwrap().0, 101);
    client.send("one");
    assert_eq!(client.read(3), b"one");
    client.shutdown_write();
    assert_eq!(client.rest(), b"");
    let mut gone = front.connect();
    gone.send("GET /bytes/100000000 HTTP/1.1\r\nHost: x\r\n\r\n");
    gone.try_head().unwrap();
    drop(gone);
    target.wait_for_line("gone");
    target.signal("TERM");
    let ended = target.wait();
    assert!(ended.success(), "{ended}: {:#?}", target.errors());
}

#[test]
fn the_address_sanitizer_has_nothing_to_say() {
    let checked = compile_shared("sanitized", &["-fsanitize=address,undefined"]);
    for mode in [&[][..], &["--callback"]] {
        let checked = checked.clone();
        everything(&Program::new(move || {
            let mut command = Command::new(&checked);
            command.args(mode);
            command
        }));
    }
}

#[test]
fn valgrind_has_nothing_to_say() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("passed over: there is no valgrind");
        return;
    }
    for mode in [&[][..], &["--callback"]] {
        everything(&Program::new(move || {
            let mut command = Command::new("valgrind");
            command
                .args(["--quiet", "--error-exitcode=99", "--leak-check=full"])
                .args([
                    "--errors-for-leak-kinds=definite",
                    "--show-leak-kinds=definite",
                ])
                .arg(&*PLAIN)
                .args(mode);
            command
        }));
    }
}

#[test]
fn the_shared_library_exports_what_the_header_says_and_nothing_else() {
    let library = libraries().join("libostler_target_c.so");
    let listed = Command::new("nm")
        .args(["--dynamic", "--defined-only", "--format=just-symbols"])
        .arg(library)
        .output()
        .unwrap();
    assert!(listed.status.success(), "{listed:?}");
    let listed = String::from_utf8(listed.stdout).unwrap();
    let mut exported: Vec<_> = listed.lines().collect();
    exported.sort_unstable();
    let header = crate_folder().join("include/ostler_target.h");
    let header = std::fs::read_to_string(header).unwrap();
    let declares = |line: &&str| line.contains('(') && !line.starts_with([' ', '/', '#', 't']);
    let declared = header.lines().filter(declares).filter_map(|line| {
        let (before, _) = line.split_once('(')?;
        before.rsplit([' ', '*']).next()
    });
    let mut declared: Vec<_> = declared.collect();
    declared.sort_unstable();
    assert_eq!(exported, declared);
}

#[test]
fn the_pages_example_compiles() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/c.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, example) = page.split_once("```c\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let sandbox = Sandbox::new();
    let source = sandbox.path().join("example.c");
    std::fs::write(&source, example).unwrap();
    for (compiler, standard) in [("cc", "-std=c11"), ("c++", "-std=c++11")] {
        let language = if compiler == "cc" { "c" } else { "c++" };
        let checked = Command::new(compiler)
            .args([
                standard,
                "-Wall",
                "-Wextra",
                "-Werror",
                "-pedantic",
                "-fsyntax-only",
            ])
            .args(["-x", language, "-I"])
            .arg(crate_folder().join("include"))
            .arg(&source)
            .output()
            .unwrap();
        assert!(checked.status.success(), "{checked:?}");
    }
}

#[test]
fn the_static_library_does_without_the_shared_one() {
    let library = libraries().join("libostler_target_c.a");
    let system = ["-lpthread", "-lm", "-ldl"].map(OsStr::new);
    let mut arguments = vec![library.as_os_str()];
    arguments.extend(system);
    let program = compile("static", &arguments);
    let sandbox = Sandbox::new();
    let target = Program::new(move || Command::new(&program)).start(&sandbox, "one");
    let front = sandbox.front(&delegating_to(&["q"]));
    assert_eq!(front.ask("GET", "/").pid(), target.pid());
}
