//! Transforms of a head that is about to be written: its fields change, but neither how the body is
//! delimited nor whether the connection goes on.

use http::StatusCode;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderMap, HeaderName, HeaderValue, UPGRADE};

use super::{ResponseTransforms, run};
use crate::framing::{BodyLength, RequestFacts};
use crate::head::encode::{has_no_body, stated_length};

impl ResponseTransforms {
    /// Changes the fields of a response, and gives the length that goes with them to
    /// [`encode_response_head`](crate::encode_response_head).
    ///
    /// Transforms see what that function would add by itself, a Date and the length that a response
    /// to HEAD states, as if the application had said so: a client cannot tell the difference.
    pub fn head(
        &self,
        request: RequestFacts,
        status: StatusCode,
        fields: &mut HeaderMap,
        length: BodyLength,
        date: &[u8; 29],
    ) -> BodyLength {
        // What is said of the connection is the application's and the library's, not the route's.
        let kept = Kept::of(status, fields);
        if !status.is_informational()
            && !fields.contains_key(DATE)
            && let Ok(date) = HeaderValue::from_bytes(date)
        {
            fields.insert(DATE, date);
        }
        let stated = stated_length(fields);
        let sends_none = request.is_head || has_no_body(status);
        let length = match (length, stated) {
            (BodyLength::Known(length @ 1..), None) if request.is_head && !has_no_body(status) => {
                fields.insert(CONTENT_LENGTH, length.into());
                BodyLength::Empty
            }
            _ if sends_none => BodyLength::Empty,
            (BodyLength::Unknown, Some(length)) => BodyLength::Known(length),
            _ => length,
        };
        let original = std::mem::take(fields);
        *fields = run(&self.fields, status, original, self.copies_fields);
        if !sends_none {
            fields.remove(CONTENT_LENGTH);
        }
        kept.put_back(fields);
        length
    }
}

/// Fields that no transform changes.
struct Kept(Vec<(HeaderName, HeaderValue)>);

impl Kept {
    fn of(status: StatusCode, fields: &HeaderMap) -> Self {
        let names: &[HeaderName] = match status {
            StatusCode::SWITCHING_PROTOCOLS => &[CONNECTION, UPGRADE],
            _ => &[CONNECTION],
        };
        let kept = names.iter().flat_map(|name| {
            let values = fields.get_all(name).iter();
            values.map(move |value| (name.clone(), value.clone()))
        });
        Self(kept.collect())
    }

    fn put_back(self, fields: &mut HeaderMap) {
        for (name, value) in self.0 {
            if !fields.get_all(&name).iter().any(|there| there == value) {
                fields.append(name, value);
            }
        }
    }
}
