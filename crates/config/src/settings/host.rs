//! Settings of ASP.NET's host beside `Urls`: the time for a stop, and those that do nothing here.

use std::time::Duration;

use crate::diagnostics::{Diagnostics, Severity};
use crate::reader::note;
use crate::tree::ConfigurationTree;
use crate::tree::key::same;

const SHUTDOWN_TIMEOUT: &str = "ShutdownTimeoutSeconds";

/// A setting of the host, whether a value of it asks for something, and what happens instead.
type Idle = (&'static str, fn(&str) -> bool, &'static str);

/// What ASP.NET's host does for a setting and this program does not.
const IDLE: &[Idle] = &[
    (
        "HostingStartupAssemblies",
        is_any,
        "this has no effect: there are no assemblies to load",
    ),
    (
        "PreferHostingUrls",
        is_true,
        "this has no effect: Kestrel:Endpoints comes before Urls",
    ),
    (
        "HostBuilder:ReloadConfigOnChange",
        is_false,
        "this has no effect: files that change are read again",
    ),
    (
        "DetailedErrors",
        is_true,
        "this has no effect: what is wrong stands in the log alone",
    ),
];

/// Reads the time for a stop, and warns of what does nothing.
pub(super) fn read(tree: &ConfigurationTree, diagnostics: &mut Diagnostics) -> Option<Duration> {
    for (key, asks, message) in IDLE {
        let at = tree.section(key);
        if at.value().is_some_and(asks) {
            note(diagnostics, Severity::Warning, &at, *message, None);
        }
    }
    let at = tree.section(SHUTDOWN_TIMEOUT);
    let text = at.value().filter(|text| !text.is_empty())?;
    match text.parse::<u32>() {
        Ok(seconds) if !text.starts_with('+') => Some(Duration::from_secs(seconds.into())),
        _ => {
            let message = format!("{text:?} is not a whole number of seconds");
            let remedy = format!("correct it, or remove {SHUTDOWN_TIMEOUT} for its default");
            note(diagnostics, Severity::Error, &at, message, Some(remedy));
            None
        }
    }
}

fn is_any(value: &str) -> bool {
    !value.trim().is_empty()
}

pub(super) fn is_true(value: &str) -> bool {
    same(value.trim(), "true") || value.trim() == "1"
}

fn is_false(value: &str) -> bool {
    same(value.trim(), "false")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_variables(variables: &[(&str, &str)]) -> (Option<Duration>, Diagnostics) {
        let variables = variables.iter();
        let variables: Vec<_> = variables
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mut tree = ConfigurationTree::new();
        tree.add_host_environment(&variables);
        tree.add_environment(variables);
        let mut diagnostics = Diagnostics::default();
        let timeout = read(&tree, &mut diagnostics);
        (timeout, diagnostics)
    }

    #[test]
    fn the_time_for_a_stop_is_whole_seconds() {
        for (name, value, seconds) in [
            ("DOTNET_SHUTDOWNTIMEOUTSECONDS", "3", Some(3)),
            ("aspnetcore_ShutdownTimeoutSeconds", "0", Some(0)),
            ("SHUTDOWNTIMEOUTSECONDS", "", None),
        ] {
            let (timeout, diagnostics) = read_variables(&[(name, value)]);
            assert_eq!(timeout, seconds.map(Duration::from_secs), "{name}");
            assert!(diagnostics.is_empty(), "{name}");
        }
        for value in ["-1", "1.5", "+1", "00:00:05"] {
            let (_, diagnostics) = read_variables(&[("DOTNET_SHUTDOWNTIMEOUTSECONDS", value)]);
            assert!(diagnostics.has_errors(), "{value}");
        }
    }

    #[test]
    fn a_setting_that_does_nothing_here_is_warned_of_in_every_spelling() {
        for (name, value) in [
            ("DOTNET_hostBuilder__reloadConfigOnChange", "false"),
            ("ASPNETCORE_preferHostingUrls", "True"),
        ] {
            let (_, diagnostics) = read_variables(&[(name, value)]);
            let said: Vec<_> = diagnostics.warnings().map(ToString::to_string).collect();
            assert_eq!(said.len(), 1, "{name}: {said:?}");
            assert!(said[0].contains(name), "{said:?}");
        }
        let (_, diagnostics) = read_variables(&[
            ("DOTNET_RUNNING_IN_CONTAINER", "true"),
            ("ASPNETCORE_VERSION", "10.0.0"),
        ]);
        assert!(diagnostics.is_empty());
    }
}
