//! A front with the destinations of one or several cases, and the requests put to it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use regex::{Captures, Regex};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::client::Client;
use crate::record::{Case, Item, Record, View};
use crate::stub::{Stage, Stub};
use crate::wire::{bytes_of, lines_of};

/// Until the front listens or has exited.
const START: Duration = Duration::from_secs(30);

static WORD: LazyLock<Regex> = LazyLock::new(|| Regex::new("UPSTREAM[1-9]?|REFUSED").unwrap());
static TAKEN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\{\{(proxy|cookie:[^}]+|header:[^}]+)\}\}").unwrap());

/// What was seen of a batch.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Why the front did not start.
    pub(crate) refusal: Option<String>,
    /// What went wrong with the process.
    pub(crate) complaint: Option<String>,
    /// By the case's id.
    pub(crate) views: BTreeMap<String, Vec<View>>,
}

/// Plays the cases of a batch, one after the other, against one front.
pub(crate) async fn play(batch: &[&Record]) -> Seen {
    let folder = tempfile::tempdir().unwrap();
    let stage = Arc::new(Stage::default());
    let (stubs, words, _refusing) = destinations(batch, &stage).await;
    let path = folder.path().join("appsettings.json");
    std::fs::write(&path, document(batch, &words).to_string()).unwrap();
    let front = match Front::start(folder.path(), &path).await {
        Ok(front) => front,
        Err(refusal) => {
            return Seen {
                refusal: Some(refusal),
                ..Seen::default()
            };
        }
    };
    let mut seen = Seen::default();
    for record in batch {
        let mut client = Client::default();
        let mut views = Vec::new();
        let recorded = record.requests.as_deref().unwrap_or_default();
        for (at, item) in record.case.requests.iter().enumerate() {
            let exchange = Exchange {
                stage: &stage,
                stubs: &stubs,
                words: &words,
                port: front.port,
                case: &record.case,
                item,
                expected: recorded.get(at),
            };
            views.push(exchange.play(&mut client).await);
        }
        seen.views.insert(record.case.id.clone(), views);
    }
    seen.complaint = front.stop().await;
    seen
}

/// Destinations by their label, and what the words of configurations stand for. The socket takes a
/// port on which nobody listens.
async fn destinations(
    batch: &[&Record],
    stage: &Arc<Stage>,
) -> (
    BTreeMap<String, Stub>,
    BTreeMap<String, String>,
    tokio::net::TcpSocket,
) {
    let refusing = tokio::net::TcpSocket::new_v4().unwrap();
    refusing
        .bind(SocketAddr::from(([127, 0, 0, 1], 0)))
        .unwrap();
    let mut words = BTreeMap::new();
    words.insert(
        "REFUSED".to_owned(),
        refusing.local_addr().unwrap().to_string(),
    );
    let mut stubs = BTreeMap::new();
    for record in batch {
        let text = serde_json::to_string(&record.case.config).unwrap();
        for word in WORD
            .find_iter(&text)
            .filter_map(|word| word.as_str().strip_prefix("UPSTREAM"))
        {
            let number = if word.is_empty() { "1" } else { word };
            let label = format!("S{number}");
            if stubs.contains_key(&label) {
                continue;
            }
            let always = batch
                .iter()
                .find_map(|record| record.case.stubs.get(number));
            let mut always = always.cloned().unwrap_or_default();
            let stub = match always.remove("refused") {
                Some(Value::Bool(true)) => refusing.local_addr().unwrap().to_string(),
                _ => {
                    let stub = Stub::start(label.clone(), always, Arc::clone(stage)).await;
                    let address = stub.address.clone();
                    stubs.insert(label, stub);
                    address
                }
            };
            words.insert(format!("UPSTREAM{number}"), stub);
        }
    }
    let first = words
        .get("UPSTREAM1")
        .cloned()
        .unwrap_or_else(|| "127.0.0.1:9".to_owned());
    words.insert("UPSTREAM".to_owned(), first);
    (stubs, words, refusing)
}

/// The configuration. One thread: with connections by thread, whether one is used again depends on
/// which thread has the client.
fn document(batch: &[&Record], words: &BTreeMap<String, String>) -> Value {
    let mut document = Map::new();
    document.insert("Ostler".to_owned(), json!({ "Threads": 1 }));
    let mut proxy = Map::new();
    for Record { case, .. } in batch {
        document.extend(case.sections.clone());
        for (part, items) in &case.config {
            let (Value::Object(items), true) = (items, batch.len() > 1) else {
                proxy.insert(part.clone(), items.clone());
                continue;
            };
            let all = proxy.entry(part.clone()).or_insert_with(|| json!({}));
            if let Value::Object(all) = all {
                all.extend(items.clone());
            }
        }
    }
    document.insert("ReverseProxy".to_owned(), Value::Object(proxy));
    filled(Value::Object(document), words)
}

fn filled(node: Value, words: &BTreeMap<String, String>) -> Value {
    match node {
        Value::Object(entries) => {
            let entries = entries
                .into_iter()
                .map(|(name, value)| (name, filled(value, words)));
            Value::Object(entries.collect())
        }
        Value::Array(items) => {
            Value::Array(items.into_iter().map(|item| filled(item, words)).collect())
        }
        Value::String(text) => {
            let value = |found: &Captures<'_>| {
                words
                    .get(&found[0])
                    .map_or(&found[0], |word| word)
                    .to_owned()
            };
            Value::String(WORD.replace_all(&text, value).into_owned())
        }
        other => other,
    }
}

