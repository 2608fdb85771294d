//! Where what was seen differs from what was recorded, in kinds.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::record::{Case, Fields, Item, Record, UpstreamView, View};
use crate::side::Seen;

/// One difference.
#[derive(Debug, Clone)]
pub(crate) struct Difference {
    /// What differs: `client-status`, `upstream-header` and so on.
    pub(crate) class: &'static str,
    /// How.
    pub(crate) key: String,
    pub(crate) id: String,
    pub(crate) area: String,
    /// Which request of the case, from 1; 0 is the start.
    pub(crate) request: usize,
    /// In YARP.
    pub(crate) recorded: String,
    /// Here.
    pub(crate) seen: String,
}

impl Difference {
    /// Whether it is the same one, seen again.
    pub(crate) fn is(&self, other: &Self) -> bool {
        (self.class, &self.key, &self.id, self.request)
            == (other.class, &other.key, &other.id, other.request)
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            class,
            key,
            id,
            area,
            request,
            recorded,
            seen,
        } = self;
        let short = |text: &str| text.chars().take(160).collect::<String>();
        let (recorded, seen) = (short(recorded), short(seen));
        write!(
            f,
            "{class} {id}#{request} [{area}] {key} | YARP: {recorded} | here: {seen}"
        )
    }
}

/// The differences of one case.
pub(crate) fn compare(record: &Record, seen: &Seen) -> Vec<Difference> {
    let mut found = Found {
        case: &record.case,
        request: 0,
        differences: Vec::new(),
    };
    let state = |accepted| if accepted { "accepted" } else { "rejected" };
    let (was, is) = (state(record.is_accepted()), state(seen.refusal.is_none()));
    if was != is {
        let refusal = seen.refusal.clone().unwrap_or_default();
        found.note("startup", format!("{was} -> {is}"), "", refusal);
        return found.differences;
    }
    if let Some(complaint) = &seen.complaint {
        found.note("startup", "complaint".to_owned(), "", complaint);
    }
    let views = seen.views.get(&record.case.id);
    let pairs = record
        .requests
        .iter()
        .flatten()
        .zip(views.into_iter().flatten());
    let mut names = [HashMap::new(), HashMap::new()];
    for (at, ((recorded, seen), item)) in pairs.zip(&record.case.requests).enumerate() {
        found.request = at + 1;
        found.exchange(item, recorded, seen, &mut names);
    }
    found.differences
}

struct Found<'a> {
    case: &'a Case,
    request: usize,
    differences: Vec<Difference>,
}

