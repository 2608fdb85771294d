//! HTTP/1.1, the server half: bytes in, bytes out, no I/O and no clock.
//!
//! The half is cut in two between head and body. Whoever reads the head ([`HeadDecoder`]) decides
//! the [`Framing`], once; whoever reads the body ([`BodyDecoder`]) and writes the response
//! ([`encode_response_head`], [`BodyEncoder`]) obeys it. Both can be different processes.
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
pub use error::{BodyError, BodyLengthError, HeadError, InvalidHeadParts};
pub use fields::{Field, FieldRange, is_set_once};
pub use framing::{BodyLength, Framing, RequestFacts, ResponseBody, ResponseFraming, Version};
pub use head::date::format_date;
pub use head::decode::{HeadDecoder, HeadProgress};
pub use head::encode::{CONTINUE, encode_response_head, encode_simple_response};
pub use head::parts::{HeadIndex, HeadParts, to_http_request_parts};
pub use head::request::RequestHead;
pub use limits::Limits;
pub use transforms::{FieldTransform, InvalidTransforms, ResponseTransforms, When};
