//! One exchange, from a request's head to its end, in the order things happen.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use ostler_delegation::Verbosity503;
use ostler_http1::RequestHead;
use ostler_model::{DestinationState, Found, RandomSource, RouteModel};

use crate::admission::{Admission, Admitted, admit};
use crate::affinity;
use crate::client_side::{Answered, BodyRead, ClientSide};
use crate::context::ExchangeContext;
use crate::delegation::{
    Delegated, Lost, Transformed, Unanswered, delegate, make_delegable, transformed,
};
use crate::failing::{Asked, warn_of_failure};
use crate::forwarder::{self, Forwarded};
use crate::local_answer::{Here, since};
use crate::outcome::{ForwarderError, Mode, Outcome};
use crate::pipeline::{Flow, Pipeline, Step};
use crate::queues::{Record, Rule};
use crate::rebalance;
use crate::static_files;
use crate::worker::Worker;

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    Keep,
    Close,
    /// It is closed once the client has stopped sending what nobody needs: the exchange is over
    /// before that.
    Linger,
    /// It is the target's.
    Detached,
}

/// Answers one request:
///
/// 1. see to the host (400), and answer from a file, where there is one;
/// 2. take the configuration in force, which the exchange keeps, and match a route (404, 405, or 500
///    where routes are ambiguous);
/// 3. find its cluster (503);
/// 4. ask the policies that the route names, any of which may answer;
/// 5. run the pipeline, each step of which may narrow the destinations or answer;
/// 6. delegate where the pipeline says so and the destination names a queue;
/// 7. else forward to the one destination left (503 where there is none).
pub(crate) async fn exchange(client_side: &mut ClientSide<'_>, head: &RequestHead) -> After {
    let head_received_ns = ostler_shm::monotonic_nanoseconds();
    let worker = Rc::clone(client_side.worker());

    let pipeline = worker.pipeline();
    let here = Here {
        pipeline: &pipeline,
        route: None,
        head_received_ns,
    };

    let limits = worker.limits();
    if !limits.allowed_hosts.are_any() && !limits.allowed_hosts.allow(head.authority()) {
        let status = StatusCode::BAD_REQUEST;
        return here.answer(client_side, head, status, &[], &[]).await;
    }
    if let Some(answered) = static_files::answer(client_side, head).await {
        return here.ended(answered, None);
    }
    let snapshot = worker.snapshot();
    let is_https = client_side.is_https();
    let route = match snapshot.routes.find(&crate::facts::Facts(head, is_https)) {
        Found::Route(route) => Arc::clone(route),
        other => return no_route(client_side, head, other, here).await,
    };
    let Some(cluster) = route.cluster.clone() else {
        let (route_id, request) = (&route.config.route_id, Asked(head));
        tracing::info!(route = route_id, %request, "the route has no cluster");
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let here = here.on(&route);
        return here.answer(client_side, head, status, &[], &[]).await;
    };

    let version = client_side.version(head);
    let client = client_side.facts().client;
    let mut context = ExchangeContext::new(head, client, version, is_https, route, cluster);
    if context.is_grpc() {
        client_side.watch().data_rates.switch_off();
    }
    let admitted = match admit(client_side, &mut context, &limits).await {
        Admission::Admitted(admitted) => admitted,
        Admission::Answered(response) => {
            return answer(client_side, head, &context, response, here).await;
        }
        Admission::ClientGone => return here.on(context.route()).client_gone(),
    };
    let (mut queue, mut delegates) = (None, false);
    for step in &pipeline.steps {
        match step {
            Step::SessionAffinity => {
                if let Some(affinity) = context.cluster().session_affinity()
                    && !affinity::find(&mut context, affinity)
                {
                    // Without a key (reference A6.3).
                    let status = StatusCode::SERVICE_UNAVAILABLE;
                    let fields = context.response_fields();
                    let here = here.on(context.route());
                    return here.answer(client_side, head, status, &fields, &[]).await;
                }
            }
            Step::PassiveHealthChecks => context.watch_passively(worker.health()),
            Step::LoadBalancing => balance(&worker, &mut context),
            Step::HttpSysDelegation => {
                delegates = true;
                let destination = one_destination(&worker, &mut context);
                queue = destination.filter(|destination| destination.model().queue.is_some());
                if queue.is_some() {
                    break;
                }
            }
            Step::Custom(step) => match step.run(&mut context).await {
                Flow::Continue => {}
                Flow::Forward(to) => {
                    context.forward_directly(&to);
                    break;
                }
                Flow::Respond(response) => {
                    return answer(client_side, head, &context, response, here).await;
                }
            },
        }
    }

    let Some(destination) = queue.or_else(|| one_destination(&worker, &mut context)) else {
        warn_of_failure!(&context, "no destination is available");
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let fields = context.response_fields();
        let answered = local(client_side, head, status, &fields).await;
        let error = Some(ForwarderError::NoAvailableDestinations);
        return here.on(context.route()).ended(answered, error);
    };
    affinity::issue_key(&mut context, &destination);
    let record = record(
        &pipeline,
        &mut context,
        &destination,
        admitted,
        head_received_ns,
    );
    to_destination(client_side, head, context, record, delegates).await
}

