//! Signals: two ask for the end, others are the program's.

use std::io;

use rustix::process::Signal as Number;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// What a signal means.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked {
    /// To drain and to end; the second time, at once.
    End,
    /// Something of the program.
    PassOn(Number),
}

/// Signals as they come.
#[derive(Debug)]
pub(super) struct Signals(mpsc::UnboundedReceiver<Asked>);

impl Signals {
    /// Begins to receive them.
    pub(super) fn receive() -> io::Result<Self> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let ends = [Number::TERM, Number::INT].map(|number| (number, Asked::End));
        // What servers take for reloads, new logs, more and fewer workers.
        let passed = [
            Number::HUP,
            Number::USR1,
            Number::USR2,
            Number::QUIT,
            Number::WINCH,
            Number::TTIN,
            Number::TTOU,
        ];
        let passed = passed.map(|number| (number, Asked::PassOn(number)));
        for (number, asked) in ends.into_iter().chain(passed) {
            let mut arrivals = signal(SignalKind::from_raw(number.as_raw()))?;
            let sender = sender.clone();
            tokio::spawn(async move {
                while arrivals.recv().await.is_some() && sender.send(asked).is_ok() {}
            });
        }
        Ok(Self(receiver))
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Asked {
        match self.0.recv().await {
            Some(asked) => asked,
            // Its senders live as long as the runtime.
            None => std::future::pending().await,
        }
    }
}
