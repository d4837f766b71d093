//! `format=frame`: what a whole frame holds as one line of JSON, in the layout of DL Streamer's gvametaconvert,
//! so that programs written for that read it as it is. Embeddings are left out: they are personal data.

use serde_json::{Map, Value, json};

use crate::frame::FrameTime;
use crate::meta::{Face, ROI_TYPE};

/// One frame's line, without the line break.
pub(super) fn line(source: &str, frame: (u32, u32), time: FrameTime, faces: &[Face]) -> String {
    let mut value = json!({
        "resolution": {"width": frame.0, "height": frame.1},
        "source": source,
        "tags": {},
        "objects": (0..).zip(faces).map(|(id, face)| object(id, face)).collect::<Vec<_>>(),
    });
    if let Some(time) = time.stream {
        value["timestamp"] = json!(time.nseconds());
    }
    value.to_string()
}

fn object(region_id: u32, face: &Face) -> Value {
    let mut object = Map::new();
    let rect = &face.rect;
    for (key, length) in [("x", rect.x), ("y", rect.y), ("w", rect.width), ("h", rect.height)] {
        // Boxes on a buffer are whole numbers within the frame.
        object.insert(key.into(), json!(length as u32));
    }
    object.insert("region_id".into(), json!(region_id));
    if let Some(id) = face.track_id.filter(|id| *id != 0) {
        object.insert("id".into(), json!(id));
    }
    object.insert("roi_type".into(), json!(ROI_TYPE));
    if let Some(detection) = &face.detection {
        let bounding_box = json!({
            "x_min": detection.x_min, "x_max": detection.x_max,
            "y_min": detection.y_min, "y_max": detection.y_max,
        });
        object.insert(
            "detection".into(),
            json!({
                "bounding_box": bounding_box,
                "confidence": detection.confidence,
                "label_id": detection.label_id,
                "label": ROI_TYPE,
            }),
        );
    }
    if let Some(identity) = &face.identity {
        let mut value =
            attribute(&identity.label, identity.label_id, identity.confidence, &identity.model_name);
        if let Some(person_id) = &identity.person_id {
            value["person_id"] = json!(person_id);
        }
        object.insert("identity".into(), value);
    }
    if let Some(age) = &face.age {
        let years = age.years.round();
        object.insert("age".into(), attribute(&format!("{years}"), years as i32, 1.0, &age.model_name));
    }
    if let Some(gender) = &face.gender {
        let (label, label_id) = (gender.gender.as_str(), gender.label_id());
        object.insert("gender".into(), attribute(label, label_id, gender.confidence, &gender.model_name));
    }
    Value::Object(object)
}

fn attribute(label: &str, label_id: i32, confidence: f64, model: &str) -> Value {
    json!({"label": label, "label_id": label_id, "confidence": confidence, "model": {"name": model}})
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::meta::{Detection, Identity};
    use vedette_models::geometry::Rect;

    #[test]
    fn the_layout_is_gvametaconverts() {
        let rect = Rect::new(64.0, 48.0, 32.0, 24.0);
        let face = Face {
            rect,
            detection: Some(Detection::new(&rect, (640, 480), 0.9, "yunet")),
            track_id: Some(7),
            identity: Some(Identity {
                label: "Ada".into(),
                label_id: 0,
                person_id: Some("p1".into()),
                confidence: 0.7,
                margin: 0.2,
                model_name: "sface".into(),
            }),
            ..Face::default()
        };
        let time = FrameTime { stream: Some(gst::ClockTime::from_mseconds(40)), running: None };
        let line = line("door", (640, 480), time, &[face, Face { rect, ..Face::default() }]);
        let value: Value = serde_json::from_str(&line).unwrap();
        assert!(!line.contains('\n'));
        assert_eq!(value["resolution"], json!({"width": 640, "height": 480}));
        assert_eq!(value["source"], "door");
        assert_eq!(value["timestamp"], 40_000_000);
        let first = &value["objects"][0];
        assert_eq!((first["x"].as_u64(), first["h"].as_u64()), (Some(64), Some(24)));
        assert_eq!(first["id"], 7);
        assert_eq!(first["detection"]["bounding_box"]["x_min"], 0.1);
        assert_eq!(first["identity"]["label"], "Ada");
        assert_eq!(first["identity"]["model"]["name"], "sface");
        assert!(value["objects"][1].get("id").is_none());
    }
}
