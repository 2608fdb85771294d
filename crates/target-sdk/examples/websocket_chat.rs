//! A chat room over WebSockets: what one client says, all of them hear.
//!
//! Run it behind a front whose destination names the queue `chat` (`axum_app.rs` shows such a
//! configuration), and open `http://127.0.0.1:8080/` in two windows:
//!
//! ```text
//! cargo run -p ostler-target --example websocket_chat
//! cargo run -p ostler -- run --config front.json --urls http://127.0.0.1:8080
//! ```
//!
//! Once a WebSocket is open its connection belongs to this process alone: stop the front, and the
//! conversation goes on.

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::{Html, Response};
use axum::routing::get;
use ostler_target::{RequestQueue, RequestQueueMode};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Receiver, Sender};

/// Messages a client may be behind before it misses some.
const BACKLOG: usize = 256;

const PAGE: &str = r#"<!doctype html><title>chat</title>
<form><input autofocus></form><ul></ul>
<script>
  const socket = new WebSocket("ws://" + location.host + "/chat");
  socket.onmessage = event => {
    const line = document.createElement("li");
    line.textContent = event.data;
    document.querySelector("ul").prepend(line);
  };
  document.querySelector("form").onsubmit = event => {
    event.preventDefault();
    const input = document.querySelector("input");
    socket.send(input.value);
    input.value = "";
  };
</script>
"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = Router::new()
        .route("/", get(|| async { Html(PAGE) }))
        .route("/chat", get(enter))
        .with_state(Sender::new(BACKLOG));
    let queue = RequestQueue::builder("chat")
        .mode(RequestQueueMode::CreateOrAttach)
        .bind()?;
    println!("queue {} ready", queue.name());
    ostler_target::serve(queue, app).await?;
    Ok(())
}

async fn enter(State(room): State<Sender<Utf8Bytes>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|socket| {
        // Subscribed before the first message can be read, so that a client hears itself.
        let heard = room.subscribe();
        converse(socket, room, heard)
    })
}

async fn converse(mut socket: WebSocket, room: Sender<Utf8Bytes>, mut heard: Receiver<Utf8Bytes>) {
    loop {
        tokio::select! {
            said = socket.recv() => match said {
                Some(Ok(Message::Text(text))) => {
                    // Fails only when nobody listens, and this client does.
                    let _ = room.send(text);
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
            text = heard.recv() => match text {
                Ok(text) => {
                    if socket.send(Message::Text(text)).await.is_err() {
                        return;
                    }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
        }
    }
}
