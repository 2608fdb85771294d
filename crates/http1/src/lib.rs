//! HTTP/1.1, both halves: bytes in, bytes out, no I/O and no clock.
//!
//! The server half is cut in two between head and body. Whoever reads the head ([`HeadDecoder`]) decides
//! the [`Framing`], once; whoever reads the body ([`BodyDecoder`]) and writes the response
//! ([`encode_response_head`], [`BodyEncoder`]) obeys it. Both can be different processes.
//!
//! The client half writes requests ([`encode_request_head`], [`BodyEncoder`]) and reads responses
//! ([`ResponseHeadDecoder`], [`ResponseHead`], [`ResponseBodyDecoder`]). It is as strict about where
//! messages end, and lenient where servers are known to be sloppy and nothing hangs on it.
#![forbid(unsafe_code)]

mod body;
mod error;
mod fields;
mod framing;
mod head;
mod limits;
mod request_target;
mod transforms;

pub use body::decode::{BodyDecoder, BodyLimits, BodyProgress};
pub use body::encode::BodyEncoder;
pub use body::response::ResponseBodyDecoder;
pub use error::{
    BodyError, BodyLengthError, FieldSectionError, HeadError, InvalidHeadParts, RequestHeadError,
    ResponseBodyError, ResponseHeadError,
};
pub use fields::{Field, FieldRange, is_set_once};
pub use framing::{BodyLength, Framing, RequestFacts, ResponseBody, ResponseFraming, Version};
pub use head::date::format_date;
pub use head::decode::{HeadDecoder, HeadProgress};
pub use head::encode::{CONTINUE, encode_response_head, encode_simple_response, stated_length};
pub use head::encode_request::{RequestHeadParts, SameName, encode_request_head};
pub use head::field_section::keep_trailers;
pub use head::parts::{HeadIndex, HeadParts, to_http_request_parts};
pub use head::request::RequestHead;
pub use head::response::{ResponseHead, ResponseHeadDecoder};
pub use limits::Limits;
pub use request_target::escape_request_target;
pub use transforms::{FieldTransform, InvalidTransforms, ResponseTransforms, When};
