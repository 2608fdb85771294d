//! The one door for what the front says itself: why there is no response of a destination's or a
//! target's, what the client is told then, and the end of the exchange's account.
//!
//! 1. the log is told why (`log.rs`);
//! 2. [`Why`] becomes an [`Answer`]: status, fields, body, and what becomes of the connection;
//! 3. the answer is written to the client, as far as it takes it (`say.rs`);
//! 4. the account is closed.

mod log;
mod reason;
mod say;
mod unanswered;

use std::error::Error;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use ostler_delegation::entry::directives;
use ostler_delegation::{QueueError, QueueName, Verbosity503};
use ostler_http1::{HeadError, RequestHead};

use crate::account::Account;
use crate::client_side::{AfterExchange, BodyRead, ClientSide};
use crate::connection_fields::is_hop_by_hop;
use crate::context::ExchangeContext;
use crate::error_pages::ErrorPages;
use crate::outcome::ForwarderError;
use crate::reason::Reason;
use crate::static_files::{FileBody, FileResponse};

pub(crate) use unanswered::Unanswered;

/// Why the front answers itself.
pub(crate) enum Why {
    /// The request's host is not among those that are allowed.
    HostNotAllowed,
    /// A file answers.
    File(Box<FileResponse>),
    NoRoute,
    /// Routes match but for the method; these methods have one.
    MethodNotAllowed(String),
    /// These routes match equally well.
    AmbiguousRoutes(Vec<String>),
    /// The route names no cluster that there is.
    NoCluster,
    /// The configuration says what is answered: a route does, or whether clients may ask by http.
    Configured(Box<Response<Bytes>>),
    /// A policy of the route answers.
    Policy(Reason, Box<Response<Bytes>>),
    /// A step of the pipeline answers.
    Step(Box<Response<Bytes>>),
    /// A request transform answers.
    Transform(Box<Response<Vec<u8>>>),
    /// The destination that the client belongs to cannot be used, and no other is to be.
    NoAffinity,
    /// The pipeline has left no destination.
    NoDestination,
    /// Neither a destination nor a target is asked for a tunnel to somewhere else.
    Connect,
    /// The destination's configuration makes no delegation rule.
    NoRule(QueueError),
    /// Transforms make no head that can be delegated.
    NotTransformed,
    /// There are as many upgraded connections as may be.
    TooManyUpgrades,
    /// No target of this queue answers.
    Unanswered(QueueName, Unanswered),
    /// No request for the destination can be made; the status says who is to blame.
    NoRequest(StatusCode, Cause),
    /// An upgrade in a version of HTTP that the destination is not spoken to in.
    UpgradeForbidden,
    /// A WebSocket's key is none.
    InvalidKey(Cause),
    /// No response comes of the destination.
    NoResponse(NoResponse),
    /// The destination has switched the protocol, and the client has not asked for it or nothing
    /// proves it.
    NotSwitched,
    /// The destination answers a WebSocket's handshake as if it were none.
    SwitchIgnored(StatusCode),
    /// The response cannot be passed on, and nothing of it has been.
    NotPassedOn(StatusCode, ForwarderError),
    /// The client is gone; the error says in which phase.
    ClientGone(ForwarderError),
    /// What the client says is no request.
    MalformedHead(HeadError),
    /// What the client says on a stream has no form in HTTP/1.1.
    MalformedStream(StatusCode, Cause),
    /// The rest of a head has not come in time.
    HeadTooSlow,
    /// The client speaks HTTP/1.1 where only HTTP/2 is spoken.
    NotHttp2,
}

/// An error that an answer is due to.
pub(crate) type Cause = Box<dyn Error>;

/// Why there is no response of a destination that was asked.
#[derive(Debug)]
pub(crate) struct NoResponse {
    pub(crate) status: StatusCode,
    pub(crate) error: ForwarderError,
    /// For the log, where there is more to tell.
    pub(crate) cause: Option<Cause>,
}

/// An answer of the front's own.
pub(crate) struct Answer {
    status: StatusCode,
    fields: HeaderMap,
    body: AnswerBody,
    connection: Then,
    error: Option<ForwarderError>,
}

enum AnswerBody {
    Here(Bytes),
    /// It comes piece by piece.
    File(FileBody),
}

/// What an answer does to the client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// It stays open (it need not suffer for a routing error) unless a body is under way that nobody
    /// will read.
    Keep,
    /// It is closed: nothing more can be taken now.
    Close,
    /// It is closed, and nothing is said.
    Silent,
    /// It is reset, and nothing is said.
    Reset,
}

