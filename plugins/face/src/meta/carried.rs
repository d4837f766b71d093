//! The structures of faces once more, in a custom meta. GStreamer 1.22 takes regions through `videoconvert` and
//! `videoscale` without their structures; a custom meta passes unchanged, and regions keep their ids: so what was said of
//! a face is found again behind such an element, and put back on its region.

use std::collections::BTreeSet;

use gst::meta::CustomMeta;
use gst_video::VideoRegionOfInterestMeta;

use super::ROI_TYPE;

/// Name of the custom meta. It has a field for each region, with a list of structures.
const META: &str = "VedetteFaceMeta";

/// Tells GStreamer about the meta; needed once per process.
pub(super) fn register() {
    CustomMeta::register(META, &[]);
}

/// Adds to what is said of the region with that id.
pub(super) fn remember(buffer: &mut gst::BufferRef, id: i32, params: &[gst::Structure]) {
    if params.is_empty() {
        return;
    }
    let all: Vec<gst::Structure> = said_of(buffer, id).into_iter().chain(params.iter().cloned()).collect();
    if CustomMeta::from_buffer(buffer, META).is_err() {
        // Fails only where the plugin was not initialised, and then no element exists to call this.
        let _ = CustomMeta::add(buffer, META);
    }
    if let Ok(mut meta) = CustomMeta::from_mut_buffer(buffer, META) {
        meta.mut_structure().set(field(id), gst::Array::new(all));
    }
}

/// For each face, in their order, the structures it has lost. Of several faces with one id, they were the first one's.
pub(super) fn lost(buffer: &gst::BufferRef) -> Vec<Vec<gst::Structure>> {
    let mut ids = BTreeSet::new();
    let regions = buffer.iter_meta::<VideoRegionOfInterestMeta>();
    regions
        .filter(|roi| roi.roi_type() == ROI_TYPE)
        .map(|roi| {
            let is_first = ids.insert(roi.id());
            let is_bare = roi.params().next().is_none();
            if is_first && is_bare { said_of(buffer, roi.id()) } else { Vec::new() }
        })
        .collect()
}

/// Gives every face an id of its own (other detectors leave 0), and faces that lost their structures these back.
pub(super) fn restore(buffer: &mut gst::BufferRef) {
    let lost = lost(buffer);
    let mut next = free_id(buffer);
    let mut ids = BTreeSet::new();
    let regions = buffer.iter_meta_mut::<VideoRegionOfInterestMeta>();
    for (mut roi, params) in regions.filter(|roi| roi.roi_type() == ROI_TYPE).zip(lost) {
        if !ids.insert(roi.id()) {
            roi.set_id(next);
            next = next.saturating_add(1);
        }
        for param in params {
            roi.add_param(param);
        }
    }
}

fn said_of(buffer: &gst::BufferRef, id: i32) -> Vec<gst::Structure> {
    let Ok(meta) = CustomMeta::from_buffer(buffer, META) else { return Vec::new() };
    let Ok(list) = meta.structure().get::<gst::ArrayRef>(field(id)) else { return Vec::new() };
    list.iter().filter_map(|value| value.get().ok()).collect()
}

/// An id that no face of the buffer has.
pub(super) fn free_id(buffer: &gst::BufferRef) -> i32 {
    let ids = buffer.iter_meta::<VideoRegionOfInterestMeta>().map(|roi| roi.id());
    ids.max().unwrap_or_default().saturating_add(1)
}

fn field(id: i32) -> String {
    format!("face-{id}")
}
