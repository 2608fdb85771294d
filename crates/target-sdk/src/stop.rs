//! The word to stop, as everything that serves waits for it.

use tokio::sync::watch;

/// Completes when the server stops; false when it is gone, which is no reason to stop.
pub(crate) async fn told(stop: &mut watch::Receiver<bool>) -> bool {
    stop.wait_for(|stop| *stop).await.is_ok()
}
