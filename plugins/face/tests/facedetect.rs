//! `facedetect` in pipelines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Running, failure, frames, photo, run, samples, still};
use gst::prelude::*;
use gstvedette::meta::{self, FrameInfo};
use vedette_models::geometry::Rect;

/// Where the face of `astronaut.jpg` is, roughly.
const FACE: (f32, f32) = (225.0, 120.0);

#[test]
fn the_same_face_is_found_in_every_format() {
    for format in ["I420", "NV12", "RGB", "BGR", "RGBA", "BGRA", "RGBx", "BGRx", "GRAY8"] {
        let frames = frames(&format!("{} ! facedetect", still("astronaut.jpg", format, 1)));
        let [faces] = &frames[..] else { panic!("{format}: not one frame") };
        assert_eq!(faces.len(), 1, "{format}");
        let face = &faces[0];
        let centre = face.rect.centre();
        let off = (centre.x - FACE.0).hypot(centre.y - FACE.1);
        assert!(off < 25.0, "{format}: {centre:?}");
        let detection = face.detection.as_ref().unwrap();
        assert!(detection.confidence > 0.7, "{format}: {detection:?}");
        assert!(detection.model_name.contains("yunet"));
        let [left_eye, right_eye, nose, left_mouth, right_mouth] = face.landmarks.unwrap();
        assert!(left_eye.x < right_eye.x && left_mouth.x < right_mouth.x, "{format}");
        assert!(left_eye.y < nose.y && nose.y < left_mouth.y, "{format}");
    }
}

#[test]
fn only_every_nth_frame_is_looked_at() {
    let samples =
        samples(&format!("{} ! facedetect inference-interval=3", still("astronaut.jpg", "NV12", 7)));
    let looked_at: Vec<bool> = samples
        .iter()
        .map(|sample| {
            let buffer = sample.buffer().unwrap();
            let inferred = FrameInfo::read(buffer).unwrap().inferred;
            assert_eq!(meta::faces(buffer).len(), usize::from(inferred));
            inferred
        })
        .collect();
    assert_eq!(looked_at, [true, false, false, true, false, false, true]);
}

#[test]
fn limits_leave_faces_out() {
    for limit in ["threshold=1", "min-face-size=400"] {
        let frames = frames(&format!("{} ! facedetect {limit}", still("astronaut.jpg", "RGB", 1)));
        assert_eq!(frames[0].len(), 0, "{limit}");
    }
}

/// What may be a face in a frame without any.
fn unsure(properties: &str) -> Vec<Rect> {
    let sample =
        samples(&format!("{} ! facedetect {properties}", still("astronaut.jpg", "RGB", 1))).remove(0);
    let buffer = sample.buffer().unwrap();
    assert!(meta::faces(buffer).is_empty(), "{properties}");
    FrameInfo::read(buffer).unwrap().unsure
}

#[test]
fn what_may_be_a_face_is_told_beside_the_faces() {
    let [share] = unsure("threshold=1")[..] else { panic!("not one") };
    let centre = share.scaled(512.0, 512.0).centre();
    assert!((centre.x - FACE.0).hypot(centre.y - FACE.1) < 30.0, "{share:?}");
    assert_eq!(unsure("threshold=1 min-face-size=400"), []);
    assert_eq!(unsure("threshold=1 roi=0,0,100,100"), []);
}

#[test]
fn faces_count_within_the_region_alone() {
    let faces = |roi: &str| {
        let launch = format!("{} ! facedetect roi={roi}", still("astronaut.jpg", "NV12", 1));
        frames(&launch).remove(0)
    };
    let everywhere = frames(&format!("{} ! facedetect", still("astronaut.jpg", "NV12", 1))).remove(0);
    let inside = faces("100,20,400,300");
    assert_eq!(inside.len(), 1);
    assert!(inside[0].rect.iou(&everywhere[0].rect) > 0.8, "{inside:?} {everywhere:?}");
    assert!(inside[0].rect.contains(inside[0].landmarks.unwrap()[2]));
    assert_eq!(faces("300,300,512,512").len(), 0, "elsewhere");
    assert_eq!(faces("0,0,500,0,500,400,0,400").len(), 1, "a polygon around it");
    assert_eq!(faces("0,0,500,400,0,400").len(), 0, "a triangle whose bounds it lies in");
    assert_eq!(faces("300,300,512,512;100,20,400,300").len(), 1, "in the second of two");
    assert_eq!(faces("20%,0%,80%,60%").len(), 1, "by shares of the frame");
    assert_eq!(faces("50%,0%,100%,0%,100%,100%,50%,100%").len(), 0, "the other half");
    for property in ["roi", "mask"] {
        let error = failure(&format!("videotestsrc ! facedetect {property}=1,2,3 ! fakesink"));
        assert!(error.contains(property) && error.contains("x_min,y_min,x_max,y_max"), "{error}");
    }
}

