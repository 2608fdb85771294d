//! A thread of the front at work: it accepts and serves, and sees what is under way to its end.

use std::rc::Rc;

use tokio::sync::{mpsc, watch};

use crate::clock;
use crate::listeners::{Change, Listeners};
use crate::shared::Phase;
use crate::slow_timer::TICK;
use crate::worker::Worker;

/// Accepts and serves until the front stops, then until what is under way has ended.
pub(crate) async fn run(
    worker: Rc<Worker>,
    mut changes: mpsc::UnboundedReceiver<Change>,
    mut phase: watch::Receiver<Phase>,
) {
    let _begun = worker.begin();
    let mut listeners = Listeners::default();
    loop {
        tokio::select! {
            _ = phase.wait_for(|phase| *phase != Phase::Running) => break,
            Some(change) = changes.recv() => listeners.change(&worker, change).await,
        }
    }
    // Sockets that this thread has not heard of yet have had connections since they were bound, which
    // would be reset with them.
    changes.close();
    while let Ok(change) = changes.try_recv() {
        listeners.change(&worker, change).await;
    }
    worker.drain();
    tokio::select! {
        () = listeners.end(&worker) => {}
        _ = phase.wait_for(|phase| *phase == Phase::Stopping) => {}
    }
    worker.check(true);
    // Clients whose connections begin, or that are being answered by a target, are about to ask; the
    // answer to that tells them that the connection ends. If they do not take too long.
    let patience = clock::now() + crate::watch::NEXT_REQUEST;
    let may_ask = || worker.has_connections() && clock::now() < patience;
    // What a target is about to say of an exchange is a line of the access log.
    let may_tell = || worker.awaits_log_lines() && clock::now() < patience;
    while (worker.is_busy() || may_ask() || may_tell()) && *phase.borrow() != Phase::Stopping {
        tokio::select! {
            () = tokio::time::sleep(TICK / 4) => worker.check(true),
            _ = phase.changed() => {}
        }
    }
    worker.leave_queues();
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::sync::Arc;
    use std::time::Duration;

    use ostler_model::ProxyModel;

    use super::*;
    use crate::endpoint::{Endpoint, InheritedSockets, ListenAddress, ListenUrl};
    use crate::front_options::FrontOptions;
    use crate::pipeline::Pipeline;
    use crate::shared::Shared;

    /// What a thread answers that is told to stop before it has heard where it listens.
    fn answer_of_a_thread_that_stops_as_it_begins() -> String {
        let url = ListenUrl::parse("http://127.0.0.1:0").unwrap();
        let mut none = InheritedSockets::default();
        let claim = none.claim(&Endpoint::clear(url.clone()));
        let bound = claim.complete(1, &none).unwrap().remove(0);
        let ListenAddress::Tcp(address) = bound.address else {
            unreachable!("it is an address of TCP");
        };
        let (sender, changes) = mpsc::unbounded_channel();
        let sockets = bound.share_out(1).unwrap().remove(0);
        drop(bound);
        let begin = Change::Begin(0, Endpoint::clear(url), sockets);
        sender.send(begin).unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .unwrap();
        let answer = std::thread::spawn(move || {
            let mut answer = String::new();
            client.read_to_string(&mut answer).map(|_| answer)
        });
        let (model, options) = (Arc::new(ProxyModel::new()), FrontOptions::default());
        let shared = Arc::new(Shared::new(model, Pipeline::new(), &options, 1));
        let phase = watch::Sender::new(Phase::Draining);
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(tokio::runtime::LocalOptions::default())
            .unwrap()
            .block_on(run(Worker::new(shared, 1), changes, phase.subscribe()));
        answer.join().unwrap().unwrap()
    }

    #[test]
    fn a_connection_is_served_by_a_thread_that_stops_as_it_begins() {
        // Which of two things that it hears at once a thread looks at first is chance.
        for _ in 0..16 {
            let answer = answer_of_a_thread_that_stops_as_it_begins();
            assert!(answer.starts_with("HTTP/1.1 404 "), "{answer:?}");
        }
    }
}
