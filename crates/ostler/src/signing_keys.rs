//! The public keys of a token's issuer: read from a file or fetched, again and again.
//!
//! Until there are some, every token is refused. Keys that were good stay in force when a newer
//! version cannot be read.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use ostler_config::schema::JsonWebKeySource;
use ostler_model::policies::{BearerScheme, KeySet};
use tokio::task::JoinHandle;

use crate::files;
use crate::reload::FileChanges;

/// How often a URL is fetched without a reason.
const REFRESH: Duration = Duration::from_secs(12 * 3600);
/// A token that names an unknown key is a reason, and anybody can send one: not more often than so.
const RARELY: Duration = Duration::from_secs(30);
/// How soon a failed fetch is tried again at first; each time twice as long, up to [`RARELY`].
const RETRY: Duration = Duration::from_secs(1);
/// How often is asked whether a token has named an unknown key.
const LOOK: Duration = Duration::from_millis(250);
/// How long a fetch may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of a key set.
const MOST: usize = 1024 * 1024;

/// Keeps the keys of the scheme in force up to date.
#[derive(Debug, Default)]
pub(crate) struct SigningKeys {
    scheme: Option<Arc<BearerScheme>>,
    task: Option<JoinHandle<()>>,
}

impl SigningKeys {
    /// Looks after this scheme from now on. A file has been read when this returns.
    pub(crate) fn follow(&mut self, scheme: Option<Arc<BearerScheme>>) {
        let same = match (&self.scheme, &scheme) {
            (Some(left), Some(right)) => Arc::ptr_eq(left, right),
            (left, right) => left.is_none() && right.is_none(),
        };
        if same {
            return;
        }
        if let Some(task) = self.task.take() {
            task.abort();
        }
        self.scheme.clone_from(&scheme);
        let Some(scheme) = scheme else { return };
        let source = scheme.config().json_web_keys.clone();
        self.task = source.map(|source| match source {
            JsonWebKeySource::File(path) => {
                // Before it is read, so that no change is missed.
                let changes = FileChanges::new(&[Path::new(&path)]);
                read_file(&scheme, &path);
                tokio::spawn(watch_file(scheme, path, changes))
            }
            JsonWebKeySource::Url(url) => tokio::spawn(watch_url(scheme, url)),
        });
    }
}

impl Drop for SigningKeys {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

async fn watch_file(scheme: Arc<BearerScheme>, path: String, mut changes: FileChanges) {
    loop {
        changes.changed().await;
        read_file(&scheme, &path);
    }
}

fn read_file(scheme: &BearerScheme, path: &str) {
    let text = files::read_text(path).with_context(|| format!("cannot read {path}"));
    take(scheme, path, text);
}

async fn watch_url(scheme: Arc<BearerScheme>, url: String) {
    let client = match client() {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(
                url,
                "signing keys cannot be fetched, and no token will do: {error:#}"
            );
            return;
        }
    };
    let mut retry = RETRY;
    loop {
        let fetched = tokio::time::timeout(TIMEOUT, fetch(&client, &url)).await;
        let fetched = fetched.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer in time")));
        if !take(&scheme, &url, fetched) {
            tokio::time::sleep(retry).await;
            retry = (retry * 2).min(RARELY);
            continue;
        }
        retry = RETRY;
        let mut waited = Duration::ZERO;
        while waited < REFRESH && (waited < RARELY || !scheme.take_wanted()) {
            tokio::time::sleep(LOOK).await;
            waited += LOOK;
        }
    }
}

/// Puts keys in force; false when there are none to be had.
fn take(scheme: &BearerScheme, source: &str, text: anyhow::Result<String>) -> bool {
    let keys = text.and_then(|text| Ok(KeySet::from_json(&text)?));
    match keys {
        Ok(keys) => {
            tracing::info!(source, count = keys.len(), "signing keys are read");
            for weak in keys.too_weak() {
                tracing::warn!(source, "a signing key is left out: {weak}");
            }
            scheme.set_keys(keys);
            true
        }
        Err(error) => {
            tracing::error!(
                source,
                "signing keys cannot be had and stay as they were: {error:#}"
            );
            false
        }
    }
}

type HttpsClient = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

/// A client that believes whom the system believes.
fn client() -> anyhow::Result<HttpsClient> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(provider)
        .context("the system has no root certificates")?
        .https_or_http()
        .enable_http1()
        .build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

async fn fetch(client: &HttpsClient, url: &str) -> anyhow::Result<String> {
    let uri: Uri = url.parse().context("it is no URL")?;
    let response = client.get(uri).await.context("no answer")?;
    // Redirects are not followed: who may send tokens is decided by whom the configuration names.
    if response.status() != StatusCode::OK {
        bail!("the answer is {}", response.status());
    }
    let body = Limited::new(response.into_body(), MOST).collect().await;
    let body = body.map_err(|error| anyhow::anyhow!("the answer breaks off: {error}"))?;
    String::from_utf8(body.to_bytes().into()).context("the answer is no text")
}