#[test]
fn nothing_in_a_mask_is_told() {
    let info = |properties: &str| {
        let launch =
            format!("{} ! facedetect {properties} ! facetrack min-hits=1", still("astronaut.jpg", "NV12", 6));
        let samples = samples(&launch);
        samples
            .iter()
            .map(|sample| {
                let buffer = sample.buffer().unwrap();
                (meta::faces(buffer).len(), FrameInfo::read(buffer).unwrap())
            })
            .collect::<Vec<_>>()
    };
    let left = "mask=0%,0%,55%,0%,55%,100%,0%,100%";
    for properties in
        [left, "mask=150,50,300,200", "motion-gate=true mask=0%,0%,55%,100%", "mask=9,9,10,10;150,50,300,200"]
    {
        for (faces, info) in info(properties) {
            assert_eq!((faces, &info.unsure[..]), (0, &[][..]), "{properties}");
            assert!(info.inferred && !info.masks.is_empty(), "{properties}");
        }
    }
    assert!(info("mask=0,300,512,512").iter().all(|(faces, _)| *faces == 1), "elsewhere");
    assert_eq!(unsure(&format!("threshold=1 {left}")), []);
}

/// More than are on their way at a time.
const FRAMES: u32 = 400;

/// How many faces each frame of a pipeline shows that `change` sets otherwise once, after the tenth frame.
fn faces_with_a_change(properties: &str, change: impl Fn(&gst::Element)) -> (Vec<usize>, Option<String>) {
    let launch = format!(
        "{} ! facedetect name=detect {properties} ! appsink name=out sync=false max-buffers=1",
        still("astronaut.jpg", "NV12", FRAMES)
    );
    let running = Running::start(&launch);
    let sink = running.element("out").downcast::<gst_app::AppSink>().unwrap();
    let mut faces = Vec::new();
    while let Ok(sample) = sink.pull_sample() {
        let buffer = sample.buffer().unwrap();
        assert_eq!(buffer.pts().unwrap().mseconds(), 100 * faces.len() as u64, "no frame is missing");
        faces.push(meta::faces(buffer).len());
        if faces.len() == 10 {
            change(&running.element("detect"));
        }
    }
    (faces, common::error_of(&running.finish()))
}

#[test]
fn areas_may_change_while_frames_flow() {
    for (properties, property, value) in [
        ("", "mask", "0%,0%,55%,100%"),
        ("motion-gate=true", "mask", "150,50,300,200"),
        ("", "roi", "60%,0%,100%,100%"),
        ("motion-gate=true", "roi", "300,300,512,512"),
    ] {
        let (faces, error) = faces_with_a_change(properties, |detect| detect.set_property(property, value));
        assert_eq!((faces.len(), error), (FRAMES as usize, None), "{properties} {property}");
        let first = faces.iter().position(|count| *count == 0).expect("the change takes effect");
        assert!(first >= 10 && faces[first..].iter().all(|count| *count == 0), "{property}: {faces:?}");

        let set = format!("{properties} {property}={value}");
        let (faces, error) =
            faces_with_a_change(&set, |detect| detect.set_property(property, None::<String>));
        assert_eq!((faces.len(), error), (FRAMES as usize, None), "{set}");
        let first = faces.iter().position(|count| *count == 1).expect("the change takes effect");
        assert!(first >= 10 && faces[first..].iter().all(|count| *count == 1), "{set}: {faces:?}");
    }
}

#[test]
fn a_mask_that_is_none_ends_the_stream() {
    let (faces, error) = faces_with_a_change("", |detect| detect.set_property("mask", "everywhere"));
    assert!(faces.len() < FRAMES as usize, "{faces:?}");
    assert!(error.as_ref().is_some_and(|error| error.contains("mask: `everywhere`")), "{error:?}");
}

#[test]
fn a_face_of_the_promised_size_is_found_in_a_large_frame() {
    // The face of the photo, some 100 pixels wide, in a frame of 2048 × 2048: a hundredth of its area.
    for (size, count) in [(80, 1), (400, 0)] {
        let launch = format!(
            "{} ! videobox left=-768 right=-768 top=-768 bottom=-768 ! facedetect min-face-size={size}",
            still("astronaut.jpg", "I420", 1)
        );
        assert_eq!(frames(&launch)[0].len(), count, "{size}");
    }
}

#[test]
fn frames_leave_in_the_order_in_which_they_came() {
    let samples =
        samples(&format!("{} ! facedetect inference-interval=2", still("astronaut.jpg", "I420", 40)));
    let times: Vec<u64> =
        samples.iter().map(|sample| sample.buffer().unwrap().pts().unwrap().mseconds()).collect();
    assert_eq!(times, (0..40).map(|frame| frame * 100).collect::<Vec<_>>());
}

