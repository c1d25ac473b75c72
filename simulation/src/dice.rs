//! Chance from a seed, and how long things take by it.

use std::time::Duration;

/// Chance from a seed: the same seed throws the same.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice that throw what this seed says.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// From zero to below one.
    pub fn fraction(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From zero to below `end`, which is at least one.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    /// One of these, of which there is at least one.
    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }

    /// Whether it happens, so probable is it.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.fraction() < probability
    }
}

/// How long something takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Latency {
    /// No time.
    None,
    /// Anything between these, in milliseconds.
    Even(f64, f64),
    /// Half of the times below the first, one in a hundred above the second, in milliseconds.
    Long(f64, f64),
}

impl Latency {
    /// Throws for one time.
    pub fn draw(self, dice: &mut Dice) -> Duration {
        let milliseconds = match self {
            Self::None => 0.0,
            Self::Even(from, to) => from + (to - from) * dice.fraction(),
            Self::Long(median, p99) => {
                // A sum of twelve is near enough to normal.
                let normal = (0..12).map(|_| dice.fraction()).sum::<f64>() - 6.0;
                median * ((p99 / median).ln() / 2.326 * normal).exp()
            }
        };
        Duration::from_secs_f64(milliseconds / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_latency_has_the_figures_it_is_given() {
        let drawn = |latency: Latency| {
            let mut dice = Dice::new(1);
            let mut drawn: Vec<_> = (0..10_000).map(|_| latency.draw(&mut dice)).collect();
            drawn.sort_unstable();
            [0, 5_000, 9_900, 9_999].map(|at| drawn[at].as_millis())
        };
        assert_eq!(drawn(Latency::None), [0; 4]);
        let [least, median, _, most] = drawn(Latency::Even(20.0, 60.0));
        assert!(
            least == 20 && (39..=41).contains(&median) && most == 59,
            "{least} {median} {most}"
        );
        let [_, median, p99, _] = drawn(Latency::Long(300.0, 2000.0));
        assert!((285..315).contains(&median) && (1_700..2_300).contains(&p99), "{median} {p99}");
    }
}
