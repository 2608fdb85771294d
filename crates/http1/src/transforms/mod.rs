//! Response transforms: what is done to a response's fields and trailers before the client gets
//! them. Whoever answers a client applies them, so they can cross to another process (`wire.rs`).

mod head;
#[cfg(test)]
mod tests;
mod wire;

use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};

pub use wire::InvalidTransforms;

/// Which responses a transform is for (reference B4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// All.
    Always,
    /// Those with a status below 400.
    Success,
    /// The others.
    Failure,
}

impl When {
    /// Whether a response with this status is meant.
    pub fn includes(self, status: StatusCode) -> bool {
        match self {
            Self::Always => true,
            Self::Success => status.as_u16() < 400,
            Self::Failure => status.as_u16() >= 400,
        }
    }
}

/// One transform of the fields of a head or of a trailer section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldTransform {
    /// The field takes the place of all of its name.
    Set {
        /// The field's name.
        name: HeaderName,
        /// The field's value.
        value: HeaderValue,
        /// Which responses it is for.
        when: When,
    },
    /// The field comes behind those of its name.
    Append {
        /// The field's name.
        name: HeaderName,
        /// The field's value.
        value: HeaderValue,
        /// Which responses it is for.
        when: When,
    },
    /// All fields of this name go.
    Remove {
        /// The fields' name.
        name: HeaderName,
        /// Which responses it is for.
        when: When,
    },
    /// The original fields of these names are added.
    Allow(Vec<HeaderName>),
}

impl FieldTransform {
    /// Whether it looks at the original fields.
    pub fn reads_original(&self) -> bool {
        matches!(self, Self::Append { .. } | Self::Allow(_))
    }

    /// Changes `fields`, which are the original ones if these were `copied` and else begin empty.
    /// There are no original ones where nobody has answered.
    pub fn apply(
        &self,
        status: StatusCode,
        fields: &mut HeaderMap,
        original: Option<&HeaderMap>,
        copied: &mut bool,
    ) {
        match self {
            Self::Set { name, value, when } if when.includes(status) => {
                fields.insert(name.clone(), value.clone());
            }
            Self::Append { name, value, when } if when.includes(status) => {
                // "Take" (reference B2.7): what was not copied is taken from the original.
                if !*copied && !fields.contains_key(name) {
                    add_all(fields, original, name);
                }
                fields.append(name.clone(), value.clone());
            }
            Self::Remove { name, when } if when.includes(status) => {
                fields.remove(name);
            }
            Self::Allow(names) if original.is_some() => {
                for name in names {
                    add_all(fields, original, name);
                }
                *copied = true;
            }
            Self::Set { .. } | Self::Append { .. } | Self::Remove { .. } | Self::Allow(_) => {}
        }
    }
}

fn add_all(fields: &mut HeaderMap, original: Option<&HeaderMap>, name: &HeaderName) {
    for value in original.iter().flat_map(|fields| fields.get_all(name)) {
        fields.append(name.clone(), value.clone());
    }
}

/// The response transforms of a route, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseTransforms {
    /// Whether those of the head begin with the original fields.
    pub copies_fields: bool,
    /// Whether those of the trailer section do.
    pub copies_trailers: bool,
    /// What is done to the head's fields.
    pub fields: Vec<FieldTransform>,
    /// What is done to the trailers.
    pub trailers: Vec<FieldTransform>,
}

impl Default for ResponseTransforms {
    fn default() -> Self {
        Self {
            copies_fields: true,
            copies_trailers: true,
            fields: Vec::new(),
            trailers: Vec::new(),
        }
    }
}

impl ResponseTransforms {
    /// Whether every response stays as it is.
    pub fn is_empty(&self) -> bool {
        self.copies_fields
            && self.copies_trailers
            && self.fields.is_empty()
            && self.trailers.is_empty()
    }

    /// The trailers for the client, made of those of the response.
    pub fn trailers(&self, status: StatusCode, original: Option<HeaderMap>) -> Option<HeaderMap> {
        if original.is_none() && self.trailers.is_empty() {
            return None;
        }
        let original = original.unwrap_or_default();
        let made = run(&self.trailers, status, original, self.copies_trailers);
        (!made.is_empty()).then_some(made)
    }
}

fn run(
    transforms: &[FieldTransform],
    status: StatusCode,
    original: HeaderMap,
    mut copied: bool,
) -> HeaderMap {
    let kept = transforms
        .iter()
        .any(FieldTransform::reads_original)
        .then(|| original.clone());
    let mut fields = match copied {
        true => original,
        false => HeaderMap::new(),
    };
    for transform in transforms {
        transform.apply(status, &mut fields, kept.as_ref(), &mut copied);
    }
    fields
}
