//! Tickets: what opens the live pictures of one camera to a browser for a moment.
//!
//! `<img src>` sends no header, and a token in an address could end up in somebody's log. So who shows a token or key gets a
//! ticket for the address: what they showed, sealed with the server's key for this one camera and good for a minute. Any
//! instance can read it, nothing is kept, and who was let in by it is still sent away when their token ends.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::crypto::{Keys, Place};
use crate::error::ApiError;
use crate::filters::Credentials;

/// How long a ticket lets in; who is in stays.
pub const LIFETIME_S: u32 = 60;

/// What a ticket holds.
#[derive(Serialize, Deserialize)]
struct Ticket {
    token: Option<String>,
    api_key: Option<String>,
    expires_at: DateTime<Utc>,
}

/// A ticket for who showed this.
///
/// # Errors
/// When it cannot be sealed.
pub fn issue(keys: &Keys, camera_id: &str, shown: &Credentials) -> Result<String, ApiError> {
    let (token, api_key) = (shown.token.clone(), shown.api_key.clone());
    let expires_at = Utc::now() + TimeDelta::seconds(LIFETIME_S.into());
    let ticket = serde_json::to_vec(&Ticket { token, api_key, expires_at }).map_err(ApiError::internal)?;
    Ok(URL_SAFE_NO_PAD.encode(keys.seal(Place::Ticket(camera_id), &ticket)?))
}

/// What was shown for the ticket, as if it were shown again.
///
/// # Errors
/// When the ticket is none, is for another camera, or too old.
pub fn redeem(
    keys: &Keys,
    camera_id: &str,
    ticket: &str,
    mut shown: Credentials,
) -> Result<Credentials, ApiError> {
    let read = || {
        let sealed = URL_SAFE_NO_PAD.decode(ticket).ok()?;
        let plain = keys.open(Place::Ticket(camera_id), &sealed).ok()?;
        serde_json::from_slice::<Ticket>(&plain).ok()
    };
    let void = || {
        let message = "the ticket is for another camera or too old: get another by POST to `live/ticket`";
        ApiError::authentication(message)
    };
    let ticket = read().filter(|ticket| ticket.expires_at > Utc::now()).ok_or_else(void)?;
    (shown.token, shown.api_key) = (ticket.token, ticket.api_key);
    Ok(shown)
}
