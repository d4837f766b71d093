//! What is set for one camera alone: when it runs, where it looks, and what counts. Whatever is not given here is as the
//! configuration has it for all.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::schema::{Array, ArrayBuilder, SchemaType, Type};
use vedette_events::{Corners, PipelineSettings};

use super::model::Checks;
use crate::entity::cameras::Model;
use crate::error::ApiError;
use crate::schedule::{Schedule, WeeklySchedule};

/// Areas of one kind a camera may have.
const MAX_AREAS: usize = 16;
/// Corners of one area.
const CORNERS: std::ops::RangeInclusive<usize> = 3..=32;
/// Less of the frame's width and height is no area but a slip of the hand.
const LEAST_SPREAD: f64 = 0.001;
const FACE_PX: std::ops::RangeInclusive<u32> = 1..=4096;
const FRAME_SKIP: std::ops::RangeInclusive<u32> = 1..=60;

/// Settings of one camera.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = CameraSettings, examples(json!({
    "active_hours": {
        "timezone": "Europe/Berlin",
        "hours": [{ "days": ["monday", "tuesday"], "from": "08:00", "to": "18:00" }]
    },
    "masks": [[[0.0, 0.0], [0.3, 0.0], [0.3, 1.0], [0.0, 1.0]]],
    "min_face_size": 60, "frame_skip": 3, "detection_threshold": 0.6, "recognition_threshold": 0.45
})))]
pub(crate) struct CameraSettings {
    /// When it runs, once it is started; at any time, if not given. Outside of it no stream is opened.
    active_hours: Option<WeeklySchedule>,
    /// Where nobody looks: no face whose middle is there is found, and pictures are black there. Up to 16 polygons.
    #[schema(schema_with = areas_schema)]
    masks: Vec<Corners>,
    /// Where faces count; everywhere, if there is none. Up to 16 polygons.
    #[schema(schema_with = areas_schema)]
    regions: Vec<Corners>,
    /// Faces of this many pixels of the frame (the shorter side counts) and more are found; 80, if not given.
    #[schema(minimum = 1, maximum = 4096)]
    min_face_size: Option<u32>,
    /// Look for faces on every n-th frame.
    #[schema(minimum = 1, maximum = 60)]
    frame_skip: Option<u32>,
    /// Least score of a face.
    #[schema(minimum = 0, maximum = 1)]
    detection_threshold: Option<f64>,
    /// Least cosine similarity to name someone.
    #[schema(minimum = 0, maximum = 1)]
    recognition_threshold: Option<f64>,
    /// Whether frames in which nothing has changed are not looked at.
    motion_gate: Option<bool>,
}

/// Polygons by their corners, x and y as shares of the frame's width and height.
fn areas_schema() -> Array {
    let share =
        ObjectBuilder::new().schema_type(SchemaType::new(Type::Number)).minimum(Some(0)).maximum(Some(1));
    let corner = ArrayBuilder::new().items(share).min_items(Some(2)).max_items(Some(2));
    let area =
        ArrayBuilder::new().items(corner).min_items(Some(*CORNERS.start())).max_items(Some(*CORNERS.end()));
    ArrayBuilder::new().items(area).max_items(Some(MAX_AREAS)).build()
}

impl CameraSettings {
    /// The settings of a camera, as they are kept.
    ///
    /// # Errors
    /// When they cannot be read: then nobody may go on without the masks among them.
    pub(super) fn of(camera: &Model) -> Result<Self, ApiError> {
        let settings = camera.settings.clone().map(serde_json::from_value).transpose();
        let unreadable =
            |error| ApiError::internal(format!("the settings of camera `{}`: {error}", camera.id));
        Ok(settings.map_err(unreadable)?.unwrap_or_default())
    }

