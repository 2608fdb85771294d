use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

fn folder() -> (tempfile::TempDir, Folder) {
    let made = tempfile::tempdir().unwrap();
    let folder = Folder::open(made.path()).unwrap();
    (made, folder)
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn make_pipe(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

#[test]
fn what_is_no_short_regular_file_is_refused_at_once() {
    let (made, folder) = folder();
    let at = |name: &str| made.path().join(name);
    fs::write(at("good"), "{}").unwrap();
    make_pipe(&at("pipe"));
    symlink(at("good"), at("link")).unwrap();
    symlink("/dev/zero", at("endless")).unwrap();
    fs::create_dir(at("folder")).unwrap();
    File::create(at("sparse"))
        .unwrap()
        .set_len(8 << 30)
        .unwrap();
    assert_eq!(folder.read("good").unwrap().as_deref(), Some(&b"{}"[..]));
    assert_eq!(folder.read("missing").unwrap(), None);
    for (name, reason) in [
        ("pipe", "it is no regular file"),
        ("folder", "it is no regular file"),
        ("link", "it is a symbolic link"),
        ("endless", "it is a symbolic link"),
        ("sparse", "it is longer than 64 KiB"),
    ] {
        let error = folder.read(name).unwrap_err();
        let path = at(name);
        assert_eq!(
            error.to_string(),
            format!("{} is not used: {reason}", path.display())
        );
    }
}

#[test]
fn links_are_neither_entered_nor_written_through_nor_connected_by() {
    let (made, folder) = folder();
    let elsewhere = tempfile::tempdir().unwrap();
    let victim = elsewhere.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    let _listener = Folder::open(elsewhere.path()).unwrap().bind("socket");
    let link = |to: &Path, name: &str| symlink(to, made.path().join(name)).unwrap();

    link(elsewhere.path(), "entered");
    let error = folder.enter("entered").unwrap_err().to_string();
    assert!(error.ends_with("it is a symbolic link"), "{error}");
    assert!(folder.make("entered", 0o755).is_err());

    link(&victim, "file.json.new");
    folder.write("file.json", b"{}").unwrap();
    link(&victim, ".lock");
    assert!(folder.open_or_create(".lock", Mode::RUSR).is_err());
    assert_eq!(fs::read(&victim).unwrap(), b"precious");

    link(&elsewhere.path().join("socket"), "socket");
    let error = folder.connect("socket").unwrap_err().to_string();
    assert!(error.contains("it is a symbolic link"), "{error}");
    fs::write(made.path().join("file"), "").unwrap();
    let error = folder.connect("file").unwrap_err().to_string();
    assert!(error.contains("it is no socket"), "{error}");
}

#[test]
fn modes_are_what_was_asked_for_whatever_the_umask_is() {
    let (made, folder) = folder();
    // No process has another umask than its threads, so that of the tests stays what it is: these
    // modes are wider than any that it would leave.
    let (group, is_new) = folder.make("group", 0o2777).unwrap();
    assert!(is_new);
    assert_eq!(mode(group.path()), 0o2777);
    group.write("file.json", b"{}").unwrap();
    assert_eq!(mode(&group.path().join("file.json")), 0o644);
    let _listener = group.bind("socket").unwrap();
    assert_eq!(mode(&group.path().join("socket")), 0o666);
    group.connect("socket").unwrap();
    let (narrow, _) = group.make("narrow", 0o750).unwrap();
    assert_eq!(mode(narrow.path()), 0o2750, "the group is handed on");
    let _listener = narrow.bind("socket").unwrap();
    assert_eq!(mode(&narrow.path().join("socket")), 0o660);
    let (again, is_new) = folder.make("group", 0o700).unwrap();
    assert!(!is_new);
    assert_eq!(mode(again.path()), 0o2777, "what is there stays as it is");
    drop(made);
}

#[test]
fn a_file_of_somebody_else_that_was_linked_here_is_not_read() {
    let (made, folder) = folder();
    if !rustix::process::geteuid().is_root() {
        eprintln!("only root can own files of others; nothing is tested");
        return;
    }
    let file = made.path().join("queue.json");
    fs::write(&file, "{}").unwrap();
    let give = |path: &Path, uid, gid| std::os::unix::fs::chown(path, uid, gid).unwrap();
    give(made.path(), Some(4711), Some(4711));
    give(&file, Some(4712), Some(4712));
    let error = folder.read("queue.json").unwrap_err().to_string();
    assert!(error.contains("it belongs neither to root"), "{error}");
    // The folder's owner, and a member of a group that may write to it, may have put it there.
    give(&file, Some(4711), None);
    folder.read("queue.json").unwrap().unwrap();
    give(&file, Some(4712), Some(4711));
    assert!(folder.read("queue.json").is_err());
    fs::set_permissions(made.path(), fs::Permissions::from_mode(0o2770)).unwrap();
    folder.read("queue.json").unwrap().unwrap();
}
