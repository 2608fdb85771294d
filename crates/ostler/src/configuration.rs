//! Reading a configuration: variables of the host, the files, each with the environment's over it,
//! other environment variables, then the command line (reference A1.14).

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use ostler_config::{ConfigurationTree, Diagnostics, Loaded, host_variable, load_section};
use ostler_etcd::Documents;
use ostler_proxy::StepRegistry;

use crate::args::{ConfigurationArgs, DEFAULT_SECTION};
use crate::etcd::Etcd;
use crate::rules::Rules;
use crate::{endpoints, etcd, files};

/// What ASP.NET runs as when nobody says anything.
const DEFAULT_ENVIRONMENT: &str = "Production";

/// Where a configuration comes from, and what it is checked against.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    /// What stands in no file, laid under the files.
    made: Option<Made>,
    files: Vec<SourceFile>,
    section: String,
    settings: Vec<String>,
    rules: Rules,
    /// What stands in etcd, laid over the files.
    etcd: Option<Arc<Etcd>>,
}

/// A configuration that this program has written for itself.
#[derive(Debug, Clone)]
struct Made {
    /// What messages call it.
    origin: &'static str,
    json: String,
}

/// A file, and the one of the environment beside it, which need not exist.
#[derive(Debug, Clone)]
struct SourceFile {
    file: PathBuf,
    of_environment: PathBuf,
}

impl Sources {
    /// Files, and settings over them.
    pub(crate) fn new(args: &ConfigurationArgs, settings: Vec<String>, rules: Rules) -> Self {
        let environment = OsString::from(environment(args, &settings));
        let files = args.config.iter().map(|file| SourceFile {
            file: file.clone(),
            of_environment: environment_file(file, &environment),
        });
        Self {
            made: None,
            files: files.collect(),
            section: args.section.clone(),
            settings,
            rules,
            etcd: None,
        }
    }

    /// JSON that stands in no file, which messages call `origin`, and settings over it.
    pub(crate) fn of_json(
        origin: &'static str,
        json: String,
        settings: Vec<String>,
        rules: Rules,
    ) -> Self {
        Self {
            made: Some(Made { origin, json }),
            files: Vec::new(),
            section: DEFAULT_SECTION.to_owned(),
            settings,
            rules,
            etcd: None,
        }
    }

    /// The folder that relative ones of the configuration are in: the first file's.
    pub(crate) fn folder(&self) -> &Path {
        let first = self.files.first();
        let folder = first.and_then(|source| source.file.parent());
        folder.unwrap_or(Path::new(""))
    }

    /// The files, whether or not they exist, in the order in which they are read.
    pub(crate) fn files(&self) -> Vec<&Path> {
        let files = self.files.iter();
        files
            .flat_map(|source| [source.file.as_path(), source.of_environment.as_path()])
            .collect()
    }

    /// What to call the configuration: the files that the command line names.
    pub(crate) fn name(&self) -> String {
        let names: Vec<_> = self
            .files
            .iter()
            .map(|source| source.file.display().to_string())
            .collect();
        match &self.made {
            Some(made) => made.origin.to_owned(),
            None => names.join(", "),
        }
    }

    /// The pipeline steps there are.
    pub(crate) fn steps(&self) -> &StepRegistry {
        self.rules.steps()
    }

    /// What stands in etcd.
    pub(crate) fn etcd(&self) -> Option<&Arc<Etcd>> {
        self.etcd.as_ref()
    }

    /// Lays what stands in etcd over the files.
    pub(crate) fn share(&mut self, etcd: Etcd) {
        self.etcd = Some(Arc::new(etcd));
    }

    /// Reads and validates everything that makes up the configuration.
    ///
    /// Mistakes are in the result; an error here is a file that cannot be read at all.
    pub(crate) fn read(&self) -> anyhow::Result<Loaded> {
        let shared = self
            .etcd
            .as_ref()
            .map(|etcd| (etcd.documents(), etcd.prefix()));
        let shared = shared
            .as_ref()
            .map(|(documents, prefix)| (documents, *prefix));
        self.read_over(shared)
    }

