//! Threads with a runtime of their own.

use std::io;
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, LocalOptions, LocalRuntime};

/// Starts a thread whose runtime, of one thread, is there when this returns: a front that says it
/// listens lacks nothing, and one that cannot have what it needs does not start.
pub(crate) fn start(
    name: String,
    mut runtime: Builder,
    body: impl FnOnce(&LocalRuntime) + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let (tell, told) = mpsc::channel();
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        let built = runtime
            .enable_all()
            .build_local(LocalOptions::default())
            .map(|runtime| {
                // Whoever starts it waits for this.
                let _ = tell.send(Ok(()));
                body(&runtime);
            });
        if let Err(error) = built {
            let _ = tell.send(Err(error));
        }
    })?;
    told.recv().map_err(io::Error::other)??;
    Ok(thread)
}