#[test]
fn a_seek_in_mid_stream_begins_anew() {
    let running = Running::start(&format!(
        "{} ! facedetect name=detect ! fakesink name=out sync=true",
        still("astronaut.jpg", "I420", 100_000)
    ));
    let (sender, times) = std::sync::mpsc::channel();
    let pad = running.element("out").static_pad("sink").unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let _ = sender.send(info.buffer().and_then(|buffer| buffer.pts()).unwrap().mseconds());
        gst::PadProbeReturn::Ok
    });
    // The first frame may have passed before the probe was there.
    let first = times.recv().unwrap();
    for frame in 1..4 {
        assert_eq!(times.recv().unwrap(), first + 100 * frame);
    }
    running.pipeline.seek_simple(gst::SeekFlags::FLUSH, gst::ClockTime::from_seconds(2500)).unwrap();
    // One may have been under way.
    let before = times.iter().take_while(|time| *time < 2_500_000).count();
    assert!(before < 4, "what waited is thrown away: {before}");
    for frame in 1..5 {
        assert_eq!(times.recv().unwrap(), 2_500_000 + 100 * frame);
    }
}

#[test]
fn a_failure_behind_ends_the_stream() {
    let still = still("astronaut.jpg", "I420", 1);
    for frames in [1, 50] {
        let launch = still.replace("num-buffers=1", &format!("num-buffers={frames}"));
        let error = failure(&format!("{launch} ! facedetect ! identity error-after=1 ! fakesink"));
        assert!(error.contains("Failed after iterations") || error.contains("data stream error"), "{error}");
    }
}

#[test]
fn pictures_pass_untouched() {
    let launch = still("astronaut.jpg", "RGB", 1);
    let bytes = |launch: &str| {
        let samples = samples(launch);
        samples[0].buffer().unwrap().map_readable().unwrap().to_vec()
    };
    assert!(bytes(&launch) == bytes(&format!("{launch} ! facedetect ! facetrack ! faceembed ! facematch")));
}

#[test]
fn frames_of_odd_sizes_pass() {
    for (width, height) in [(1, 1), (17, 5), (33, 641), (1920, 2)] {
        run(&format!(
            "videotestsrc num-buffers=2 ! video/x-raw,format=I420,width={width},height={height} ! facedetect ! fakesink"
        ));
    }
}

#[test]
fn the_size_may_change_in_mid_stream() {
    let size = |side: u32| {
        let path = photo("astronaut.jpg");
        format!(
            "filesrc location={} ! jpegdec ! videoconvert ! videoscale ! video/x-raw,width={side},height={side} \
             ! imagefreeze num-buffers=2 ! video/x-raw,framerate=10/1 ! c. ",
            path.display()
        )
    };
    let launch = format!("concat name=c ! facedetect name=detect ! fakesink {} {}", size(256), size(500));
    let running = Running::start(&launch);
    assert_eq!(common::error_of(&running.finish()), None);
    let stats = running.stats("detect");
    assert_eq!(stats.get::<u64>("frames").unwrap(), 4);
    assert_eq!(stats.get::<u64>("inferences").unwrap(), 4);
    assert_eq!(stats.get::<u64>("dropped").unwrap(), 0);
    assert_eq!(stats.get::<u64>("faces").unwrap(), 1);
    assert!(stats.get::<f64>("latency-ms").unwrap() > 0.0);
}

#[test]
fn a_missing_model_says_what_to_do() {
    let error = failure("videotestsrc ! facedetect pack=nosuch ! fakesink");
    assert!(error.contains("nosuch") && error.contains("opencv"), "{error}");
    let error = failure("videotestsrc ! facedetect model=/no/such/model.onnx ! fakesink");
    assert!(error.contains("/no/such/model.onnx"), "{error}");
}

#[test]
fn a_pack_that_is_not_fetched_names_the_command() {
    use vedette_models::files::ModelStore;
    use vedette_models::pack::{Packs, Role};
    let packs = Packs::builtin().unwrap();
    let store = ModelStore::locate();
    let absent = packs
        .iter()
        .find(|pack| pack.model(Role::Detector).is_some_and(|file| store.find(pack, file).is_none()));
    let Some(absent) = absent else {
        eprintln!("skipped: every pack is on this machine");
        return;
    };
    let error = failure(&format!("videotestsrc ! facedetect pack={} ! fakesink", absent.name));
    assert!(error.contains(&format!("vedette models fetch {}", absent.name)), "{error}");
}

#[test]
fn every_property_is_documented() {
    common::init();
    let names = [
        "facedetect",
        "vedettefacedetect",
        "facetrack",
        "faceembed",
        "facematch",
        "faceoverlay",
        "vedettefaceoverlay",
        "eventsink",
    ];
    for name in names {
        let element = gst::ElementFactory::make(name).build().unwrap();
        assert!(element.type_().name().starts_with("GstVedette"), "{name} is another plugin's");
        let own = element.list_properties();
        let own = own.iter().filter(|property| property.owner_type() == element.type_());
        for property in own {
            let name = format!("{name}::{}", property.name());
            assert!(property.name().chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{name}");
            assert!(property.blurb().is_some_and(|blurb| blurb.len() > 15), "{name} has no blurb");
            assert!(!property.nick().is_empty(), "{name} has no nick");
        }
        assert!(element.has_property("stats"), "{name}");
    }
}
