//! `ostler init`: a first configuration, to be read and changed.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use crate::args::InitArgs;

/// What is written: JSON with comments.
const FIRST_CONFIGURATION: &str = include_str!("init/ostler.json");

/// Writes the configuration where there is no file yet.
pub(crate) fn write(args: &InitArgs) -> anyhow::Result<ExitCode> {
    let name = args.file.display();
    let mut file = match File::create_new(&args.file) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!("{name} exists and is left as it is; to write another file: ostler init FILE");
        }
        Err(error) => return Err(error).with_context(|| format!("cannot make {name}")),
    };
    let written = file.write_all(FIRST_CONFIGURATION.as_bytes());
    written.with_context(|| format!("cannot write to {name}"))?;
    // Whoever reads this may be gone.
    let _ = writeln!(
        std::io::stdout(),
        "wrote {name}; next: ostler check --config {name}, then ostler run --config {name}"
    );
    Ok(ExitCode::SUCCESS)
}
