//! One exchange, from a request's head to its end, in the order things happen.

use std::rc::Rc;
use std::sync::Arc;

use ostler_http1::RequestHead;
use ostler_model::{DestinationState, Found, RandomSource};

use crate::account::Account;
use crate::admission::{NotAdmitted, admit};
use crate::affinity;
use crate::answer::Why;
use crate::client_side::{AfterExchange, ClientSide};
use crate::context::ExchangeContext;
use crate::delegation::{Delegated, Lost, Search, delegate, make_delegable, transformed};
use crate::exchange_state::{Arrived, Exchange};
use crate::failing::MethodAndPath;
use crate::forwarded_headers::take_over;
use crate::forwarder::{self, GivenBack};
use crate::head_view::HeadView;
use crate::https_only::to_https;
use crate::marks::mark;
use crate::metrics::QueueEvent;
use crate::outcome::{ForwarderError, Mode};
use crate::pipeline::{Flow, Step};
use crate::queues::Rule;
use crate::reason::Reason;
use crate::rebalance;
use crate::static_files;
use crate::worker::Worker;

/// Answers one request:
///
/// 1. find out whose it is and make it part of a span, see to the host (400), send the client to https, and
///    answer from a file, where there is one;
/// 2. take the configuration in force, which the exchange keeps, and match a route (404, 405, or 500
///    where routes are ambiguous);
/// 3. find its cluster (503);
/// 4. ask the policies that the route names, any of which may answer, and answer where the route itself
///    says what;
/// 5. run the pipeline, each step of which may narrow the destinations or answer;
/// 6. delegate where the pipeline says so and the destination names a queue, and to another
///    destination for as long as nobody has begun it;
/// 7. else forward to the one destination left (503 where there is none).
#[expect(
    clippy::too_many_lines,
    reason = "the life of an exchange is read in one piece"
)]
pub(crate) async fn exchange(
    client_side: &mut ClientSide<'_>,
    head: &RequestHead,
) -> AfterExchange {
    let worker = Rc::clone(client_side.worker());
    let pipeline = worker.pipeline();
    let limits = worker.limits();
    // What the connection's own peer has asked for, whatever it says of another.
    let is_allowed = limits.allowed_hosts.allow(head.authority());
    client_side.begin();
    let believed = limits.forwarded_headers.as_ref();
    let taken_over = believed.and_then(|options| take_over(options, client_side, head));
    let head = taken_over.as_deref().unwrap_or(head);
    let marked = mark(client_side, head);
    let (marked, trace) = marked.map(|marked| (marked.head, marked.trace)).unzip();
    let head = marked.as_deref().unwrap_or(head);
    let mut arrived = Arrived {
        account: Account::begin(Arc::clone(&pipeline), client_side.told(head, trace)),
        client_side,
        head,
    };
    if !is_allowed {
        return arrived.answer(Why::HostNotAllowed).await;
    }
    if let Some(options) = &limits.https_redirection
        && !arrived.client_side.is_https()
        && let Some(response) = to_https(
            options,
            head,
            arrived.client_side.client_facts().ends().prefix,
        )
    {
        return arrived.answer(Why::Configured(Box::new(response))).await;
    }
    if let Some(file) = static_files::find(&worker, head).await {
        return arrived.answer(Why::File(file)).await;
    }
    let snapshot = worker.snapshot();
    let facts = HeadView(head, arrived.client_side.is_https());
    let route = match snapshot.routes.find(&facts) {
        Found::Route(route) => Arc::clone(route),
        other => {
            let why = no_route(&worker, head, other).await;
            return arrived.answer(why).await;
        }
    };
    arrived.account.matched(&route);
    let action = route.action.clone();
    let nowhere = action.as_ref().map(|action| Arc::clone(action.nowhere()));
    let Some(cluster) = nowhere.or_else(|| route.cluster.clone()) else {
        return arrived.answer(Why::NoCluster).await;
    };
    let mut exchange = arrived.matched(route, cluster);
    if exchange.context.is_grpc() {
        exchange.client_side.watch().data_rates.switch_off();
    }
    match admit(exchange.client_side, &mut exchange.context, &limits).await {
        Ok(permits) => exchange.account.hold(permits),
        Err(NotAdmitted::Answered(policy, response)) => {
            return exchange
                .answer(Why::Policy(policy, Box::new(response)))
                .await;
        }
        Err(NotAdmitted::ClientGone) => {
            let why = Why::ClientGone(ForwarderError::RequestCanceled);
            return exchange.answer(why).await;
        }
    }
    if let Some(action) = action {
        let response = action.answer(&HeadView(head, exchange.client_side.is_https()));
        let response = response.map(bytes::Bytes::from);
        return exchange.answer(Why::Configured(Box::new(response))).await;
    }
    let (mut queue, mut delegates) = (None, false);
    let mut not_delegated = Reason::NoDelegationStep;
    for step in &pipeline.steps {
        let context = &mut exchange.context;
        match step {
            Step::SessionAffinity => {
                if let Some(affinity) = context.cluster().session_affinity()
                    && !affinity::find(context, affinity)
                {
                    // Without a key (reference A6.3).
                    return exchange.answer(Why::NoAffinity).await;
                }
            }
            Step::PassiveHealthChecks => context.watch_passively(worker.health()),
            Step::LoadBalancing => balance(&worker, context),
            Step::HttpSysDelegation => {
                delegates = true;
                not_delegated = Reason::NoQueue;
                let destination = one_destination(&worker, context);
                queue = destination.filter(|destination| destination.model().queue.is_some());
                if queue.is_some() {
                    break;
                }
            }
            Step::Custom(step) => match step.run(context).await {
                Flow::Continue => {}
                Flow::Forward(to) => {
                    context.forward_directly(&to);
                    not_delegated = Reason::ForwardedByStep;
                    break;
                }
                Flow::Respond(response) => {
                    return exchange.answer(Why::Step(Box::new(response))).await;
                }
            },
        }
    }
    let one = queue.or_else(|| one_destination(&worker, &mut exchange.context));
    let Some(mut destination) = one else {
        return exchange.answer(Why::NoDestination).await;
    };
    affinity::issue_key(&mut exchange.context, &destination);
    exchange.decided(&destination);
    while delegates && destination.model().queue.is_some() {
        match to_queue(&mut exchange, &destination).await {
            Some(after) => return after,
            None => destination = rebalance::go_elsewhere(&mut exchange, destination),
        }
    }
    exchange.account.because(not_delegated);
    // On the heap, as the other ways on which bytes pass through the front: an exchange that a target has may
    // last long, and does not carry the room for it.
    Box::pin(forwarder::forward(&mut exchange, destination)).await
}

