//! The admin endpoint: an HTTP server of its own, apart from what clients reach, where the operator asks how
//! the front is. It asks nobody who they are, and so listens only where this host's own processes are.

mod health;
mod host;
mod listener;
mod metrics;
mod readiness;
mod state;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn;
use tokio::task::JoinHandle;

pub(crate) use listener::Listener;
pub(crate) use readiness::Readiness;
pub(crate) use state::AdminState;

/// The endpoint, as long as it is served.
#[derive(Debug)]
pub(crate) struct Admin {
    /// `http://127.0.0.1:9090`, `http://unix:/run/ostler/admin.sock`.
    url: String,
    server: JoinHandle<()>,
    _file: Option<listener::SocketFile>,
}

impl Admin {
    /// Begins to answer.
    pub(crate) fn serve(listener: Listener, state: AdminState) -> Self {
        let url = listener.url();
        let router = router(Arc::new(state));
        let (server, file) = match listener {
            Listener::Tcp(listener) => {
                let router = router.layer(from_fn(host::of_this_machine));
                let server = axum::serve(listener, router);
                (tokio::spawn(async move { _ = server.await }), None)
            }
            Listener::Unix(listener, file) => {
                let server = axum::serve(listener, router);
                (tokio::spawn(async move { _ = server.await }), Some(file))
            }
        };
        Self {
            url,
            server,
            _file: file,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Everything that is answered. What is missing is 404, and another method than is meant 405.
fn router(state: Arc<AdminState>) -> Router {
    let router = Router::new()
        .merge(health::routes())
        .merge(metrics::routes());
    router.with_state(state)
}
