//! What each line about an exchange that fails says: where it went, and what was asked for.

use std::fmt;

use ostler_http1::RequestHead;

/// Warns of an exchange's failure. Whatever is behind the context is as in `tracing::warn!`.
macro_rules! warn_of_failure {
    ($context:expr, $($rest:tt)+) => {{
        let context: &$crate::context::ExchangeContext<'_> = $context;
        let destination = context.chosen();
        let model = destination.map(|destination| destination.model());
        tracing::warn!(
            cluster = context.cluster().id(),
            destination = destination.map(|destination| destination.id()),
            address = model.as_ref().map(|model| model.config.address.as_str()),
            request = %$crate::failing::MethodAndPath(context.head()),
            $($rest)+
        );
    }};
}

pub(crate) use warn_of_failure;

/// A request's method and path, for the log: a query may hold what is nobody's business.
pub(crate) struct MethodAndPath<'a>(pub(crate) &'a RequestHead);

impl fmt::Display for MethodAndPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.method(), self.0.path())
    }
}
