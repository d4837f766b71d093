//! Who is this, if it is anybody we know? Open-set identification (1:N), which is what cameras do: strangers come, too.
//!
//! People are dealt into folds. In each round the people of one fold are left out: all their photos are those of strangers
//! (non-mated probes). Of everybody else some photos are enrolled, and the remaining ones are looked up (mated probes).
//! So everybody is a stranger once. The decision is the product's own: the best person by their best template needs the
//! threshold and the margin of [`crate::identity::IdentityPolicy`]. Terms as in ISO/IEC 19795-1 and NIST's FRTE 1:N.

use std::collections::HashSet;

use serde::Serialize;

use super::rate::{Rate, allowed_errors};
use super::{EvaluationError, MAX_PHOTOS, reaching, sort};
use crate::embed::Embedding;
use crate::gallery::Gallery;
use crate::identity::lead;

/// How it is measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Protocol {
    /// Rounds, at least 2; with fewer people, one for each of them.
    pub folds: usize,
    /// How many people the gallery holds; `None` = everybody who is not left out.
    pub gallery_people: Option<usize>,
    /// How many photos of a person are enrolled, at most; one is kept back where there are several.
    pub templates_per_person: usize,
    /// How much less similar the next best person must be.
    pub margin: f32,
}

/// The scores of all probes of all rounds.
#[derive(Debug, Clone, PartialEq)]
pub struct Identification {
    /// Similarities to the right person, who was clearly first, from high to low.
    right: Vec<f32>,
    /// Similarities to somebody else of mated probes, from high to low.
    wrong: Vec<f32>,
    /// Similarities to anybody of non-mated probes, from high to low.
    strange: Vec<f32>,
    searches: Searches,
}

/// What the rates rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Searches {
    /// Rounds.
    pub folds: usize,
    /// The fewest people a gallery held.
    pub least_gallery_people: usize,
    /// The most people a gallery held.
    pub most_gallery_people: usize,
    /// Searches for somebody enrolled; a photo is looked up in several rounds.
    pub mated: usize,
    /// Different photos among them, which is what intervals rest on.
    pub mated_photos: usize,
    /// Searches for strangers, each with a photo of its own.
    pub non_mated: usize,
}

/// What a threshold does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SearchPoint {
    /// The least cosine similarity to name somebody.
    pub threshold: f32,
    /// FPIR: the share of searches for strangers that name somebody.
    pub false_positive_rate: Rate,
    /// FNIR: the share of searches for somebody enrolled that do not name them.
    pub false_negative_rate: Rate,
    /// The part of the FNIR in which somebody else is named.
    pub misidentification_rate: Rate,
}

