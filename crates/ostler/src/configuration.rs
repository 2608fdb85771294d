//! Reading a configuration: the file, the environment's file over it, then environment variables,
//! then the command line (reference 1.14).

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ostler_config::{ConfigurationTree, Diagnostics, Loaded, load_with};
use ostler_model::RouteRules;

use crate::endpoints;

/// What ASP.NET runs as when nobody says anything.
const DEFAULT_ENVIRONMENT: &str = "Production";

/// Where a configuration comes from.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    file: PathBuf,
    /// The file of the environment, which need not exist.
    environment_file: PathBuf,
    settings: Vec<String>,
}

impl Sources {
    /// The file, what stands beside it, and settings of the command line.
    pub(crate) fn new(file: &Path, settings: Vec<String>) -> Self {
        Self {
            file: file.to_owned(),
            environment_file: environment_file(file, &environment()),
            settings,
        }
    }

    /// The files, whether or not they exist.
    pub(crate) fn files(&self) -> [&Path; 2] {
        [&self.file, &self.environment_file]
    }

    /// Reads and validates everything that makes up the configuration.
    ///
    /// Mistakes are in the result; an error here is a file that cannot be read at all.
    pub(crate) fn read(&self) -> anyhow::Result<Loaded> {
        let mut tree = ConfigurationTree::new();
        let name = self.file.display().to_string();
        let text =
            std::fs::read_to_string(&self.file).with_context(|| format!("cannot read {name}"))?;
        tree.add_json(&name, &text)?;
        let name = self.environment_file.display().to_string();
        match std::fs::read_to_string(&self.environment_file) {
            Ok(text) => tree.add_json(&name, &text)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {name}")),
        }
        tree.add_environment(std::env::vars_os().filter_map(|(name, value)| {
            // What is no Unicode cannot be meant for us.
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }));
        tree.add_command_line(&self.settings)?;
        let mut loaded = load_with(&tree, &RouteRules);
        endpoints::check(&tree, &loaded.settings, &mut loaded.diagnostics);
        Ok(loaded)
    }
}

/// The environment's name, in ASP.NET's variables.
fn environment() -> OsString {
    ["ASPNETCORE_ENVIRONMENT", "DOTNET_ENVIRONMENT"]
        .iter()
        .filter_map(std::env::var_os)
        .find(|name| !name.is_empty())
        .unwrap_or_else(|| DEFAULT_ENVIRONMENT.into())
}

/// `dir/appsettings.json` and `Staging` make `dir/appsettings.Staging.json`.
fn environment_file(file: &Path, environment: &OsStr) -> PathBuf {
    let mut name = file.file_stem().unwrap_or_default().to_owned();
    name.push(".");
    name.push(environment);
    if let Some(extension) = file.extension() {
        name.push(".");
        name.push(extension);
    }
    file.with_file_name(name)
}

/// Makes settings in .NET's forms, `--Section:Key=value` and `--Section:Key value`, what the command
/// line's grammar has a place for: `Section:Key=value`. An option has no `:` in its name.
pub(crate) fn settings_as_values(
    arguments: impl IntoIterator<Item = OsString>,
) -> impl Iterator<Item = OsString> {
    let mut arguments = arguments.into_iter();
    std::iter::from_fn(move || {
        let argument = arguments.next()?;
        let setting = argument.to_str().and_then(|text| text.strip_prefix("--"));
        let key = |text: &str| text.split('=').next().is_some_and(|key| key.contains(':'));
        match setting.filter(|text| key(text)).map(str::to_owned) {
            None => Some(argument),
            Some(setting) if setting.contains('=') => Some(setting.into()),
            Some(key) => {
                // Without a value it is left to be refused as no setting.
                let mut setting = OsString::from(key);
                if let Some(value) = arguments.next() {
                    setting.push("=");
                    setting.push(value);
                }
                Some(setting)
            }
        }
    })
}

/// Prints every error and warning to standard error.
pub(crate) fn print(diagnostics: &Diagnostics) {
    for diagnostic in diagnostics.errors().chain(diagnostics.warnings()) {
        // Whoever reads this may be gone.
        let _ = writeln!(std::io::stderr(), "{diagnostic}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environments_file_stands_beside_the_file() {
        for (file, wanted) in [
            ("dir/appsettings.json", "dir/appsettings.Staging.json"),
            ("x.json", "x.Staging.json"),
            ("/a.b/x.y.json", "/a.b/x.y.Staging.json"),
            ("x", "x.Staging"),
        ] {
            let found = environment_file(Path::new(file), OsStr::new("Staging"));
            assert_eq!(found, Path::new(wanted), "{file}");
        }
    }

    #[test]
    fn settings_are_taken_in_every_form_and_options_left_alone() {
        let given = [
            "ostler",
            "run",
            "--config",
            "a:b.json",
            "--urls",
            "http://x:1",
            "--urls=http://y:2",
            "--A:B=c",
            "--A:B",
            "--d",
            "A:B=e",
            "/A:B=f",
            "--no-such=a:b",
            "--A:Last",
        ];
        let wanted = [
            "ostler",
            "run",
            "--config",
            "a:b.json",
            "--urls",
            "http://x:1",
            "--urls=http://y:2",
            "A:B=c",
            "A:B=--d",
            "A:B=e",
            "/A:B=f",
            "--no-such=a:b",
            "A:Last",
        ];
        let found: Vec<_> = settings_as_values(given.map(OsString::from)).collect();
        assert_eq!(found, wanted);
    }
}
