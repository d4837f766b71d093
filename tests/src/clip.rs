//! Makes clips whose truth is known: portraits cross a picture in two lanes, as people pass a camera.
//!
//! The same [`Clip`] always gives the same pictures and the same truth.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use image::RgbImage;

use crate::{
    encode,
    portrait::head_and_shoulders,
    truth::{Appearance, Truth},
};

/// What people walk in front of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Background {
    /// One grey.
    Plain,
    /// Soft colours, running into each other.
    #[default]
    Gradient,
    /// The same, with the noise of a cheap camera at dusk.
    Noisy,
}

/// A clip to be made.
#[derive(Clone, Debug)]
pub struct Clip {
    /// Width of the picture in pixels.
    pub width: u32,
    /// Height of the picture in pixels.
    pub height: u32,
    /// Frames per second.
    pub fps: u32,
    /// Height of the faces in pixels.
    pub face_height_px: u32,
    /// What people walk in front of.
    pub background: Background,
    /// Who is to be enrolled, and with which photos.
    pub enroll: BTreeMap<String, Vec<String>>,
    /// Who walks by when.
    pub appearances: Vec<Appearance>,
}

/// The person the clips know.
pub const KNOWN: &str = "Barack Obama";

/// Seconds of empty picture after the last person has left.
const TAIL_S: f64 = 0.6;
/// Noise pictures shown in turn: enough for no two neighbouring frames to look alike.
const NOISE_PICTURES: usize = 5;
/// How far a walker bobs up and down.
const BOB_PX: f64 = 4.0;
/// Pixels over which a portrait's edges fade into the background.
const FEATHER_PX: u32 = 6;

impl Clip {
    /// A 720p clip in which `appearances` walk by and [`KNOWN`] is to be enrolled.
    pub fn of(appearances: Vec<Appearance>) -> Self {
        let photos = ["obama.jpg", "obama2.jpg", "obama3.jpg"].map(str::to_owned).to_vec();
        Self {
            width: 1280,
            height: 720,
            fps: 25,
            face_height_px: 150,
            background: Background::default(),
            enroll: BTreeMap::from([(KNOWN.to_owned(), photos)]),
            appearances,
        }
    }

    /// A known person twice and two strangers, 13 seconds: what the demo shows.
    pub fn demo() -> Self {
        Self::of(vec![
            walk(KNOWN, "obama_partial_face.jpg", 0.4, 4.0, 0),
            walk("stranger-biden", "biden.jpg", 2.6, 4.0, 1),
            walk("stranger-collins", "astronaut.jpg", 5.2, 4.0, 0),
            walk(KNOWN, "obama_partial_face.jpg", 7.6, 4.0, 1),
        ])
    }

    /// One photo of the known person, standing there for `duration_s`: a single long track.
    pub fn one_long_track(duration_s: f64) -> Self {
        Self::of(vec![walk(KNOWN, "obama_partial_face.jpg", 0.2, duration_s, 0)])
    }

    /// The truth about the clip.
    pub fn truth(&self) -> Truth {
        let end_s = self.appearances.iter().map(|appearance| appearance.end).fold(0.0, f64::max) + TAIL_S;
        Truth {
            enroll: self.enroll.clone(),
            appearances: self.appearances.clone(),
            fps: self.fps,
            frames: (end_s * f64::from(self.fps)).round() as u32,
            width: self.width,
            height: self.height,
            lane_split_y: self.height / 2,
        }
    }

    /// Writes `stem.mp4` (H.264) and `stem.json` unless both are there, and returns the video's path and the truth.
    ///
    /// # Errors
    /// When a photo is missing, no H.264 encoder is installed, or the files cannot be written.
    pub fn make(&self, stem: &Path) -> Result<(PathBuf, Truth)> {
        let truth = self.truth();
        let (video, facts) = (stem.with_extension("mp4"), stem.with_extension("json"));
        let is_made = video.is_file() && Truth::read(&facts).is_ok_and(|made| made == truth);
        if !is_made {
            if let Some(folder) = stem.parent() {
                fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
            }
            // The video last and under another name until whole: a broken-off run leaves none behind.
            let unfinished = stem.with_extension("part");
            let stage = Stage::set(self)?;
            let pictures = (0..truth.frames).map(|index| stage.picture(index));
            encode::h264(&unfinished, self.width, self.height, self.fps, pictures)?;
            truth.write(&facts)?;
            fs::rename(&unfinished, &video).with_context(|| format!("cannot make {}", video.display()))?;
        }
        Ok((video, truth))
    }
}

/// One person walking by for `duration_s`.
pub fn walk(identity: &str, photo: &str, start: f64, duration_s: f64, lane: u8) -> Appearance {
    Appearance { identity: identity.into(), photo: photo.into(), start, end: start + duration_s, lane }
}

/// Everything drawn once, from which the frames are put together.
struct Stage<'a> {
    clip: &'a Clip,
    backgrounds: Vec<RgbImage>,
    portraits: Vec<RgbImage>,
}

impl<'a> Stage<'a> {
    fn set(clip: &'a Clip) -> Result<Self> {
        ensure!(clip.width.is_multiple_of(2) && clip.height.is_multiple_of(2), "H.264 wants an even size");
        let portraits = clip
            .appearances
            .iter()
            .map(|appearance| head_and_shoulders(&appearance.photo, clip.face_height_px))
            .collect::<Result<Vec<_>>>()?;
        let fits = portraits
            .iter()
            .all(|portrait| portrait.width() + 2 < clip.width && portrait.height() < clip.height);
        ensure!(fits, "faces of {} px are too large for this picture", clip.face_height_px);
        Ok(Self { clip, backgrounds: backgrounds(clip), portraits })
    }

