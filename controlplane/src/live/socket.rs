//! One client that watches, until it leaves, falls behind, or may not watch any longer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use warp::ws::{Message, WebSocket};

use super::admission::until_void;
use crate::auth::CurrentUser;
use crate::filters::Credentials;
use crate::state::State;

/// A client that does not take a message within this time is gone or too slow.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the client is asked whether it is there.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// A client that was not heard of for so long is gone.
const SILENT_FOR: Duration = Duration::from_secs(60);

/// Close codes, from RFC 6455 and its registry.
const POLICY_VIOLATION: u16 = 1008;
const TRY_AGAIN_LATER: u16 = 1013;

/// Why a client is served no longer.
enum End {
    /// It left.
    Gone,
    /// It is sent away, with a close code and a reason.
    Away(u16, &'static str),
}

pub(super) async fn serve(
    mut socket: WebSocket,
    news: broadcast::Receiver<Arc<str>>,
    state: State,
    shown: Credentials,
    user: CurrentUser,
) {
    let Err(end) = watch(&mut socket, news, &state, &shown, &user).await;
    if let End::Away(code, reason) = end {
        tracing::debug!(code, reason, "a live client is sent away");
        let farewell = async {
            let _ = socket.send(Message::close_with(code, reason)).await;
            let _ = socket.close().await;
        };
        let _ = timeout(SEND_TIMEOUT, farewell).await;
    }
}

async fn watch(
    socket: &mut WebSocket,
    mut news: broadcast::Receiver<Arc<str>>,
    state: &State,
    shown: &Credentials,
    user: &CurrentUser,
) -> Result<Infallible, End> {
    let mut void = std::pin::pin!(until_void(state, shown, user));
    let mut ping = interval(PING_INTERVAL);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard_at = Instant::now();
    loop {
        tokio::select! {
            line = news.recv() => match line {
                Ok(line) => send(socket, Message::text(&*line)).await?,
                Err(RecvError::Lagged(_)) => return Err(End::Away(TRY_AGAIN_LATER, "too far behind")),
                Err(RecvError::Closed) => return Err(End::Away(TRY_AGAIN_LATER, "the server stops")),
            },
            message = socket.next() => match message {
                Some(Ok(message)) if !message.is_close() => heard_at = Instant::now(),
                _ => return Err(End::Gone),
            },
            reason = &mut void => return Err(End::Away(POLICY_VIOLATION, reason)),
            _ = ping.tick() => {
                if heard_at.elapsed() > SILENT_FOR {
                    return Err(End::Gone);
                }
                send(socket, Message::ping(Bytes::new())).await?;
            }
        }
    }
}

async fn send(socket: &mut WebSocket, message: Message) -> Result<(), End> {
    match timeout(SEND_TIMEOUT, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(End::Gone),
    }
}
