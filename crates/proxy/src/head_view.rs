//! A request's head as route matching reads it.

use ostler_http1::RequestHead;
use ostler_model::RequestView;

/// The view: the head, and whether it came over TLS.
pub(crate) struct HeadView<'a>(pub(crate) &'a RequestHead, pub(crate) bool);

impl RequestView for HeadView<'_> {
    fn method(&self) -> &str {
        self.0.method()
    }

    fn path(&self) -> &str {
        self.0.path()
    }

    fn query(&self) -> Option<&str> {
        self.0.query()
    }

    fn authority(&self) -> &str {
        self.0.authority()
    }

    fn is_https(&self) -> bool {
        self.1
    }

    fn for_each_field_value(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        for value in self.0.fields_named(name) {
            visit(value);
        }
    }
}