    /// The same with these documents of etcd over the files.
    pub(crate) fn read_with(&self, documents: &Documents, prefix: &str) -> anyhow::Result<Loaded> {
        self.read_over(Some((documents, prefix)))
    }

    fn read_over(&self, shared: Option<(&Documents, &str)>) -> anyhow::Result<Loaded> {
        let variables = environment_variables();
        let mut tree = ConfigurationTree::new();
        tree.add_host_environment(&variables);
        if let Some(made) = &self.made {
            tree.add_json(made.origin, &made.json)?;
        }
        for source in &self.files {
            let name = source.file.display().to_string();
            let text =
                files::read_text(&source.file).with_context(|| format!("cannot read {name}"))?;
            tree.add_json(&name, &text)?;
            let name = source.of_environment.display().to_string();
            match files::read_text(&source.of_environment) {
                Ok(text) => tree.add_json(&name, &text)?,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).with_context(|| format!("cannot read {name}")),
            }
        }
        if let Some((documents, prefix)) = shared {
            for (origin, json) in etcd::layers(documents, prefix, &self.section)? {
                tree.add_json(&origin, &json)?;
            }
        }
        tree.add_environment(variables);
        tree.add_command_line(
            self.settings
                .iter()
                .filter(|setting| !is_environment(setting)),
        )?;
        let mut loaded = load_section(&tree, &self.section, &self.rules);
        endpoints::check(&tree, &loaded.settings, &mut loaded.diagnostics);
        Ok(loaded)
    }
}

/// The variables of the process; what is no Unicode cannot be meant for us.
fn environment_variables() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The environment's name: the command line's, or that of ASP.NET's variables.
fn environment(args: &ConfigurationArgs, settings: &[String]) -> String {
    let said = args.environment.clone().or_else(|| {
        let mut settings = settings.iter().rev();
        let setting = settings.find(|setting| is_environment(setting))?;
        Some(setting.split_once('=')?.1.to_owned())
    });
    let said = said.or_else(|| {
        let variables = environment_variables();
        host_variable(&variables, "ENVIRONMENT").map(str::to_owned)
    });
    said.filter(|name| !name.is_empty())
        .unwrap_or_else(|| DEFAULT_ENVIRONMENT.to_owned())
}

/// Whether a setting of the command line is `environment=NAME`, in any of its forms.
fn is_environment(setting: &str) -> bool {
    let key = setting.split('=').next().unwrap_or_default();
    let key = key.trim_start_matches(['-', '/']);
    setting.contains('=') && key.eq_ignore_ascii_case("environment")
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

/// Settings of ASP.NET's host that have no `:` in their names.
const HOST_SETTINGS: [&str; 5] = [
    "http_ports",
    "https_ports",
    "contentroot",
    "webroot",
    "shutdowntimeoutseconds",
];

/// Makes settings in .NET's forms, `--Section:Key=value` and `--Section:Key value`, what the command
/// line's grammar has a place for: `Section:Key=value`. An option has no `:` in its name, but some
/// settings of the host have none either.
pub(crate) fn settings_as_values(
    arguments: impl IntoIterator<Item = OsString>,
) -> impl Iterator<Item = OsString> {
    let mut arguments = arguments.into_iter();
    // What stands behind `--` is another program's.
    let mut are_own = true;
    std::iter::from_fn(move || {
        let argument = arguments.next()?;
        are_own &= argument != "--";
        if !are_own {
            return Some(argument);
        }
        let setting = argument.to_str().and_then(|text| text.strip_prefix("--"));
        let is_key = |key: &str| {
            let mut of_host = HOST_SETTINGS.iter();
            key.contains(':') || of_host.any(|setting| setting.eq_ignore_ascii_case(key))
        };
        let key = |text: &str| text.split('=').next().is_some_and(is_key);
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
            "--HTTP_PORTS",
            "8080",
            "--contentRoot=/srv",
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
            "HTTP_PORTS=8080",
            "contentRoot=/srv",
            "A:Last",
        ];
        let found: Vec<_> = settings_as_values(given.map(OsString::from)).collect();
        assert_eq!(found, wanted);
    }
}
