//! Answers of the front's own, in the place of a destination's.

use http::StatusCode;
use http::header::{CONTENT_LENGTH, HeaderMap};
use ostler_http1::RequestHead;

use super::Forwarded;
use super::prepared::NotPrepared;
use super::request::{Answer, is_hop_by_hop};
use super::web_socket::InvalidKey;
use crate::client_side::{BodyRead, ClientSide};
use crate::context::ExchangeContext;
use crate::error_chain::Chain;
use crate::exchange::After;
use crate::failing::warn_of_failure;
use crate::outcome::ForwarderError;

/// Answers where no request for a destination can be made, before anything has been read.
pub(super) async fn unprepared(
    client_side: &mut ClientSide<'_>,
    head: &RequestHead,
    context: &ExchangeContext<'_>,
    why: NotPrepared,
) -> Forwarded {
    let read = BodyRead::Nothing;
    let status = match why {
        NotPrepared::Answered(response) => {
            return answered(client_side, head, context, response).await;
        }
        NotPrepared::Key(error) => return refuse_key(client_side, head, context, error).await,
        NotPrepared::Request(error) => {
            warn_of_failure!(context, error = %Chain(&error), "no request can be made");
            error.status()
        }
        NotPrepared::Upgrade => {
            warn_of_failure!(
                context,
                "an upgrade needs HTTP/1.1, which the version's policy forbids"
            );
            StatusCode::BAD_GATEWAY
        }
    };
    let error = ForwarderError::RequestCreation;
    unanswered(client_side, head, context, read, status, error).await
}

/// Answers 400 to a key that is none (reference B12.4).
pub(super) async fn refuse_key(
    client_side: &mut ClientSide<'_>,
    head: &RequestHead,
    context: &ExchangeContext<'_>,
    error: InvalidKey,
) -> Forwarded {
    let client = context.client_address();
    warn_of_failure!(context, ?client, %error, "a WebSocket is refused");
    let own = Own::plain(StatusCode::BAD_REQUEST, BodyRead::Nothing, None);
    local(client_side, head, context, own).await
}

/// Answers for a destination from which no head has come: response transforms apply (reference
/// B2.6).
pub(crate) async fn unanswered(
    client_side: &mut ClientSide<'_>,
    head: &RequestHead,
    context: &ExchangeContext<'_>,
    read: BodyRead,
    status: StatusCode,
    error: ForwarderError,
) -> Forwarded {
    let fields = match context.transforms() {
        Some(transforms) => transforms.failure(status),
        None => HeaderMap::new(),
    };
    let own = Own {
        fields,
        ..Own::plain(status, read, Some(error))
    };
    local(client_side, head, context, own).await
}

/// Answers what a request transform says.
pub(crate) async fn answered(
    client_side: &mut ClientSide<'_>,
    head: &RequestHead,
    context: &ExchangeContext<'_>,
    response: Answer,
) -> Forwarded {
    let (parts, body) = response.into_parts();
    let own = Own {
        fields: parts.headers,
        body,
        ..Own::plain(parts.status, BodyRead::Nothing, None)
    };
    local(client_side, head, context, own).await
}

/// Answers 502 for a destination whose response cannot be passed on.
pub(super) async fn failed(
    client_side: &mut ClientSide<'_>,
    head: &RequestHead,
    context: &ExchangeContext<'_>,
    read: BodyRead,
    error: ForwarderError,
) -> Forwarded {
    let own = Own::plain(StatusCode::BAD_GATEWAY, read, Some(error));
    local(client_side, head, context, own).await
}

/// An answer of the front's own, as it is before what was added to the response on the way.
pub(super) struct Own {
    status: StatusCode,
    fields: HeaderMap,
    body: Vec<u8>,
    /// How much of the request's body has been read by now.
    read: BodyRead,
    error: Option<ForwarderError>,
}

impl Own {
    /// Without fields and without a body.
    pub(super) fn plain(status: StatusCode, read: BodyRead, error: Option<ForwarderError>) -> Self {
        Self {
            status,
            fields: HeaderMap::new(),
            body: Vec::new(),
            read,
            error,
        }
    }
}

/// Answers here; what was added to the response on the way is in it.
pub(super) async fn local(
    client_side: &mut ClientSide<'_>,
    head: &RequestHead,
    context: &ExchangeContext<'_>,
    own: Own,
) -> Forwarded {
    let mut fields = own_fields(&own.fields);
    fields.extend(context.response_fields());
    let answered = client_side
        .answer(head, own.read, own.status, &fields, &own.body)
        .await;
    Forwarded {
        after: answered.after,
        status: own.status.as_u16(),
        bytes_sent: answered.bytes_sent,
        is_own: true,
        error: own.error,
    }
}

/// What transforms have made of an answer of the front's own. Its length is stated where the
/// response is written.
pub(crate) fn own_fields(fields: &HeaderMap) -> Vec<(&str, &str)> {
    fields
        .iter()
        .filter(|(name, _)| !is_hop_by_hop(name) && *name != CONTENT_LENGTH)
        .filter_map(|(name, value)| Some((name.as_str(), str::from_utf8(value.as_bytes()).ok()?)))
        .collect()
}

pub(super) fn gone(error: ForwarderError) -> Forwarded {
    let error = Some(error);
    Forwarded {
        after: After::Close,
        status: 0,
        bytes_sent: 0,
        is_own: false,
        error,
    }
}