/// Steps 6 and 7: the exchange goes to its destination, and to another one for as long as nobody has
/// begun it. `delegates`: the pipeline has come to the delegation step.
async fn to_destination(
    client_side: &mut ClientSide<'_>,
    head: &RequestHead,
    mut context: ExchangeContext<'_>,
    mut record: Record,
    delegates: bool,
) -> After {
    let worker = Rc::clone(client_side.worker());
    loop {
        let destination = Arc::clone(&record.destination);
        if !delegates || destination.model().queue.is_none() {
            let forwarded = forwarder::forward(client_side, head, &mut context, &mut record).await;
            return finish(record, Mode::Forwarded, forwarded);
        }
        record = match delegated(client_side, head, &mut context, &destination, record).await {
            Ok(after) => return after,
            Err(record) => record,
        };
        rebalance::go_elsewhere(&worker, &mut context, &mut record);
    }
}

/// Step 6: the request goes to the destination's queue. Gives the record back when nobody there can
/// begin it and another destination can.
async fn delegated(
    client_side: &mut ClientSide<'_>,
    head: &RequestHead,
    context: &mut ExchangeContext<'_>,
    destination: &Arc<DestinationState>,
    record: Record,
) -> Result<After, Record> {
    let worker = Rc::clone(client_side.worker());
    if head.is_connect() {
        // Neither a destination nor a target is asked for a tunnel to somewhere else.
        let (status, error) = (StatusCode::BAD_GATEWAY, ForwarderError::RequestCreation);
        let read = BodyRead::Nothing;
        let failed = forwarder::unanswered(client_side, head, context, read, status, error).await;
        return Ok(finish(record, Mode::Local, failed));
    }
    if let Err(Lost) = make_delegable(client_side, head).await {
        let lost = Forwarded {
            after: After::Close,
            status: 0,
            bytes_sent: 0,
            is_own: true,
            error: Some(ForwarderError::RequestCanceled),
        };
        return Ok(finish(record, Mode::Local, lost));
    }
    let rule = match worker.rule(&destination.model()) {
        Ok(rule) => rule,
        Err(error) => {
            warn_of_failure!(context, %error, "no delegation rule can be made");
            let status = StatusCode::SERVICE_UNAVAILABLE;
            let fields = context.response_fields();
            let answered = local(client_side, head, status, &fields).await;
            let error = ForwarderError::NoAvailableDestinations;
            return Ok(finish(record, Mode::Local, own(answered, error)));
        }
    };
    let rewritten;
    let head = match transformed(client_side, head, context) {
        Transformed::Not => head,
        Transformed::Head(made) => {
            rewritten = made;
            &*rewritten
        }
        Transformed::Answered(response) => {
            let answered = forwarder::answered(client_side, head, context, response).await;
            return Ok(finish(record, Mode::Local, answered));
        }
        Transformed::Failed => {
            let (status, error) = (StatusCode::BAD_GATEWAY, ForwarderError::RequestCreation);
            let failed =
                forwarder::unanswered(client_side, head, context, BodyRead::Nothing, status, error)
                    .await;
            return Ok(finish(record, Mode::Local, failed));
        }
    };
    let watch;
    let upgraded = if head.upgrade().is_some() && client_side.delegable().is_some() {
        watch = Rc::clone(client_side.watch());
        let upgraded = client_side.upgrade(&watch);
        if upgraded.is_none() {
            let (status, error) = (
                StatusCode::BAD_GATEWAY,
                ForwarderError::UpgradeResponseClient,
            );
            let read = BodyRead::Nothing;
            let failed =
                forwarder::unanswered(client_side, head, context, read, status, error).await;
            return Ok(finish(record, Mode::Local, failed));
        }
        upgraded
    } else {
        None
    };
    let elsewhere = || rebalance::can_go_elsewhere(&worker, context);
    let delegated = delegate(client_side, head, &rule, context, record, &elsewhere).await;
    // One that the target has taken over leaves the front's view, and one that is relayed is counted
    // where it is upgraded.
    drop(upgraded);
    Ok(match delegated {
        Delegated::Keep => After::Keep,
        Delegated::Close => After::Close,
        Delegated::ClientGone(record) => {
            client_side.cut_short();
            let gone = Forwarded {
                after: After::Close,
                status: 0,
                bytes_sent: 0,
                is_own: true,
                error: Some(ForwarderError::RequestCanceled),
            };
            record.map_or(After::Close, |record| finish(record, Mode::Local, gone))
        }
        Delegated::Detached => After::Detached,
        Delegated::Elsewhere(record) => return Err(record),
        Delegated::CutShort(record) => {
            tracing::warn!(
                queue = %rule.queue.name(),
                destination = destination.id(),
                request = %Asked(head),
                "a target died while it answered: the response is cut short"
            );
            client_side.cut_short();
            let end = Forwarded {
                after: After::Close,
                status: 0,
                bytes_sent: 0,
                is_own: false,
                error: Some(ForwarderError::ResponseBodyDestination),
            };
            finish(record, Mode::Delegated, end)
        }
        Delegated::Relay(target, record) => {
            let forwarded = forwarder::relay(client_side, head, context, &rule, target).await;
            finish(record, Mode::Relayed, forwarded)
        }
        Delegated::Unanswered(reason, record) => {
            tell_unanswered(&rule, destination, head, &reason);
            let answered = unanswered(client_side, head, context, &reason).await;
            finish(record, Mode::Local, own(answered, reason.error()))
        }
    })
}

