//! What one exchange owns while it lasts: the client's side, the request's head, what has been decided
//! about it, and its account. How it goes is in `exchange.rs`.

use std::rc::Rc;
use std::sync::Arc;

use ostler_http1::RequestHead;
use ostler_model::{ClusterState, DestinationState, RouteModel};

use crate::account::{Account, Given};
use crate::answer::{Request, Respond, Why};
use crate::client_side::{AfterExchange, BodyRead, ClientSide};
use crate::context::ExchangeContext;
use crate::outcome::ForwarderError;
use crate::worker::Worker;

/// An exchange that no route has been found for yet.
#[derive(Debug)]
pub(crate) struct Arrived<'e, 'c> {
    pub(crate) client_side: &'e mut ClientSide<'c>,
    pub(crate) head: &'e RequestHead,
    pub(crate) account: Account,
}

/// An exchange on its way from its route to its end.
#[derive(Debug)]
pub(crate) struct Exchange<'e, 'c> {
    pub(crate) client_side: &'e mut ClientSide<'c>,
    pub(crate) head: &'e RequestHead,
    pub(crate) context: ExchangeContext<'e>,
    pub(crate) account: Account,
}

impl<'e, 'c> Arrived<'e, 'c> {
    /// Answers here, and ends the exchange.
    pub(crate) async fn answer(&mut self, why: Why) -> AfterExchange {
        let respond = Respond {
            client_side: self.client_side,
            request: Request::Read(self.head, BodyRead::Nothing),
            context: None,
            account: &mut self.account,
        };
        // On the heap, so that exchanges that are not answered here do not carry the room for it.
        Box::pin(respond.say(why)).await
    }

    /// The same exchange, once its route has a cluster.
    pub(crate) fn matched(
        self,
        route: Arc<RouteModel>,
        cluster: Arc<ClusterState>,
    ) -> Exchange<'e, 'c> {
        let client = self.client_side.facts().client;
        let version = self.client_side.version(self.head);
        let is_https = self.client_side.is_https();
        let mut context =
            ExchangeContext::new(self.head, client, version, is_https, route, cluster);
        let limits = self.client_side.worker().limits();
        if let Some(hsts) = &limits.hsts
            && let Some((name, value)) = hsts.field(is_https, self.head.authority())
        {
            context.add_response_field(&name, value);
        }
        Exchange {
            client_side: self.client_side,
            head: self.head,
            context,
            account: self.account,
        }
    }
}

impl Exchange<'_, '_> {
    pub(crate) fn worker(&self) -> &Rc<Worker> {
        self.client_side.worker()
    }

    /// The exchange goes to this destination.
    pub(crate) fn decided(&mut self, destination: &Arc<DestinationState>) {
        self.account
            .decided(destination, self.context.take_watched());
    }

    /// Answers here, before anything of the request's body has been read, and ends the exchange.
    pub(crate) async fn answer(&mut self, why: Why) -> AfterExchange {
        self.answer_after(BodyRead::Nothing, why).await
    }

    /// The same when so much of the request's body has been read.
    pub(crate) async fn answer_after(&mut self, read: BodyRead, why: Why) -> AfterExchange {
        let respond = Respond {
            client_side: self.client_side,
            request: Request::Read(self.head, read),
            context: Some(&self.context),
            account: &mut self.account,
        };
        // On the heap: see `Arrived::answer`.
        Box::pin(respond.say(why)).await
    }

    /// Ends the exchange, of whose response the client has been given so much. Does nothing to the
    /// account of an exchange that its target ends, or has ended.
    pub(crate) fn end(
        &mut self,
        after: AfterExchange,
        given: Given,
        error: Option<ForwarderError>,
    ) -> AfterExchange {
        self.account.close(given, error);
        after
    }

    /// Ends the exchange of a client that got nothing, or not all, of a response, and no more of it.
    pub(crate) fn cut_short(&mut self, error: ForwarderError) -> AfterExchange {
        self.client_side.cut_short();
        self.end(AfterExchange::Close, Given::NOTHING, Some(error))
    }
}
