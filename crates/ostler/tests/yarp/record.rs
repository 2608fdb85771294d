//! What a record holds: a small configuration, requests to it, and what YARP did.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::{Map, Value};

/// One line of `records.jsonl.gz`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Record {
    pub(crate) case: Case,
    startup: Startup,
    /// What became of each request; `None` where YARP did not start.
    pub(crate) requests: Option<Vec<View>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Startup {
    state: String,
}

/// A configuration and the requests to it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) area: String,
    /// The section `ReverseProxy`; `UPSTREAM`, `UPSTREAM2` and so on stand for destinations.
    pub(crate) config: Map<String, Value>,
    /// Other sections.
    #[serde(default)]
    pub(crate) sections: Map<String, Value>,
    /// Whether a front may be shared with other cases of the area.
    #[serde(default)]
    pub(crate) merge: bool,
    /// Which destination is chosen does not count, only that the choice sticks; with `"random"` not
    /// even that, unless the client sends a key.
    #[serde(default)]
    any_destination: Value,
    /// Cookies and fields whose values are random.
    #[serde(default)]
    pub(crate) random: Vec<String>,
    /// What one destination answers throughout, by its number.
    #[serde(default)]
    pub(crate) stubs: BTreeMap<String, Map<String, Value>>,
    /// What destinations answer where a request does not say.
    #[serde(default)]
    pub(crate) upstream_reply: Map<String, Value>,
    pub(crate) requests: Vec<Item>,
}

/// One request.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Item {
    /// The bytes, a character each.
    pub(crate) raw: String,
    #[serde(default)]
    pub(crate) method: Option<String>,
    #[serde(default)]
    pub(crate) reply: Map<String, Value>,
    /// The body follows a 100, or one second.
    #[serde(default)]
    pub(crate) hold: bool,
    /// The connection is left for the next request.
    #[serde(default)]
    pub(crate) keep: bool,
}

/// What a destination answers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Reply {
    pub(crate) status: Option<u16>,
    pub(crate) reason: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) headers: Vec<String>,
    pub(crate) body: Option<String>,
    pub(crate) interim: Vec<String>,
    pub(crate) trailers: Vec<String>,
    pub(crate) framing: Option<String>,
    pub(crate) chunk_ext: String,
    /// Seconds.
    pub(crate) delay: f64,
    pub(crate) body_delay: f64,
    /// It answers before it reads the body.
    pub(crate) early: bool,
    pub(crate) close: bool,
    /// The answer, byte for byte.
    pub(crate) raw: Option<String>,
    pub(crate) fault: Option<String>,
}

pub(crate) type Fields = Vec<(String, String)>;

/// What became of one request.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct View {
    pub(crate) client: ClientView,
    pub(crate) upstream: Vec<UpstreamView>,
    /// What destinations got that is not HTTP/1.1.
    #[serde(default)]
    pub(crate) problems: Vec<String>,
    /// Port numbers, and what each stands for.
    pub(crate) ports: BTreeMap<String, String>,
}

/// What the client got.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct ClientView {
    /// `response`, or in words why there is none.
    pub(crate) outcome: String,
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) interim: Vec<u16>,
    pub(crate) headers: Fields,
    pub(crate) body: String,
    pub(crate) trailers: Fields,
    /// Why the body broke off.
    pub(crate) aborted: Option<String>,
    /// `kept`, `closed` or `reset`.
    pub(crate) connection: String,
    pub(crate) tunnel: Option<String>,
}

/// One request as a destination got it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct UpstreamView {
    pub(crate) stub: String,
    pub(crate) line: String,
    pub(crate) headers: Fields,
    pub(crate) body: String,
    pub(crate) trailers: Fields,
    pub(crate) complete: bool,
}

impl Record {
    /// Whether YARP started.
    pub(crate) fn is_accepted(&self) -> bool {
        self.startup.state == "accepted"
    }
}

impl Case {
    pub(crate) fn is_any_destination(&self) -> bool {
        !matches!(self.any_destination, Value::Null | Value::Bool(false))
    }

    pub(crate) fn is_random_destination(&self) -> bool {
        self.any_destination == "random"
    }
}

/// Reads all records.
pub(crate) fn read(path: &Path) -> Vec<Record> {
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    GzDecoder::new(file).read_to_string(&mut text).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}