/// Whom the front answers.
#[derive(Debug)]
pub(crate) struct Respond<'r, 'c> {
    pub(crate) client_side: &'r mut ClientSide<'c>,
    pub(crate) request: Request<'r>,
    /// What has been decided, once a route has matched.
    pub(crate) context: Option<&'r ExchangeContext<'r>>,
    pub(crate) account: &'r mut Account,
}

/// What is answered.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Request<'r> {
    /// A request, of whose body so much has been read.
    Read(&'r RequestHead, BodyRead),
    /// Something that could not be read as a request.
    Malformed,
}

impl Respond<'_, '_> {
    /// Says why, and closes the account.
    pub(crate) async fn say(self, why: Why) -> AfterExchange {
        log::tell(&why, &self);
        self.account.answered_because(why.reason());
        let limits = self.client_side.worker().limits();
        let has_pages = why.has_pages();
        let mut answer = why.answer(self.context);
        let error = answer.error;
        let head = match self.request {
            Request::Read(head, _) => Some(head),
            Request::Malformed => None,
        };
        if has_pages {
            answer.take_page(&limits.error_pages, head);
        }
        let directed = match (answer.connection, self.context) {
            (Then::Keep, Some(context)) => Some(context.directives()),
            _ => None,
        };
        let mut added: Vec<_> = directives(directed.unwrap_or_default()).collect();
        if let (None, Some(head), Some(hsts)) = (directed, head, &limits.hsts)
            && let Some((_, value)) = hsts.field(self.client_side.is_https(), head.authority())
        {
            added.push((b"Strict-Transport-Security", value.as_bytes()));
        }
        let said = say::say(self.client_side, self.request, answer, &added).await;
        self.account.close(said.given, error);
        said.after
    }
}

/// Answers what could not be read as a request.
pub(crate) async fn refuse(client_side: &mut ClientSide<'_>, why: Why) {
    // Of an exchange before it on the same connection something may have been said.
    client_side.begin();
    let told = client_side.told_malformed();
    let mut account = Account::begin(client_side.worker().pipeline(), told);
    let respond = Respond {
        client_side,
        request: Request::Malformed,
        context: None,
        account: &mut account,
    };
    respond.say(why).await;
}

