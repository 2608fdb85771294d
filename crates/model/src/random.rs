//! Where chance comes from: an argument, so that every decision can be repeated in a test.

/// A source of random numbers.
pub trait RandomSource {
    /// A number that is uniform in `0..bound`; 0 when `bound` is 0.
    fn below(&mut self, bound: usize) -> usize;
}

/// A fast generator (xoshiro256++) for decisions nobody gains by guessing, such as load balancing;
/// not for secrets.
#[derive(Debug, Clone)]
pub struct FastRandom {
    state: [u64; 4],
}

impl FastRandom {
    /// A generator whose numbers follow from `seed` alone.
    pub fn new(seed: u64) -> Self {
        // SplitMix64 spreads the seed, as the authors of xoshiro advise: its state must not be all
        // zero, and similar seeds must not give similar numbers.
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = state;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            word ^ (word >> 31)
        };
        Self {
            state: [next(), next(), next(), next()],
        }
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let result = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }
}

impl RandomSource for FastRandom {
    fn below(&mut self, bound: usize) -> usize {
        // Lemire's multiplication: the high half is the number; the few low halves that would
        // favour some numbers are drawn again.
        let bound = bound as u64;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            let low = product as u64;
            if low >= bound || low >= bound.wrapping_neg() % bound.max(1) {
                return (product >> 64) as usize;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let (mut left, mut right) = (FastRandom::new(7), FastRandom::new(7));
        assert!((0..100).all(|_| left.next_u64() == right.next_u64()));
        assert_ne!(FastRandom::new(1).next_u64(), FastRandom::new(2).next_u64());
    }

    #[test]
    fn gives_the_reference_numbers() {
        // SplitMix64(0) as published, then xoshiro256++ by hand from that state.
        let random = FastRandom::new(0);
        assert_eq!(random.state[0], 0xe220_a839_7b1d_cdaf);
        assert_eq!(random.state[1], 0x6e78_9e6a_a1b9_65f4);
        let expected = random.state[0]
            .wrapping_add(random.state[3])
            .rotate_left(23)
            .wrapping_add(random.state[0]);
        assert_eq!(random.clone().next_u64(), expected);
    }

    #[test]
    fn every_number_below_the_bound_comes_up_about_equally_often() {
        let mut random = FastRandom::new(42);
        for bound in [1, 2, 3, 7] {
            let mut counts = vec![0u32; bound];
            for _ in 0..70_000 {
                counts[random.below(bound)] += 1;
            }
            let expected = 70_000.0 / bound as f64;
            assert!(
                counts
                    .iter()
                    .all(|count| (f64::from(*count) - expected).abs() < expected * 0.05),
                "{bound}: {counts:?}"
            );
        }
        assert_eq!(random.below(0), 0);
    }
}
