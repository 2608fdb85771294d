//! Noticing that a configuration file has changed.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_millis(250);

/// Watches files by what `stat` says of them, through symbolic links: writes in place, renames over
/// one, Kubernetes' swapped links, and one that comes or goes all change that.
#[derive(Debug)]
pub(crate) struct FileChanges {
    paths: Vec<PathBuf>,
    seen: Vec<Option<Identity>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

impl FileChanges {
    /// Watches from now on: made before the files are read, it misses nothing.
    pub(crate) fn new(paths: &[&Path]) -> Self {
        let mut changes = Self {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
            seen: Vec::new(),
        };
        changes.seen = changes.look();
        changes
    }

    /// Whether there is nothing to watch.
    pub(crate) fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Completes when a file has changed and all have then stayed as they are for an interval:
    /// half a file is not read.
    pub(crate) async fn changed(&mut self) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let mut now = self.look();
            if now == self.seen {
                continue;
            }
            loop {
                tokio::time::sleep(INTERVAL).await;
                let later = self.look();
                if later == now {
                    break;
                }
                now = later;
            }
            self.seen = now;
            return;
        }
    }

    /// Watches on its own: a wait that is begun anew at each turn of a loop would never end.
    pub(crate) fn watch(mut self) -> mpsc::Receiver<()> {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                self.changed().await;
                if sender.send(()).await.is_err() {
                    return;
                }
            }
        });
        receiver
    }

    fn look(&self) -> Vec<Option<Identity>> {
        let identity = |path| {
            std::fs::metadata(path)
                .ok()
                .map(|found| Identity::of(&found))
        };
        self.paths.iter().map(identity).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_change_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (file, other) = (path("a.json"), path("a.Production.json"));
        std::fs::write(&file, "{}").unwrap();
        let mut changes = FileChanges::new(&[&file, &other]);
        assert_eq!(changes.look(), changes.seen);
        let mut has_changed = |what: &str| {
            let now = changes.look();
            assert_ne!(now, changes.seen, "{what}");
            changes.seen = now;
        };
        std::fs::write(&file, "{ }").unwrap();
        has_changed("a write in place");
        std::fs::write(path("beside"), "{ }").unwrap();
        std::fs::rename(path("beside"), &file).unwrap();
        has_changed("a rename over it");
        std::fs::write(&other, "{}").unwrap();
        has_changed("a file that comes");
        std::fs::remove_file(&other).unwrap();
        has_changed("a file that goes");
    }
}
