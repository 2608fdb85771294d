//! Clients that speak TLS, on their way to targets: where the kernel takes their sessions over, their
//! sockets can be handed over like any other.

use ostler_http1::RequestHead;

use crate::client_side::ClientSide;
use crate::client_socket::READ;
use crate::connection::Connection;
use crate::error_chain::Chain;
use crate::limits::longest_head;

/// The connection was lost; nothing has been sent.
#[derive(Debug)]
pub(crate) struct Lost;

/// Makes a client's connection one that can be given away, if it can be made so: a client that speaks
/// TLS has its session moved into the kernel, once, with the first request that allows it.
pub(crate) async fn make_delegable(
    client_side: &mut ClientSide<'_>,
    head: &RequestHead,
) -> Result<(), Lost> {
    let ClientSide::Http1(connection) = client_side else {
        return Ok(());
    };
    if connection.client.plain_fd().is_some() {
        return Ok(());
    }
    // On the heap, so that connections in clear text do not carry the room for it.
    Box::pin(move_into_kernel(connection, head)).await
}

async fn move_into_kernel(connection: &mut Connection, head: &RequestHead) -> Result<(), Lost> {
    let Some(offered) = connection.worker.kernel_tls() else {
        return Ok(());
    };
    // What travels with a request is counted on where the size of rings is decided.
    let longest = longest_head(&connection.worker.limits().http1);
    let most = (longest + READ).saturating_sub(head.raw().len());
    let Connection { client, input, .. } = connection;
    match client.move_into_kernel(input, most, offered).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(reason)) => {
            tracing::debug!(client = ?client.facts().client, reason = %Chain(&reason), "a client's TLS stays in this process");
            Ok(())
        }
        Err(error) => {
            tracing::warn!(client = ?client.facts().client, error = %Chain(&error), "a client's TLS is lost, and the connection with it");
            Err(Lost)
        }
    }
}
