//! Which of many points are gone to.

use std::env;

/// Numbers by chance, the same for the same seed (SplitMix64).
pub struct Chance(u64);

impl Chance {
    pub fn new(salt: &str) -> Self {
        let seed = env::var("LOCKGATE_SEED").map_or(0x5eed_1ece, |text| text.parse().expect("LOCKGATE_SEED is a number"));
        Self(salt.bytes().fold(seed, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte))))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// Whether all points are wanted.
pub fn all() -> bool {
    env::var("LOCKGATE_CRASH").is_ok_and(|wanted| wanted == "all")
}

/// All points, or `few` of them in their order.
pub fn sample<T>(mut points: Vec<T>, few: usize, chance: &mut Chance) -> Vec<T> {
    while !all() && points.len() > few {
        points.remove(chance.below(points.len()));
    }
    points
}
