//! A queue that is reset while it is in use (`Front::reset_queue`): what lay in its channels goes on, and
//! the channels are let go of.

use std::sync::Arc;

use ostler_config::{ConfigurationTree, load};
use ostler_delegation::QueueName;
use ostler_delegation::runtime::RuntimeFolder;
use ostler_model::ProxyModel;
use ostler_proxy::{Endpoint, Front, FrontOptions, ListenUrl, Pipeline};

use crate::failures::{counts, until_received};
use crate::support::{Client, Sandbox, delegating_to, eventually};

/// A front of this process, of two threads, before the sandbox's queues.
fn front(sandbox: &Sandbox) -> (Front, u16) {
    let mut tree = ConfigurationTree::new();
    tree.add_json("a.json", &delegating_to(&["q"])).unwrap();
    let model = Arc::new(ProxyModel::new());
    model.apply(&load(&tree).settings.proxy).unwrap();
    let pipeline = Pipeline::new().use_http_sys_delegation();
    let options = FrontOptions {
        endpoints: vec![Endpoint::clear(
            ListenUrl::parse("http://127.0.0.1:0").unwrap(),
        )],
        threads: 2,
        runtime: RuntimeFolder::new(sandbox.runtime()),
        ..FrontOptions::default()
    };
    let front = Front::start(model, pipeline, &options).unwrap();
    let port = front.addresses()[0].port();
    (front, port)
}

fn stop(front: Front) {
    front.drain();
    front.stop();
    front.join();
}

#[test]
fn a_queue_that_is_reset_lets_go_of_its_channels() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let (front, port) = front(&sandbox);
    // Each stays idle, with a place in a channel that is let go of.
    let mut clients: Vec<_> = (0..8).map(|_| Client::connect(port)).collect();
    let descriptors = target.descriptors();
    for _ in 0..6 {
        for client in &mut clients {
            assert_eq!(client.ask("GET", "/").pid(), target.pid());
        }
        front.reset_queue(&QueueName::new("q").unwrap());
        let mut fresh = Client::connect(port);
        assert_eq!(fresh.ask("GET", "/").pid(), target.pid());
    }
    drop(clients);
    eventually(
        "the target has no more channels than the front has threads",
        || target.descriptors() <= descriptors + 2 * CHANNEL,
    );
    stop(front);
}

/// Descriptors of a channel in a target, those that are registered twice included, and one to spare.
const CHANNEL: usize = 8;

#[test]
fn a_client_that_leaves_after_a_reset_is_noticed() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let (front, port) = front(&sandbox);
    let mut client = Client::connect(port);
    assert_eq!(client.ask("GET", "/").status, 200);
    client.send("GET /delay/600000 HTTP/1.1\r\nHost: x\r\n\r\n");
    until_received(&sandbox);
    front.reset_queue(&QueueName::new("q").unwrap());
    assert_eq!(Client::connect(port).ask("GET", "/").status, 200);
    drop(client);
    eventually("the handler is dropped", || counts(&sandbox).0 == 0);
    stop(front);
}
