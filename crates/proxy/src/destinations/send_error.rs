//! Why a destination has not answered.

use std::error::Error;

use super::http1::Http1Error;

/// A destination could not be asked.
#[derive(Debug)]
pub(crate) struct SendError {
    pub(crate) source: Box<dyn Error + Send + Sync>,
    pub(crate) timed_out: bool,
}

impl SendError {
    pub(crate) fn of(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let source = source.into();
        let mut cause: Option<&(dyn Error + 'static)> = Some(source.as_ref());
        let mut timed_out = false;
        while let Some(error) = cause {
            let io = error.downcast_ref::<std::io::Error>();
            timed_out |= io.is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut);
            cause = error.source();
        }
        Self { source, timed_out }
    }

    /// Whether the connection was reset, and not closed.
    pub(crate) fn is_reset(&self) -> bool {
        use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
        let mut cause: Option<&(dyn Error + 'static)> = Some(self.source.as_ref());
        while let Some(error) = cause {
            let io = error.downcast_ref::<std::io::Error>();
            if io.is_some_and(|error| matches!(error.kind(), BrokenPipe | ConnectionReset)) {
                return true;
            }
            cause = error.source();
        }
        false
    }

    /// Whether it may have come of sending the body: there was a connection, and what failed is not
    /// the response's head.
    pub(crate) fn is_of_body(&self) -> bool {
        let http1 = self.source.downcast_ref::<Http1Error>();
        http1.is_some_and(Http1Error::is_of_body)
    }
}
