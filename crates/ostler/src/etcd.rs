//! The part of a configuration that stands in etcd: what was heard last, and a file that keeps it for a
//! start while etcd is away.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use ostler_config::{ConfigurationTree, EtcdConfig, SourceError};
use ostler_etcd::{Access, Client, Documents, Followed, TlsAccess};
use serde_json::json;
use tokio::sync::{mpsc, watch};

use crate::files;

/// How long a start waits for etcd.
const PATIENCE: Duration = Duration::from_secs(10);

/// The part of a configuration that stands in etcd.
#[derive(Debug)]
pub(crate) struct Etcd {
    access: Access,
    prefix: String,
    snapshot: Option<PathBuf>,
    documents: Mutex<Documents>,
}

impl Etcd {
    /// Reads what stands there; from the snapshot, if etcd is away.
    pub(crate) async fn open(config: &EtcdConfig) -> anyhow::Result<Self> {
        let etcd = Self {
            access: access(config)?,
            prefix: config.prefix.clone(),
            snapshot: snapshot(config),
            documents: Mutex::default(),
        };
        let read = async {
            let client = Client::connect(&etcd.access, usize::from(first_turn())).await?;
            Documents::read(&client, &etcd.prefix).await
        };
        let read = tokio::time::timeout(PATIENCE, read).await;
        let why = match read {
            Ok(Ok(documents)) => {
                let revision = documents.revision();
                tracing::info!(revision, prefix = etcd.prefix, "the configuration in etcd");
                if etcd.snapshot.is_none() {
                    tracing::warn!(
                        "no file keeps what etcd says, so no front starts while etcd is away: set \
                         Ostler:Etcd:Snapshot"
                    );
                }
                // Rather a mistake than a wish, as for a front that runs.
                let kept = match documents.is_empty() {
                    true => etcd.read_snapshot().ok(),
                    false => None,
                };
                if kept.is_some() {
                    tracing::error!(
                        prefix = etcd.prefix,
                        "there is no configuration in etcd any more: the front starts with what was in \
                         force last"
                    );
                }
                etcd.set(kept.unwrap_or(documents));
                return Ok(etcd);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
        };
        let documents = etcd.read_snapshot();
        let documents = documents.with_context(|| format!("etcd is away ({why})"))?;
        let revision = documents.revision();
        tracing::warn!(
            why,
            revision,
            "etcd is away: the front starts with what was in force last"
        );
        etcd.set(documents);
        Ok(etcd)
    }

    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn documents(&self) -> Documents {
        let documents = self.documents.lock();
        documents.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, documents: Documents) {
        let mut held = self
            .documents
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *held = documents;
    }

    /// Takes what was in force last in the place of what stands in etcd, which no front can be started with.
    pub(crate) fn fall_back(&self) -> bool {
        match self.read_snapshot() {
            Ok(documents) if documents != self.documents() => {
                let revision = documents.revision();
                tracing::error!(
                    revision,
                    "what stands in etcd has errors: the front starts with what was in force last"
                );
                self.set(documents);
                true
            }
            _ => false,
        }
    }

    /// Keeps what is in force now.
    pub(crate) fn save(&self) {
        let Some(path) = &self.snapshot else { return };
        let documents = self.documents();
        if self.read_snapshot().is_ok_and(|kept| kept == documents) {
            return;
        }
        let write = || -> anyhow::Result<()> {
            // Beside it first, so that no front ever finds half a file. It may hold secrets.
            let mut beside = path.clone().into_os_string();
            beside.push(format!(".{}.new", std::process::id()));
            let _ = std::fs::remove_file(&beside);
            let mut options = OpenOptions::new();
            let options = options.write(true).create_new(true).mode(0o600);
            let mut file = options.open(&beside)?;
            file.write_all(&serde_json::to_vec_pretty(&documents)?)?;
            file.sync_all()?;
            Ok(std::fs::rename(&beside, path)?)
        };
        if let Err(error) = write() {
            let path = path.display();
            tracing::error!(%path, "what is in force cannot be kept for the next start: {error:#}");
        }
    }

    fn read_snapshot(&self) -> anyhow::Result<Documents> {
        let path = self.snapshot.as_ref();
        let path =
            path.context("and Ostler:Etcd:Snapshot names no file that keeps what was in force")?;
        let read = files::read_text(path).map_err(anyhow::Error::from);
        let read = read.and_then(|text| Ok(serde_json::from_str(&text)?));
        read.with_context(|| format!("and nothing can be read from {}", path.display()))
    }

    /// Follows what stands in etcd; each change is told when it can be read here.
    pub(crate) fn follow(self: &Arc<Self>) -> mpsc::Receiver<()> {
        let documents = self.documents();
        let (known, mut followed) = watch::channel(Followed { documents });
        let (changed, receiver) = mpsc::channel(1);
        let (access, prefix) = (self.access.clone(), self.prefix.clone());
        let turn = usize::from(first_turn());
        tokio::spawn(ostler_etcd::follow(access, prefix, known, turn));
        let this = Arc::clone(self);
        tokio::spawn(async move {
            while followed.changed().await.is_ok() {
                let documents = followed.borrow_and_update().documents.clone();
                this.set(documents);
                if changed.send(()).await.is_err() {
                    return;
                }
            }
        });
        receiver
    }
}

/// The texts of a configuration, each with what messages call it. `section` is that of routes and clusters.
///
/// # Errors
///
/// When the text of a route or a cluster is no JSON by itself: within other text it could end what is around it.
pub(crate) fn layers(
    documents: &Documents,
    prefix: &str,
    section: &str,
) -> Result<Vec<(String, String)>, SourceError> {
    let layer = |(key, document): (&str, &ostler_etcd::Document)| {
        let origin = format!("etcd:{prefix}config/{key}");
        let text = document.text.trim_start_matches('\u{feff}');
        let of = |kind: &str, id: &str| {
            ConfigurationTree::new().add_json(&origin, text)?;
            // On the same line, so that places are those of the text.
            let path = section.split(':').chain([kind, id]);
            let names: Vec<String> = path.map(|name| json!(name).to_string()).collect();
            let open: String = names.iter().map(|name| format!("{{{name}:")).collect();
            // A comment may be its last line.
            Ok(format!("{open}{text}\n{}", "}".repeat(names.len())))
        };
        let json = match key.split_once('/') {
            Some(("routes", id)) => of("Routes", id),
            Some(("clusters", id)) => of("Clusters", id),
            _ if key == "document" => Ok(text.to_owned()),
            _ => return None,
        };
        Some(json.map(|json| (origin, json)))
    };
    documents.iter().filter_map(layer).collect()
}

pub(crate) fn access(config: &EtcdConfig) -> anyhow::Result<Access> {
    let read = |path: &String| {
        let bytes = files::read_bytes(path);
        bytes.with_context(|| format!("cannot read {path}, which Ostler:Etcd:Tls names"))
    };
    let authorities = config.certificate_authorities.as_ref().map(read);
    let identity = config.identity.as_ref();
    let identity = identity.map(|(certificate, key)| anyhow::Ok((read(certificate)?, read(key)?)));
    let user = config.user.as_ref();
    Ok(Access {
        endpoints: config.endpoints.clone(),
        user: user.map(|(name, password)| (name.clone(), password.reveal().to_owned())),
        tls: TlsAccess {
            authorities: authorities.transpose()?,
            identity: identity.transpose()?,
        },
    })
}

fn snapshot(config: &EtcdConfig) -> Option<PathBuf> {
    let in_state = || {
        // systemd may name several, and the first is ours.
        let folders = std::env::var("STATE_DIRECTORY").ok()?;
        let folder = folders.split(':').next().filter(|it| !it.is_empty())?;
        Some(PathBuf::from(folder).join("etcd-snapshot.json"))
    };
    config
        .snapshot
        .as_ref()
        .map(PathBuf::from)
        .or_else(in_state)
}

/// Which member is asked first: not all fronts are to ask the same one.
pub(crate) fn first_turn() -> u8 {
    (std::process::id() % 251) as u8
}

/// The time of day, for whoever reads it later.
#[expect(
    clippy::disallowed_methods,
    reason = "people and other hosts compare it, and nothing here depends on it"
)]
pub(crate) fn seconds_since_1970() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_their_own_stand_where_a_document_has_them() {
        let mut documents = serde_json::from_value::<Documents>(json!({ "by_key": {
            "clusters/c": { "text": "{ \"LoadBalancingPolicy\": \"Random\" }", "revision": 2 },
            "routes/a \"b\"": { "text": "{ // why\n \"ClusterId\": \"c\" } // the end", "revision": 3 },
            "other": { "text": "?", "revision": 4 },
        } }));
        let documents = documents.as_mut().unwrap();
        let document = r#"{ "Yarp": { "Clusters": { "c": { "LoadBalancingPolicy": "First" } } } }"#;
        let documents = documents.clone().with_document(document.to_owned());
        let mut tree = ConfigurationTree::new();
        for (origin, json) in layers(&documents, "/ostler/", "App:Yarp").unwrap() {
            tree.add_json(&origin, &json).unwrap();
        }
        let value = |path: &str| tree.section(path).value().map(str::to_owned);
        assert_eq!(
            value("Yarp:Clusters:c:LoadBalancingPolicy").as_deref(),
            Some("First")
        );
        assert_eq!(
            value("App:Yarp:Clusters:c:LoadBalancingPolicy").as_deref(),
            Some("Random")
        );
        assert_eq!(
            value("App:Yarp:Routes:a \"b\":ClusterId").as_deref(),
            Some("c")
        );
        let at = tree.section("App:Yarp:Routes:a \"b\":ClusterId").place();
        assert_eq!(
            at.unwrap().to_string(),
            "etcd:/ostler/config/routes/a \"b\":2:2"
        );
    }

    #[test]
    fn a_key_says_nothing_of_what_is_around_it() {
        let text = r#"{}}}, "Ostler": { "Threads": { "x": {}"#;
        let documents = json!({ "by_key": { "routes/a": { "text": text, "revision": 2 } } });
        let documents = serde_json::from_value::<Documents>(documents).unwrap();
        let refused = layers(&documents, "/ostler/", "ReverseProxy").unwrap_err();
        let said = refused.to_string();
        assert!(said.contains("etcd:/ostler/config/routes/a"), "{said}");
    }
}