impl Why {
    /// What the client is told. What transforms make of a response that no destination has given is
    /// in it, where they are asked (reference B2.6).
    fn answer(self, context: Option<&ExchangeContext<'_>>) -> Answer {
        let error = self.error();
        let fields = match context.and_then(ExchangeContext::transforms) {
            Some(transforms) if self.stands_for_a_response() => {
                let mut fields = transforms.failure(self.status());
                leave_out_fields_of_connection(&mut fields);
                fields
            }
            _ => HeaderMap::new(),
        };
        let plain = Answer {
            fields,
            error,
            ..Answer::plain(self.status())
        };
        match self {
            Self::File(file) => Answer::of(file.map(AnswerBody::File)),
            Self::Configured(response) | Self::Policy(_, response) | Self::Step(response) => {
                Answer::of(response.map(AnswerBody::Here))
            }
            Self::Transform(response) => {
                let mut response = response.map(|body| AnswerBody::Here(body.into()));
                leave_out_fields_of_connection(response.headers_mut());
                Answer::of(response)
            }
            Self::MethodNotAllowed(allow) => plain.with_field(ALLOW, allow),
            Self::Unanswered(_, Unanswered::QueueFull(verbosity)) => match verbosity {
                // http.sys' three; each ends the connection.
                Verbosity503::Basic => plain.and_then(Then::Reset),
                Verbosity503::Limited => plain.and_then(Then::Close),
                Verbosity503::Full => plain.text("QueueFull: the request queue is full"),
            },
            Self::ClientGone(_) => plain.and_then(Then::Silent),
            Self::MalformedHead(error) => plain.text(error.to_string()),
            Self::HeadTooSlow => plain.and_then(Then::Close),
            Self::NotHttp2 => plain.text("only HTTP/2 is spoken here"),
            _ => plain,
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::File(response) => response.status(),
            Self::Configured(response) | Self::Policy(_, response) | Self::Step(response) => {
                response.status()
            }
            Self::Transform(response) => response.status(),
            Self::HostNotAllowed | Self::InvalidKey(_) | Self::NotHttp2 => StatusCode::BAD_REQUEST,
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::HeadTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::AmbiguousRoutes(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NoCluster | Self::NoAffinity | Self::NoDestination | Self::NoRule(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Unanswered(_, reason) => reason.status(),
            Self::NoRequest(status, _) | Self::MalformedStream(status, _) => *status,
            Self::NoResponse(failure) => failure.status,
            Self::NotPassedOn(status, _) => *status,
            Self::Connect
            | Self::NotTransformed
            | Self::TooManyUpgrades
            | Self::UpgradeForbidden
            | Self::NotSwitched
            | Self::SwitchIgnored(_)
            | Self::ClientGone(_) => StatusCode::BAD_GATEWAY,
            Self::MalformedHead(error) => {
                StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST)
            }
        }
    }

    /// Whether a page for errors may be said with it: what code of an application answers is whole.
    fn has_pages(&self) -> bool {
        !matches!(self, Self::Step(_) | Self::Transform(_) | Self::File(_))
    }

    /// YARP's error for it.
    fn error(&self) -> Option<ForwarderError> {
        match self {
            Self::NoDestination | Self::NoRule(_) => Some(ForwarderError::NoAvailableDestinations),
            Self::Connect | Self::NotTransformed | Self::NoRequest(..) | Self::UpgradeForbidden => {
                Some(ForwarderError::RequestCreation)
            }
            Self::TooManyUpgrades => Some(ForwarderError::UpgradeResponseClient),
            Self::Unanswered(_, reason) => Some(reason.error()),
            Self::NoResponse(failure) => Some(failure.error),
            Self::NotSwitched | Self::SwitchIgnored(_) => Some(ForwarderError::ResponseHeaders),
            Self::NotPassedOn(_, error) | Self::ClientGone(error) => Some(*error),
            Self::HostNotAllowed
            | Self::File(_)
            | Self::NoRoute
            | Self::MethodNotAllowed(_)
            | Self::AmbiguousRoutes(_)
            | Self::NoCluster
            | Self::Configured(_)
            | Self::Policy(..)
            | Self::Step(_)
            | Self::Transform(_)
            | Self::NoAffinity
            | Self::InvalidKey(_)
            | Self::MalformedHead(_)
            | Self::MalformedStream(..)
            | Self::HeadTooSlow
            | Self::NotHttp2 => None,
        }
    }

    /// Whether a destination was there to answer and no head of its response has come.
    fn stands_for_a_response(&self) -> bool {
        match self {
            Self::Connect
            | Self::NotTransformed
            | Self::TooManyUpgrades
            | Self::NoRequest(..)
            | Self::UpgradeForbidden
            | Self::NoResponse(_) => true,
            Self::Unanswered(_, reason) => {
                reason.error() != ForwarderError::NoAvailableDestinations
            }
            _ => false,
        }
    }
}

impl Answer {
    /// Without fields and without a body.
    fn plain(status: StatusCode) -> Self {
        Self {
            status,
            fields: HeaderMap::new(),
            body: AnswerBody::Here(Bytes::new()),
            connection: Then::Keep,
            error: None,
        }
    }

    fn of(response: Response<AnswerBody>) -> Self {
        let (parts, body) = response.into_parts();
        Self {
            fields: parts.headers,
            body,
            ..Self::plain(parts.status)
        }
    }

    /// Says a page with an error that is said in a word, or without one.
    fn take_page(&mut self, pages: &ErrorPages, head: Option<&RequestHead>) {
        let is_said = matches!(&self.body, AnswerBody::Here(body) if body.is_empty());
        let is_error = self.status.is_client_error() || self.status.is_server_error();
        let is_whole = !is_said && self.connection == Then::Keep;
        let is_silent = matches!(self.connection, Then::Silent | Then::Reset);
        if pages.is_empty() || !is_error || is_whole || is_silent {
            return;
        }
        if let Some(body) = pages.say(self.status, head, &mut self.fields) {
            self.body = AnswerBody::Here(body);
        }
    }

    fn with_field(mut self, name: http::HeaderName, value: impl Into<Bytes>) -> Self {
        if let Ok(value) = HeaderValue::from_maybe_shared(value.into()) {
            self.fields.insert(name, value);
        }
        self
    }

    fn and_then(self, connection: Then) -> Self {
        Self { connection, ..self }
    }

    /// Says this, and closes the connection.
    fn text(self, text: impl Into<Bytes>) -> Self {
        let answer = Self {
            body: AnswerBody::Here(text.into()),
            ..self.and_then(Then::Close)
        };
        answer.with_field(CONTENT_TYPE, "text/plain")
    }
}

/// What transforms say of a response does not say how it is delimited, nor what becomes of the
/// connection.
fn leave_out_fields_of_connection(fields: &mut HeaderMap) {
    let names = fields.keys();
    let left_out: Vec<_> = names
        .filter(|name| is_hop_by_hop(name) || *name == CONTENT_LENGTH)
        .cloned()
        .collect();
    for name in left_out {
        fields.remove(name);
    }
}

#[cfg(test)]
mod tests;
