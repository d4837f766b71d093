//! Live pictures of cameras: who looks at what here, from workers in, to browsers out.
//!
//! Nobody sends pictures unasked. [`views`] knows who looks at which camera in which size; [`wishes`] tells the other
//! instances of the database, so that whichever of them a worker talks to can ask it for pictures. A picture goes to those
//! who look here, and through Redis to those who look at other instances. [`stream`] is one viewer, who gets the newest
//! picture whenever the network has taken the last one; [`pace`] finds the size that fits. Browsers show pictures
//! without headers: [`ticket`] lets them in.

mod pace;
mod stream;
mod ticket;
mod views;
mod wishes;

pub use stream::watch;
pub use ticket::{LIFETIME_S, issue, redeem};
pub use views::{LiveViews, View};
pub use wishes::keep_shared;

use bytes::Bytes;
use vedette_events::{LivePicture, LiveWish};

use crate::error::ApiError;
use crate::ingest::decode_snapshot;
use crate::redis_link::Topic;
use crate::state::AppState;

/// Longest sides that pictures are made in, in pixels: few, so that few are made of one frame.
pub const SIDES: [u32; 3] = [320, 640, 1280];

/// Takes a picture of a camera from its worker, and answers what else is wanted of it.
///
/// # Errors
/// When it is no picture.
pub async fn take(state: &AppState, camera_id: String, picture: LivePicture) -> Result<LiveWish, ApiError> {
    let views = &state.views;
    let view = View { camera_id, side: picture.side };
    let is_looked_at_elsewhere = views.is_looked_at_elsewhere(&view);
    if is_looked_at_elsewhere || views.is_looked_at_here(&view) {
        state.metrics.live_pictures.inc();
        // A worker reads video from strangers: what it sends is looked at before it is shown to anybody.
        let jpeg = decode_snapshot(&picture.jpeg).map_err(|error| ApiError::validation("jpeg", error))?;
        views.show(&view, jpeg.into(), picture.timestamp);
    }
    if let Some(redis) = state.redis.as_ref().filter(|_| is_looked_at_elsewhere) {
        let text = serde_json::to_string(&picture).map_err(ApiError::internal)?;
        redis.publish(Topic::Pictures, &format!("{} {text}", view.camera_id)).await;
    }
    let sides = views.sides(&view.camera_id);
    Ok(LiveWish { camera_id: view.camera_id, sides })
}

/// Shows a picture that came to another instance.
pub fn relay(views: &LiveViews, message: &str) {
    let Some((camera_id, text)) = message.split_once(' ') else { return };
    if !views.is_camera_looked_at_here(camera_id) {
        return;
    }
    let Ok(picture) = serde_json::from_str::<LivePicture>(text) else { return };
    let view = View { camera_id: camera_id.to_owned(), side: picture.side };
    if views.is_looked_at_here(&view)
        && let Ok(jpeg) = decode_snapshot(&picture.jpeg)
    {
        views.show(&view, Bytes::from(jpeg), picture.timestamp);
    }
}
