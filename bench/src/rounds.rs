//! Contenders that take turns, so that whatever disturbs the machine disturbs all of them.

use std::time::Duration;

use crate::statistics::Spread;

/// Something that is timed against others.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    /// Takes one sample: seconds for one start or one job. Nothing if it cannot be measured.
    pub(crate) sample: Box<dyn FnMut() -> Option<f64>>,
}

impl Contender {
    pub(crate) fn new(name: &'static str, sample: impl FnMut() -> Option<Duration> + 'static) -> Self {
        Contender::each(name, 1, sample)
    }

    /// The same for a sample of `count` things one after the other, each of which may take less than a clock's tick.
    pub(crate) fn each(name: &'static str, count: u32, mut sample: impl FnMut() -> Option<Duration> + 'static) -> Self {
        Contender { name, sample: Box::new(move || sample().map(|time| time.as_secs_f64() / f64::from(count))) }
    }
}

/// The medians of one contender in seconds, one for each batch; nothing for a batch without a sample.
pub(crate) type Medians = Vec<Option<f64>>;

/// Takes one batch of samples: each contender in turn, so many rounds, and adds a median to each one's list.
pub(crate) fn batch(contenders: &mut [Contender], rounds: usize, medians: &mut [Medians]) {
    let count = contenders.len();
    let mut samples = vec![Vec::with_capacity(rounds); count];
    for round in 0..rounds {
        // Each round begins with another contender, so that nobody always runs after the same neighbour.
        for turn in 0..count {
            let index = (round + turn) % count;
            samples[index].extend((contenders[index].sample)());
        }
    }
    for (medians, samples) in medians.iter_mut().zip(samples) {
        medians.push(Spread::of(samples).map(|spread| spread.median));
    }
}
