//! Streams: exchanges of clients whose connections cannot be handed over. Their bytes travel in the
//! channel's rings, and the handler sees the same requests.

mod begin;
mod body;
mod exchange;
mod halves;
mod response;
mod table;
mod upgrade;

pub(crate) use begin::begin;
pub(crate) use body::StreamedBody;
pub(crate) use table::Streams;
