//! What a program is started by: it says what only the process itself can say, and becomes the program.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use crate::args::BecomeArgs;

/// Ends with the process that started this one, and becomes the program.
pub(crate) fn become_program(args: &BecomeArgs) -> anyhow::Result<ExitCode> {
    set_parent_process_death_signal(Some(Signal::TERM))?;
    let parent = getppid().map(Pid::as_raw_pid);
    ensure!(
        parent == i32::try_from(args.parent).ok(),
        "whoever started this has ended"
    );
    let (program, arguments) = args.program.split_first().context("there is no program")?;
    let mut command = Command::new(program);
    command.args(arguments);
    if std::env::var_os("LISTEN_FDS").is_some() {
        // Whose descriptors they are: this process', which the program's is.
        command.env("LISTEN_PID", std::process::id().to_string());
    }
    let failed = command.exec();
    Err(failed).with_context(|| format!("cannot start {}", program.to_string_lossy()))
}
