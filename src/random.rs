//! A small seeded generator for test runs and fuzz bodies: the same seed gives the same run anywhere.

/// An xorshift generator (Marsaglia, xorshift64*). Not for secrets.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The generator of this seed.
    pub fn new(seed: u64) -> Self {
        // Neighbouring seeds are spread out, and zero, which would stay zero, is avoided.
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The generator of run `run` of a test. `PUSHGATEWAY_SEED` shifts all runs, so that a long campaign sees new
    /// ones; the seed is printed, which the test runner shows when the test fails.
    pub fn for_test(run: u64) -> Self {
        let base: u64 = std::env::var("PUSHGATEWAY_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
        println!("run {run} of PUSHGATEWAY_SEED={base}");
        Self::new(base.wrapping_mul(1_000_003).wrapping_add(run))
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number from 0 to below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(end)) >> 64) as u64
    }

    /// A place in a list of `len` items.
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// Whether a chance of one in `count` came up.
    pub fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    /// One of these.
    pub fn pick<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.index(list.len())]
    }

    /// A number from 0 to 1.
    pub fn unit(&mut self) -> f64 {
        self.bits() as f64 / u64::MAX as f64
    }

    /// Puts a list into random order.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            list.swap(at, self.index(at + 1));
        }
    }
}
