//! The gallery as its users see it: small ones first, then large ones and what changes do to them.

#![allow(clippy::unwrap_used)]

use super::*;

/// A vector whose cosine to the first axis is `cosine`, leaning towards another axis.
fn leaning(dimension: usize, cosine: f32, axis: usize) -> Vec<f32> {
    let mut vector = vec![0.0; dimension];
    vector[0] = cosine;
    vector[axis] += (1.0 - cosine * cosine).sqrt();
    vector
}

#[test]
fn best_ranks_people_by_their_best_template() {
    for dimension in [128, 512] {
        let mut gallery = Gallery::new(dimension);
        gallery.add_person("a", "Ada", &[leaning(dimension, 0.1, 1), leaning(dimension, 0.8, 2)]).unwrap();
        gallery.add_person("b", "Ben", &[leaning(dimension, 0.5, 3)]).unwrap();
        gallery.add_person("c", "Cleo", &[]).unwrap();
        gallery.add_person("d", "Dan", &[leaning(dimension, -0.5, 4)]).unwrap();
        let query = leaning(dimension, 1.0, 1);
        let found = gallery.best(&query, 2);
        let ids: Vec<&str> = found.iter().map(|found| found.person.id).collect();
        assert_eq!(ids, ["a", "b"]);
        assert!(
            (found[0].similarity - 0.8).abs() < 1e-5 && (found[1].similarity - 0.5).abs() < 1e-5,
            "{found:?}"
        );
        assert_eq!(gallery.best(&query, 10).len(), 3);
        assert!(gallery.best(&query, 0).is_empty());
        assert!((gallery.similarity_to(&query, "d").unwrap() + 0.5).abs() < 1e-5);
        assert_eq!(gallery.similarity_to(&query, "c"), None);
        assert_eq!(gallery.similarity_to(&query, "nobody"), None);
    }
}

#[test]
fn templates_and_queries_of_any_length_count_by_direction() {
    let mut gallery = Gallery::new(3);
    gallery.add_person("a", "Ada", &[vec![0.0, 20.0, 0.0]]).unwrap();
    assert!((gallery.best(&[0.0, 0.01, 0.0], 1)[0].similarity - 1.0).abs() < 1e-6);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let mut gallery = Gallery::new(2);
    assert!(matches!(
        gallery.add_person("a", "Ada", &[vec![1.0, 0.0], vec![1.0]]),
        Err(GalleryError::Dimension { expected: 2, actual: 1, .. })
    ));
    for unusable in [vec![0.0, 0.0], vec![f32::NAN, 1.0], vec![f32::INFINITY, 1.0]] {
        assert!(matches!(gallery.add_person("a", "Ada", &[unusable]), Err(GalleryError::Unusable { .. })));
    }
    assert!(gallery.is_empty() && gallery.template_count() == 0);
    gallery.add_person("a", "Ada", &[vec![1.0, 0.0]]).unwrap();
    assert!(matches!(gallery.add_person("a", "Ada", &[]), Err(GalleryError::Duplicate { .. })));
    assert!(gallery.best(&[1.0], 1).is_empty());
    assert!(gallery.best(&[f32::NAN, 0.0], 1).is_empty());
    assert_eq!(gallery.person("a").map(|person| person.name), Some("Ada"));
}

/// Numbers without any pattern, the same every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 16) as usize % end
    }

    /// A vector of length one without any direction preferred.
    fn unit(&mut self, dimension: usize) -> Vec<f32> {
        let mut number = || (self.next() >> 40) as f32 / (1 << 24) as f32 - 0.5;
        let vector: Vec<f32> = (0..dimension).map(|_| number() + number() + number()).collect();
        normalised(&vector).unwrap().into_vec()
    }

    /// A picture of whom another one shows.
    fn alike(&mut self, vector: &[f32]) -> Vec<f32> {
        let noise = self.unit(vector.len());
        let mixed: Vec<f32> = vector.iter().zip(&noise).map(|(value, noise)| value + noise).collect();
        normalised(&mixed).unwrap().into_vec()
    }
}