/// One request and what is around it.
struct Exchange<'a> {
    stage: &'a Stage,
    stubs: &'a BTreeMap<String, Stub>,
    words: &'a BTreeMap<String, String>,
    port: u16,
    case: &'a Case,
    item: &'a Item,
    expected: Option<&'a View>,
}

impl Exchange<'_> {
    async fn play(&self, client: &mut Client) -> View {
        let reply = match self.item.reply.is_empty() {
            true => &self.case.upstream_reply,
            false => &self.item.reply,
        };
        self.stage.begin(reply);
        let raw = bytes_of(&self.raw(client));
        let expected = self.expected.map_or("", |view| &view.client.connection);
        let (answered, own_port) = client.ask(self.port, raw, self.item, expected).await;
        // The request may still be on its way to a destination, or under way there.
        let wanted = self.expected.map_or(0, |view| view.upstream.len());
        self.wait(|| self.stage.requests() >= wanted).await;
        if wanted == 0 && !(200..400).contains(&answered.status) {
            sleep(Duration::from_millis(20)).await;
        }
        self.wait(|| !self.stage.is_busy()).await;
        let (upstream, problems) = self.stage.seen();
        View {
            client: answered,
            upstream,
            problems,
            ports: self.ports(own_port),
        }
    }

    async fn wait(&self, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_millis(300);
        while !holds() && Instant::now() < deadline {
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// The request, with the keys and cookies that the case was given.
    fn raw(&self, client: &Client) -> String {
        let value = |found: &Captures<'_>| {
            let Some((kind, name)) = found[1].split_once(':') else {
                return format!("127.0.0.1:{}", self.port);
            };
            let prefix = format!("{name}=");
            let mut answers = client.answers.iter().rev();
            let value = answers.find_map(|fields| match kind {
                "header" => lines_of(fields, name).next().map(str::to_owned),
                _ => lines_of(fields, "Set-Cookie").find_map(|line| {
                    let value = line.strip_prefix(&prefix)?;
                    value.split(';').next().map(str::to_owned)
                }),
            });
            value.unwrap_or_else(|| "none".to_owned())
        };
        TAKEN.replace_all(&self.item.raw, value).into_owned()
    }

    fn ports(&self, own: u16) -> BTreeMap<String, String> {
        let port = |address: &str| address.rsplit(':').next().unwrap_or_default().to_owned();
        let mut ports = BTreeMap::from([
            (own.to_string(), "CLIENTPORT".to_owned()),
            (self.port.to_string(), "PROXYPORT".to_owned()),
            (port(&self.words["REFUSED"]), "REFUSEDPORT".to_owned()),
        ]);
        for (label, stub) in self.stubs {
            ports.insert(port(&stub.address), format!("{label}PORT"));
        }
        ports
    }
}

/// A running front.
struct Front {
    process: Child,
    port: u16,
    /// Collects standard error.
    errors: tokio::task::JoinHandle<String>,
}

impl Front {
    /// Starts it; an error is what it says when it does not start.
    async fn start(
        folder: &std::path::Path,
        configuration: &std::path::Path,
    ) -> Result<Self, String> {
        let runtime = folder.join("run");
        std::fs::create_dir(&runtime).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_ostler"))
            .args(["run", "--config"])
            .arg(configuration)
            .args(["--urls", "http://127.0.0.1:0"])
            .env("OSTLER_RUNTIME_DIR", runtime)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut errors = process.stderr.take().unwrap();
        let errors = tokio::spawn(async move {
            let mut text = Vec::new();
            let _ = errors.read_to_end(&mut text).await;
            String::from_utf8_lossy(&text).into_owned()
        });
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let listening = async {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(port) = line.strip_prefix("listening on http://127.0.0.1:") {
                    return port.trim().parse().ok();
                }
            }
            None
        };
        match timeout(START, listening).await {
            Ok(Some(port)) => Ok(Self {
                process,
                port,
                errors,
            }),
            Ok(None) => {
                let _ = process.wait().await;
                Err(errors.await.unwrap_or_default())
            }
            Err(_) => Err("hung".to_owned()),
        }
    }

    /// Stops it; what is wrong with how it has behaved, if anything is.
    async fn stop(mut self) -> Option<String> {
        let ended = self.process.try_wait().unwrap();
        if ended.is_none()
            && let Some(pid) = self.process.id()
        {
            let done = Command::new("kill")
                .args(["-s", "TERM", &pid.to_string()])
                .status()
                .await;
            assert!(done.unwrap().success());
        }
        let stopped = timeout(Duration::from_secs(15), self.process.wait()).await;
        let _ = self.process.start_kill();
        let errors = self.errors.await.unwrap_or_default();
        match (ended, stopped) {
            (Some(status), _) => Some(format!("exited by itself ({status}): {errors}")),
            (None, Err(_)) => Some("still running 15 s after SIGTERM".to_owned()),
            _ if errors.contains("panicked at") => Some(format!("panicked: {errors}")),
            _ => None,
        }
    }
}
