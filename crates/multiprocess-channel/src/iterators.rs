//! Messages as iterators.

use crate::encoding;
use crate::end::{End, Unreceived};
use multiprocess_shm::Patience;
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// The messages of a channel, each waited for; made by [`Receiver::iter`](crate::Receiver::iter).
///
/// # Examples
///
/// ```
/// let (tx, rx) = multiprocess_channel::bounded::<u32>(2)?;
/// tx.send(1)?;
/// tx.send(2)?;
/// drop(tx);
/// assert_eq!(rx.iter().collect::<Vec<_>>(), [1, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Iter<'a, T> {
    end: &'a End,
    message: PhantomData<fn() -> T>,
}

/// The messages of a channel that are there; made by [`Receiver::try_iter`](crate::Receiver::try_iter).
///
/// # Examples
///
/// ```
/// let (tx, rx) = multiprocess_channel::bounded::<u32>(2)?;
/// tx.send(1)?;
/// assert_eq!(rx.try_iter().collect::<Vec<_>>(), [1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TryIter<'a, T> {
    end: &'a End,
    message: PhantomData<fn() -> T>,
}

/// The messages of a channel, each waited for, with the receiver inside; made by its `into_iter`.
///
/// # Examples
///
/// ```
/// let (tx, rx) = multiprocess_channel::bounded::<u32>(2)?;
/// tx.send(1)?;
/// drop(tx);
/// assert_eq!(rx.into_iter().collect::<Vec<_>>(), [1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct IntoIter<T> {
    end: Arc<End>,
    message: PhantomData<fn() -> T>,
}

impl<'a, T> Iter<'a, T> {
    pub(crate) fn new(end: &'a End) -> Self {
        Iter { end, message: PhantomData }
    }
}

impl<'a, T> TryIter<'a, T> {
    pub(crate) fn new(end: &'a End) -> Self {
        TryIter { end, message: PhantomData }
    }
}

impl<T> IntoIter<T> {
    pub(crate) fn new(end: Arc<End>) -> Self {
        IntoIter { end, message: PhantomData }
    }
}

/// The next message that can be read.
fn next<T: DeserializeOwned>(end: &End, patience: fn() -> Patience) -> Option<T> {
    loop {
        match encoding::receive(end, patience) {
            Ok(value) => return Some(value),
            Err(Unreceived::Failed(_)) => {}
            Err(Unreceived::Empty | Unreceived::Disconnected) => return None,
        }
    }
}

impl<T: DeserializeOwned> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        next(self.end, Patience::forever)
    }
}

impl<T: DeserializeOwned> Iterator for TryIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        next(self.end, Patience::none)
    }
}

impl<T: DeserializeOwned> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        next(&self.end, Patience::forever)
    }
}

impl<T: DeserializeOwned> std::iter::FusedIterator for Iter<'_, T> {}
impl<T: DeserializeOwned> std::iter::FusedIterator for IntoIter<T> {}

impl<T> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Iter { .. }")
    }
}

impl<T> fmt::Debug for TryIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("TryIter { .. }")
    }
}

impl<T> fmt::Debug for IntoIter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("IntoIter { .. }")
    }
}
