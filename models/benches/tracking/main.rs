//! How well faces are followed, on scenes with known truth: `cargo bench -p vedette-models --bench tracking`. For
//! each scene and inference interval, over several seeds: IDF1, id switches, fragmentations, faces missed, and the
//! time a frame takes. `sure only` leaves out what a detector scores below its threshold.

mod identity;
mod scenes;

use std::time::{Duration, Instant};

use identity::Score;
use scenes::{FPS, FRAME, Random, Scene};
use vedette_models::geometry::Rect;
use vedette_models::track::{TrackId, Tracker, TrackerOptions};

const INTERVALS: [u64; 4] = [1, 2, 5, 10];
const SEEDS: u64 = 10;
/// The threshold of the scenes' detector.
const SURE_SCORE: f32 = 0.5;

/// Means over seeds of one scene at one interval.
#[derive(Default)]
struct Row {
    idf1: f64,
    switches: usize,
    fragmentations: usize,
    misses: usize,
    frames: u32,
    time: Duration,
}

fn run(scene: &Scene, interval: u64, seed: u64, sure_only: bool, row: &mut Row) {
    let options = TrackerOptions::default();
    let (mut tracker, mut score, mut random) =
        (Tracker::new(options), Score::default(), Random::new(seed + 1));
    for frame in 0..scene.frames {
        let time_ms = frame * 1000 / FPS;
        let visible = scene.visible(time_ms as f32 / 1000.0);
        let detections = scene.detections(&visible, &mut random);
        let (sure, unsure): (Vec<_>, Vec<_>) =
            detections.into_iter().partition(|face| face.score >= SURE_SCORE);
        let unsure: Vec<Rect> =
            if sure_only { Vec::new() } else { unsure.iter().map(|face| face.rect).collect() };
        let begun = Instant::now();
        let tracks: Vec<(TrackId, Rect)> = if frame % interval == 0 {
            let update = tracker.update(time_ms, &sure, &unsure);
            let sure = update.assignments.into_iter().zip(sure.iter().map(|face| face.rect));
            let seen = sure.chain(update.continued.into_iter().zip(unsure));
            seen.filter_map(|(id, rect)| Some((id?, rect))).collect()
        } else {
            tracker.predict(time_ms)
        };
        row.time += begun.elapsed();
        let inside = |rect: &Rect| rect.clip_to(FRAME.0, FRAME.1);
        let tracks: Vec<(TrackId, Rect)> = tracks
            .iter()
            .map(|(id, rect)| (*id, inside(rect)))
            .filter(|(_, rect)| !rect.is_empty())
            .collect();
        let truth: Vec<(usize, Rect)> = visible.iter().map(|face| (face.person, face.rect)).collect();
        score.frame(&truth, &tracks);
    }
    row.idf1 += score.idf1() / SEEDS as f64;
    row.switches += score.switches;
    row.fragmentations += score.fragmentations;
    row.misses += score.misses;
    row.frames += scene.frames as u32;
}

fn main() {
    println!("sums over {SEEDS} seeds, IDF1 their mean");
    println!("scene            every  detections  IDF1    switches  fragments  misses  µs/frame");
    for scene in Scene::all() {
        for interval in INTERVALS {
            for (sure_only, what) in [(false, "all"), (true, "sure only")] {
                let mut row = Row::default();
                (0..SEEDS).for_each(|seed| run(&scene, interval, seed, sure_only, &mut row));
                println!(
                    "{:15} {interval:6}  {what:10}  {:.4} {:9} {:10} {:7} {:9.1}",
                    scene.name,
                    row.idf1,
                    row.switches,
                    row.fragmentations,
                    row.misses,
                    row.time.as_secs_f64() * 1e6 / f64::from(row.frames)
                );
            }
        }
    }
}
