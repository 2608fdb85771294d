//! Request heads in, response heads out; and the other way for clients.

pub(crate) mod date;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod encode_request;
pub(crate) mod field_section;
pub(crate) mod parts;
pub(crate) mod request;
pub(crate) mod response;
#[cfg(test)]
mod response_tests;
#[cfg(test)]
mod tests;
