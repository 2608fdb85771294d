//! Where to listen.

use crate::diagnostics::{Diagnostics, Severity};
use crate::not_yet;
use crate::reader::note;
use crate::tree::{ConfigurationTree, Section};

const DEFAULT: &str = "http://localhost:5000";

/// Reads where to listen; see [`Settings::urls`](super::Settings::urls).
pub(super) fn read(tree: &ConfigurationTree, diagnostics: &mut Diagnostics) -> Vec<String> {
    let endpoints = tree.section("Kestrel:Endpoints");
    let listed = ["Urls", "ASPNETCORE_URLS", "DOTNET_URLS"]
        .map(|key| tree.section(key))
        .into_iter()
        .find(|section| section.value().is_some_and(|urls| !urls.trim().is_empty()));
    let mut urls = Urls {
        accepted: Vec::new(),
        refused: false,
        diagnostics,
    };
    let asked = match &listed {
        Some(section) => {
            let text = section.value().unwrap_or_default();
            for url in text.split(';').filter(|url| !url.trim().is_empty()) {
                urls.add(section, url.trim());
            }
            if endpoints.has_children() {
                let message = format!("without effect, because {} is set", section.path());
                note(
                    urls.diagnostics,
                    Severity::Warning,
                    &endpoints,
                    message,
                    None,
                );
            }
            section
        }
        None if endpoints.has_children() => {
            for (name, endpoint) in endpoints.children() {
                let url = endpoint.section("Url");
                match url.value().map(str::trim).filter(|text| !text.is_empty()) {
                    Some(text) => urls.add(&url, text),
                    None => urls.refuse(&url, format!("the endpoint {name:?} has no Url")),
                }
            }
            &endpoints
        }
        None => return vec![DEFAULT.to_owned()],
    };
    if urls.accepted.is_empty() && !urls.refused {
        urls.refuse(asked, "there is nothing left to listen on".to_owned());
    }
    urls.accepted
}

struct Urls<'d> {
    accepted: Vec<String>,
    refused: bool,
    diagnostics: &'d mut Diagnostics,
}

impl Urls<'_> {
    fn add(&mut self, at: &Section<'_>, url: &str) {
        let begins_with = |scheme: &str| {
            let beginning = url.get(..scheme.len());
            beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(scheme))
        };
        if begins_with("http://") {
            self.accepted.push(url.to_owned());
        } else if begins_with("https://") {
            not_yet::https_listener(at, url, self.diagnostics);
        } else {
            self.refuse(at, format!("{url:?} does not begin with http://"));
        }
    }

    fn refuse(&mut self, at: &Section<'_>, message: String) {
        self.refused = true;
        let remedy = Some("set it to a URL such as http://*:8080".to_owned());
        note(self.diagnostics, Severity::Error, at, message, remedy);
    }
}
