//! Metrics as Prometheus reads them: names with underscores, the unit behind, `_total` behind counters.

use std::fmt;

use ostler_proxy::metrics::{Description, Family, Kind, Point, Value};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextFormat {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' own text format, 0.0.4.
    Prometheus,
}

impl TextFormat {
    /// The one that an `Accept` field asks for.
    pub(crate) fn accepted(accept: Option<&str>) -> Self {
        match accept {
            Some(accept) if accept.contains("application/openmetrics-text") => Self::OpenMetrics,
            _ => Self::Prometheus,
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The text.
pub(crate) fn text(families: Vec<Family>, format: TextFormat) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Families(families)));
    let mut text = String::new();
    match format {
        TextFormat::OpenMetrics => prometheus_client::encoding::text::encode(&mut text, &registry)?,
        TextFormat::Prometheus => {
            prometheus_client::encoding::prometheus_text::encode(&mut text, &registry)?;
        }
    }
    Ok(text)
}

/// Families that are there to be written once.
#[derive(Debug)]
struct Families(Vec<Family>);

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for Family {
            description,
            points,
        } in &self.0
        {
            if points.is_empty() {
                continue;
            }
            let (name, unit) = (with_underscores(description.name), unit(description));
            let kind = match description.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
            };
            let mut metric =
                encoder.encode_descriptor(&name, description.help, unit.as_ref(), kind)?;
            for point in points {
                let labels = labels(point);
                write(
                    &mut metric.encode_family(&labels)?,
                    description.kind,
                    &point.value,
                )?;
            }
        }
        Ok(())
    }
}

fn write(metric: &mut MetricEncoder<'_>, kind: Kind, value: &Value) -> Result<(), fmt::Error> {
    match (kind, value) {
        (Kind::Counter, Value::Count(count)) => {
            metric.encode_counter::<NoLabelSet, _, f64>(count, None)
        }
        (Kind::Counter, Value::Number(number)) => {
            metric.encode_counter::<NoLabelSet, _, f64>(number, None)
        }
        (_, Value::Count(count)) => metric.encode_gauge(count),
        (_, Value::Number(number)) => metric.encode_gauge(number),
        (_, Value::Durations(durations)) => {
            let buckets: Vec<_> = durations.buckets().collect();
            let (sum, count) = (durations.sum(), durations.count());
            metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
        }
    }
}

fn labels(point: &Point) -> Vec<(String, &str)> {
    let attributes = point.attributes.iter();
    attributes
        .map(|(name, value)| (with_underscores(name), value.as_ref()))
        .collect()
}

fn with_underscores(name: &str) -> String {
    name.replace('.', "_")
}

/// Of what is only counted, as `{request}`, there is none in the name.
fn unit(description: &Description) -> Option<Unit> {
    match description.unit {
        "s" => Some(Unit::Seconds),
        "By" => Some(Unit::Bytes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static COUNTER: Description = Description {
        name: "a.b",
        kind: Kind::Counter,
        unit: "By",
        help: "Bytes",
        attributes: &["c.d"],
    };

    #[test]
    fn both_formats_have_the_names_that_opentelemetry_gives_prometheus() {
        let family = Family::new(&COUNTER, [(vec![("c.d", "x\"y".into())], Value::Count(7))]);
        let text = |format| text(vec![family.clone()], format).unwrap();
        assert_eq!(
            text(TextFormat::OpenMetrics),
            "# HELP a_b_bytes Bytes\n# TYPE a_b_bytes counter\n# UNIT a_b_bytes bytes\n\
             a_b_bytes_total{c_d=\"x\\\"y\"} 7\n# EOF\n"
        );
        assert_eq!(
            text(TextFormat::Prometheus),
            "# HELP a_b_bytes_total Bytes\n# TYPE a_b_bytes_total counter\n\
             a_b_bytes_total{c_d=\"x\\\"y\"} 7\n"
        );
    }

    #[test]
    fn openmetrics_is_spoken_to_who_asks_for_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3";
        assert_eq!(
            TextFormat::accepted(Some(prometheus)),
            TextFormat::OpenMetrics
        );
        for accept in [None, Some("*/*"), Some("text/plain")] {
            assert_eq!(TextFormat::accepted(accept), TextFormat::Prometheus);
        }
    }
}
