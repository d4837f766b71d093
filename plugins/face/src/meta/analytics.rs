//! Faces once more as `GstAnalyticsRelationMeta`, from GStreamer 1.24 on (feature `v1_24`): what DL Streamer reads there,
//! and what GStreamer's own analytics elements write. An object (ODMtd) for each region, whose `id` the region bears; its
//! track (TrackingMtd) and what is said of it (ClsMtd: name, age, gender) are related to it.

use gst::glib::Quark;
use gst_analytics::prelude::*;
use gst_analytics::{AnalyticsRelationMeta, RelTypes};

use super::ROI_TYPE;
use super::params::{AGE, Detection, GENDER, IDENTITY, TrackId};

/// Left, top, width and height in whole pixels of the frame.
type Area = (u32, u32, u32, u32);

/// Writes down a face that is new on the buffer, with all that is said of it, and returns the id its region is to bear.
pub(super) fn add(buffer: &mut gst::BufferRef, area: Area, params: &[gst::Structure]) -> Option<i32> {
    let confidence = params.iter().find_map(|param| Detection::try_from(param.as_ref()).ok());
    // A box that is only predicted has no figure.
    let confidence = confidence.map_or(0.0, |detection| detection.confidence as f32);
    let (left, top, width, height) = area;
    let signed = |pixels: u32| i32::try_from(pixels).ok();
    let (left, top, width, height) = (signed(left)?, signed(top)?, signed(width)?, signed(height)?);
    let mut meta = meta_of(buffer)?;
    let object = meta.add_od_mtd(Quark::from_str(ROI_TYPE), left, top, width, height, confidence).ok()?.id();
    let id = i32::try_from(object).ok()?;
    relate(buffer, id, params);
    Some(id)
}

/// Writes down more about a face whose region bears that id.
pub(super) fn relate(buffer: &mut gst::BufferRef, region_id: i32, params: &[gst::Structure]) {
    let Ok(object) = u32::try_from(region_id) else { return };
    // The time the track was first seen is not on the buffer; readers take the newest entry as its last one.
    let time = buffer.pts().unwrap_or_default();
    let Some(mut meta) = meta_of(buffer) else { return };
    for param in params {
        let param = param.as_ref();
        if let Ok(TrackId(track)) = TrackId::try_from(param) {
            let Ok(track) = meta.add_tracking_mtd(track, time).map(|track| track.id()) else { continue };
            link(&mut meta, RelTypes::RELATE_TO, RelTypes::RELATE_TO, object, track);
        } else if let Some((label, confidence)) = class_of(param) {
            let class = meta.add_one_cls_mtd(confidence, Quark::from_str(label)).map(|class| class.id());
            let Ok(class) = class else { continue };
            link(&mut meta, RelTypes::CONTAIN, RelTypes::IS_PART_OF, object, class);
        }
    }
}

/// What a structure says of a face, as a label and how sure that is. Labels become quarks, which are never freed: there
/// are as many as people in the gallery.
fn class_of(param: &gst::StructureRef) -> Option<(String, f32)> {
    let is_attribute = matches!(param.name().as_str(), IDENTITY | AGE | GENDER);
    let confidence = param.get::<f64>("confidence").ok().filter(|_| is_attribute)?;
    Some((param.get("label").ok()?, confidence as f32))
}

type MetaMut<'a> = gst::MetaRefMut<'a, AnalyticsRelationMeta, gst::meta::Standalone>;

/// The buffer's meta, of which there is never more than one.
fn meta_of(buffer: &mut gst::BufferRef) -> Option<MetaMut<'_>> {
    if buffer.meta::<AnalyticsRelationMeta>().is_none() {
        AnalyticsRelationMeta::add(buffer);
    }
    buffer.meta_mut()
}

fn link(meta: &mut MetaMut<'_>, there: RelTypes, back: RelTypes, object: u32, other: u32) {
    for (relation, from, to) in [(there, object, other), (back, other, object)] {
        if let Err(error) = meta.set_relation(relation, from, to) {
            gst::debug!(gst::CAT_RUST, "a face's analytics metadata is incomplete: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::params::Identity;
    use super::super::{FrameInfo, add_face, annotate};
    use super::*;
    use gst_analytics::{AnalyticsClassificationMtd, AnalyticsODMtd, AnalyticsTrackingMtd};
    use gst_video::VideoRegionOfInterestMeta;
    use vedette_models::geometry::Rect;

    #[test]
    fn a_face_is_an_object_with_its_track_and_name() {
        gst::init().unwrap();
        FrameInfo::register();
        let mut buffer = gst::Buffer::new();
        let buffer = buffer.get_mut().unwrap();
        let rect = Rect::new(10.0, 20.0, 40.0, 50.0);
        let detection = Detection::new(&rect, (640, 480), 0.9, "yunet");
        assert!(add_face(buffer, (640, 480), &rect, [(&detection).into()]));
        annotate(buffer, vec![vec![(&TrackId(17)).into()]]);
        let identity = Identity {
            label: "Ada".into(),
            label_id: 0,
            person_id: Some("p1".into()),
            confidence: 0.7,
            margin: 0.2,
            model_name: "sface".into(),
        };
        annotate(buffer, vec![vec![(&identity).into()]]);

        let roi = buffer.meta::<VideoRegionOfInterestMeta>().unwrap();
        let meta = buffer.meta::<AnalyticsRelationMeta>().unwrap();
        let object = meta.iter::<AnalyticsODMtd>().next().unwrap();
        assert_eq!(i32::try_from(object.id()).unwrap(), roi.id());
        let place = object.location().unwrap();
        assert_eq!((place.x, place.y, place.w, place.h), (10, 20, 40, 50));
        let tracks = meta.iter_direct_related::<AnalyticsTrackingMtd>(object.id(), RelTypes::RELATE_TO);
        assert_eq!(tracks.map(|track| track.info().0).collect::<Vec<_>>(), [17]);
        let classes = meta.iter_direct_related::<AnalyticsClassificationMtd>(object.id(), RelTypes::CONTAIN);
        assert_eq!(classes.map(|class| class.quark(0).as_str().to_string()).collect::<Vec<_>>(), ["Ada"]);
    }
}
