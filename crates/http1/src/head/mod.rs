//! Request heads in, response heads out.

pub(crate) mod date;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod parts;
pub(crate) mod request;
#[cfg(test)]
mod tests;
