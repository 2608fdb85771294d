//! Whether the front is alive, and whether it takes requests, for whoever starts it anew or sends it clients.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;

use super::state::AdminState;

pub(super) fn routes() -> Router<Arc<AdminState>> {
    let health = |State(state): State<Arc<AdminState>>| async move { state.readiness.health() };
    let ready = |State(state): State<Arc<AdminState>>| async move { state.readiness.readiness() };
    Router::new()
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
}