/// Who is enrolled, with all their templates as they are.
type Truth = Vec<(String, Vec<Vec<f32>>)>;

/// The two best people, by comparing all templates.
fn exactly(truth: &Truth, query: &[f32]) -> [(f32, String); 2] {
    let dot = |template: &Vec<f32>| template.iter().zip(query).map(|(a, b)| a * b).sum::<f32>();
    let similarity = |templates: &[Vec<f32>]| templates.iter().map(dot).reduce(f32::max);
    let mut all: Vec<(f32, String)> =
        truth.iter().filter_map(|(id, templates)| Some((similarity(templates)?, id.clone()))).collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    [all[0].clone(), all[1].clone()]
}

/// Of some queries, half of enrolled people and half of strangers, the share the gallery answers as the truth is: the
/// best person, and both.
fn recall(gallery: &Gallery, truth: &Truth, random: &mut Random) -> (f32, f32) {
    const QUERIES: usize = 200;
    let (mut first, mut both) = (0, 0);
    for query in 0..QUERIES {
        let templates = &truth[random.below(truth.len())].1;
        let query = match templates.first() {
            Some(template) if query % 2 == 0 => random.alike(template),
            _ => random.unit(gallery.dimension()),
        };
        let (expected, found) = (exactly(truth, &query), gallery.best(&query, 2));
        let hits = expected.iter().zip(&found).take_while(|(expected, found)| expected.1 == found.person.id);
        for (place, (expected, found)) in hits.enumerate() {
            assert!((expected.0 - found.similarity).abs() < 1e-4);
            let similarity = gallery.similarity_to(&query, found.person.id).unwrap();
            assert!((expected.0 - similarity).abs() < 1e-4);
            if place == 0 { first += 1 } else { both += 1 }
        }
    }
    (first as f32 / QUERIES as f32, both as f32 / QUERIES as f32)
}

#[test]
fn a_large_gallery_answers_as_an_exact_search_would_through_all_changes() {
    for dimension in [100, 128, 512] {
        let mut random = Random(7 + dimension as u64);
        let mut gallery = Gallery::new(dimension);
        let mut truth = Truth::new();
        let mut templates = |count: usize| -> Vec<Vec<f32>> {
            let first = random.unit(dimension);
            let others = (1..count).map(|_| random.alike(&first)).collect::<Vec<_>>();
            std::iter::once(first).chain(others).take(count).collect()
        };
        for person in 0..5000 {
            let (id, templates) = (format!("p{person}"), templates(person % 4 + 1));
            gallery.add_person(&id, "somebody", &templates).unwrap();
            truth.push((id, templates));
        }
        let mut changing = Random(11);
        for change in 0..3000 {
            let place = changing.below(truth.len());
            match change % 3 {
                0 => {
                    let (id, _) = truth.remove(place);
                    assert!(gallery.remove_person(&id));
                }
                1 => {
                    truth[place].1 = templates(changing.below(6));
                    assert!(gallery.replace_person(&truth[place].0, "somebody", &truth[place].1).is_ok());
                }
                _ => {
                    let (id, templates) = (format!("q{change}"), templates(changing.below(6)));
                    gallery.add_person(&id, "somebody", &templates).unwrap();
                    truth.push((id, templates));
                }
            }
        }
        assert!(gallery.template_count() > search::EXACT_ROWS);
        assert_eq!(
            gallery.template_count(),
            truth.iter().map(|(_, templates)| templates.len()).sum::<usize>()
        );
        let ids: Vec<&str> = gallery.persons().iter().map(|person| person.id).collect();
        assert_eq!(ids, truth.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>());
        let (first, both) = recall(&gallery, &truth, &mut changing);
        assert!(first >= 0.99 && both >= 0.98, "{dimension}: {first}, {both}");
        // Everybody whose templates are asked for is found, wherever they have moved.
        for (id, templates) in truth.iter().step_by(50) {
            for template in templates {
                assert_eq!(gallery.best(template, 1)[0].person.id, id);
            }
        }
    }
}

