//! Who is to be seen in a clip, when and where; and how well a list of sightings agrees with that.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::BufReader,
    path::Path,
};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// One crossing of the picture by one person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Appearance {
    /// Who it is; anyone not in [`Truth::enroll`] is a stranger.
    pub identity: String,
    /// The photo shown.
    pub photo: String,
    /// First second.
    pub start: f64,
    /// Second after the last.
    pub end: f64,
    /// 0 = the upper half of the picture, 1 = the lower.
    pub lane: u8,
}

/// Everything known about a clip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// Enrolled people and the photos they are enrolled with.
    pub enroll: BTreeMap<String, Vec<String>>,
    /// Who is seen when.
    pub appearances: Vec<Appearance>,
    /// Frames per second.
    pub fps: u32,
    /// Number of frames.
    pub frames: u32,
    /// Width of the picture in pixels.
    pub width: u32,
    /// Height of the picture in pixels.
    pub height: u32,
    /// Faces whose centre is above this line are in lane 0.
    pub lane_split_y: u32,
}

/// One report about a face.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting {
    /// Position in the clip.
    pub time_s: f64,
    /// Vertical centre of the face's box in pixels.
    pub centre_y: f64,
    /// The name given, `None` for a stranger.
    pub name: Option<String>,
}

/// How well sightings agree with the truth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// Appearances of enrolled people given their own name and no other.
    pub named_rightly: usize,
    /// Appearances of enrolled people.
    pub known: usize,
    /// Appearances of strangers given a name.
    pub strangers_named: usize,
    /// Appearances of strangers.
    pub strangers: usize,
    /// Appearances with at least one sighting, named or not.
    pub seen: usize,
    /// What was wrong, for people.
    pub mistakes: Vec<String>,
}

impl Score {
    /// Whether everyone enrolled was named rightly and nobody else was named.
    pub fn is_perfect(&self) -> bool {
        self.named_rightly == self.known && self.strangers_named == 0
    }
}

impl std::fmt::Display for Score {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "named rightly {}/{}, strangers named {}/{}",
            self.named_rightly, self.known, self.strangers_named, self.strangers
        )
    }
}

/// A report may come this much before an appearance starts: times are rounded to frames.
const EARLY_S: f64 = 0.3;
/// A report may come this much after an appearance ended: a track lives on for a moment.
const LATE_S: f64 = 0.6;

impl Truth {
    /// Reads the JSON beside a clip.
    ///
    /// # Errors
    /// When the file is absent or of another form.
    pub fn read(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        serde_json::from_reader(BufReader::new(file))
            .with_context(|| format!("{} is not a clip's truth", path.display()))
    }

    /// Writes the JSON beside a clip.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
    }

    /// Length of the clip.
    pub fn duration_s(&self) -> f64 {
        f64::from(self.frames) / f64::from(self.fps)
    }

    /// Whether an appearance is one of an enrolled person.
    pub fn is_known(&self, appearance: &Appearance) -> bool {
        self.enroll.contains_key(&appearance.identity)
    }

    /// Compares sightings with the truth.
    pub fn score(&self, sightings: &[Sighting]) -> Score {
        let mut score = Score::default();
        for appearance in &self.appearances {
            let during = sightings.iter().filter(|sighting| self.belongs(sighting, appearance));
            let mut names = BTreeSet::new();
            let mut is_seen = false;
            for sighting in during {
                is_seen = true;
                names.extend(sighting.name.as_deref());
            }
            score.seen += usize::from(is_seen);
            let is_right = if self.is_known(appearance) {
                let is_right = names.len() == 1 && names.contains(appearance.identity.as_str());
                score.known += 1;
                score.named_rightly += usize::from(is_right);
                is_right
            } else {
                score.strangers += 1;
                score.strangers_named += usize::from(!names.is_empty());
                names.is_empty()
            };
            if !is_right {
                score.mistakes.push(format!(
                    "{} ({}, {:.1} s, lane {}) was named {names:?}",
                    appearance.identity, appearance.photo, appearance.start, appearance.lane
                ));
            }
        }
        score
    }

    fn belongs(&self, sighting: &Sighting, appearance: &Appearance) -> bool {
        let is_upper = sighting.centre_y < f64::from(self.lane_split_y);
        sighting.time_s >= appearance.start - EARLY_S
            && sighting.time_s < appearance.end + LATE_S
            && is_upper == (appearance.lane == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth() -> Truth {
        let appearance = |identity: &str, start, lane| Appearance {
            identity: identity.into(),
            photo: format!("{identity}.jpg"),
            start,
            end: start + 2.0,
            lane,
        };
        Truth {
            enroll: BTreeMap::from([("ada".to_owned(), vec!["ada.jpg".to_owned()])]),
            appearances: vec![appearance("ada", 0.0, 0), appearance("stranger", 0.5, 1)],
            fps: 25,
            frames: 75,
            width: 640,
            height: 360,
            lane_split_y: 180,
        }
    }

    fn sighting(time_s: f64, centre_y: f64, name: Option<&str>) -> Sighting {
        Sighting { time_s, centre_y, name: name.map(str::to_owned) }
    }

    #[test]
    fn a_right_name_in_the_right_lane_is_right() {
        let score = truth().score(&[sighting(1.0, 90.0, Some("ada")), sighting(1.2, 270.0, None)]);
        assert!(score.is_perfect(), "{:?}", score.mistakes);
        assert_eq!((score.known, score.strangers, score.seen), (1, 1, 2));
    }

    #[test]
    fn a_named_stranger_and_a_nameless_person_are_mistakes() {
        let score = truth().score(&[sighting(1.0, 90.0, None), sighting(1.2, 270.0, Some("ada"))]);
        assert_eq!((score.named_rightly, score.strangers_named, score.mistakes.len()), (0, 1, 2));
    }

    #[test]
    fn two_names_for_one_person_are_a_mistake() {
        let score = truth().score(&[sighting(1.0, 90.0, Some("ada")), sighting(1.1, 90.0, Some("bob"))]);
        assert_eq!(score.named_rightly, 0);
    }

    #[test]
    fn sightings_outside_the_appearance_do_not_count() {
        let score = truth().score(&[sighting(2.7, 90.0, Some("ada"))]);
        assert_eq!((score.named_rightly, score.seen), (0, 0));
    }
}