/// Tells the log of a request that no target answers. What follows from the state of its queue it is
/// told when that changes, and not for each request.
fn tell_unanswered(
    rule: &Rule,
    destination: &DestinationState,
    head: &RequestHead,
    reason: &Unanswered,
) {
    const TEXT: &str = "a delegated request is answered here";
    let (queue, destination) = (rule.queue.name(), destination.id());
    let (request, status) = (Asked(head), reason.status().as_u16());
    let text = reason.reason();
    if reason.is_of_the_queue() {
        tracing::debug!(%queue, destination, %request, status, reason = text, "{TEXT}");
    } else {
        tracing::warn!(%queue, destination, %request, status, reason = text, "{TEXT}");
    }
}

/// How an exchange ends that the front has answered in its destination's place.
fn own(answered: Answered, error: ForwarderError) -> Forwarded {
    Forwarded {
        after: answered.after,
        status: answered.status,
        bytes_sent: answered.bytes_sent,
        is_own: true,
        error: Some(error),
    }
}

/// Answers for a target that does not.
async fn unanswered(
    client_side: &mut ClientSide<'_>,
    head: &RequestHead,
    context: &ExchangeContext<'_>,
    reason: &Unanswered,
) -> Answered {
    let status = reason.status();
    match reason {
        // http.sys' three verbosities; each ends the connection.
        Unanswered::QueueFull(Verbosity503::Basic) => client_side.reset(),
        Unanswered::QueueFull(Verbosity503::Limited) => client_side.refuse(head, status, "").await,
        Unanswered::QueueFull(Verbosity503::Full) => {
            let text = "QueueFull: the request queue is full";
            client_side.refuse(head, status, text).await
        }
        _ => {
            // Not where no destination was there to answer (reference B2.6).
            let made = match context.transforms() {
                Some(all) if reason.error() != ForwarderError::NoAvailableDestinations => {
                    all.failure(status)
                }
                _ => http::HeaderMap::new(),
            };
            let mut fields = forwarder::own_fields(&made);
            fields.extend(context.response_fields());
            local(client_side, head, status, &fields).await
        }
    }
}

