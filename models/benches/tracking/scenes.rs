//! Scenes whose truth is known: where every face is at any time, and what a detector would say of it. Everything
//! random comes from a seed, so that every run sees the same.

use vedette_models::detect::DetectedFace;
use vedette_models::geometry::{Point, Rect};

/// Frames a second of every scene.
pub(super) const FPS: u64 = 25;
/// Size of the picture in pixels.
pub(super) const FRAME: (u32, u32) = (1280, 720);
/// A face of which less is to be seen is neither truth nor detected.
const LEAST_VISIBLE: f32 = 0.4;
/// A face of which less is to be seen is detected with a low score.
const SURELY_VISIBLE: f32 = 0.75;

/// How one face moves: from its start at a speed, swinging sideways.
#[derive(Clone, Copy)]
struct Walker {
    start: Point,
    /// Pixels a second.
    velocity: Point,
    swing_px: Point,
    swing_s: f32,
    width_px: f32,
    begins_s: f32,
    ends_s: f32,
}

impl Walker {
    fn at(&self, seconds: f32) -> Option<Rect> {
        let since = seconds - self.begins_s;
        if since < 0.0 || seconds >= self.ends_s {
            return None;
        }
        let swing = (std::f32::consts::TAU * since / self.swing_s).sin();
        let centre = Point::new(
            self.start.x + self.velocity.x * since + self.swing_px.x * swing,
            self.start.y + self.velocity.y * since + self.swing_px.y * swing,
        );
        Some(Rect::from_centre(centre, self.width_px, 1.2 * self.width_px))
    }
}

/// A scene.
pub(super) struct Scene {
    pub(super) name: &'static str,
    pub(super) frames: u64,
    walkers: Vec<Walker>,
    /// Something in front of everybody.
    pillar: Option<Rect>,
}

/// A face that is to be seen in a frame.
pub(super) struct Visible {
    pub(super) person: usize,
    /// The part of it inside the frame.
    pub(super) rect: Rect,
    share: f32,
}

/// Always the same numbers.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number in 0…1.
    fn share(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1_u32 << 24) as f32
    }

    /// About normally distributed, with a deviation of 1: the sum of twelve.
    fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.share()).sum::<f32>() - 6.0
    }
}

impl Scene {
    /// All there are.
    pub(super) fn all() -> Vec<Self> {
        vec![two_lanes(), crossing(), pillar(), border(), runners(), doors(), crowd()]
    }

    /// Who is to be seen at that time. Who stands lower in the picture is nearer and hides others.
    pub(super) fn visible(&self, seconds: f32) -> Vec<Visible> {
        let boxes: Vec<(usize, Rect)> = (self.walkers.iter().enumerate())
            .filter_map(|(person, walker)| Some((person, walker.at(seconds)?)))
            .collect();
        let is_nearer = |a: &(usize, Rect), b: &(usize, Rect)| (a.1.bottom(), a.0) > (b.1.bottom(), b.0);
        boxes
            .iter()
            .filter_map(|seen| {
                let inside = seen.1.clip_to(FRAME.0, FRAME.1);
                let hiders = boxes.iter().filter(|other| is_nearer(other, seen)).map(|other| &other.1);
                let hidden = hiders
                    .chain(self.pillar.as_ref())
                    .map(|hider| hider.intersection_area(&inside))
                    .fold(0.0, f32::max);
                let share = (inside.area() - hidden) / seen.1.area();
                (share >= LEAST_VISIBLE).then_some(Visible { person: seen.0, rect: inside, share })
            })
            .collect()
    }

    /// What a detector says of it: boxes that tremble, a face missed now and then, few phantoms. Scores of faces
    /// that are half hidden are low.
    pub(super) fn detections(&self, visible: &[Visible], random: &mut Random) -> Vec<DetectedFace> {
        let mut found = Vec::new();
        for face in visible {
            let tremble: [f32; 4] = std::array::from_fn(|_| 0.03 * face.rect.width * random.normal());
            let (chance, score) = (random.share(), random.share());
            let is_sure = face.share >= SURELY_VISIBLE;
            if chance < if is_sure { 0.03 } else { 0.1 } {
                continue;
            }
            let rect = Rect::from_edges(
                face.rect.x + tremble[0],
                face.rect.y + tremble[1],
                face.rect.right() + tremble[2],
                face.rect.bottom() + tremble[3],
            );
            let score = if is_sure { 0.7 + 0.25 * score } else { 0.2 + 0.25 * score };
            found.push(DetectedFace { rect, score, ..DetectedFace::default() });
        }
        if random.share() < 0.02 {
            let (x, y) = (random.share() * 1200.0, random.share() * 640.0);
            found.push(DetectedFace {
                rect: Rect::new(x, y, 50.0, 60.0),
                score: 0.55,
                ..DetectedFace::default()
            });
        }
        found
    }
}