impl Identification {
    /// Measures with the photos of `people`, who are all different. People without photos count nothing.
    ///
    /// # Errors
    /// When there are not two people, nobody has two photos, there are more than [`MAX_PHOTOS`], or the protocol or an
    /// embedding does not fit.
    pub fn measure(people: &[Vec<Embedding>], protocol: &Protocol) -> Result<Self, EvaluationError> {
        let people: Vec<&[Embedding]> = people.iter().map(Vec::as_slice).filter(|p| !p.is_empty()).collect();
        let photos: usize = people.iter().map(|photos| photos.len()).sum();
        if photos > MAX_PHOTOS {
            return Err(EvaluationError::TooManyPhotos { photos });
        }
        let dimension = people.first().map_or(0, |photos| photos[0].dimension());
        check(protocol, people.len())?;
        let folds = protocol.folds.min(people.len());
        let mut measured = Self {
            right: Vec::new(),
            wrong: Vec::new(),
            strange: Vec::new(),
            searches: Searches { folds, least_gallery_people: usize::MAX, ..Searches::default() },
        };
        let mut mated_photos = HashSet::new();
        for fold in 0..folds {
            let mut enrolled: Vec<usize> =
                (0..people.len()).filter(|person| person % folds != fold).collect();
            // A gallery smaller than could be is filled with other people each round.
            let wanted = protocol.gallery_people.unwrap_or(enrolled.len()).min(enrolled.len());
            let start = (fold * wanted) % enrolled.len().max(1);
            enrolled.rotate_left(start);
            enrolled.truncate(wanted);
            // Which photos of a person are enrolled changes from one of their rounds to the next.
            let templates_of = |person: usize| {
                let round = (fold + folds - person % folds - 1) % folds;
                enrolled_photos(people[person].len(), protocol.templates_per_person, round)
            };
            let mut gallery = Gallery::new(dimension);
            for &person in &enrolled {
                let photos = templates_of(person);
                let templates: Vec<Vec<f32>> =
                    photos.map(|photo| people[person][photo].as_slice().to_vec()).collect();
                gallery.add_person(person.to_string(), "", &templates)?;
            }
            let searches = &mut measured.searches;
            searches.least_gallery_people = searches.least_gallery_people.min(gallery.len());
            searches.most_gallery_people = searches.most_gallery_people.max(gallery.len());
            for &person in &enrolled {
                let templates: HashSet<usize> = templates_of(person).collect();
                for (photo, embedding) in people[person].iter().enumerate() {
                    if !templates.contains(&photo) {
                        mated_photos.insert((person, photo));
                        measured.search(&gallery, embedding, Some(person), protocol.margin);
                    }
                }
            }
            for person in (0..people.len()).filter(|person| person % folds == fold) {
                for embedding in people[person] {
                    measured.search(&gallery, embedding, None, protocol.margin);
                }
            }
        }
        measured.searches.mated_photos = mated_photos.len();
        if mated_photos.is_empty() {
            return Err(EvaluationError::NothingGenuine);
        }
        [&mut measured.right, &mut measured.wrong, &mut measured.strange].into_iter().for_each(|s| sort(s));
        Ok(measured)
    }

    fn search(&mut self, gallery: &Gallery, probe: &Embedding, mate: Option<usize>, margin: f32) {
        let searched = if mate.is_some() { &mut self.searches.mated } else { &mut self.searches.non_mated };
        *searched += 1;
        let found = gallery.best(probe.as_slice(), 2);
        let Some(best) = found.first().filter(|_| lead(&found) >= margin) else { return };
        let scores = match mate {
            None => &mut self.strange,
            Some(mate) if *best.person.id == *mate.to_string() => &mut self.right,
            Some(_) => &mut self.wrong,
        };
        scores.push(best.similarity);
    }

    /// What the rates rest on.
    pub fn searches(&self) -> &Searches {
        &self.searches
    }

    /// What a threshold does.
    pub fn at(&self, threshold: f32) -> SearchPoint {
        let Searches { mated, mated_photos, non_mated, .. } = self.searches;
        let mated_rate = |count: usize| Rate::estimated(count as f64 / mated.max(1) as f64, mated_photos);
        SearchPoint {
            threshold,
            false_positive_rate: Rate::of(reaching(&self.strange, threshold), non_mated),
            false_negative_rate: mated_rate(mated - reaching(&self.right, threshold)),
            misidentification_rate: mated_rate(reaching(&self.wrong, threshold)),
        }
    }

    /// The lowest threshold, from 0 on, whose FPIR is at most `fpir`; nothing if strangers' photos are too few to show that rate,
    /// which takes at least one in it.
    pub fn at_fpir(&self, fpir: f64) -> Option<SearchPoint> {
        let allowed = allowed_errors(fpir, self.searches.non_mated)?;
        let threshold = self.strange.get(allowed).map_or(0.0, |refused| refused.next_up().max(0.0));
        Some(self.at(threshold))
    }
}

