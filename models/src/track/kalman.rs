//! Constant-velocity Kalman filters for a face box. Centre and size are four independent axes, each with a
//! position and a velocity in pixels and seconds, so that the same tuning holds at any frame rate and any
//! inference interval. All uncertainties are in units of the face's own size: a near face moves faster across
//! the picture than a far one.

use crate::geometry::{Point, Rect};

/// How exactly a detector places a centre or a size, in face sizes.
const MEASUREMENT_DEVIATION: f32 = 0.05;
/// How fast a face may be when it is first seen, in face sizes a second: somebody running past a camera.
const INITIAL_CENTRE_VELOCITY: f32 = 3.0;
/// How fast its size may change then.
const INITIAL_SIZE_VELOCITY: f32 = 0.5;
/// How hard people turn and stop, in face sizes a second squared.
const CENTRE_ACCELERATION: f32 = 4.0;
/// How unsteadily they come nearer.
const SIZE_ACCELERATION: f32 = 1.0;
/// No box is smaller than this, whatever the extrapolation says.
const MIN_SIDE: f32 = 1.0;

/// Position and velocity along one axis, with their covariance.
#[derive(Debug, Clone, Copy)]
struct Axis {
    position: f32,
    velocity: f32,
    position_variance: f32,
    covariance: f32,
    velocity_variance: f32,
}

impl Axis {
    fn new(position: f32, position_deviation: f32, velocity_deviation: f32) -> Self {
        Self {
            position,
            velocity: 0.0,
            position_variance: position_deviation.powi(2),
            covariance: 0.0,
            velocity_variance: velocity_deviation.powi(2),
        }
    }

    /// Where the axis will be `seconds` later, if accelerations of the given deviation act meanwhile.
    fn predicted(self, seconds: f32, acceleration: f32) -> Self {
        let acceleration_variance = acceleration.powi(2);
        let (t, t2) = (seconds, seconds * seconds);
        Self {
            position: self.position + self.velocity * t,
            velocity: self.velocity,
            position_variance: self.position_variance
                + 2.0 * t * self.covariance
                + t2 * self.velocity_variance
                + t2 * t2 / 4.0 * acceleration_variance,
            covariance: self.covariance + t * self.velocity_variance + t2 * t / 2.0 * acceleration_variance,
            velocity_variance: self.velocity_variance + t2 * acceleration_variance,
        }
    }

    fn correct(&mut self, measured: f32, deviation: f32) {
        let innovation_variance = self.position_variance + deviation.powi(2);
        let position_gain = self.position_variance / innovation_variance;
        let velocity_gain = self.covariance / innovation_variance;
        let innovation = measured - self.position;
        self.position += position_gain * innovation;
        self.velocity += velocity_gain * innovation;
        self.velocity_variance -= velocity_gain * self.covariance;
        self.position_variance *= 1.0 - position_gain;
        self.covariance *= 1.0 - position_gain;
    }
}

/// The state of one box.
#[derive(Debug, Clone, Copy)]
pub(super) struct BoxFilter {
    centre_x: Axis,
    centre_y: Axis,
    width: Axis,
    height: Axis,
}

impl BoxFilter {
    /// A filter for a box seen for the first time. The box is not empty.
    pub(super) fn new(rect: &Rect) -> Self {
        let (centre, size) = (rect.centre(), size_of(rect));
        let deviation = MEASUREMENT_DEVIATION * size;
        let centre_axis = |position| Axis::new(position, deviation, INITIAL_CENTRE_VELOCITY * size);
        let size_axis = |position| Axis::new(position, deviation, INITIAL_SIZE_VELOCITY * size);
        Self {
            centre_x: centre_axis(centre.x),
            centre_y: centre_axis(centre.y),
            width: size_axis(rect.width),
            height: size_axis(rect.height),
        }
    }

    /// The state `seconds` later.
    pub(super) fn predicted(&self, seconds: f32) -> Self {
        let size = size_of(&self.rect());
        let centre = |axis: Axis| axis.predicted(seconds, CENTRE_ACCELERATION * size);
        let side = |axis: Axis| axis.predicted(seconds, SIZE_ACCELERATION * size);
        Self {
            centre_x: centre(self.centre_x),
            centre_y: centre(self.centre_y),
            width: side(self.width),
            height: side(self.height),
        }
    }

    /// Takes a detection into account.
    pub(super) fn correct(&mut self, rect: &Rect) {
        let deviation = MEASUREMENT_DEVIATION * size_of(rect);
        let centre = rect.centre();
        self.centre_x.correct(centre.x, deviation);
        self.centre_y.correct(centre.y, deviation);
        self.width.correct(rect.width, deviation);
        self.height.correct(rect.height, deviation);
    }

    /// The box.
    pub(super) fn rect(&self) -> Rect {
        let (width, height) = (self.width.position.max(MIN_SIDE), self.height.position.max(MIN_SIDE));
        Rect::from_centre(Point::new(self.centre_x.position, self.centre_y.position), width, height)
    }

    /// How surprising it would be to find the box's centre there: the squared distance in standard deviations.
    pub(super) fn surprise(&self, rect: &Rect) -> f32 {
        let deviation = MEASUREMENT_DEVIATION * size_of(rect);
        let centre = rect.centre();
        let axis = |axis: &Axis, measured: f32| {
            (measured - axis.position).powi(2) / (axis.position_variance + deviation.powi(2))
        };
        axis(&self.centre_x, centre.x) + axis(&self.centre_y, centre.y)
    }
}

/// One number for how big a box is.
pub(super) fn size_of(rect: &Rect) -> f32 {
    (rect.width.max(MIN_SIDE) * rect.height.max(MIN_SIDE)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_walk_is_learnt_and_continued() {
        let at = |seconds: f32| Rect::new(100.0 + 300.0 * seconds, 50.0, 80.0, 100.0);
        let mut filter = BoxFilter::new(&at(0.0));
        for step in 1..=6 {
            filter = filter.predicted(0.2);
            filter.correct(&at(0.2 * step as f32));
        }
        let ahead = filter.predicted(0.4).rect();
        assert!((ahead.x - at(1.6).x).abs() < 8.0, "{ahead:?}");
        assert!((ahead.width - 80.0).abs() < 2.0 && (ahead.height - 100.0).abs() < 2.0);
    }

    #[test]
    fn surprise_grows_with_distance_and_shrinks_with_waiting() {
        let rect = Rect::new(0.0, 0.0, 100.0, 100.0);
        let filter = BoxFilter::new(&rect);
        let moved = Rect::new(80.0, 0.0, 100.0, 100.0);
        assert!(filter.surprise(&moved) > 9.0);
        assert!(filter.predicted(0.2).surprise(&moved) < 9.0);
        assert_eq!(filter.surprise(&rect), 0.0);
    }
}
