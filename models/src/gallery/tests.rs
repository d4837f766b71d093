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
        let ids: Vec<&str> = found.iter().map(|found| &*found.person.id).collect();
        assert_eq!(ids, ["a", "b"]);
        assert!((found[0].similarity - 0.8).abs() < 1e-5 && (found[1].similarity - 0.5).abs() < 1e-5);
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
    assert_eq!(gallery.person("a").map(|person| &*person.name), Some("Ada"));
}
