//! Names that mean something else where a route says them.

use crate::reader::Reader;
use crate::tree::Section;
use crate::tree::key::same;

/// A policy must not have one of them.
pub(super) fn check(reader: &mut Reader<'_, '_>, at: &Section<'_>, name: &str, reserved: &[&str]) {
    if reserved.iter().any(|reserved| same(reserved, name)) {
        let message = format!("the name {name:?} is reserved");
        reader.error(at, message, Some("choose another one".to_owned()));
    }
}
