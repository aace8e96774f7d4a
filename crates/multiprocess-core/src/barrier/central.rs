//! The central word of a barrier: phase bits 0 to 15, arrived 16 to 29, broken 30, sleepers 31, history 32 to 63.

const ARRIVED: u64 = 0x3fff << ARRIVED_SHIFT;
const ARRIVED_SHIFT: u32 = 16;
const BROKEN: u64 = 1 << 30;
const SLEEPERS: u64 = 1 << 31;
const HISTORY_SHIFT: u32 = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Central(pub u64);

impl Central {
    /// The most parties that can be counted.
    pub const MAX_PARTIES: u32 = (ARRIVED >> ARRIVED_SHIFT) as u32;

    pub const fn phase(self) -> u16 {
        self.0 as u16
    }

    /// How many parties have arrived in this phase.
    pub const fn arrived(self) -> u32 {
        ((self.0 & ARRIVED) >> ARRIVED_SHIFT) as u32
    }

    pub const fn is_broken(self) -> bool {
        self.0 & BROKEN != 0
    }

    pub const fn has_sleepers(self) -> bool {
        self.0 & SLEEPERS != 0
    }

    /// Whether `phase`, which is over, was completed. What is not known any more counts as broken.
    pub const fn has_completed(self, phase: u16) -> bool {
        let since = self.phase().wrapping_sub(phase) as u32;
        since >= 1 && since <= 32 && self.0 >> (HISTORY_SHIFT + since - 1) & 1 == 1
    }

    pub const fn with_sleepers(self) -> Central {
        Central(self.0 | SLEEPERS)
    }

    pub const fn with_one_more(self) -> Central {
        Central(self.0 + (1 << ARRIVED_SHIFT))
    }

    pub const fn broken(self) -> Central {
        Central(self.0 | BROKEN)
    }

    /// The beginning of the next phase.
    pub const fn ended(self, completed: bool) -> Central {
        let history = (self.0 >> HISTORY_SHIFT) << 1 | completed as u64;
        Central(self.phase().wrapping_add(1) as u64 | history << HISTORY_SHIFT)
    }
}