/// Why no route answers; or the file, where there is one for such requests.
async fn no_route(worker: &Rc<Worker>, head: &RequestHead, found: Found<'_>) -> Why {
    match static_files::find_unmatched(worker, head, found).await {
        Ok(file) => Why::File(file),
        Err(Found::MethodNotAllowed { allow }) => Why::MethodNotAllowed(allow),
        Err(Found::Ambiguous { routes }) => Why::AmbiguousRoutes(routes),
        Err(Found::NotFound | Found::Route(_)) => Why::NoRoute,
    }
}

fn balance(worker: &Worker, context: &mut ExchangeContext<'_>) {
    match context.available_destinations() {
        [] | [_] => {}
        many => {
            // Counts of delegated exchanges are taken in lazily; now they matter.
            worker.settle();
            let policy = &context.cluster().model().load_balancing;
            let picked = worker
                .with_random(|random| policy.pick(context.cluster(), many, random).map(Arc::clone));
            match picked {
                Some(destination) => context.choose(destination),
                None => context.clear_available_destinations(),
            }
        }
    }
}

/// The destination an exchange goes to. Where the pipeline has left several, one is picked at
/// random, with a warning, and stays the only one.
fn one_destination(
    worker: &Worker,
    context: &mut ExchangeContext<'_>,
) -> Option<Arc<DestinationState>> {
    let destination = match context.available_destinations() {
        [] => return None,
        [one] => return Some(Arc::clone(one)),
        many => {
            tracing::warn!(
                cluster = context.cluster().id(),
                "several destinations are left; one is picked at random"
            );
            Arc::clone(&many[worker.with_random(|random| random.below(many.len()))])
        }
    };
    context.choose(Arc::clone(&destination));
    Some(destination)
}