impl Found<'_> {
    fn note(
        &mut self,
        class: &'static str,
        key: String,
        recorded: impl ToString,
        seen: impl ToString,
    ) {
        self.differences.push(Difference {
            class,
            key,
            id: self.case.id.clone(),
            area: self.case.area.clone(),
            request: self.request,
            recorded: recorded.to_string(),
            seen: seen.to_string(),
        });
    }

    fn exchange(
        &mut self,
        item: &Item,
        a: &View,
        b: &View,
        names: &mut [HashMap<String, String>; 2],
    ) {
        let outcomes = [a, b].map(|view| match &*view.client.outcome {
            "response" => view.client.status.to_string(),
            other => QUOTED.replace_all(other, "..").into_owned(),
        });
        let is_same = outcomes[0] == outcomes[1];
        if is_same {
            self.response(item, a, b);
        } else {
            let key = format!("{} -> {}", outcomes[0], outcomes[1]);
            self.note("client-status", key, &outcomes[0], &outcomes[1]);
        }
        let problems = [a, b].map(|view| {
            let parts = view
                .problems
                .iter()
                .map(|problem| QUOTES.replace_all(problem, ".."));
            match parts.collect::<Vec<_>>() {
                parts if parts.is_empty() => "no".to_owned(),
                parts => format!("['{}']", parts.join("', '")),
            }
        });
        if problems[0] != problems[1] {
            let key = format!("not HTTP/1.1: {} -> {}", problems[0], problems[1]);
            self.note(
                "upstream-line",
                key,
                a.problems.join("; "),
                b.problems.join("; "),
            );
        }
        let counts = [a.upstream.len(), b.upstream.len()];
        if counts[0] == counts[1] {
            for (up, down) in a.upstream.iter().zip(&b.upstream) {
                self.destination(names, item, up, down);
                self.at_destination(item, (up, a), (down, b));
            }
        } else if is_same || counts.iter().all(|count| *count > 0) {
            // Else the status tells it.
            let lines = |view: &View| {
                view.upstream
                    .iter()
                    .map(|one| one.line.clone())
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            let key = format!("requests {} -> {}", counts[0], counts[1]);
            self.note("upstream-count", key, lines(a), lines(b));
        }
    }

    /// What the client got, where its status is the same.
    fn response(&mut self, item: &Item, a: &View, b: &View) {
        let (one, two) = (&a.client, &b.client);
        if one.outcome == "response" {
            if one.reason != two.reason {
                self.note(
                    "client-status",
                    format!("reason phrase of {}", one.status),
                    &one.reason,
                    &two.reason,
                );
            }
            if one.interim != two.interim {
                let key = format!("interim {:?} -> {:?}", one.interim, two.interim);
                self.note("client-status", key, "", "");
            }
        }
        let any = self.case.is_any_destination();
        let shown = |fields: &Fields| -> Fields {
            let names_stub = |name: &str| {
                any && ["x-stub", "content-length"].contains(&&*name.to_ascii_lowercase())
            };
            fields
                .iter()
                .filter(|(name, _)| !names_stub(name))
                .cloned()
                .collect()
        };
        self.fields(
            "client-header",
            "",
            item,
            (&shown(&one.headers), a),
            (&shown(&two.headers), b),
        );
        self.fields(
            "client-header",
            "trailer ",
            item,
            (&one.trailers, a),
            (&two.trailers, b),
        );
        let whole = |aborted: &Option<String>| if aborted.is_some() { "broken" } else { "whole" };
        let wholes = [whole(&one.aborted), whole(&two.aborted)];
        if wholes[0] != wholes[1] {
            self.note(
                "client-body",
                format!("{} -> {}", wholes[0], wholes[1]),
                format!("{:?}", one.aborted),
                format!("{:?}", two.aborted),
            );
        } else if one.body != two.body && one.aborted.is_none() && !any {
            let kind = match (one.body.is_empty(), two.body.is_empty()) {
                (true, _) => "empty -> not",
                (_, true) => "not -> empty",
                _ => "differs",
            };
            self.note("client-body", kind.to_owned(), &one.body, &two.body);
        }
        if one.connection != two.connection {
            let key = format!("{} -> {}", one.connection, two.connection);
            self.note("client-connection", key, "", "");
        } else if one.tunnel != two.tunnel {
            self.note(
                "client-connection",
                "tunnel".to_owned(),
                format!("{:?}", one.tunnel),
                format!("{:?}", two.tunnel),
            );
        }
    }

    /// Whether the same destination was chosen, as far as that counts.
    fn destination(
        &mut self,
        names: &mut [HashMap<String, String>; 2],
        item: &Item,
        up: &UpstreamView,
        down: &UpstreamView,
    ) {
        let mut labels = [up.stub.clone(), down.stub.clone()];
        if self.case.is_any_destination() {
            for (label, names) in labels.iter_mut().zip(names) {
                let next = format!("N{}", names.len() + 1);
                *label = names.entry(label.clone()).or_insert(next).clone();
            }
        }
        let has_key = item.raw.contains("{{cookie") || item.raw.contains("{{header");
        if labels[0] != labels[1] && (!self.case.is_random_destination() || has_key) {
            self.note(
                "upstream-line",
                "other destination".to_owned(),
                &labels[0],
                &labels[1],
            );
        }
    }

    fn at_destination(
        &mut self,
        item: &Item,
        (up, a): (&UpstreamView, &View),
        (down, b): (&UpstreamView, &View),
    ) {
        let lines = [(up, a), (down, b)].map(|(view, of)| with_ports(&view.line, of));
        if lines[0] != lines[1] {
            self.note(
                "upstream-line",
                line_kind(&lines[0], &lines[1]).to_owned(),
                &lines[0],
                &lines[1],
            );
        }
        let any = self.case.is_any_destination();
        let shown = |fields: &Fields| -> Fields {
            let is_host = |name: &str| any && name.eq_ignore_ascii_case("host");
            fields
                .iter()
                .filter(|(name, _)| !is_host(name))
                .cloned()
                .collect()
        };
        self.fields(
            "upstream-header",
            "",
            item,
            (&shown(&up.headers), a),
            (&shown(&down.headers), b),
        );
        self.fields(
            "upstream-header",
            "trailer ",
            item,
            (&up.trailers, a),
            (&down.trailers, b),
        );
        if up.complete != down.complete {
            let word = |complete| if complete { "True" } else { "False" };
            let key = format!("complete {} -> {}", word(up.complete), word(down.complete));
            self.note("upstream-body", key, &up.body, &down.body);
        } else if up.body != down.body && up.complete {
            self.note("upstream-body", "differs".to_owned(), &up.body, &down.body);
        }
    }

    fn fields(
        &mut self,
        class: &'static str,
        prefix: &str,
        item: &Item,
        a: (&Fields, &View),
        b: (&Fields, &View),
    ) {
        let is_client = class == "client-header";
        let [one, two] = [a, b].map(|(fields, of)| table(fields, self.case, item, of, is_client));
        let names: BTreeSet<_> = one.keys().chain(two.keys()).collect();
        for name in names {
            let (left, right) = (one.get(name), two.get(name));
            if left != right {
                let key = format!("{prefix}{name}: {}", field_kind(name, left, right));
                self.note(class, key, format!("{left:?}"), format!("{right:?}"));
            }
        }
    }
}

