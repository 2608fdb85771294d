//! The pages for errors, read from their folder: at the start, with each reload, and when one changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use ostler_config::Settings;
use ostler_proxy::{ErrorPage, ErrorPages};
use tokio::task::JoinHandle;

use crate::reload::FileChanges;

/// Most bytes of a page: they are kept in memory.
const MOST: u64 = 1024 * 1024;

/// Where the pages are, if there are to be any. A relative folder is the content root's.
pub(crate) fn folder(beside: &Path, settings: &Settings) -> Option<PathBuf> {
    let folder = settings.ostler.error_pages.as_deref()?;
    let content_root = settings.static_files.content_root.as_deref();
    Some(beside.join(content_root.unwrap_or_default()).join(folder))
}

/// The pages in force, kept up to date.
#[derive(Debug, Default)]
pub(crate) struct FollowedPages {
    pages: Arc<ErrorPages>,
    folder: Option<PathBuf>,
    task: Option<JoinHandle<()>>,
}

impl FollowedPages {
    pub(crate) fn pages(&self) -> &Arc<ErrorPages> {
        &self.pages
    }

    /// Reads the pages of this folder, and looks after them from now on, on the runtime that calls.
    ///
    /// # Errors
    ///
    /// When they cannot be read. Then those before stay.
    pub(crate) fn follow(&mut self, folder: Option<PathBuf>) -> anyhow::Result<()> {
        if folder == self.folder {
            return Ok(());
        }
        // Before they are read, so that no change is missed.
        let changes = folder.as_deref().map(changes);
        let pages = folder.as_deref().map_or(Ok(Vec::new()), read)?;
        if let Some(task) = self.task.take() {
            task.abort();
        }
        self.pages.set(pages);
        self.folder.clone_from(&folder);
        let of_folder = folder.zip(changes);
        self.task = of_folder.map(|(folder, changes)| {
            let pages = Arc::clone(&self.pages);
            tokio::spawn(watch(pages, folder, changes))
        });
        Ok(())
    }
}

impl Drop for FollowedPages {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

async fn watch(pages: Arc<ErrorPages>, folder: PathBuf, mut seen: FileChanges) {
    loop {
        seen.changed().await;
        seen = changes(&folder);
        match read(&folder) {
            Ok(read) => {
                tracing::info!(folder = %folder.display(), count = read.len(), "pages for errors are read");
                pages.set(read);
            }
            Err(error) => tracing::error!("pages for errors stay as they were: {error:#}"),
        }
    }
}

fn read(folder: &Path) -> anyhow::Result<Vec<ErrorPage>> {
    let mut pages = Vec::new();
    for path in files(folder)? {
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name else { continue };
        if ErrorPage::of_file(name, "").is_none() {
            continue;
        }
        let of_file = || format!("Ostler:ErrorPages:Folder: cannot read {}", path.display());
        let length = std::fs::metadata(&path).with_context(of_file)?.len();
        if length > MOST {
            bail!(
                "Ostler:ErrorPages:Folder: {} is longer than {MOST} bytes",
                path.display()
            );
        }
        let body = std::fs::read(&path).with_context(of_file)?;
        pages.extend(ErrorPage::of_file(name, body));
    }
    if pages.is_empty() {
        tracing::warn!(
            folder = %folder.display(),
            "there is no page for errors: none is called like 404.html, 5xx.json or 4xx.txt"
        );
    }
    Ok(pages)
}

/// Watches the folder and what is in it.
fn changes(folder: &Path) -> FileChanges {
    let mut paths = files(folder).unwrap_or_default();
    paths.push(folder.to_owned());
    let paths: Vec<_> = paths.iter().map(PathBuf::as_path).collect();
    FileChanges::new(&paths)
}

fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let of_folder = || format!("Ostler:ErrorPages:Folder: cannot read {}", folder.display());
    let entries = std::fs::read_dir(folder).with_context(of_folder)?;
    let files: Result<Vec<_>, _> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect();
    let mut files = files.with_context(of_folder)?;
    files.retain(|path| path.is_file());
    files.sort();
    Ok(files)
}