/// Step 6: the request goes to the destination's queue. `None` when nobody there can begin it and
/// another destination can.
async fn to_queue(
    exchange: &mut Exchange<'_, '_>,
    destination: &DestinationState,
) -> Option<AfterExchange> {
    let (rule, made) = match prepare(exchange, destination).await {
        Ok(prepared) => prepared,
        Err(why) => return Some(exchange.answer(why).await),
    };
    let head = made.as_deref().unwrap_or(exchange.head);
    let keyed = match forwarder::with_key(head, exchange.context.client_version()) {
        Ok(keyed) => keyed,
        Err(why) => return Some(exchange.answer(why).await),
    };
    let head = keyed.as_deref().unwrap_or(head);
    let watch = Rc::clone(exchange.client_side.watch());
    let mut search = Search::new(exchange.worker(), &rule);
    let delegated = loop {
        let place = if head.upgrade().is_some() && exchange.client_side.delegable().is_some() {
            let place = exchange.client_side.upgrade(&watch);
            if place.is_none() {
                return Some(exchange.answer(Why::TooManyUpgrades).await);
            }
            place
        } else {
            None
        };
        let delegated = delegate(exchange, head, &rule, &mut search).await;
        // One that the target has taken over leaves the front's view, and one whose bytes pass through the
        // front is counted where it is upgraded.
        drop(place);
        // On the heap, so that exchanges that are delegated do not carry the room for it.
        let passed_on = match delegated {
            Delegated::Stream(stream) => {
                Box::pin(forwarder::stream(
                    exchange,
                    head,
                    &rule,
                    &mut search,
                    stream,
                ))
                .await
            }
            Delegated::Relay(target) => {
                Box::pin(forwarder::relay(exchange, head, &rule, target)).await
            }
            delegated => break delegated,
        };
        match passed_on {
            Ok(after) => return Some(after),
            Err(GivenBack) => {
                rule.queue.counts().count(QueueEvent::Again);
                exchange.account.goes(Mode::Local);
            }
        }
    };
    ended(exchange, head, &rule, destination, delegated).await
}

/// What becomes of the connection behind a delegated exchange. `None` where another destination answers.
async fn ended(
    exchange: &mut Exchange<'_, '_>,
    head: &RequestHead,
    rule: &Rule,
    destination: &DestinationState,
    delegated: Delegated,
) -> Option<AfterExchange> {
    Some(match delegated {
        Delegated::Keep => AfterExchange::Keep,
        Delegated::Close => AfterExchange::Close,
        Delegated::Detached => AfterExchange::Detached,
        Delegated::ClientGone => exchange.cut_short(ForwarderError::RequestCanceled),
        Delegated::CutShort => {
            tracing::warn!(
                queue = %rule.queue.name(),
                destination = destination.id(),
                request = %MethodAndPath(head),
                "a target died while it answered: the response is cut short"
            );
            exchange.account.goes(Mode::Delegated);
            exchange.cut_short(ForwarderError::ResponseBodyDestination)
        }
        // What passes through the front has been followed to its end above.
        Delegated::Elsewhere | Delegated::Stream(_) | Delegated::Relay(_) => return None,
        Delegated::Unanswered(reason) => {
            let why = Why::Unanswered(rule.queue.name().clone(), reason);
            exchange.answer(why).await
        }
    })
}

/// The rule by which the request is delegated, and the head that the target sees in place of the
/// client's, where that is another one.
async fn prepare(
    exchange: &mut Exchange<'_, '_>,
    destination: &DestinationState,
) -> Result<(Rc<Rule>, Option<Box<RequestHead>>), Why> {
    let head = exchange.head;
    if head.is_connect() {
        return Err(Why::Connect);
    }
    if let Err(Lost) = make_delegable(exchange.client_side, head).await {
        return Err(Why::ClientGone(ForwarderError::RequestCanceled));
    }
    let rule = exchange.worker().rule(&destination.model());
    let rule = rule.map_err(Why::NoRule)?;
    Ok((rule, transformed(exchange)?))
}
