//! Noticing that a program's files have changed, for development.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often they are looked at.
const INTERVAL: Duration = Duration::from_millis(500);
/// Folders deeper than this are nobody's sources.
const DEEPEST: u32 = 32;
/// What programs write while they run.
const PASSED_OVER: [&str; 5] = [".git", "__pycache__", "node_modules", "target", ".venv"];

/// Completes when something of it has changed, and all has then stayed as it is for an interval.
pub(super) async fn changed(paths: &[PathBuf]) {
    if paths.is_empty() {
        return std::future::pending().await;
    }
    let seen = look(paths.to_vec()).await;
    let mut before = seen;
    loop {
        tokio::time::sleep(INTERVAL).await;
        let now = look(paths.to_vec()).await;
        if now != seen && now == before {
            return;
        }
        before = now;
    }
}

/// Folders may be large: not on the thread that looks after applications.
async fn look(paths: Vec<PathBuf>) -> u64 {
    let looked = tokio::task::spawn_blocking(move || {
        let mut hasher = DefaultHasher::new();
        for path in &paths {
            add(path, 0, &mut hasher);
        }
        hasher.finish()
    });
    looked.await.unwrap_or_default()
}

fn add(path: &Path, depth: u32, hasher: &mut DefaultHasher) {
    path.hash(hasher);
    let Ok(found) = fs::metadata(path) else {
        return;
    };
    if !found.is_dir() {
        (found.ino(), found.size(), found.mtime(), found.mtime_nsec()).hash(hasher);
        return;
    }
    let Ok(entries) = fs::read_dir(path) else {
        return;
    };
    let mut entries: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    entries.retain(|entry| {
        let name = entry.file_name().and_then(|name| name.to_str());
        !name.is_some_and(|name| PASSED_OVER.contains(&name))
    });
    entries.sort();
    // A link may lead upwards.
    for entry in entries.iter().filter(|_| depth < DEEPEST) {
        if !entry.is_symlink() {
            add(entry, depth + 1, hasher);
        }
    }
}
