//! How a client's requests reach targets: over its own socket where that can be handed over.

use ostler_http1::RequestHead;

use super::queue::Way;
use crate::client::READ;
use crate::connection::Connection;
use crate::respond::Chain;

/// The way of a client's connection, which is fixed with the first request that allows it: a client
/// that speaks TLS has its session moved into the kernel if the kernel takes it. `None` when the
/// connection was lost by that; nothing has been sent.
pub(crate) async fn way_to_targets(connection: &mut Connection, head: &RequestHead) -> Option<Way> {
    if connection.client.plain_fd().is_some() {
        return Some(Way::Trust);
    }
    let Some(offered) = connection.worker.kernel_tls() else {
        return Some(Way::Relay);
    };
    // What travels with a request is counted on where the size of rings is decided.
    let most = (connection.worker.limits().http1.head + READ).saturating_sub(head.raw().len());
    let Connection { client, input, .. } = connection;
    // On the heap, so that connections in clear text do not carry the room for it.
    match Box::pin(client.move_into_kernel(input, most, offered)).await {
        Ok(Ok(())) => Some(Way::Trust),
        Ok(Err(reason)) => {
            tracing::debug!(client = ?client.facts().client, reason = %Chain(&reason), "a client's TLS stays in this process");
            Some(Way::Relay)
        }
        Err(error) => {
            tracing::warn!(client = ?client.facts().client, error = %Chain(&error), "a client's TLS is lost, and the connection with it");
            None
        }
    }
}