macro_rules! pattern {
    ($name:ident, $pattern:literal) => {
        static $name: LazyLock<Regex> = LazyLock::new(|| Regex::new($pattern).unwrap());
    };
}

pattern!(QUOTED, "[0-9]+ bytes|'.*'");
pattern!(QUOTES, "'.*'|\".*\"");
pattern!(PORT, r":([0-9]{4,5})\b");
pattern!(NODE, "_[A-Za-z0-9._-]{9}");
pattern!(TRACE, "^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$");
pattern!(
    NOW,
    r"^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} 20[2-9]\d \d\d:\d\d:\d\d GMT$"
);
pattern!(EXPIRES, "(?i)(expires=)[^;]*20[2-9][0-9][^;]*");

fn with_ports(text: &str, of: &View) -> String {
    let word = |found: &Captures<'_>| {
        let port = of.ports.get(&found[1]).map_or(&found[1], |word| word);
        format!(":{port}")
    };
    PORT.replace_all(text, word).into_owned()
}

/// Fields by name, with what is random made equal.
fn table(
    fields: &Fields,
    case: &Case,
    item: &Item,
    of: &View,
    is_client: bool,
) -> BTreeMap<String, Vec<String>> {
    let mut table: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in fields {
        let lower = name.to_ascii_lowercase();
        let server = value.to_ascii_lowercase();
        if is_client
            && lower == "server"
            && (server.starts_with("kestrel") || server.starts_with("ostler"))
        {
            continue;
        }
        let value = normal(&lower, value, case, item, of);
        table.entry(lower).or_default().push(value);
    }
    table
}

