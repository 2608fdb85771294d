//! What an instance of an application is started as.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use ostler_config::{ApplicationConfig, ApplicationListen};
use ostler_delegation::accounts;
use ostler_delegation::runtime::RuntimeFolder;

use crate::service_manager::OF_THE_SERVICE;

/// This program, whichever file it is by now.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// Where applications run.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) runtime: RuntimeFolder,
    /// What working directories are relative to.
    pub(super) folder: PathBuf,
}

impl Surroundings {
    pub(super) fn working_directory(&self, config: &ApplicationConfig) -> PathBuf {
        let directory = config.working_directory.as_deref().unwrap_or_default();
        self.folder.join(directory)
    }
}

/// The user and the group that a program runs as; `None` for the pool's own.
pub(super) fn account_of(config: &ApplicationConfig) -> anyhow::Result<Option<(u32, u32)>> {
    let Some(user) = &config.user else {
        return Ok(None);
    };
    let uid = accounts::uid_of(user).context("cannot read /etc/passwd")?;
    let uid = uid.with_context(|| format!("User: there is no user {user:?}"))?;
    let own = rustix::process::geteuid().as_raw();
    if uid == own {
        return Ok(None);
    }
    ensure!(
        own == 0,
        "User: a pool that does not run as root cannot start a program as {user:?}"
    );
    let gid = accounts::first_group_of(uid).context("cannot read /etc/passwd")?;
    Ok(Some((uid, gid.unwrap_or(uid))))
}

/// The command of an instance: `ostler exec` with the program, or the program, where it opens the queue. Either
/// ends with the pool.
pub(super) fn command(
    config: &ApplicationConfig,
    surroundings: &Surroundings,
) -> anyhow::Result<Command> {
    let mut command = Command::new(OWN_PROGRAM);
    command.args(["become", "--parent", &std::process::id().to_string(), "--"]);
    let account = account_of(config)?;
    match (config.listen, account) {
        (ApplicationListen::Queue, Some((uid, gid))) => _ = command.uid(uid).gid(gid),
        (ApplicationListen::Queue, None) => {}
        _ => {
            command.args(exec_arguments(config));
            command.arg("--");
        }
    }
    command.arg(&config.command).args(&config.arguments);
    for variable in OF_THE_SERVICE {
        command.env_remove(variable);
    }
    for (variable, _) in std::env::vars_os().filter(|(name, _)| is_of_configuration(name)) {
        command.env_remove(variable);
    }
    command
        .env("OSTLER_RUNTIME_DIR", surroundings.runtime.path())
        .env("OSTLER_QUEUE", &config.queue)
        .envs(&config.environment)
        .current_dir(surroundings.working_directory(config))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A terminal's interrupt is the pool's.
        .process_group(0);
    Ok(command)
}

/// Whether a variable is a part of this program's own configuration, which may hold secrets.
fn is_of_configuration(variable: &OsStr) -> bool {
    let name = variable.to_string_lossy().to_ascii_lowercase();
    let prefixes = ["aspnetcore_", "dotnet_"];
    let mut without = prefixes
        .iter()
        .filter_map(|prefix| name.strip_prefix(prefix));
    let name = without.next().unwrap_or(&name);
    let mut sections = ["ostler__", "kestrel__", "reverseproxy__"].iter();
    sections.any(|section| name.starts_with(section))
}

fn exec_arguments(config: &ApplicationConfig) -> Vec<String> {
    let mut arguments = vec![OWN_PROGRAM.to_owned()];
    let mut option = |name: &str, value: Option<String>| {
        arguments.push(name.to_owned());
        arguments.extend(value);
    };
    option("--log", Some("warn".to_owned()));
    option("exec", None);
    option("--queue", Some(config.queue.clone()));
    option("--label", Some(config.name.clone()));
    option("--verbosity", Some("full".to_owned()));
    // The queue is the pool's.
    option("--keep-queue", None);
    for prefix in &config.url_prefixes {
        option("--url-prefix", Some(prefix.clone()));
    }
    match config.listen {
        ApplicationListen::Fd | ApplicationListen::Queue => option("--listen-fd", None),
        ApplicationListen::TcpFd => option("--listen-fd=tcp", None),
        ApplicationListen::Port => option("--port", None),
        ApplicationListen::Unix => option("--unix", None),
    }
    if config.is_http2 {
        option("--http2", None);
    }
    if let Some(path) = &config.ready_path {
        option("--ready-path", Some(path.clone()));
    }
    if let Some(user) = &config.user {
        option("--user", Some(user.clone()));
    }
    let seconds = |time: std::time::Duration| time.as_secs().max(1).to_string();
    option("--start-timeout", Some(seconds(config.start_timeout)));
    option("--stop-timeout", Some(seconds(config.stop_timeout)));
    arguments
}
