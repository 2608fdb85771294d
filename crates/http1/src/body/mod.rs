//! Bodies: of requests in, of responses out.

pub(crate) mod decode;
pub(crate) mod encode;
#[cfg(test)]
mod tests;
