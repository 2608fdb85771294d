//! The bytes in which response transforms cross to a target, drawn in
//! `docs/delegation-protocol.md` (8.1). Nothing here trusts a length.

use http::header::{HeaderName, HeaderValue};

use super::{FieldTransform, ResponseTransforms, When};
use crate::fields::{is_token, is_value};

const SET: u8 = 1;
const APPEND: u8 = 2;
const REMOVE: u8 = 3;
const ALLOW: u8 = 4;

const OF_TRAILERS: u8 = 0x80;

const DROPS_FIELDS: u8 = 1;
const DROPS_TRAILERS: u8 = 1 << 1;

const HEADER: usize = 4;

/// Bytes that are no response transforms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the response transforms are malformed")]
pub struct InvalidTransforms;

impl ResponseTransforms {
    /// Most bytes they may take: the longest head still fits beside them into a ring of the usual
    /// size.
    pub const MAX_ENCODED: usize = 8 * 1024;

    /// The bytes; `None` where they are too many.
    pub fn encode(&self) -> Option<Box<[u8]>> {
        let mut out = vec![0; HEADER];
        for transform in &self.fields {
            put(&mut out, transform, 0)?;
        }
        for transform in &self.trailers {
            put(&mut out, transform, OF_TRAILERS)?;
        }
        if out.len() > Self::MAX_ENCODED {
            return None;
        }
        let steps = u16::try_from(out.len() - HEADER).ok()?;
        out[..2].copy_from_slice(&steps.to_le_bytes());
        out[2] = if self.copies_fields { 0 } else { DROPS_FIELDS }
            | if self.copies_trailers {
                0
            } else {
                DROPS_TRAILERS
            };
        Some(out.into())
    }

    /// Checks the transforms at the start of `bytes` and says how long they are.
    ///
    /// # Errors
    ///
    /// When they are not what [`encode`](Self::encode) writes.
    pub fn check(bytes: &[u8]) -> Result<usize, InvalidTransforms> {
        let (_, steps) = split(bytes)?;
        let mut reader = Reader(steps);
        while reader.step()?.is_some() {}
        Ok(HEADER + steps.len())
    }

    /// Reads the transforms at the start of `bytes`.
    ///
    /// # Errors
    ///
    /// When they are not what [`encode`](Self::encode) writes.
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidTransforms> {
        let (flags, steps) = split(bytes)?;
        let mut made = Self {
            copies_fields: flags & DROPS_FIELDS == 0,
            copies_trailers: flags & DROPS_TRAILERS == 0,
            ..Self::default()
        };
        let mut reader = Reader(steps);
        while let Some(step) = reader.step()? {
            let transform = step.transform()?;
            match step.of_trailers {
                true => made.trailers.push(transform),
                false => made.fields.push(transform),
            }
        }
        Ok(made)
    }
}

/// The flags and the steps.
fn split(bytes: &[u8]) -> Result<(u8, &[u8]), InvalidTransforms> {
    let ([low, high, flags, 0], rest) = bytes.split_first_chunk().ok_or(InvalidTransforms)? else {
        return Err(InvalidTransforms);
    };
    if flags & !(DROPS_FIELDS | DROPS_TRAILERS) != 0 {
        return Err(InvalidTransforms);
    }
    let len = usize::from(u16::from_le_bytes([*low, *high]));
    if HEADER + len > ResponseTransforms::MAX_ENCODED {
        return Err(InvalidTransforms);
    }
    Ok((*flags, rest.get(..len).ok_or(InvalidTransforms)?))
}

fn put(out: &mut Vec<u8>, transform: &FieldTransform, section: u8) -> Option<()> {
    let list;
    let (kind, name, value, when) = match transform {
        FieldTransform::Set { name, value, when } => (SET, name.as_str(), value.as_bytes(), *when),
        FieldTransform::Append { name, value, when } => {
            (APPEND, name.as_str(), value.as_bytes(), *when)
        }
        FieldTransform::Remove { name, when } => (REMOVE, name.as_str(), &b""[..], *when),
        FieldTransform::Allow(names) => {
            let names: Vec<_> = names.iter().map(HeaderName::as_str).collect();
            list = names.join(";");
            (ALLOW, "", list.as_bytes(), When::Always)
        }
    };
    let when = match when {
        When::Always => 0,
        When::Success => 1,
        When::Failure => 2,
    };
    out.extend_from_slice(&[kind, when | section]);
    out.extend_from_slice(&u16::try_from(name.len()).ok()?.to_le_bytes());
    out.extend_from_slice(&u16::try_from(value.len()).ok()?.to_le_bytes());
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(value);
    Some(())
}

/// One transform, checked.
struct Step<'a> {
    kind: u8,
    when: When,
    of_trailers: bool,
    name: &'a [u8],
    value: &'a [u8],
}

impl Step<'_> {
    fn is_valid(&self) -> bool {
        match self.kind {
            SET | APPEND => is_token(self.name) && is_value(self.value),
            REMOVE => is_token(self.name) && self.value.is_empty(),
            ALLOW => {
                self.name.is_empty() && self.when == When::Always && names(self.value).all(is_token)
            }
            _ => false,
        }
    }

    fn transform(&self) -> Result<FieldTransform, InvalidTransforms> {
        let name = |bytes| HeaderName::from_bytes(bytes).map_err(|_| InvalidTransforms);
        let when = self.when;
        if self.kind == ALLOW {
            let names = names(self.value).map(name);
            return Ok(FieldTransform::Allow(names.collect::<Result<_, _>>()?));
        }
        let name = name(self.name)?;
        let value = HeaderValue::from_bytes(self.value).map_err(|_| InvalidTransforms)?;
        match self.kind {
            SET => Ok(FieldTransform::Set { name, value, when }),
            APPEND => Ok(FieldTransform::Append { name, value, when }),
            REMOVE => Ok(FieldTransform::Remove { name, when }),
            _ => Err(InvalidTransforms),
        }
    }
}

/// The names of a list.
fn names(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let names = list.split(|byte| *byte == b';');
    names.filter(|name| !name.is_empty())
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn step(&mut self) -> Result<Option<Step<'a>>, InvalidTransforms> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let ([kind, when, n0, n1, v0, v1], rest) =
            self.0.split_first_chunk().ok_or(InvalidTransforms)?;
        let name = usize::from(u16::from_le_bytes([*n0, *n1]));
        let value = usize::from(u16::from_le_bytes([*v0, *v1]));
        let (name, rest) = rest.split_at_checked(name).ok_or(InvalidTransforms)?;
        let (value, rest) = rest.split_at_checked(value).ok_or(InvalidTransforms)?;
        self.0 = rest;
        let step = Step {
            kind: *kind,
            when: match when & !OF_TRAILERS {
                0 => When::Always,
                1 => When::Success,
                2 => When::Failure,
                _ => return Err(InvalidTransforms),
            },
            of_trailers: when & OF_TRAILERS != 0,
            name,
            value,
        };
        if step.is_valid() {
            Ok(Some(step))
        } else {
            Err(InvalidTransforms)
        }
    }
}
