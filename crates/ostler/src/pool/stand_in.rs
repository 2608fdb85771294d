//! Who answers for an application that cannot: 503, with when to ask again.

use std::future::IntoFuture as _;
use std::time::Duration;

use axum::Router;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use axum::http::{Response, StatusCode};
use ostler_delegation::runtime::RuntimeFolder;
use ostler_target::{RequestQueue, RequestQueueMode, Verbosity503};
use tokio::sync::oneshot;

/// An instance of the application's queue that is not the application. It leaves when it is dropped.
#[derive(Debug)]
pub(super) struct StandIn {
    reason: Reason,
    #[expect(dead_code, reason = "its end is the signal")]
    stop: oneshot::Sender<()>,
}

/// What it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reason {
    pub(super) text: String,
    /// When to ask again, by the clock of `monotonic_nanoseconds`.
    pub(super) until_ns: Option<u64>,
}

impl StandIn {
    pub(super) fn start(
        runtime: &RuntimeFolder,
        queue: &str,
        url_prefixes: &[String],
        reason: Reason,
    ) -> anyhow::Result<Self> {
        let mut builder = RequestQueue::builder(queue)
            .mode(RequestQueueMode::CreateOrAttach)
            .runtime_folder(runtime.path())
            .label("ostler pool, which answers 503")
            .verbosity(Verbosity503::Full)
            .keep_queue(true);
        for prefix in url_prefixes {
            builder = builder.url_prefix(prefix);
        }
        let queue = builder.bind()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let said = reason.clone();
        let application = Router::new().fallback(move || {
            let reason = said.clone();
            async move { answer(&reason) }
        });
        let serving = ostler_target::serve(queue, application)
            .with_graceful_shutdown(async { _ = stopped.await })
            .into_future();
        tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "nobody answers for an application");
            }
        });
        Ok(Self { reason, stop })
    }

    /// Whether this is what it says.
    pub(super) fn says(&self, reason: &Reason) -> bool {
        self.reason == *reason
    }
}

fn answer(reason: &Reason) -> Response<String> {
    let mut response = Response::new(format!("{}\n", reason.text));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let fields = response.headers_mut();
    fields.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    if let Some(until) = reason.until_ns {
        fields.insert(RETRY_AFTER, HeaderValue::from(seconds_until(until)));
    }
    response
}

/// Whole seconds until a time, at least one.
pub(super) fn seconds_until(until_ns: u64) -> u64 {
    let left = until_ns.saturating_sub(ostler_shm::monotonic_nanoseconds());
    Duration::from_nanos(left).as_secs() + 1
}