fn walker(start: (f32, f32), velocity: (f32, f32), width_px: f32) -> Walker {
    Walker {
        start: Point::new(start.0, start.1),
        velocity: Point::new(velocity.0, velocity.1),
        swing_px: Point::new(0.0, 4.0),
        swing_s: 0.5,
        width_px,
        begins_s: 0.0,
        ends_s: f32::INFINITY,
    }
}

/// Two people pass each other in two lanes.
fn two_lanes() -> Scene {
    let walkers =
        vec![walker((100.0, 250.0), (250.0, 0.0), 120.0), walker((1180.0, 480.0), (-250.0, 0.0), 120.0)];
    Scene { name: "two lanes", frames: 110, walkers, pillar: None }
}

/// Pairs who walk through each other, the nearer one hiding the other, quickly and slowly.
fn crossing() -> Scene {
    let mut walkers = Vec::new();
    for (pair, speed) in [350.0, 200.0, 120.0].into_iter().enumerate() {
        let y = 130.0 + 220.0 * pair as f32;
        let away = 2.2 * speed;
        walkers.push(walker((640.0 - away, y), (speed, 0.0), 90.0));
        walkers.push(walker((640.0 + away, y + 30.0), (-speed, -5.0), 80.0));
    }
    Scene { name: "crossing", frames: 110, walkers, pillar: None }
}

/// People walk behind a pillar and come out again within a second.
fn pillar() -> Scene {
    let lanes = [(100.0, 300.0), (300.0, 260.0), (500.0, -280.0), (650.0, -330.0)];
    let from = |speed: f32| if speed > 0.0 { 100.0 } else { 1180.0 };
    let walkers = lanes.iter().map(|(y, speed)| walker((from(*speed), *y), (*speed, 0.0), 80.0)).collect();
    Scene { name: "occlusion", frames: 110, walkers, pillar: Some(Rect::new(590.0, 0.0, 100.0, 720.0)) }
}

/// People come in at every border, one after the other, and leave at the opposite one.
fn border() -> Scene {
    let mut walkers = Vec::new();
    for turn in 0..4 {
        let begins_s = 1.5 * turn as f32;
        let begun = |walker: Walker| Walker { begins_s, ..walker };
        walkers.push(begun(walker((-60.0, 160.0), (400.0, 0.0), 90.0)));
        walkers.push(begun(walker((1340.0, 560.0), (-380.0, 0.0), 90.0)));
        walkers.push(begun(walker((400.0, -60.0), (0.0, 300.0), 80.0)));
    }
    Scene { name: "border", frames: 220, walkers, pillar: None }
}

/// Small faces that move by several of their widths between looks.
fn runners() -> Scene {
    let lanes = 0..6;
    let walkers = lanes
        .map(|lane| {
            let speed = 220.0 + 40.0 * lane as f32;
            let is_left = lane % 2 == 0;
            let start = (if is_left { 30.0 } else { 1250.0 }, 90.0 + 105.0 * lane as f32);
            walker(start, (if is_left { speed } else { -speed }, 0.0), 36.0)
        })
        .collect();
    Scene { name: "small and fast", frames: 75, walkers, pillar: None }
}

/// Thirty faces that mill about.
fn crowd() -> Scene {
    let mut random = Random::new(30);
    let walkers = (0..30)
        .map(|person| {
            let mut between = |least: f32, most: f32| least + (most - least) * random.share();
            let start = (100.0 + 216.0 * (person % 6) as f32, 90.0 + 130.0 * (person / 6) as f32);
            let velocity = (between(-40.0, 40.0), between(-15.0, 15.0));
            Walker {
                swing_px: Point::new(between(-120.0, 120.0), between(-30.0, 30.0)),
                swing_s: between(3.0, 6.0),
                ..walker(start, velocity, between(45.0, 75.0))
            }
        })
        .collect();
    Scene { name: "30 faces", frames: 250, walkers, pillar: None }
}

/// People vanish, as behind a door, and others appear beside them half a second later: nobody is to be taken for
/// somebody else.
fn doors() -> Scene {
    let mut walkers = Vec::new();
    for door in 0..4 {
        let place = (200.0 + 280.0 * door as f32, 200.0 + 80.0 * door as f32);
        let leaving = walker(place, (30.0, 0.0), 80.0);
        let appearing = walker((place.0 + 130.0, place.1), (30.0, 0.0), 80.0);
        walkers.push(Walker { ends_s: 2.0, ..leaving });
        walkers.push(Walker { begins_s: 2.5, ..appearing });
    }
    Scene { name: "doors", frames: 110, walkers, pillar: None }
}
