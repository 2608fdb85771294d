//! The switches of `Kestrel` beside its limits and endpoints: each that asks for something else than
//! what happens is warned of.

use crate::diagnostics::{Diagnostics, Severity};
use crate::keys;
use crate::leaf;
use crate::reader::{Reader, note};
use crate::tree::Section;

/// A switch, the value that changes something in Kestrel, and what happens here.
const SWITCHES: &[(&str, bool, &str)] = &[
    (
        "AddServerHeader",
        true,
        "no Server field is added: responses carry the one of their destination, if any",
    ),
    (
        "AllowHostHeaderOverride",
        true,
        "this is not implemented yet: a Host field that differs from the request-target is refused",
    ),
    (
        "AllowAlternateSchemes",
        true,
        "this is not implemented yet and has no effect",
    ),
    (
        "AllowResponseHeaderCompression",
        false,
        "this has no effect: fields of HTTP/2 responses are compressed",
    ),
];

/// Switches that have nothing to switch here.
const IDLE: &[&str] = &["AllowSynchronousIO", "DisableStringReuse"];

pub(super) fn warn(section: &Section<'_>, diagnostics: &mut Diagnostics) {
    Reader::new(section.clone(), &keys::KESTREL, diagnostics).finish();
    let certificates = section.child("Certificates");
    Reader::new(certificates, &keys::CERTIFICATES, diagnostics).finish();
    let switches = SWITCHES
        .iter()
        .map(|(key, value, message)| (*key, *value, *message));
    let idle = IDLE
        .iter()
        .map(|key| (*key, true, "there is nothing to switch here"));
    for (key, matters, message) in switches.chain(idle) {
        let at = section.child(key);
        let Some(text) = at.value().filter(|text| !text.is_empty()) else {
            continue;
        };
        match leaf::boolean(text) {
            Ok(value) if value == matters => {
                note(diagnostics, Severity::Warning, &at, message, None);
            }
            Ok(_) => {}
            Err(message) => {
                let remedy = Some(format!("correct it, or remove {key} for its default"));
                note(diagnostics, Severity::Error, &at, message, remedy);
            }
        }
    }
}
