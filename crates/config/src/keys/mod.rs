//! Every key of a configuration, described once: its name, what may stand there, what holds without it,
//! what it means.
//!
//! [`Reader`](crate::reader::Reader) knows by this which keys an object has, and warns of others. The JSON
//! schema and the page `docs/configuration.md` are made of it. Whoever adds a key writes one line here
//! and has it read; tests fail for a key that is described and not read, or read and not described.

mod applications;
mod cluster;
mod kestrel;
mod ostler;
mod policies;
mod proxy;
mod root;
mod values;

pub(crate) use applications::*;
pub(crate) use cluster::*;
pub(crate) use kestrel::*;
pub(crate) use ostler::*;
pub(crate) use policies::*;
pub(crate) use proxy::*;
pub(crate) use root::*;
pub(crate) use values::Value;

use crate::tree::key::same;

/// The version that the first keys came with.
pub(crate) const FIRST_VERSION: &str = "0.1";

/// Where routes and clusters stand if nobody says otherwise.
pub(crate) const PROXY_SECTION: &str = "ReverseProxy";

/// Who else has a key of this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// YARP's configuration.
    Yarp,
    /// ASP.NET's configuration.
    AspNet,
    /// Code alone sets it in YARP or ASP.NET, by this name.
    Code(&'static str),
    /// Nobody.
    Ostler,
}

/// A key of an object.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) value: Value,
    /// What it means: sentences, in Markdown.
    pub(crate) doc: &'static str,
    /// What holds without it: JSON, or words where no value says it. Empty where nothing does.
    pub(crate) default: &'static str,
    /// A value as one writes it, in JSON; empty where [`Value`] has one that will do.
    pub(crate) own_example: &'static str,
    /// The version it came with.
    pub(crate) since: &'static str,
    /// Where it differs from its object's.
    pub(crate) own_origin: Option<Origin>,
    /// What it was called before, and what others call it.
    pub(crate) formerly: &'static [&'static str],
    /// Whether it is known only to be refused, or to be told to have no effect.
    pub(crate) is_idle: bool,
}

impl Key {
    /// A key that is read since the first version.
    const fn new(name: &'static str, value: Value, doc: &'static str) -> Self {
        Self {
            name,
            value,
            doc,
            default: "",
            own_example: "",
            since: FIRST_VERSION,
            own_origin: None,
            formerly: &[],
            is_idle: false,
        }
    }

    const fn default(self, default: &'static str) -> Self {
        Self { default, ..self }
    }

    const fn example(self, own_example: &'static str) -> Self {
        Self {
            own_example,
            ..self
        }
    }

    const fn origin(self, origin: Origin) -> Self {
        Self {
            own_origin: Some(origin),
            ..self
        }
    }

    const fn formerly(self, formerly: &'static [&'static str]) -> Self {
        Self { formerly, ..self }
    }

    /// A value as one writes it; `None` for objects.
    pub(crate) fn example_value(&self) -> Option<serde_json::Value> {
        let written = |text: &str| serde_json::from_str(text).ok();
        match (self.own_example, self.value) {
            // The other one says more than the default.
            ("", Value::Boolean) => self.value.example(),
            ("", _) => written(self.default)
                .filter(|_| self.value.example().is_some())
                .or_else(|| self.value.example()),
            (own, _) => written(own),
        }
    }

    /// Known, and without an effect or an error.
    const fn idle(self) -> Self {
        Self {
            is_idle: true,
            ..self
        }
    }
}

/// An object: its keys, and what it is for.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) doc: &'static str,
    pub(crate) origin: Origin,
    pub(crate) keys: &'static [Key],
    /// Keys of before that have no one key in their place, and what to write instead.
    pub(crate) gone: &'static [(&'static str, &'static str)],
    /// Whether other programs' keys may stand in it.
    pub(crate) is_open: bool,
}

impl Object {
    const fn new(origin: Origin, doc: &'static str, keys: &'static [Key]) -> Self {
        Self {
            doc,
            origin,
            keys,
            gone: &[],
            is_open: false,
        }
    }

    const fn gone(self, gone: &'static [(&'static str, &'static str)]) -> Self {
        Self { gone, ..self }
    }

    const fn open(self) -> Self {
        Self {
            is_open: true,
            ..self
        }
    }

    /// The key of a name, compared without case.
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| same(key.name, name))
    }

    /// The names of its keys.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.keys.iter().map(|key| key.name).collect()
    }

    /// What to write instead of a key that was known before.
    pub(crate) fn instead_of(&self, name: &str) -> Option<String> {
        let was = |key: &&Key| key.formerly.iter().any(|old| same(old, name));
        if let Some(key) = self.keys.iter().find(was) {
            return Some(format!("it is called {} now", key.name));
        }
        let mut gone = self.gone.iter();
        let (_, instead) = gone.find(|(old, _)| same(old, name))?;
        Some((*instead).to_owned())
    }

    pub(crate) fn origin_of(&self, key: &Key) -> Origin {
        key.own_origin.unwrap_or(self.origin)
    }
}

/// The one object in `within` that has a key of this name, as a path in which `*` is an id, empty for
/// `within` itself; `None` where several have, or none.
pub(crate) fn only_owner(within: &'static Object, name: &str) -> Option<String> {
    let mut owners = Vec::new();
    visit(within, String::new(), &mut |path, object| {
        if object.key(name).is_some_and(|key| !key.is_idle) {
            owners.push(path.to_owned());
        }
    });
    match owners.as_slice() {
        [only] => Some(only.clone()),
        _ => None,
    }
}

/// Calls with every object and its path, parents first; one that stands in several places, each time.
pub(crate) fn visit(
    object: &'static Object,
    path: String,
    seen: &mut impl FnMut(&str, &'static Object),
) {
    seen(&path, object);
    for key in object.keys {
        let name = key.name;
        let at = match path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}:{name}"),
        };
        match key.value {
            Value::Object(below) => visit(below, at, seen),
            Value::Objects(below) | Value::Map(below) => visit(below, format!("{at}:*"), seen),
            _ => {}
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
