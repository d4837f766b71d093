//! The pose of a head from five points: a rigid mean face is fitted to them, seen from far away (weak
//! perspective). The eyes and the mouth lie nearly in a plane; the nose stands out of it, and where it lies
//! between the others tells how the head is turned.

use super::ramp;
use crate::align::{SimilarityTransform, TEMPLATE};
use crate::geometry::{Landmarks, Point};

/// How far the nose stands out of the plane of the eyes, as a part of the distance between the eyes: some 28 mm of
/// 63 mm.
const NOSE_DEPTH: f32 = 0.45;
/// How far the corners of the mouth stand out of it.
const MOUTH_DEPTH: f32 = 0.06;
/// Beyond this the five points no longer tell one angle from another.
const LIMIT_DEGREES: f32 = 90.0;

/// Angles in degrees, see [`super::Quality`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pose {
    pub(super) yaw: f32,
    pub(super) pitch: f32,
    pub(super) roll: f32,
}

impl Pose {
    /// `to_crop` is the transform that aligns these landmarks.
    pub(super) fn of(landmarks: &Landmarks, to_crop: &SimilarityTransform) -> Self {
        let [left_eye, right_eye, _, left_mouth, right_mouth] = *landmarks;
        let roll = roll_degrees(left_eye, right_eye, left_mouth, right_mouth);
        // In aligned coordinates only turning and tilting are left.
        let aligned = landmarks.map(|point| {
            let (x, y) = to_crop.apply(f64::from(point.x), f64::from(point.y));
            Point::new(x as f32, y as f32)
        });
        let (yaw, pitch) = turn_and_tilt(&aligned);
        Self { yaw, pitch, roll }
    }

    /// 1 where the pose does no harm, 0 where half the face is hidden.
    pub(super) fn verdict(&self) -> f32 {
        let yaw = ramp(self.yaw.abs(), 60.0, 28.0);
        let pitch = ramp(self.pitch.abs(), 55.0, 28.0);
        // Alignment takes the roll out again; lying faces are only found less exactly.
        let roll = 0.5 + 0.5 * ramp(self.roll.abs(), 90.0, 35.0);
        yaw * pitch * roll
    }

    /// 1 for a face that looks straight at the camera, falling to 0 at a half turn to the side.
    pub(super) fn frontality(&self) -> f32 {
        ramp(self.yaw.hypot(self.pitch), 45.0, 0.0)
    }
}

/// The mean of what the eyes and the mouth say: a turned head's eyes alone tell less.
fn roll_degrees(left_eye: Point, right_eye: Point, left_mouth: Point, right_mouth: Point) -> f32 {
    let right = (right_eye.x - left_eye.x) + (right_mouth.x - left_mouth.x);
    let down = (right_eye.y - left_eye.y) + (right_mouth.y - left_mouth.y);
    down.atan2(right).to_degrees()
}

/// Turn and tilt, in degrees, of points without roll.
///
/// A turn by an angle shrinks every width by its cosine and moves the nose, against the line from eyes to mouth,
/// by its relief times the sine; a tilt does the same to heights, starting from where the nose lies on a
/// face that looks straight ahead. The quotients are tangents.
fn turn_and_tilt(points: &Landmarks) -> (f32, f32) {
    let (found, straight) = (Proportions::of(points), Proportions::of(&TEMPLATE));
    let nose_depth = NOSE_DEPTH * straight.width;
    let mouth_depth = MOUTH_DEPTH * straight.width;
    // What the nose moves against lies on the line from eyes to mouth, at the nose's own height.
    let relief = nose_depth - mouth_depth * straight.nose_down / straight.height;
    let yaw = (found.nose_right * straight.width).atan2(relief * found.width);
    let pitch = (found.nose_down * straight.height - straight.nose_down * found.height)
        .atan2(nose_depth * found.height - mouth_depth * found.nose_down);
    let degrees = |angle: f32| angle.to_degrees().clamp(-LIMIT_DEGREES, LIMIT_DEGREES);
    (degrees(yaw), degrees(pitch))
}

