//! Whether anything has changed since a frame was looked at: then, and once a second in any case, the next frame is looked
//! at, too; else it shows what the last one showed.
//!
//! The picture is compared by the mean brightness of cells of which the smallest face covers some 25, so that the noise of a
//! sensor averages out and a face does not. What is compared is always the last frame that was *looked at*, never the
//! one before: however slowly a face comes in, the change adds up. Light that flickers or a camera that adapts changes all
//! cells by one gain and offset, which is taken out first, and takes no local change with it.

use std::sync::Arc;

use vedette_models::geometry::Rect;
use vedette_models::image::{ImageView, ScaleScratch};

use super::workers::Answer;

/// How many cells the smallest face is wide.
const CELLS_PER_FACE: f32 = 5.0;
/// Smaller cells than this, in pixels, show noise.
const LEAST_CELL_PX: f32 = 8.0;
/// The most cells a side has.
const MOST_CELLS: f32 = 240.0;
/// A cell whose brightness (0…255) is off by this much has changed. Half of what a face on a wall of nearly its own
/// brightness makes of its least conspicuous cell; ten times the noise of a usual sensor.
const CHANGED: f32 = 2.0;
/// Gains beyond this are no flicker but another scene.
const MOST_GAIN: f32 = 1.3;
/// The longest time without a look.
const LONGEST: gst::ClockTime = gst::ClockTime::from_seconds(1);
/// The same for streams without times, in frames that are due.
const LONGEST_FRAMES: u32 = 25;

/// Compares frames of one stream.
#[derive(Debug, Default)]
pub(super) struct Gate {
    scratch: ScaleScratch,
    current: Vec<f32>,
    last: Option<Last>,
    /// Kept for the next frame that is looked at.
    spare: Vec<f32>,
}

/// The frame that was looked at last.
#[derive(Debug)]
struct Last {
    cells: Vec<f32>,
    answer: Arc<Answer>,
    time: Option<gst::ClockTime>,
    frames_since: u32,
}

impl Gate {
    /// What the last frame looked at showed, if this one (its part within `window`, taken at `time`) shows the same.
    pub(super) fn unchanged(
        &mut self,
        view: &ImageView<'_>,
        window: Option<Rect>,
        least_face_px: u32,
        time: Option<gst::ClockTime>,
    ) -> Option<Arc<Answer>> {
        let window = window.map_or(view.bounds(), |window| window.clip_to(view.width(), view.height()));
        let cell_px = (least_face_px as f32 / CELLS_PER_FACE).max(LEAST_CELL_PX);
        let cells = |length: f32| (length / cell_px).round().clamp(1.0, MOST_CELLS) as u32;
        let size = (cells(window.width), cells(window.height));
        view.luma_means(window, size, &mut self.scratch, &mut self.current);
        let last = self.last.as_mut()?;
        last.frames_since += 1;
        let is_recent = match (time, last.time) {
            // Times that run backwards are another recording's.
            (Some(now), Some(then)) => now >= then && now - then < LONGEST,
            _ => last.frames_since < LONGEST_FRAMES,
        };
        let is_same = is_recent && !last.answer.has_failed() && !has_changed(&last.cells, &self.current);
        is_same.then(|| Arc::clone(&last.answer))
    }

    /// Notes that the frame given to [`Gate::unchanged`] is looked at.
    pub(super) fn looked(&mut self, answer: Arc<Answer>, time: Option<gst::ClockTime>) {
        let cells = std::mem::replace(&mut self.current, std::mem::take(&mut self.spare));
        let last = self.last.replace(Last { cells, answer, time, frames_since: 0 });
        self.spare = last.map(|last| last.cells).unwrap_or_default();
    }

    /// The next frame is looked at.
    pub(super) fn reset(&mut self) {
        self.last = None;
    }
}

/// Whether any cell has changed otherwise than all of them.
fn has_changed(before: &[f32], now: &[f32]) -> bool {
    if before.len() != now.len() || before.is_empty() {
        return true;
    }
    let count = before.len() as f32;
    let mean = |cells: &[f32]| cells.iter().sum::<f32>() / count;
    let (mean_before, mean_now) = (mean(before), mean(now));
    let (mut spread, mut together) = (0.0, 0.0);
    for (before, now) in before.iter().zip(now) {
        let before = before - mean_before;
        spread += before * before;
        together += before * (now - mean_now);
    }
    // A picture without any contrast has no gain.
    let gain = if spread > count { together / spread } else { 1.0 };
    if !(1.0 / MOST_GAIN..=MOST_GAIN).contains(&gain) {
        return true;
    }
    before
        .iter()
        .zip(now)
        .any(|(before, now)| ((now - mean_now) - gain * (before - mean_before)).abs() >= CHANGED)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A scene of 40×24 cells with some contrast.
    fn scene(gain: f32, offset: f32) -> Vec<f32> {
        (0..960).map(|cell| gain * (60.0 + ((cell * 37) % 101) as f32) + offset).collect()
    }

    #[test]
    fn flickering_light_changes_nothing() {
        for (gain, offset) in [(1.0, 0.0), (1.1, 0.0), (0.85, 3.0), (1.0, 12.0)] {
            assert!(!has_changed(&scene(1.0, 0.0), &scene(gain, offset)), "{gain} {offset}");
        }
        assert!(has_changed(&scene(1.0, 0.0), &scene(0.1, 0.0)), "the light goes out");
    }

    #[test]
    fn a_few_cells_are_enough_in_any_light() {
        for (gain, offset) in [(1.0, 0.0), (1.1, 0.0), (0.85, 3.0)] {
            let mut now = scene(gain, offset);
            for cell in [410, 411, 450, 451] {
                now[cell] += 4.0;
            }
            assert!(has_changed(&scene(1.0, 0.0), &now), "{gain} {offset}");
        }
    }

    #[test]
    fn pictures_without_contrast_or_of_another_size_are_survived() {
        assert!(!has_changed(&[0.0; 10], &[0.0; 10]));
        assert!(!has_changed(&[16.0; 10], &[17.0; 10]));
        assert!(has_changed(&[16.0; 10], &[16.0; 12]));
        assert!(has_changed(&[], &[]));
    }
}
