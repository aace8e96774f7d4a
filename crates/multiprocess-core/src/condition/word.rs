//! The two kinds of word of a condition: the central one, and the count of one process.

const SLEEPERS: u64 = 1;
const EPOCH: u64 = 0xffff_fffe;
const EPOCH_STEP: u64 = 2;
const TOKENS: u64 = 0x3f_ffff << 32;
const TOKENS_SHIFT: u32 = 32;
const MOVE: u64 = 1 << 54;

/// The central word: sleepers bit 0, epoch 1 to 31, tokens 32 to 53, moves 54 to 63.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Central(pub u64);

impl Central {
    /// As many as Linux has threads.
    pub const MAX_TOKENS: u64 = TOKENS >> TOKENS_SHIFT;

    /// One move more: what is to be added.
    pub const MOVE: u64 = MOVE;

    /// How many notifications there have been.
    pub const fn epoch(self) -> u32 {
        (self.0 & EPOCH) as u32
    }

    /// How many waiters of earlier epochs may go on.
    pub const fn tokens(self) -> u64 {
        (self.0 & TOKENS) >> TOKENS_SHIFT
    }

    /// Whether somebody may sleep.
    pub const fn has_sleepers(self) -> bool {
        self.0 & SLEEPERS != 0
    }

    /// Whether one that began in `epoch` may take a token.
    pub const fn lets(self, epoch: u32) -> bool {
        self.epoch() != epoch && self.tokens() > 0
    }

    pub const fn with_sleepers(self) -> Central {
        Central(self.0 | SLEEPERS)
    }

    pub const fn without_sleepers(self) -> Central {
        Central(self.0 & !SLEEPERS)
    }

    pub const fn with_tokens(self, tokens: u64) -> Central {
        Central(self.0 & !TOKENS | (tokens << TOKENS_SHIFT) & TOKENS)
    }

    pub const fn next_epoch(self) -> Central {
        Central(self.0 & !EPOCH | self.0.wrapping_add(EPOCH_STEP) & EPOCH)
    }

    /// Another word, so that an exchange made from what was counted before fails.
    pub const fn next_move(self) -> Central {
        Central(self.0.wrapping_add(MOVE))
    }
}

const WAITING: u64 = 0xffff;
const WOKEN_SHIFT: u32 = 16;
const GENERATION_SHIFT: u32 = 32;

/// The word of one slot: calls that wait 0 to 15, calls that took a token and have not ended 16 to 31, generation 32 to 63.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count(pub u64);

impl Count {
    /// Nobody of this generation.
    pub const fn empty(generation: u32) -> Count {
        Count((generation as u64) << GENERATION_SHIFT)
    }

    pub const fn generation(self) -> u32 {
        (self.0 >> GENERATION_SHIFT) as u32
    }

    pub const fn waiting(self) -> u64 {
        self.0 & WAITING
    }

    pub const fn woken(self) -> u64 {
        self.0 >> WOKEN_SHIFT & WAITING
    }

    /// Whether there is nobody to think of.
    pub const fn is_empty(self) -> bool {
        self.0 as u32 == 0
    }

    /// The same with so many more or fewer; `None` if a count would leave its field.
    pub const fn plus(self, waiting: i64, woken: i64) -> Option<Count> {
        let waiting = self.waiting() as i64 + waiting;
        let woken = self.woken() as i64 + woken;
        if waiting < 0 || woken < 0 || waiting > WAITING as i64 || woken > WAITING as i64 {
            return None;
        }
        Some(Count(Count::empty(self.generation()).0 | waiting as u64 | (woken as u64) << WOKEN_SHIFT))
    }
}
