//! Waiting until a program is ready.

use std::time::Duration;

use anyhow::Context as _;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{Request, Uri};
use http_body_util::{Either, Empty};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::time::sleep;

use super::connect::connect;
use super::connections::Connections;
use super::listening::Listening;

/// How often it is looked at.
const STEP: Duration = Duration::from_millis(10);
/// How often it is asked, which costs it more.
const PAUSE: Duration = Duration::from_millis(50);

/// Completes when the program accepts connections and, if a path is named, answers it well.
pub(super) async fn until_ready(
    listening: &Listening,
    connections: &Connections,
    path: Option<&PathAndQuery>,
) -> anyhow::Result<()> {
    until_it_accepts(listening).await?;
    let Some(path) = path else { return Ok(()) };
    loop {
        let request = Request::get(Uri::from(path.clone()))
            .header(HOST, "localhost")
            .body(Either::Right(Empty::new()))?;
        let answered = connections.send(request).await;
        if answered.is_ok_and(|(response, _)| !response.status().is_server_error()) {
            return Ok(());
        }
        sleep(PAUSE).await;
    }
}

async fn until_it_accepts(listening: &Listening) -> anyhow::Result<()> {
    let Some(listener) = listening.passed() else {
        while connect(listening.address()).await.is_err() {
            sleep(STEP).await;
        }
        return Ok(());
    };
    // The socket listens since before there was a program: the kernel accepts for it. A connection that waits
    // no more has been taken by the program.
    let connection = connect(listening.address()).await;
    let _connection = connection.context("cannot connect to the program's socket")?;
    loop {
        let mut waits = [PollFd::new(&listener, PollFlags::IN)];
        if poll(&mut waits, Some(&Timespec::default()))? == 0 {
            return Ok(());
        }
        sleep(STEP).await;
    }
}
