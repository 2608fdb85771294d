//! `ostler manual`: manual pages and shell completions, made of the command line's own description.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::{Args, ManualArgs};

/// Writes a page for the program and for each of its commands, and completions for each shell.
pub(crate) fn write(args: &ManualArgs) -> anyhow::Result<ExitCode> {
    let folder = &args.folder;
    let failed = || format!("cannot write to {}", folder.display());
    std::fs::create_dir_all(folder).with_context(failed)?;
    clap_mangen::generate_to(Args::command(), folder).with_context(failed)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let written = clap_complete::generate_to(shell, &mut Args::command(), "ostler", folder);
        written.with_context(failed)?;
    }
    Ok(ExitCode::SUCCESS)
}
