//! What several targets need: a request for whoever asks what a client has said.

use ostler_model::RequestView;

/// A request as the model sees it.
#[derive(Debug)]
pub struct Request<'r> {
    pub method: &'r str,
    pub path: &'r str,
    pub query: Option<&'r str>,
    pub authority: &'r str,
    pub fields: Vec<(&'r str, &'r [u8])>,
}

impl Default for Request<'_> {
    fn default() -> Self {
        Self {
            method: "GET",
            path: "/",
            query: None,
            authority: "localhost",
            fields: Vec::new(),
        }
    }
}

impl RequestView for Request<'_> {
    fn method(&self) -> &str {
        self.method
    }

    fn path(&self) -> &str {
        self.path
    }

    fn query(&self) -> Option<&str> {
        self.query
    }

    fn authority(&self) -> &str {
        self.authority
    }

    fn is_https(&self) -> bool {
        false
    }

    fn for_each_field_value(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        for (own, value) in &self.fields {
            if own.eq_ignore_ascii_case(name) {
                visit(value);
            }
        }
    }
}
