//! Logs: to standard error, for people by default, as JSON on demand.

use tracing_subscriber::EnvFilter;

use crate::args::{LogArgs, LogFormat};

/// Starts logging. A filter that does not parse is reported and replaced by `info`. A program of which
/// this is a part may have started it already, in a way of its own, which stays then.
pub(crate) fn start(args: &LogArgs) {
    let filter = EnvFilter::try_new(&args.log).unwrap_or_else(|error| {
        eprintln!(
            "warning: --log {:?} is no filter ({error}); logging at info",
            args.log
        );
        EnvFilter::new("info")
    });
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // Whoever reads the log may be gone. To say that it cannot be written would panic then.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    match args.log_format {
        LogFormat::Human => {
            use std::io::IsTerminal;
            let _ = builder
                .with_ansi(std::io::stderr().is_terminal())
                .with_target(false)
                .try_init();
        }
        LogFormat::Json => _ = builder.json().flatten_event(true).try_init(),
    }
}
