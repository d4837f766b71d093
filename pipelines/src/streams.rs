//! Streaming threads of pipelines, and whose they are. They come from a pool that all pipelines of the process share, so
//! each is told at its start. What decoders start on top inherits it.

use gstvedette::owner::Owner;

/// Has the streaming threads of a pipeline that is about to start work for whom the current thread works.
pub(crate) fn own(bus: &gst::Bus) {
    let owner = Owner::current();
    bus.set_sync_handler(move |_, message| {
        // Such a message is posted by the very thread it is about.
        if let gst::MessageView::StreamStatus(status) = message.view() {
            match status.type_() {
                gst::StreamStatusType::Enter => owner.adopt(),
                gst::StreamStatusType::Leave => Owner::NOBODY.adopt(),
                _ => (),
            }
        }
        gst::BusSyncReply::Pass
    });
}
