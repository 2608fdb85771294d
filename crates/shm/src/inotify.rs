//! Folders watched for entries that come and go.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::{Errno, retry_on_intr};

/// One inotify instance over any number of folders (inotify(7)).
///
/// Tells *that* something happened, not what: events can be lost when too many queue up, so the
/// reader has to look at the folder in any case. Readable when something happened.
#[derive(Debug)]
pub struct WatchedFolder {
    inotify: OwnedFd,
}

impl WatchedFolder {
    /// Watches nothing yet.
    ///
    /// # Errors
    ///
    /// When descriptors, or the user's inotify instances, are short.
    pub fn new() -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        Ok(Self { inotify })
    }

    /// Watches a folder: entries that are created, deleted, moved in or out, or change their
    /// attributes, and the folder's own end. A symbolic link is no folder. To watch the same folder again changes nothing; a
    /// new folder of the same name has to be watched anew.
    ///
    /// # Errors
    ///
    /// `NotFound`, `NotADirectory`, `PermissionDenied` when it cannot be read, `StorageFull` when
    /// the user's inotify watches are short.
    pub fn watch(&mut self, folder: &Path) -> io::Result<()> {
        let events = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::ATTRIB
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR
            | WatchFlags::DONT_FOLLOW;
        inotify::add_watch(&self.inotify, folder, events)?;
        Ok(())
    }

    /// Forgets what happened so far; true when anything did.
    ///
    /// # Errors
    ///
    /// What read(2) says, which it has no reason to.
    pub fn drain(&mut self) -> io::Result<bool> {
        let mut happened = false;
        // Room for at least one event with the longest name, 16 + 256 bytes.
        let mut events = [0; 4096];
        loop {
            match retry_on_intr(|| rustix::io::read(&self.inotify, &mut events)) {
                Ok(_) => happened = true,
                Err(Errno::AGAIN) => return Ok(happened),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for WatchedFolder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

impl AsRawFd for WatchedFolder {
    fn as_raw_fd(&self) -> RawFd {
        self.inotify.as_raw_fd()
    }
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn tells_once_that_an_entry_came_or_went() {
        let folder = tempfile::tempdir().unwrap();
        let mut watched = WatchedFolder::new().unwrap();
        watched.watch(folder.path()).unwrap();
        assert!(!watched.drain().unwrap());
        let file = folder.path().join("instance.sock");
        fs::write(&file, "").unwrap();
        assert!(watched.drain().unwrap());
        assert!(!watched.drain().unwrap());
        fs::rename(&file, folder.path().join("other")).unwrap();
        assert!(watched.drain().unwrap());
        fs::remove_file(folder.path().join("other")).unwrap();
        assert!(watched.drain().unwrap());
        assert!(!watched.drain().unwrap());
    }

    #[test]
    fn tells_that_the_folder_itself_went_and_watches_its_successor() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("queue");
        let mut watched = WatchedFolder::new().unwrap();
        assert_eq!(
            watched.watch(&folder).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        fs::create_dir(&folder).unwrap();
        watched.watch(&folder).unwrap();
        watched.watch(&folder).unwrap();
        fs::remove_dir(&folder).unwrap();
        assert!(watched.drain().unwrap());
        fs::create_dir(&folder).unwrap();
        assert!(!watched.drain().unwrap());
        watched.watch(&folder).unwrap();
        fs::write(folder.join("a"), "").unwrap();
        assert!(watched.drain().unwrap());
    }

    #[test]
    fn refuses_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = WatchedFolder::new()
            .unwrap()
            .watch(file.path())
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
    }

    #[test]
    fn drains_more_events_than_fit_the_buffer() {
        let folder = tempfile::tempdir().unwrap();
        let mut watched = WatchedFolder::new().unwrap();
        watched.watch(folder.path()).unwrap();
        for number in 0..300 {
            fs::write(folder.path().join(number.to_string()), "").unwrap();
        }
        assert!(watched.drain().unwrap());
        assert!(!watched.drain().unwrap());
    }
}