fn check(protocol: &Protocol, people: usize) -> Result<(), EvaluationError> {
    let whole = |name, least: usize, value: usize| match value >= least {
        true => Ok(()),
        false => {
            let range = if least == 1 { "at least 1" } else { "at least 2" };
            Err(EvaluationError::OutOfRange { name, range, value: value as f64 })
        }
    };
    whole("the number of folds", 2, protocol.folds)?;
    whole("the number of photos to enrol", 1, protocol.templates_per_person)?;
    whole("the number of people in the gallery", 1, protocol.gallery_people.unwrap_or(1))?;
    if !(0.0..=2.0).contains(&protocol.margin) {
        let value = protocol.margin.into();
        return Err(EvaluationError::OutOfRange { name: "the margin", range: "from 0 to 2", value });
    }
    if people < 2 { Err(EvaluationError::NothingOfOthers) } else { Ok(()) }
}

/// Which of a person's photos are enrolled in one of their rounds, never all where there are several.
fn enrolled_photos(photos: usize, wanted: usize, round: usize) -> impl Iterator<Item = usize> {
    let count = wanted.min(photos.saturating_sub(1)).max(1);
    (0..count).map(move |offset| (round + offset) % photos.max(1))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(degrees: f32) -> Embedding {
        Embedding::from_vector(&[degrees.to_radians().cos(), degrees.to_radians().sin()]).unwrap()
    }

    fn people(degrees: &[&[f32]]) -> Vec<Vec<Embedding>> {
        degrees.iter().map(|photos| photos.iter().map(|photo| at(*photo)).collect()).collect()
    }

    fn protocol() -> Protocol {
        Protocol { folds: 10, gallery_people: None, templates_per_person: 10, margin: 0.0 }
    }

    fn measure(degrees: &[&[f32]], protocol: &Protocol) -> Identification {
        Identification::measure(&people(degrees), protocol).unwrap()
    }

    fn rates(point: SearchPoint) -> (f64, f64, f64) {
        let SearchPoint { false_positive_rate, false_negative_rate, misidentification_rate, .. } = point;
        (false_positive_rate.value, false_negative_rate.value, misidentification_rate.value)
    }

    #[test]
    fn people_who_are_far_apart_are_told_apart() {
        let apart = measure(&[&[0.0, 5.0], &[120.0, 125.0], &[240.0, 245.0]], &protocol());
        assert_eq!(rates(apart.at(0.9)), (0.0, 0.0, 0.0));
        assert_eq!(rates(apart.at(0.999)), (0.0, 1.0, 0.0), "5° are 0.996");
        let searches = Searches {
            folds: 3,
            least_gallery_people: 2,
            most_gallery_people: 2,
            mated: 6,
            mated_photos: 6,
            non_mated: 6,
        };
        assert_eq!(*apart.searches(), searches);
    }

    #[test]
    fn a_stranger_who_looks_like_somebody_costs_what_was_counted() {
        // Left out, the first is 20° from the second, and the other way round; the third is 90° and more from both.
        let alike = measure(&[&[0.0, 0.0], &[20.0, 20.0], &[200.0, 200.0]], &protocol());
        assert_eq!(rates(alike.at(0.9)), (4.0 / 6.0, 0.0, 0.0));
        assert_eq!(rates(alike.at(0.95)), (0.0, 0.0, 0.0), "20° are 0.940");
        let point = alike.at_fpir(0.5).unwrap();
        assert!((point.threshold - 20_f32.to_radians().cos()).abs() < 1e-5, "{point:?}");
        // The four are equal but for rounding, so that two of them may be above.
        assert!(point.false_positive_rate.value <= 0.5, "{point:?}");
        assert_eq!(alike.at_fpir(0.7).unwrap().threshold, 0.0, "a threshold can be set from 0 on");
        assert_eq!(alike.at_fpir(0.1), None, "six photos cannot show that");
    }

    #[test]
    fn the_margin_refuses_who_could_be_two() {
        // The first photo of the first person lies nearer to the second person.
        let confused: [&[f32]; 3] = [&[18.0, 0.0], &[20.0, 20.0], &[200.0, 200.0]];
        let without = measure(&confused, &protocol()).at(0.5);
        assert!(without.misidentification_rate.value > 0.0, "{without:?}");
        let with = measure(&confused, &Protocol { margin: 0.1, ..protocol() }).at(0.5);
        assert_eq!(with.misidentification_rate.value, 0.0);
        assert!(with.false_negative_rate.value > 0.0, "{with:?}");
    }

    #[test]
    fn the_best_template_counts_and_one_photo_is_kept_back() {
        // Whichever photo is kept back, another one lies within 30°; the middle of the others does not.
        let posed = measure(&[&[0.0, 30.0, 90.0, 120.0], &[240.0]], &protocol());
        assert_eq!(posed.at(0.86).false_negative_rate.value, 0.0);
        assert_eq!(posed.searches().mated, 1, "one round with the first enrolled, one photo kept back");
        let one_template = Protocol { templates_per_person: 1, ..protocol() };
        let posed = measure(&[&[0.0, 30.0, 90.0, 120.0], &[240.0]], &one_template);
        assert_eq!(posed.searches().mated, 3);
        assert_eq!(posed.at(0.86).false_negative_rate.value, 2.0 / 3.0);
    }

    #[test]
    fn everybody_is_a_stranger_once_and_the_gallery_has_the_wanted_size() {
        let photos: Vec<Vec<Embedding>> =
            (0..11).map(|person| vec![at(30.0 * person as f32), at(30.0 * person as f32 + 1.0)]).collect();
        let protocol = Protocol { folds: 4, gallery_people: Some(5), templates_per_person: 1, margin: 0.0 };
        let measured = Identification::measure(&photos, &protocol).unwrap();
        let searches = measured.searches();
        assert_eq!((searches.least_gallery_people, searches.most_gallery_people), (5, 5));
        assert_eq!((searches.non_mated, searches.mated), (22, 20));
        assert!(searches.mated_photos > 10, "not the same five people each time: {searches:?}");
        let everybody = Protocol { gallery_people: Some(100), ..protocol };
        let everybody = Identification::measure(&photos, &everybody).unwrap();
        assert_eq!(
            (everybody.searches().least_gallery_people, everybody.searches().most_gallery_people),
            (8, 9)
        );
        assert_eq!(everybody.searches().mated, 33, "everybody is enrolled in three of four rounds");
    }

    #[test]
    fn repeated_searches_do_not_narrow_an_interval() {
        let degrees: [&[f32]; 4] = [&[0.0, 1.0], &[90.0, 91.0], &[180.0, 181.0], &[270.0, 271.0]];
        let measured = measure(&degrees, &protocol());
        assert_eq!((measured.searches().mated, measured.searches().mated_photos), (12, 8));
        assert_eq!(measured.at(0.9).false_negative_rate, Rate::of(0, 8));
    }

    #[test]
    fn what_cannot_be_measured_is_said() {
        let refused = |degrees: &[&[f32]], protocol: &Protocol| {
            Identification::measure(&people(degrees), protocol).unwrap_err()
        };
        assert_eq!(refused(&[&[0.0, 1.0], &[]], &protocol()), EvaluationError::NothingOfOthers);
        assert_eq!(refused(&[&[0.0], &[90.0]], &protocol()), EvaluationError::NothingGenuine);
        let folds = refused(&[&[0.0, 1.0], &[90.0]], &Protocol { folds: 1, ..protocol() });
        assert_eq!(folds.to_string(), "the number of folds must be at least 2, not 1");
        let margin = refused(&[&[0.0, 1.0], &[90.0]], &Protocol { margin: f32::NAN, ..protocol() });
        assert!(margin.to_string().starts_with("the margin must be from 0 to 2"), "{margin}");
        let mixed = [vec![at(0.0), at(1.0)], vec![Embedding::from_vector(&[1.0; 3]).unwrap()]];
        let mixed = Identification::measure(&mixed, &protocol()).unwrap_err();
        assert!(matches!(mixed, EvaluationError::Gallery(_)), "{mixed}");
    }
}
