//! The launch templates as they lie in the repository, and filled in.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;

use common::{TOKEN, assignment};
use gst::prelude::*;
use vedette_pipelines::elements;
use vedette_pipelines::launch::{ControlPlane, LaunchError, Plan, Template, spool_dir};
use vedette_pipelines::source::Source;

fn built(url: &str, looped: bool) -> Result<gst::Pipeline, LaunchError> {
    elements::init().unwrap();
    let plane =
        ControlPlane { url: "http://plane.example:8000".into(), token: TOKEN.into(), events_uri: None };
    let camera = vedette_events::CameraAssignment { looped, ..assignment("cam_01", 1, url) };
    Plan::new(&Source::parse(url).unwrap(), &camera, Some(&plane), Path::new("/tmp/vedette-data"))?.build()
}

fn text(pipeline: &gst::Pipeline, element: &str, property: &str) -> String {
    let element = pipeline.by_name(element).unwrap();
    let value = element.property_value(property);
    value.get::<Option<String>>().unwrap().unwrap_or_default()
}

#[test]
fn every_template_parses_and_names_its_elements() {
    elements::init().unwrap();
    for template in Template::ALL {
        let pipeline = template.parse().unwrap();
        for name in ["source", "queue", "detect", "track", "embed", "match", "sink"] {
            assert!(pipeline.by_name(name).is_some(), "{} lacks {name}", template.name());
        }
        assert!(template.text().starts_with("# "), "{} says what it is for", template.name());
        assert!(!template.description().contains('#'));
        let on_disk =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("launch/{}.launch", template.name()));
        assert_eq!(template.text(), std::fs::read_to_string(on_disk).unwrap());
    }
}

#[test]
fn live_templates_never_queue_up_frames_and_the_recorded_one_drops_none() {
    elements::init().unwrap();
    for template in Template::ALL {
        let queue = template.parse().unwrap().by_name("queue").unwrap();
        let leaky = queue.property_value("leaky").serialize().unwrap();
        let expected = if template == Template::File { "no" } else { "downstream" };
        assert_eq!(leaky, expected, "{}", template.name());
        assert!(queue.property::<u32>("max-size-buffers") <= 4);
        assert_eq!(queue.property::<u64>("max-size-time"), 0, "a slow stream must not fill it by time");
    }
}

#[test]
fn nothing_in_a_url_becomes_an_element_or_another_property() {
    elements::init().unwrap();
    for (url, location) in [
        (
            "rtsp://10.0.0.7/live!filesink%20location=/tmp/x",
            "rtsp://10.0.0.7/live!filesink%20location=/tmp/x",
        ),
        ("rtsp://10.0.0.7/x\"!fakesink", "rtsp://10.0.0.7/x%22!fakesink"),
        ("rtsp://10.0.0.7/--gst-debug=9?a=%24(id)", "rtsp://10.0.0.7/--gst-debug=9?a=%24(id)"),
        ("http://10.0.0.7/a;b,c=(string)d", "http://10.0.0.7/a;b,c=(string)d"),
        ("file:///videos/a!fakesink%20b=%22c%22.mp4", "/videos/a!fakesink b=\"c\".mp4"),
    ] {
        let pipeline = built(url, false).unwrap();
        assert_eq!(text(&pipeline, "source", "location"), location, "{url}");
        let template = Template::of(&Source::parse(url).unwrap(), false).parse().unwrap();
        assert_eq!(pipeline.children().len(), template.children().len(), "{url}");
    }
    for url in [
        "--help",
        "-v",
        "! fakesink",
        "filesrc location=/etc/passwd",
        "file:/etc/passwd",
        "rtsp:// ! fakesink",
    ] {
        assert!(Source::parse(url).is_err(), "{url}");
    }
}

#[test]
fn udp_is_set_on_the_source() {
    let protocols = |url| {
        let source = built(url, false).unwrap().by_name("source").unwrap();
        source.property_value("protocols").serialize().unwrap().to_string()
    };
    assert_eq!(
        (&*protocols("rtsp://10.0.0.7/a"), &*protocols("rtspu://10.0.0.7/a")),
        ("GST_RTSP_LOWER_TRANS_TCP", "GST_RTSP_LOWER_TRANS_UDP")
    );
}

