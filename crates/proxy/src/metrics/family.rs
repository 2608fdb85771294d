//! What is measured, in a form that any exporter can read: families of points with attributes, by the names
//! of OpenTelemetry's conventions.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::histogram::Durations;

/// What a metric is, without its values.
#[derive(Debug, PartialEq, Eq)]
pub struct Description {
    /// With dots, as OpenTelemetry has it.
    pub name: &'static str,
    /// How its values behave.
    pub kind: Kind,
    /// By the Unified Code for Units of Measure: `s`, `By`, `{request}`.
    pub unit: &'static str,
    /// One sentence, without a full stop.
    pub help: &'static str,
    /// The names of its attributes; a point may lack some.
    pub attributes: &'static [&'static str],
}

/// How a metric's values behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Durations, by how long they are.
    Histogram,
}

/// A metric with its values.
#[derive(Debug, Clone)]
pub struct Family {
    /// What it is.
    pub description: &'static Description,
    /// A value for each set of attributes that there is.
    pub points: Vec<Point>,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Names and values, none of them empty.
    pub attributes: Attributes,
    /// The value.
    pub value: Value,
}

/// Names and values of attributes.
pub type Attributes = Vec<(&'static str, Cow<'static, str>)>;

/// The value of a point.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of a counter.
    Count(u64),
    /// Of a gauge, or of a counter that has fractions.
    Number(f64),
    /// Of a histogram.
    Durations(Box<Durations>),
}

impl Family {
    /// One with these points.
    pub fn new(
        description: &'static Description,
        points: impl IntoIterator<Item = (Attributes, Value)>,
    ) -> Self {
        let points = points.into_iter();
        let points = points.map(|(attributes, value)| Point { attributes, value });
        Self {
            description,
            points: points.collect(),
        }
    }

    /// One that has one value.
    pub fn single(description: &'static Description, value: Value) -> Self {
        Self::new(description, [(Attributes::new(), value)])
    }
}

/// Points that are being summed up: values of equal attributes become one.
#[derive(Debug, Default)]
pub(crate) struct Sums(BTreeMap<Attributes, Value>);

impl Sums {
    pub(crate) fn add(&mut self, attributes: Attributes, value: Value) {
        use std::collections::btree_map::Entry;
        match self.0.entry(attributes) {
            Entry::Vacant(place) => _ = place.insert(value),
            Entry::Occupied(mut place) => match (place.get_mut(), value) {
                (Value::Count(sum), Value::Count(more)) => *sum += more,
                (Value::Number(sum), Value::Number(more)) => *sum += more,
                (Value::Durations(sum), Value::Durations(more)) => sum.merge(&more),
                // All values of a metric are of one kind.
                _ => {}
            },
        }
    }

    pub(crate) fn family(self, description: &'static Description) -> Family {
        Family::new(description, self.0)
    }
}
