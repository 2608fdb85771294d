//! How far a target is with a request when something happens.

use ostler_test_support::{End, Harness, Taken, Target};

/// What a target has said of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stage {
    Queued,
    Received,
    BodyRead,
    Responding,
}

impl Stage {
    /// A request that a target is this far with; `respond` begins a response.
    pub(crate) fn reach(
        self,
        harness: &Harness,
        request: &str,
        respond: fn(&mut Target, &Taken),
    ) -> (End, Target, Taken) {
        let mut target = harness.target("shop");
        let mut client = harness.client();
        client.say(request);
        assert!(target.welcome(), "the front comes to the queue's instance");
        let taken = match self {
            Self::Queued => target.try_pop().unwrap(),
            _ => target.take(),
        };
        match self {
            Self::BodyRead => target.reads_body(&taken),
            Self::Responding => respond(&mut target, &taken),
            Self::Queued | Self::Received => {}
        }
        (client, target, taken)
    }
}
