//! People made up of noise: each has a centre, and every picture of them is the centre with noise of its own.

/// What each part of a vector is drawn for.
#[derive(Clone, Copy)]
pub(crate) enum Draw {
    Centre,
    Template,
    Query,
}

/// How much of a picture is noise, as long as the centre: two pictures of a person then resemble each other by 1 / (1 + NOISE²).
const NOISE: f32 = 0.8;

/// A picture of a person: not of length one. `picture` tells pictures of one kind from another.
pub(crate) fn picture(dimension: usize, person: u64, draw: Draw, picture: u64) -> Vec<f32> {
    let mut centre = Random::new(person, Draw::Centre, 0);
    let mut noise = Random::new(person, draw, picture);
    (0..dimension).map(|_| centre.normal() + NOISE * noise.normal()).collect()
}

/// Numbers that are the same every time.
struct Random(u64);

impl Random {
    fn new(person: u64, draw: Draw, picture: u64) -> Self {
        let mut random =
            Self(person.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (draw as u64) << 60 ^ picture << 48);
        random.0 = random.next();
        random
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Nearly normally distributed: the sum of four 16-bit numbers, of mean 0 and variance 1.
    fn normal(&mut self) -> f32 {
        let bits = self.next();
        let sum: u64 = (0..4).map(|part| bits >> (16 * part) & 0xffff).sum();
        (sum as f32 / 65_535.0 - 2.0) * 3.0_f32.sqrt()
    }
}
