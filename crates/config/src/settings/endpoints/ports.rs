//! `HTTP_PORTS` and `HTTPS_PORTS`: where images of containers say that ASP.NET is to listen.

use crate::diagnostics::{Diagnostics, Severity};
use crate::reader::note;
use crate::tree::{ConfigurationTree, Section};

/// The keys, in ASP.NET's order, and what their ports speak.
pub(super) const SCHEMES: [(&str, &str); 2] = [("HTTP_PORTS", "http"), ("HTTPS_PORTS", "https")];

/// The URLs that both keys stand for, each with its key: every port on all addresses.
pub(super) fn read<'t>(
    tree: &'t ConfigurationTree,
    diagnostics: &mut Diagnostics,
) -> Vec<(Section<'t>, String)> {
    let mut urls = Vec::new();
    for (key, scheme) in SCHEMES {
        let section = tree.section(key);
        let ports = section.value().unwrap_or_default().split(';');
        for port in ports.map(str::trim).filter(|port| !port.is_empty()) {
            if port.parse::<u16>().is_ok() && !port.starts_with('+') {
                urls.push((section.clone(), format!("{scheme}://*:{port}")));
                continue;
            }
            let message = format!("{port:?} is no port");
            let remedy = "write ports as 8080 or 8080;8081".to_owned();
            note(
                diagnostics,
                Severity::Error,
                &section,
                message,
                Some(remedy),
            );
        }
    }
    urls
}