fn normal(name: &str, value: &str, case: &Case, item: &Item, of: &View) -> String {
    let is_sent = |part: &str| {
        item.raw
            .to_ascii_lowercase()
            .contains(&part.to_ascii_lowercase())
    };
    let mut value = value.to_owned();
    if name == "forwarded" || value.contains("127.0.0.1:") || value.contains("localhost:") {
        value = with_ports(&value, of);
    }
    match name {
        "forwarded" => value = NODE.replace_all(&value, "_RANDOM").into_owned(),
        "traceparent" => {
            if let Some(parts) = TRACE.captures(&value) {
                let kept = |part: &str| {
                    if is_sent(part) {
                        part.to_owned()
                    } else {
                        "NEW".to_owned()
                    }
                };
                value = format!("00-{}-{}-{}", kept(&parts[1]), kept(&parts[2]), &parts[3]);
            }
        }
        "request-id" if !is_sent(&value) => value = "NEW".to_owned(),
        "date" if NOW.is_match(&value) => value = "NOW".to_owned(),
        "set-cookie" => {
            value = EXPIRES.replace_all(&value, "${1}LATER").into_owned();
            if let Some((cookie, rest)) = value.split_once('=')
                && case.random.iter().any(|random| random == cookie)
            {
                let attributes = rest.find(';').map_or("", |at| &rest[at..]);
                value = format!("{cookie}=RANDOM{attributes}");
            }
            return value;
        }
        _ => {}
    }
    if !value.is_empty()
        && case
            .random
            .iter()
            .any(|random| random.eq_ignore_ascii_case(name))
    {
        return "RANDOM".to_owned();
    }
    if name == "cookie" {
        let cookies = value.split(';').map(|cookie| {
            let blanks = cookie.len() - cookie.trim_start_matches(' ').len();
            match cookie[blanks..].split_once('=') {
                Some((one, _)) if case.random.iter().any(|random| random == one) => {
                    format!("{}{one}=RANDOM", &cookie[..blanks])
                }
                _ => cookie.to_owned(),
            }
        });
        return cookies.collect::<Vec<_>>().join(";");
    }
    value
}

fn field_kind(name: &str, a: Option<&Vec<String>>, b: Option<&Vec<String>>) -> String {
    let (a, b) = match (a, b) {
        (Some(a), Some(b)) => (a, b),
        (None, _) => return "only in B".to_owned(),
        (_, None) => return "only in A".to_owned(),
    };
    let glue = match name {
        "cookie" => "; ",
        "user-agent" => " ",
        _ => ", ",
    };
    if a.join(glue) == b.join(glue) {
        return format!("lines {} -> {}", a.len(), b.len());
    }
    let sorted = |lines: &Vec<String>| {
        let mut lines = lines.clone();
        lines.sort();
        lines
    };
    if sorted(a) == sorted(b) {
        return "order of lines".to_owned();
    }
    let squeezed = |lines: &Vec<String>| lines.join(",").replace([',', ' ', ';'], "");
    let kind = if squeezed(a) == squeezed(b) {
        "blanks"
    } else if squeezed(a).to_lowercase() == squeezed(b).to_lowercase() {
        "letter case"
    } else if a
        .iter()
        .chain(b)
        .any(|line| line.chars().any(|c| u32::from(c) > 126))
    {
        "value (not ASCII)"
    } else {
        "value"
    };
    kind.to_owned()
}

fn line_kind(a: &str, b: &str) -> &'static str {
    let (one, two): (Vec<&str>, Vec<&str>) = (a.split(' ').collect(), b.split(' ').collect());
    if one[0] != two[0] {
        return "method";
    }
    if one.len() != 3 || two.len() != 3 || one[2] != two[2] {
        return "version";
    }
    let [(path, query), (path2, query2)] =
        [one[1], two[1]].map(|target| target.split_once('?').unwrap_or((target, "")));
    if path == path2 {
        return if unescaped(query) == unescaped(query2) {
            "query escapes"
        } else {
            "query"
        };
    }
    if unescaped(path) == unescaped(path2) {
        "path escapes"
    } else {
        "path"
    }
}

fn unescaped(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let escape = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match escape.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}
