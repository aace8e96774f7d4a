//! Waiting for a ring and for other things at once, without a call of the ring that waits.

use super::Ring;
use crate::atomics::{AtomicU64, fence};
use crate::wait::Environment;

impl<'a> Ring<'a> {
    /// Announces somebody who is about to sleep until a message may be there: look with [`is_empty`](Ring::is_empty) or
    /// receive, then sleep while the lower half of the word is that of the value. Who was woken and does not receive
    /// calls [`pass_on`](Ring::pass_on).
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_core::ring::{Alone, SHORT, example};
    /// # example(|ring| {
    /// let (word, announced) = ring.announce_receiver();
    /// ring.send_now(&[0; SHORT], 7, &Alone); // wakes it
    /// assert_ne!(word.load(std::sync::atomic::Ordering::Relaxed), announced);
    /// # });
    /// ```
    pub fn announce_receiver(&self) -> (&'a AtomicU64, u64) {
        let announced = self.items().announce();
        // Pairs with `ring.sent`.
        fence!("ring.announce_receiver");
        (self.items().0, announced)
    }

    /// The same for who waits until there may be room, to look with [`is_full`](Ring::is_full).
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_core::ring::{Alone, SHORT, example};
    /// # example(|ring| {
    /// ring.send_now(&[0; SHORT], 7, &Alone);
    /// let (word, announced) = ring.announce_sender();
    /// assert!(ring.receive_now(&Alone, || 0, |_| ()).is_ok()); // wakes it
    /// assert_ne!(word.load(std::sync::atomic::Ordering::Relaxed), announced);
    /// # });
    /// ```
    pub fn announce_sender(&self) -> (&'a AtomicU64, u64) {
        let announced = self.room().announce();
        // Pairs with `ring.received`.
        fence!("ring.announce_sender");
        (self.room().0, announced)
    }

    /// Wakes another one if there is a message, or room, and somebody who waits for it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_core::ring::{Alone, SHORT, example};
    /// # example(|ring| {
    /// let (word, announced) = ring.announce_sender();
    /// ring.pass_on(&Alone); // there is room
    /// assert_ne!(word.load(std::sync::atomic::Ordering::Relaxed), announced);
    /// # });
    /// ```
    pub fn pass_on(&self, world: &impl Environment) {
        if self.items().is_awaited() && !self.is_empty() {
            self.items().wake(1, world);
        }
        if self.room().is_awaited() && !self.is_full() {
            self.room().wake(1, world);
        }
    }

    /// Ends every sleep on the ring.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_core::ring::{Alone, SHORT, example};
    /// # example(|ring| {
    /// let (word, announced) = ring.announce_receiver();
    /// ring.wake_all(&Alone);
    /// assert_ne!(word.load(std::sync::atomic::Ordering::Relaxed), announced);
    /// # });
    /// ```
    pub fn wake_all(&self, world: &impl Environment) {
        for signal in [self.items(), self.room(), self.free_memory()] {
            signal.wake(u32::MAX, world);
        }
    }
}