    fn picture(&self, index: u32) -> RgbImage {
        let mut picture = self.backgrounds[index as usize % self.backgrounds.len()].clone();
        let time_s = f64::from(index) / f64::from(self.clip.fps);
        for (number, appearance) in self.clip.appearances.iter().enumerate() {
            if (appearance.start..appearance.end).contains(&time_s) {
                let portrait = &self.portraits[number];
                let (x, y) = self.position(appearance, portrait, time_s, number % 2 == 1);
                paste(&mut picture, portrait, x, y);
            }
        }
        picture
    }

    /// Upper left corner of a walker's portrait. Every other one walks from right to left.
    fn position(
        &self,
        walker: &Appearance,
        portrait: &RgbImage,
        time_s: f64,
        is_backwards: bool,
    ) -> (u32, u32) {
        let done = (time_s - walker.start) / (walker.end - walker.start);
        let way = if is_backwards { 1.0 - done } else { done };
        let x = way * f64::from(self.clip.width - portrait.width());

        let room = f64::from(self.clip.height - portrait.height());
        let lane_centre = f64::from(self.clip.height) * if walker.lane == 0 { 0.25 } else { 0.75 };
        let bob = BOB_PX * (time_s * std::f64::consts::TAU).sin();
        let y = lane_centre - f64::from(portrait.height()) / 2.0 + bob;
        (x as u32, y.clamp(0.0, room) as u32)
    }
}

fn paste(picture: &mut RgbImage, portrait: &RgbImage, x: u32, y: u32) {
    let (width, height) = portrait.dimensions();
    for (column, row, pixel) in portrait.enumerate_pixels() {
        let edge = column.min(row).min(width - 1 - column).min(height - 1 - row);
        let under = picture.get_pixel_mut(x + column, y + row);
        if edge >= FEATHER_PX {
            *under = *pixel;
        } else {
            for (below, above) in under.0.iter_mut().zip(pixel.0) {
                let mixed = u32::from(above) * (edge + 1) + u32::from(*below) * (FEATHER_PX - edge);
                *below = (mixed / (FEATHER_PX + 1)) as u8;
            }
        }
    }
}

fn backgrounds(clip: &Clip) -> Vec<RgbImage> {
    let calm = RgbImage::from_fn(clip.width, clip.height, |x, y| match clip.background {
        Background::Plain => image::Rgb([112, 112, 112]),
        Background::Gradient | Background::Noisy => {
            let (across, down) =
                (f64::from(x) / f64::from(clip.width), f64::from(y) / f64::from(clip.height));
            let wave =
                |a: f64, b: f64, phase: f64| (110.0 + 45.0 * (a * across + b * down + phase).sin()) as u8;
            image::Rgb([wave(5.0, 2.0, 0.0), wave(3.0, -4.0, 2.0), wave(-4.0, 3.0, 4.0)])
        }
    });
    if clip.background != Background::Noisy {
        return vec![calm];
    }
    let mut noise = Noise(0x9E37_79B9_7F4A_7C15);
    (0..NOISE_PICTURES)
        .map(|_| {
            let mut picture = calm.clone();
            picture.iter_mut().for_each(|value| *value = value.saturating_add_signed(noise.next()));
            picture
        })
        .collect()
}

/// Xorshift: the same noise on every machine.
struct Noise(u64);

impl Noise {
    /// −8…7
    fn next(&mut self) -> i8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 60) as i8 - 8
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn short_clip() -> Clip {
        let mut clip = Clip::of(vec![
            walk(KNOWN, "obama2.jpg", 0.1, 0.5, 0),
            walk("stranger-collins", "astronaut.jpg", 0.1, 0.5, 1),
        ]);
        (clip.width, clip.height, clip.face_height_px) = (640, 360, 70);
        clip
    }

    #[test]
    fn the_same_clip_gives_the_same_pictures() {
        for background in [Background::Plain, Background::Gradient, Background::Noisy] {
            let clip = Clip { background, ..short_clip() };
            let (one, other) = (Stage::set(&clip).unwrap(), Stage::set(&clip).unwrap());
            assert!((0..20).all(|index| one.picture(index) == other.picture(index)), "{background:?}");
        }
    }

    #[test]
    fn people_are_where_the_truth_says() {
        let clip = Clip { background: Background::Plain, ..short_clip() };
        let stage = Stage::set(&clip).unwrap();
        let empty = |picture: &RgbImage, rows: std::ops::Range<u32>| {
            rows.into_iter().all(|y| (0..clip.width).all(|x| picture.get_pixel(x, y).0 == [112, 112, 112]))
        };
        let (before, during) = (stage.picture(0), stage.picture(8));
        assert!(empty(&before, 0..clip.height));
        assert!(!empty(&during, 0..180), "someone is in the upper lane");
        assert!(!empty(&during, 180..360), "someone is in the lower lane");
    }

    #[test]
    fn a_clip_is_made_once_and_matches_its_truth() {
        let folder = tempfile::tempdir().unwrap();
        let stem = folder.path().join("clip");
        let (video, truth) = short_clip().make(&stem).unwrap();
        let first_made = fs::metadata(&video).unwrap().modified().unwrap();
        assert_eq!(encode::count_frames(&video).unwrap(), truth.frames);
        assert_eq!(Truth::read(&stem.with_extension("json")).unwrap(), truth);

        short_clip().make(&stem).unwrap();
        assert_eq!(fs::metadata(&video).unwrap().modified().unwrap(), first_made, "nothing is made anew");
    }

    #[test]
    fn faces_too_large_for_the_picture_are_refused() {
        let clip = Clip { face_height_px: 300, ..short_clip() };
        assert!(Stage::set(&clip).is_err());
    }
}