#[test]
fn a_changed_copy_leaves_the_original_alone_and_shares_the_rest() {
    let mut random = Random(3);
    let mut before = Gallery::new(64);
    let vectors: Vec<Vec<f32>> = (0..6000).map(|_| random.unit(64)).collect();
    for (person, vector) in vectors.iter().enumerate() {
        before.add_person(format!("{person}"), "somebody", std::slice::from_ref(vector)).unwrap();
    }
    let mut after = before.clone();
    assert!(after.remove_person("100") && !after.remove_person("100"));
    assert!(after.replace_person("200", "renamed", &[vectors[200].clone()]).unwrap());
    assert!(after.replace_person("201", "somebody", &[vectors[100].clone()]).unwrap());
    assert!(!after.replace_person("202", "somebody", &[vectors[202].clone()]).unwrap());
    after.add_person("new", "New", &[random.unit(64)]).unwrap();

    assert_eq!((before.len(), before.template_count()), (6000, 6000));
    let found = before.best(&vectors[100], 1)[0];
    assert_eq!((found.person.id, found.person.name), ("100", "somebody"));
    assert_eq!(before.person("200").unwrap().name, "somebody");
    assert_eq!(before.best(&vectors[201], 1)[0].person.id, "201");

    assert_eq!(after.best(&vectors[100], 1)[0].person.id, "201");
    assert_eq!(after.best(&vectors[200], 1)[0].person.name, "renamed");
    assert_eq!((after.person("100"), after.similarity_to(&vectors[0], "100")), (None, None));
    assert!(after.best(&vectors[201], 1)[0].similarity < 0.9);
    let shared = before.rows.pages().iter().zip(after.rows.pages());
    let shared = shared.filter(|(before, after)| std::sync::Arc::ptr_eq(before, after)).count();
    assert_eq!(
        (before.rows.pages().len(), shared),
        (6, 4),
        "the page of 100 and 201, and the last one, are new"
    );
}

#[test]
fn people_as_similar_as_each_other_come_in_the_order_of_enrolment() {
    for others in [0, 9000] {
        let mut random = Random(5);
        let (mut gallery, vector) = (Gallery::new(32), random.unit(32));
        for id in ["a", "b", "c"] {
            gallery.add_person(id, id, std::slice::from_ref(&vector)).unwrap();
        }
        for other in 0..others {
            gallery.add_person(format!("{other}"), "somebody", &[random.unit(32)]).unwrap();
        }
        // The slot of somebody removed, taken by whoever comes last, does not put them in front.
        gallery.remove_person("a");
        gallery.add_person("d", "d", std::slice::from_ref(&vector)).unwrap();
        assert_eq!(gallery.place_of("d"), Some(0));
        gallery.replace_person("b", "b", &[random.unit(32), vector.clone()]).unwrap();
        let ids: Vec<&str> = gallery.best(&vector, 3).iter().map(|found| found.person.id).collect();
        assert_eq!(ids, ["b", "c", "d"]);
        assert_eq!(gallery.best(&vector, 1)[0].person.id, "b");
    }
}

#[test]
fn a_template_takes_little_memory_and_changes_take_none() {
    let id = |person: usize| format!("{person:08x}-5eed-7000-8000-{person:012x}");
    let mut random = Random(9);
    let mut gallery = Gallery::new(512);
    for person in 0..8192 {
        gallery.add_person(id(person), "Somebody Else", &[random.unit(512)]).unwrap();
    }
    let bytes = gallery.memory_bytes();
    assert!(bytes <= 1200 * 8192, "{} per template", bytes / 8192);
    for change in 0..20_000 {
        assert!(gallery.remove_person(&id(change)));
        gallery.add_person(id(change + 8192), "Somebody Else", &[random.unit(512)]).unwrap();
    }
    assert!(gallery.memory_bytes() <= bytes + bytes / 100, "{} after {bytes}", gallery.memory_bytes());
    for person in 20_010..28_192 {
        gallery.remove_person(&id(person));
    }
    assert_eq!((gallery.len(), gallery.template_count()), (10, 10));
    assert!(gallery.memory_bytes() < bytes / 2);
}
