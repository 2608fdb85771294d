//! Families of what exchanges have been: each a view of the same series.

use std::borrow::Cow;

use super::asked::{KnownMethod, scheme};
use super::family::{Attributes, Description, Family, Sums, Value};
use super::histogram::Durations;
use super::series::{Counted, Key};
use super::{Metrics, catalog};
use crate::outcome::Mode;
use crate::reason::Reason;

impl Metrics {
    /// What has been counted of exchanges up to now.
    pub(crate) fn families(&self) -> Vec<Family> {
        let threads = self.threads();
        let series: Vec<_> = threads.iter().flat_map(|cells| cells.read()).collect();
        let mut active = Sums::default();
        for cells in &threads {
            for method in KnownMethod::all() {
                for is_https in [false, true] {
                    let count = cells.active(method, is_https);
                    if count > 0 {
                        let mut attributes = Names::default();
                        attributes.add("http.request.method", method.as_str());
                        attributes.add("url.scheme", scheme(is_https));
                        active.add(attributes.0, Value::Number(count as f64));
                    }
                }
            }
        }
        vec![
            summed(&catalog::SERVER_DURATION, &series, |key, counted| {
                one(server(key), durations(&counted.whole))
            }),
            active.family(&catalog::ACTIVE_REQUESTS),
            summed(&catalog::CLIENT_DURATION, &series, client),
            summed(&catalog::EXCHANGES, &series, |key, counted| {
                one(way(key), Some(Value::Count(counted.whole.count())))
            }),
            summed(&catalog::STAGES, &series, stages),
            summed(&catalog::QUEUE_WAIT, &series, |key, counted| {
                let mut names = Names::default();
                names.add_some("ostler.queue", key.course.queue.as_deref());
                one(names, durations(&counted.queued))
            }),
            summed(&catalog::RESPONSE_BYTES, &series, |key, counted| {
                one(place(key), Some(Value::Count(counted.response_bytes)))
            }),
            summed(&catalog::REQUEST_BYTES, &series, |key, counted| {
                let bytes = counted.request_bytes;
                one(place(key), (bytes > 0).then_some(Value::Count(bytes)))
            }),
        ]
    }
}

/// Attributes that are being gathered.
#[derive(Debug, Default, Clone)]
struct Names(Attributes);

impl Names {
    fn add(&mut self, name: &'static str, value: impl Into<Cow<'static, str>>) {
        self.0.push((name, value.into()));
    }

    fn add_some(&mut self, name: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.add(name, value.to_owned());
        }
    }
}

/// What series give to a family: no value, or some, each with its attributes.
type Values = Vec<(Names, Value)>;

fn one(names: Names, value: Option<Value>) -> Values {
    value.map(|value| (names, value)).into_iter().collect()
}

/// `None` where nothing was measured.
fn durations(durations: &Durations) -> Option<Value> {
    (durations.count() > 0).then(|| Value::Durations(Box::new(durations.clone())))
}

fn summed(
    description: &'static Description,
    series: &[(Key, Counted)],
    values: impl Fn(&Key, &Counted) -> Values,
) -> Family {
    let mut sums = Sums::default();
    for (key, counted) in series {
        for (names, value) in values(key, counted) {
            sums.add(names.0, value);
        }
    }
    sums.family(description)
}

/// By OpenTelemetry's conventions for servers, as ASP.NET has them.
fn server(key: &Key) -> Names {
    let Key { manner, course } = key;
    let mut names = Names::default();
    names.add("http.request.method", manner.asked.method.as_str());
    names.add("url.scheme", manner.asked.scheme());
    let route = course.route.as_ref();
    names.add_some("http.route", route.map(|route| route.pattern.as_str()));
    if manner.status != 0 {
        names.add("http.response.status_code", manner.status.to_string());
    }
    names.add_some("network.protocol.version", manner.asked.protocol());
    names.add_some("error.type", error_type(key).as_deref());
    names
}

/// YARP's word for what failed, or the status that says so.
fn error_type(key: &Key) -> Option<String> {
    let manner = key.manner;
    let error = manner.error.map(|error| format!("{error:?}"));
    let status = (manner.status >= 500).then(|| manner.status.to_string());
    error.or(status)
}

/// Requests that were forwarded, by the conventions for clients: from the decision to the response's head.
fn client(key: &Key, counted: &Counted) -> Values {
    let Key { manner, course } = key;
    let (Mode::Forwarded, Some(server)) = (manner.mode, &course.server) else {
        return Vec::new();
    };
    let mut names = Names::default();
    names.add("http.request.method", manner.asked.method.as_str());
    names.add("url.scheme", scheme(server.is_https));
    names.add("server.address", server.address.clone());
    names.add("server.port", server.port.to_string());
    // A response that has begun has a status, whatever becomes of it; else an error is why there is none.
    if counted.answered.count() > 0 {
        names.add("http.response.status_code", manner.status.to_string());
        return one(names, durations(&counted.answered));
    }
    names.add_some("error.type", error_type(key).as_deref());
    one(names, durations(&counted.whole))
}

fn place(key: &Key) -> Names {
    let Key { manner, course } = key;
    let mut names = Names::default();
    let route = course.route.as_ref();
    names.add_some("ostler.route", route.map(|route| route.id.as_str()));
    names.add_some("ostler.cluster", course.cluster.as_deref());
    names.add_some("ostler.destination", course.destination.as_deref());
    names.add("ostler.way", manner.mode.as_str());
    names
}

/// The way, and why it was not the delegated one.
fn way(key: &Key) -> Names {
    let mut names = place(key);
    names.add_some("ostler.reason", key.manner.reason.map(Reason::as_str));
    names
}

fn stages(key: &Key, counted: &Counted) -> Values {
    let mut names = Names::default();
    names.add_some("ostler.cluster", key.course.cluster.as_deref());
    names.add("ostler.way", key.manner.mode.as_str());
    let stages = [
        ("decided", &counted.decided),
        ("queued", &counted.queued),
        ("answered", &counted.answered),
        ("taken", &counted.taken),
    ];
    let values = stages.into_iter().filter_map(|(stage, measured)| {
        let mut names = names.clone();
        names.add("ostler.stage", stage);
        durations(measured).map(|value| (names, value))
    });
    values.collect()
}
