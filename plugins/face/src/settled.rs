//! What `facematch` tells `faceembed`: tracks it is so sure of that more crops of the same kind would not change who they
//! are. A custom event against the stream; where no `faceembed` is in the way it comes to nothing.

/// Name of the event's structure.
const EVENT: &str = "vedette-tracks-settled";
const TRACKS: &str = "tracks";

/// The event that says so of these tracks.
pub(crate) fn event(track_ids: &[u64]) -> gst::Event {
    let structure =
        gst::Structure::builder(EVENT).field(TRACKS, gst::Array::new(track_ids.iter().copied())).build();
    gst::event::CustomUpstream::new(structure)
}

/// The tracks such an event tells of; `None` if it is another one.
pub(crate) fn tracks(event: &gst::EventRef) -> Option<Vec<u64>> {
    let structure = event.structure().filter(|structure| structure.name() == EVENT)?;
    let ids = structure.get::<gst::ArrayRef>(TRACKS).ok()?;
    Some(ids.iter().filter_map(|id| id.get().ok()).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_told_is_read_and_other_events_are_not() {
        gst::init().unwrap();
        assert_eq!(tracks(&event(&[3, 1 << 40])), Some(vec![3, 1 << 40]));
        let other = gst::event::CustomUpstream::new(gst::Structure::new_empty("other"));
        assert_eq!(tracks(&other), None);
        assert_eq!(tracks(&gst::event::Reconfigure::new()), None);
    }
}