/// Distances within a face.
struct Proportions {
    /// Mean width of eyes and mouth.
    width: f32,
    /// From the eyes to the mouth.
    height: f32,
    /// From the line between them to the nose.
    nose_right: f32,
    /// From the eyes to the nose.
    nose_down: f32,
}

impl Proportions {
    fn of(points: &Landmarks) -> Self {
        let [left_eye, right_eye, nose, left_mouth, right_mouth] = *points;
        let (eyes, mouth) = (left_eye.midpoint(right_eye), left_mouth.midpoint(right_mouth));
        let width = ((right_eye.x - left_eye.x) + (right_mouth.x - left_mouth.x)) / 2.0;
        let (height, nose_down) = (mouth.y - eyes.y, nose.y - eyes.y);
        // The nose lies about halfway down, whatever the tilt.
        let middle = (eyes.x + mouth.x) / 2.0;
        Self { width, height, nose_right: nose.x - middle, nose_down }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A head of mean proportions, turned and tilted and seen from afar, five times as large as the template.
    fn seen(yaw: f32, pitch: f32, roll: f32) -> Landmarks {
        let depth = |part: f32| part * Proportions::of(&TEMPLATE).width;
        let depths = [0.0, 0.0, depth(NOSE_DEPTH), depth(MOUTH_DEPTH), depth(MOUTH_DEPTH)];
        let middle = (TEMPLATE[0].x + TEMPLATE[1].x + TEMPLATE[3].x + TEMPLATE[4].x) / 4.0;
        let (yaw, pitch, roll) = (yaw.to_radians(), pitch.to_radians(), roll.to_radians());
        std::array::from_fn(|index| {
            // The nose exactly in the middle: a face that looks straight ahead by definition.
            let x = if index == 2 { 0.0 } else { TEMPLATE[index].x - middle };
            let (y, z) = (TEMPLATE[index].y - 60.0, depths[index]);
            let (y, z) = (y * pitch.cos() + z * pitch.sin(), z * pitch.cos() - y * pitch.sin());
            let x = x * yaw.cos() + z * yaw.sin();
            let (x, y) = (x * roll.cos() - y * roll.sin(), x * roll.sin() + y * roll.cos());
            Point::new(5.0 * x + 700.0, 5.0 * y + 400.0)
        })
    }

    fn pose_of(points: &Landmarks) -> Pose {
        let to_crop = SimilarityTransform::to_crop(points, 112);
        to_crop.map_or(Pose { yaw: 999.0, pitch: 999.0, roll: 999.0 }, |to_crop| Pose::of(points, &to_crop))
    }

    #[test]
    fn turns_tilts_and_rolls_are_read_back() {
        for yaw in [-60.0, -30.0, 0.0, 20.0, 45.0] {
            let pose = pose_of(&seen(yaw, 0.0, 0.0));
            assert!((pose.yaw - yaw).abs() < 6.0, "{yaw}: {pose:?}");
        }
        for pitch in [-35.0, -15.0, 0.0, 20.0, 40.0] {
            let pose = pose_of(&seen(0.0, pitch, 0.0));
            assert!((pose.pitch - pitch).abs() < 6.0, "{pitch}: {pose:?}");
        }
        for roll in [-120.0, -40.0, 0.0, 25.0, 90.0] {
            let pose = pose_of(&seen(0.0, 0.0, roll));
            assert!((pose.roll - roll).abs() < 3.0 && pose.yaw.abs() < 5.0, "{roll}: {pose:?}");
        }
    }

    #[test]
    fn a_profile_is_of_no_use_and_a_glance_aside_does_no_harm() {
        assert_eq!(pose_of(&seen(20.0, 10.0, 15.0)).verdict(), 1.0);
        assert!(pose_of(&seen(70.0, 0.0, 0.0)).verdict() < 0.2);
        assert!(pose_of(&seen(-70.0, 0.0, 0.0)).verdict() < 0.2);
        assert!(pose_of(&seen(0.0, 0.0, 0.0)).frontality() > 0.85);
    }
}
