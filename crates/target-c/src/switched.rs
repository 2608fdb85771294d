//! A connection whose protocol was switched: its bytes are the program's.

use std::future::poll_fn;
use std::sync::Arc;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;

use crate::events::EventKind;
use crate::exchange::Exchange;
use crate::response_body::Ending;

/// Waits for the switch, then writes what the program gives until it ends that, or the client is gone.
pub(crate) async fn run(exchange: Arc<Exchange>, upgrade: OnUpgrade) {
    let ending = Ending::of(&exchange);
    let Ok(upgraded) = upgrade.await else {
        exchange.incoming().switched(None);
        return;
    };
    let (reader, mut writer) = tokio::io::split(TokioIo::new(upgraded));
    exchange.incoming().switched(Some(reader));
    loop {
        let next = poll_fn(|cx| {
            let tell_room = || exchange.tell(EventKind::Writable);
            exchange.outgoing().poll_next(cx, tell_room)
        })
        .await;
        let piece = match next {
            Some(Ok(frame)) => frame.into_data(),
            // Ended: what the client still sends can be read.
            None => break,
            Some(Err(_cancelled)) => return,
        };
        if let Ok(piece) = piece
            && writer.write_all(&piece).await.is_err()
        {
            return;
        }
    }
    if writer.shutdown().await.is_ok() {
        ending.revoke();
    }
}