fn record(
    pipeline: &Arc<Pipeline>,
    context: &mut ExchangeContext<'_>,
    destination: &Arc<DestinationState>,
    admitted: Admitted,
    head_received_ns: u64,
) -> Record {
    Record {
        route: Arc::clone(context.route()),
        destination: Arc::clone(destination),
        guard: destination.begin_request(),
        admitted,
        pipeline: Arc::clone(pipeline),
        head_received_ns,
        watched: context.take_watched(),
    }
}

fn finish(record: Record, mode: Mode, end: Forwarded) -> After {
    let Record {
        route,
        destination,
        guard,
        admitted,
        pipeline,
        head_received_ns,
        watched,
    } = record;
    drop((guard, admitted));
    if let Some(watched) = watched {
        watched.report(&destination, end.status, end.error);
    }
    report(&pipeline, || Outcome {
        route: Some(route),
        destination: Some(destination),
        mode,
        error: end.error,
        ..Outcome::local(end.status, end.bytes_sent, since(head_received_ns))
    });
    end.after
}

/// Tells the log and the pipeline's own steps of an exchange's end.
pub(crate) fn report(pipeline: &Pipeline, outcome: impl FnOnce() -> Outcome) {
    let logged = tracing::enabled!(target: "ostler::exchange", tracing::Level::DEBUG);
    let custom = pipeline
        .steps
        .iter()
        .any(|step| matches!(step, Step::Custom(_)));
    if !logged && !custom {
        return;
    }
    let outcome = outcome();
    if logged {
        let route = outcome
            .route
            .as_ref()
            .map_or("", |route: &Arc<RouteModel>| &route.config.route_id);
        let destination = outcome
            .destination
            .as_ref()
            .map_or("", |destination| destination.id());
        tracing::debug!(
            target: "ostler::exchange",
            route,
            destination,
            mode = outcome.mode.as_str(),
            status = outcome.status,
            bytes_sent = outcome.bytes_sent,
            bytes_received = outcome.bytes_received,
            queued_micros = outcome.queued.map(micros),
            first_byte_micros = outcome.first_byte.map(micros),
            micros = micros(outcome.duration),
            error = outcome.error.map(|error| format!("{error:?}")),
            "exchange"
        );
    }
    for step in pipeline.steps.iter().rev() {
        if let Step::Custom(step) = step {
            step.ended(&outcome);
        }
    }
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
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

async fn no_route(
    client_side: &mut ClientSide<'_>,
    head: &RequestHead,
    found: Found<'_>,
    here: Here<'_>,
) -> After {
    let found = match static_files::answer_unmatched(client_side, head, found).await {
        Ok(answered) => return here.ended(answered, None),
        Err(found) => found,
    };
    match found {
        Found::MethodNotAllowed { allow } => {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            let allow = [("Allow", allow.as_str())];
            here.answer(client_side, head, status, &allow, &[]).await
        }
        Found::Ambiguous { routes } => {
            tracing::error!(?routes, "several routes match a request equally well");
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            here.answer(client_side, head, status, &[], &[]).await
        }
        Found::NotFound | Found::Route(_) => {
            let status = StatusCode::NOT_FOUND;
            here.answer(client_side, head, status, &[], &[]).await
        }
    }
}

/// An answer of a policy's or a step's own.
async fn answer(
    client_side: &mut ClientSide<'_>,
    head: &RequestHead,
    context: &ExchangeContext<'_>,
    response: http::Response<Bytes>,
    here: Here<'_>,
) -> After {
    let (parts, body) = response.into_parts();
    let own = parts.headers.iter();
    let mut fields: Vec<_> = own
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    fields.extend(context.response_fields());
    let here = here.on(context.route());
    here.answer(client_side, head, parts.status, &fields, &body)
        .await
}

/// Answers here, before anything of the request's body has been read.
async fn local(
    client_side: &mut ClientSide<'_>,
    head: &RequestHead,
    status: StatusCode,
    fields: &[(&str, &str)],
) -> Answered {
    let read = BodyRead::Nothing;
    client_side.answer(head, read, status, fields, &[]).await
}