#[test]
fn the_gaps_are_filled() {
    let pipeline = built("rtsp://ad%20min:p%40ss@10.0.0.7/live?channel=1", false).unwrap();
    assert_eq!(text(&pipeline, "source", "location"), "rtsp://10.0.0.7/live?channel=1");
    assert_eq!(text(&pipeline, "source", "user-id"), "ad min");
    assert_eq!(text(&pipeline, "source", "user-pw"), "p@ss");
    assert_eq!(text(&pipeline, "match", "gallery"), "http://plane.example:8000/api/gallery");
    for element in ["match", "sink"] {
        let token = pipeline.by_name(element).unwrap().find_property("token").unwrap();
        assert!(!token.flags().contains(gst::glib::ParamFlags::READABLE), "{element} tells its token");
    }
    let threshold = pipeline.by_name("match").unwrap().property::<f32>("threshold");
    assert!((threshold - 0.6).abs() < 1e-6, "a similarity of 0.4 is a distance of {threshold}");
    assert_eq!(text(&pipeline, "sink", "uri"), "http://plane.example:8000/api/ingest");
    assert_eq!(text(&pipeline, "sink", "camera-id"), "cam_01");
    assert_eq!(text(&pipeline, "sink", "spool-dir"), "/tmp/vedette-data/spool/cam_01");
    assert_eq!(pipeline.by_name("detect").unwrap().property::<u32>("inference-interval"), 1);

    let pipeline = built("https://cam/x.m3u8", false).unwrap();
    assert_eq!(text(&pipeline, "source", "location"), "https://cam/x.m3u8");
    let pipeline = built("3", false).unwrap();
    assert_eq!(text(&pipeline, "source", "device"), "/dev/video3");
    let pipeline = built("test://?pattern=ball&width=320&height=240&fps=5", false).unwrap();
    let caps = pipeline.by_name("format").unwrap().property::<gst::Caps>("caps").to_string();
    assert!(caps.contains("320") && caps.contains("5/1"), "{caps}");
    assert_eq!(pipeline.by_name("source").unwrap().property_value("pattern").serialize().unwrap(), "ball");
}

#[test]
fn a_file_is_looped_by_the_camera_or_by_its_url() {
    let is_loop = |pipeline: &gst::Pipeline| pipeline.by_name("pace").is_some();
    assert!(!is_loop(&built("file:///a.mp4", false).unwrap()));
    assert!(is_loop(&built("file:///a.mp4", true).unwrap()));
    assert!(is_loop(&built("file:///a.mp4?loop=true", false).unwrap()));
}

#[test]
fn what_users_type_stays_text() {
    for path in
        [r#"/a" ! fakesink name="x.mp4"#, "/a ! fakesink name=x", r"/b\ c;$(ls).mp4", "/naïve ファイル.mp4"]
    {
        let url = url::Url::from_file_path(path).unwrap();
        let pipeline = built(url.as_str(), false).unwrap();
        assert_eq!(text(&pipeline, "source", "location"), path);
        assert!(pipeline.by_name("x").is_none());
    }
    let error = built("test://?pattern=no-such-pattern", false).unwrap_err().to_string();
    assert!(error.contains("pattern") && error.contains("no-such-pattern"), "{error}");
}

#[test]
fn a_camera_id_cannot_lead_out_of_the_data_directory() {
    let data = Path::new("/data");
    assert_eq!(spool_dir(data, "cam_01").unwrap(), Path::new("/data/spool/cam_01"));
    let long = "x".repeat(65);
    for wrong in ["", ".", "..", "../x", "a/b", "/etc", "a b", "ü", "a\0", &long] {
        assert!(matches!(spool_dir(data, wrong), Err(LaunchError::CameraId(_))), "{wrong}");
    }
}
