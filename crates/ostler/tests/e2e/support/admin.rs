//! The admin endpoint of a front, as an operator sees it.

use std::collections::BTreeMap;

use super::{Client, Front, Response, eventually};

/// The section that has a front open one, on a port of its own.
pub(crate) const ADMIN: &str = r#""Ostler": { "Admin": { "Url": "http://127.0.0.1:0" } },"#;

/// A front's.
pub(crate) struct Admin {
    port: u16,
}

/// What Prometheus is told: values by name and labels, as they are written.
pub(crate) struct Scrape(BTreeMap<String, f64>);

impl Admin {
    /// That of a front that says where it is.
    pub(crate) fn of(front: &Front) -> Self {
        let line = front.process.line();
        let port = line
            .strip_prefix("admin endpoint on http://127.0.0.1:")
            .expect(&line);
        Self {
            port: port.parse().unwrap(),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn ask(&self, path: &str) -> Response {
        let mut client = Client::connect(self.port);
        client.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        client.response()
    }

    pub(crate) fn scrape(&self) -> Scrape {
        let response = self.ask("/metrics");
        assert_eq!(response.status, 200);
        let text = response.text();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let values = lines.map(|line| {
            let (name, value) = line.rsplit_once(' ').expect(line);
            (name.to_owned(), value.parse().expect(line))
        });
        Scrape(values.collect())
    }

    /// A scrape in which something holds.
    pub(crate) fn eventually(&self, what: &str, holds: impl Fn(&Scrape) -> bool) -> Scrape {
        eventually(what, || holds(&self.scrape()));
        self.scrape()
    }
}

impl Scrape {
    /// The sum of what has this name and all of these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let values = self.0.iter().filter(|(series, _)| {
            let (series, written) = series.split_once('{').unwrap_or((series, ""));
            let has = |(name, value): &(&str, &str)| {
                let label = format!("{name}=\"{value}\"");
                written
                    .trim_end_matches('}')
                    .split(',')
                    .any(|written| written == label)
            };
            series == name && labels.iter().all(has)
        });
        values.map(|(_, value)| value).sum()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0
            .keys()
            .map(|series| series.split('{').next().unwrap_or_default())
    }
}