    /// Adds what is wrong with them to `checks`.
    pub(super) fn check(&self, checks: &mut Checks) {
        if let Some(hours) = &self.active_hours {
            checks.take("settings.active_hours", Schedule::try_from(hours));
        }
        for (name, areas) in [("masks", &self.masks), ("regions", &self.regions)] {
            let field = format!("settings.{name}");
            if areas.len() > MAX_AREAS {
                checks.take::<()>(&field, Err(format!("must be no more than {MAX_AREAS}")));
                continue;
            }
            for (index, area) in areas.iter().enumerate() {
                checks.take(&format!("{field}[{index}]"), check_area(area));
            }
        }
        let within = |number: u32, range: std::ops::RangeInclusive<u32>| {
            let message = || format!("must be from {} to {}", range.start(), range.end());
            if range.contains(&number) { Ok(()) } else { Err(message()) }
        };
        if let Some(size) = self.min_face_size {
            checks.take("settings.min_face_size", within(size, FACE_PX));
        }
        if let Some(skip) = self.frame_skip {
            checks.take("settings.frame_skip", within(skip, FRAME_SKIP));
        }
        for (field, share) in [
            ("settings.detection_threshold", self.detection_threshold),
            ("settings.recognition_threshold", self.recognition_threshold),
        ] {
            if share.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
                checks.take::<()>(field, Err("must be from 0 to 1".to_owned()));
            }
        }
    }

    /// How a pipeline is set for this camera, where `all` is how they are set for all.
    pub(super) fn applied_to(&self, all: &PipelineSettings) -> PipelineSettings {
        let share = |own: Option<f64>, all: Option<f32>| own.map(|own| own as f32).or(all);
        PipelineSettings {
            inference_interval: self.frame_skip.unwrap_or(all.inference_interval),
            detection_threshold: share(self.detection_threshold, all.detection_threshold),
            recognition_threshold: share(self.recognition_threshold, all.recognition_threshold),
            min_face_size: self.min_face_size.or(all.min_face_size),
            motion_gate: self.motion_gate.unwrap_or(all.motion_gate),
            regions: self.regions.clone(),
            masks: self.masks.clone(),
            ..all.clone()
        }
    }

    /// Why the camera does not run at `time`, if its hours are the reason.
    pub(super) fn inactive_reason(&self, time: DateTime<Utc>) -> Option<String> {
        let schedule = Schedule::try_from(self.active_hours.as_ref()?).ok()?;
        if schedule.covers(time) {
            return None;
        }
        Some(match schedule.next_after(time) {
            Some(next) => format!("outside its active hours until {next}"),
            None => "outside its active hours, of which there are none".to_owned(),
        })
    }
}

/// Why `camera` does not run at `time` although somebody has started it, if its hours are the reason.
pub(crate) fn inactive_reason(camera: &Model, time: DateTime<Utc>) -> Option<String> {
    CameraSettings::of(camera).ok()?.inactive_reason(time)
}

fn check_area(corners: &Corners) -> Result<(), String> {
    if !CORNERS.contains(&corners.len()) {
        return Err(format!("must have {} to {} corners", CORNERS.start(), CORNERS.end()));
    }
    if corners.iter().flatten().any(|share| !(0.0..=1.0).contains(share)) {
        return Err("must have corners whose x and y are from 0 to 1, as shares of the frame".to_owned());
    }
    let spread = |axis: usize| {
        let shares = || corners.iter().map(|corner| corner[axis]);
        shares().fold(0.0, f64::max) - shares().fold(1.0, f64::min)
    };
    if spread(0) < LEAST_SPREAD || spread(1) < LEAST_SPREAD {
        return Err(format!("must enclose an area, at least {LEAST_SPREAD} of the frame wide and high"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use serde_json::{Value, json};

    use super::*;

    fn settings(json: Value) -> CameraSettings {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn what_is_not_given_is_as_for_all() {
        let all = PipelineSettings {
            pack: "opencv".into(),
            inference_interval: 2,
            detection_threshold: Some(0.5),
            motion_gate: true,
            snapshots: true,
            ..PipelineSettings::default()
        };
        assert_eq!(CameraSettings::default().applied_to(&all), all);
        let own = settings(json!({
            "frame_skip": 5, "detection_threshold": 0.25, "motion_gate": false, "min_face_size": 40,
            "masks": [[[0, 0], [1, 0], [1, 1]]]
        }));
        let expected = PipelineSettings {
            inference_interval: 5,
            detection_threshold: Some(0.25),
            motion_gate: false,
            min_face_size: Some(40),
            masks: vec![vec![[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]],
            ..all.clone()
        };
        assert_eq!(own.applied_to(&all), expected);
    }

    #[test]
    fn the_reason_says_when_a_camera_is_active_again() {
        let hours = json!({ "days": ["monday", "tuesday"], "from": "08:00", "to": "18:00" });
        let own = settings(json!({ "active_hours": { "timezone": "Europe/Berlin", "hours": [hours] } }));
        let reason = |time: &str| own.inactive_reason(time.parse().unwrap());
        // 2026-01-05 is a Monday.
        assert_eq!(reason("2026-01-05T07:00:00Z"), None);
        let until = |moment: &str| Some(format!("outside its active hours until {moment}"));
        assert_eq!(reason("2026-01-05T06:59:59Z"), until("2026-01-05 08:00 (Europe/Berlin)"));
        assert_eq!(reason("2026-01-06T17:00:00Z"), until("2026-01-12 08:00 (Europe/Berlin)"));
        let never = settings(json!({ "active_hours": { "timezone": "UTC", "hours": [] } }));
        assert!(never.inactive_reason(Utc::now()).unwrap().contains("there are none"));
        assert_eq!(CameraSettings::default().inactive_reason(Utc::now()), None);
    }
}
