//! Noticing that the configuration file has changed.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_millis(250);

/// Watches a file by what `stat` says of it, through symbolic links: writes in place, renames over
/// it and Kubernetes' swapped links all change that.
#[derive(Debug)]
pub(crate) struct FileChanges {
    path: PathBuf,
    seen: Option<Identity>,
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
    pub(crate) fn new(path: &Path) -> Self {
        let mut changes = Self {
            path: path.to_owned(),
            seen: None,
        };
        changes.seen = changes.look();
        changes
    }

    /// Completes when the file has changed and has then stayed as it is for an interval: half a
    /// file is not read.
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

    fn look(&self) -> Option<Identity> {
        std::fs::metadata(&self.path)
            .ok()
            .map(|metadata| Identity::of(&metadata))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rename_over_the_file_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        std::fs::write(&path, "{}").unwrap();
        let changes = FileChanges::new(&path);
        assert_eq!(changes.look(), changes.seen);
        let beside = folder.path().join("b.json");
        std::fs::write(&beside, "{}").unwrap();
        std::fs::rename(&beside, &path).unwrap();
        assert_ne!(changes.look(), changes.seen);
    }
}
