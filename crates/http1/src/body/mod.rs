//! Bodies: of requests in, of responses out; and the other way for clients.

pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod response;
#[cfg(test)]
mod response_tests;
#[cfg(test)]
mod tests;
