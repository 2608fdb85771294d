//! The drawing in `docs/architecture.md`: the floors of `proxy`, each module with what it is.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::house::{House, root};
use crate::{drawing, table};

/// What stands before the drawing in the page, and behind it.
const AROUND: (&str, &str) = ("<!-- just floors --write -->\n```text\n", "```\n");

/// The page as it is, and as it is to be.
///
/// # Errors
///
/// When the page or a source cannot be read, or the page has no place for the drawing.
pub fn pages() -> Result<(String, String)> {
    let page = fs::read_to_string(path()).context("the page cannot be read")?;
    let house = House::read(&table::PROXY)?;
    let (before, rest) = page
        .split_once(AROUND.0)
        .context("the page has no place for the drawing")?;
    let (_, behind) = rest
        .split_once(AROUND.1)
        .context("the drawing in the page has no end")?;
    let drawing = drawing::floors(&house);
    let drawn = [before, AROUND.0, &drawing, AROUND.1, behind].concat();
    Ok((page, drawn))
}

/// Makes the drawing in the page anew.
///
/// # Errors
///
/// As [`pages`], and when the page cannot be written.
pub fn write() -> Result<()> {
    let (_, drawn) = pages()?;
    fs::write(path(), drawn).context("the page cannot be written")
}

fn path() -> PathBuf {
    root().join("docs/architecture.md")
}
