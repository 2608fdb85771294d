//! Requests made up for tests.

use super::RequestView;

/// A request that says what its parts say; to be changed by the methods named after them.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) authority: String,
    pub(crate) is_https: bool,
    pub(crate) fields: Vec<(String, Vec<u8>)>,
}

impl Request {
    /// A GET of `target`, which may have a query, at `localhost`.
    pub(crate) fn to(target: &str) -> Self {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        Self {
            method: "GET".to_owned(),
            path: path.to_owned(),
            query,
            authority: "localhost".to_owned(),
            is_https: false,
            fields: Vec::new(),
        }
    }

    pub(crate) fn method(self, method: &str) -> Self {
        Self {
            method: method.to_owned(),
            ..self
        }
    }

    pub(crate) fn at(self, authority: &str) -> Self {
        Self {
            authority: authority.to_owned(),
            ..self
        }
    }

    pub(crate) fn https(self) -> Self {
        Self {
            is_https: true,
            ..self
        }
    }

    pub(crate) fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.fields.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }
}

impl RequestView for Request {
    fn method(&self) -> &str {
        &self.method
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    fn authority(&self) -> &str {
        &self.authority
    }

    fn is_https(&self) -> bool {
        self.is_https
    }

    fn for_each_field_value(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        for (field, value) in &self.fields {
            if field.eq_ignore_ascii_case(name) {
                visit(value);
            }
        }
    }
}
