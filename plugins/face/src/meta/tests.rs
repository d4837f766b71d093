//! Metadata on buffers, written and read back.
#![allow(clippy::unwrap_used)]

use super::*;
use vedette_models::geometry::Point;

fn init() {
    gst::init().unwrap();
    FrameInfo::register();
}

#[test]
fn a_face_survives_the_buffer() {
    init();
    let mut buffer = gst::Buffer::new();
    let buffer = buffer.get_mut().unwrap();
    let rect = Rect::new(10.2, 20.0, 40.0, 50.0);
    let landmarks: Landmarks = std::array::from_fn(|i| Point::new(12.0 + i as f32 * 5.0, 30.0));
    let detection = Detection::new(&rect, (640, 480), 0.9, "yunet");
    let keypoints = Keypoints::relative_to(&Rect::new(10.0, 20.0, 41.0, 50.0), &landmarks);
    let added = add_face(buffer, (640, 480), &rect, [gst::Structure::from(&detection), (&keypoints).into()]);
    assert!(added);
    annotate(buffer, vec![vec![(&TrackId(17)).into()]]);

    let faces = faces(buffer);
    assert_eq!(faces.len(), 1);
    assert_eq!(faces[0].rect, Rect::new(10.0, 20.0, 41.0, 50.0));
    assert_eq!(faces[0].track_id, Some(17));
    assert_eq!(faces[0].detection.as_ref(), Some(&detection));
    let read = faces[0].landmarks.unwrap();
    assert!(read.iter().zip(&landmarks).all(|(a, b)| a.distance(*b) < 0.01), "{read:?}");
}

#[test]
fn faces_that_lost_their_structures_get_them_back() {
    init();
    let rect = Rect::new(10.0, 20.0, 40.0, 50.0);
    let detection = Detection::new(&rect, (640, 480), 0.9, "yunet");
    let mut buffer = gst::Buffer::new();
    let content = buffer.get_mut().unwrap();
    assert!(add_face(content, (640, 480), &rect, [gst::Structure::from(&detection)]));
    annotate(content, vec![vec![(&TrackId(17)).into()]]);
    let before = faces(content);
    // As converters of 1.22 do: the region at another size, with its id and without anything else.
    let id = content.meta::<VideoRegionOfInterestMeta>().unwrap().id();
    content.meta_mut::<VideoRegionOfInterestMeta>().unwrap().remove().unwrap();
    VideoRegionOfInterestMeta::add(content, ROI_TYPE, (20, 40, 80, 100)).set_id(id);
    // And another detector's, without an id of its own.
    VideoRegionOfInterestMeta::add(content, ROI_TYPE, (300, 40, 80, 100)).set_id(id);

    let after = faces(content);
    assert_eq!(after[0], Face { rect: rect.scaled(2.0, 2.0), ..before[0].clone() });
    annotate(content, vec![Vec::new(), vec![(&TrackId(18)).into()]]);
    let ids = |content: &gst::BufferRef| -> Vec<Option<u64>> {
        faces(content).iter().map(|face| face.track_id).collect()
    };
    assert_eq!(ids(content), [Some(17), Some(18)]);
    let regions: Vec<usize> =
        content.iter_meta::<VideoRegionOfInterestMeta>().map(|roi| roi.params().count()).collect();
    assert_eq!(regions, [2, 1], "foreign readers see them, too");
}

#[test]
fn faces_outside_the_frame_are_not_added() {
    init();
    let mut buffer = gst::Buffer::new();
    let buffer = buffer.get_mut().unwrap();
    assert!(!add_face(buffer, (100, 100), &Rect::new(200.0, 0.0, 10.0, 10.0), []));
    assert!(!add_face(buffer, (100, 100), &Rect::new(f32::NAN, 0.0, 10.0, 10.0), []));
    assert!(add_face(buffer, (100, 100), &Rect::new(-5.0, 95.0, 10.0, 10.0), []));
    assert_eq!(faces(buffer)[0].rect, Rect::new(0.0, 95.0, 5.0, 5.0));
}

#[test]
fn frame_info_is_replaced_not_repeated() {
    init();
    let mut buffer = gst::Buffer::new();
    let buffer = buffer.get_mut().unwrap();
    assert_eq!(FrameInfo::read(buffer), None);
    FrameInfo::foreign().write(buffer);
    let unsure = vec![Rect::new(0.25, 0.5, 0.125, 0.25), Rect::new(0.0, 0.0, 1.0, 1.0)];
    let corners = [(0.0, 0.0), (0.5, 0.0), (0.25, 0.5)].map(|(x, y)| Point::new(x, y));
    let masks = vec![Polygon::new(corners.to_vec()).unwrap(); 2];
    let later = FrameInfo { inferred: true, tracked: true, ended: vec![3, 4], unsure, masks };
    later.write(buffer);
    assert_eq!(FrameInfo::read(buffer).as_ref(), Some(&later));
    assert!(later.is_masked(&Rect::new(20.0, 10.0, 10.0, 10.0), (100, 100)));
    assert!(!later.is_masked(&Rect::new(20.0, 50.0, 10.0, 10.0), (100, 100)));
    let unmasked = FrameInfo { masks: Vec::new(), ..later };
    unmasked.write(buffer);
    assert_eq!(FrameInfo::read(buffer), Some(unmasked));
}
