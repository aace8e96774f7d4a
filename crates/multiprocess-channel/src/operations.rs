//! What the two ends of a channel and a queue have in common: sending, receiving, measuring, and being a handle that travels.

/// `Clone`, `Serialize` and `Deserialize` for a handle around an [`End`](crate::end::End), whatever `T` is.
macro_rules! handle {
    ($Type:ident, $sides:ident) => {
        /// Another handle of the same channel.
        impl<T> Clone for $Type<T> {
            fn clone(&self) -> Self {
                $Type { end: self.end.clone(), message: std::marker::PhantomData }
            }
        }

        /// A handle travels in arguments, results, pool initialisers and pipes, and counts while it is on its way.
        impl<T> serde::Serialize for $Type<T> {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.end.serialize(serializer)
            }
        }

        impl<'de, T> serde::Deserialize<'de> for $Type<T> {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::end::End::deserialize(deserializer, $crate::end::Sides::$sides).map($Type::of)
            }
        }

        impl<T> $Type<T> {
            pub(crate) fn of(end: $crate::end::End) -> Self {
                $Type { end: std::sync::Arc::new(end), message: std::marker::PhantomData }
            }
        }
    };
}

/// The methods that measure. `$new` makes `tx` and `rx` in the examples.
macro_rules! measures {
    ($new:literal) => {
        /// How many messages are in it at this moment.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = $new]
        ///
        /// tx.send(7)?;
        /// assert_eq!((tx.len(), rx.len()), (1, 1));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        #[doc(alias = "qsize")]
        pub fn len(&self) -> usize {
            usize::try_from(self.end.channel().ring().len()).unwrap_or(usize::MAX)
        }

        /// Whether there is no message in it at this moment.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = $new]
        ///
        /// assert!(tx.is_empty() && rx.is_empty());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        #[doc(alias = "empty")]
        pub fn is_empty(&self) -> bool {
            self.end.channel().ring().is_empty()
        }

        /// Whether there is no room for a message in it at this moment.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = $new]
        ///
        /// tx.send(7)?;
        /// assert!(tx.is_full() && rx.is_full());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        #[doc(alias = "full")]
        pub fn is_full(&self) -> bool {
            self.end.channel().ring().is_full()
        }

        /// For how many messages there is room: the number that it was made with. Never `None`.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = $new]
        ///
        /// assert_eq!((tx.capacity(), rx.capacity()), (Some(1), Some(1)));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        #[doc(alias = "maxsize")]
        pub fn capacity(&self) -> Option<usize> {
            Some(self.end.channel().capacity())
        }
    };
}

/// The methods that send.
macro_rules! sends {
    ($new:literal) => {
        /// Sends a message, and waits for room as long as it takes. It is encoded here, before the wait.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = $new]
        ///
        /// tx.send(7)?;
        /// assert_eq!(rx.recv()?, 7);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        ///
        /// # Errors
        ///
        /// With the message given back: nobody is left to receive it, or the queue was closed
        /// ([`Disconnected`](SendError::Disconnected)); it cannot be encoded, has a handle in it, is too large, or there is no
        /// memory for it ([`Failed`](SendError::Failed)).
        ///
        /// # Crash
        ///
        /// If the caller is killed in here, the message is there as a whole or not at all, and nobody else is disturbed. Once it has
        /// returned, the message stays, whatever becomes of the caller.
        #[doc(alias = "put")]
        #[inline]
        pub fn send(&self, value: T) -> Result<(), SendError<T>> {
            match encoding::send(&self.end, &value, Patience::forever) {
                Ok(()) => Ok(()),
                Err(Unsent::Failed(error)) => Err(SendError::Failed(value, error)),
                Err(Unsent::Disconnected | Unsent::Full) => Err(SendError::Disconnected(value)),
            }
        }

        /// Sends a message if there is room for it now.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = $new]
        ///
        /// tx.try_send(7)?;
        /// assert_eq!(tx.try_send(8).unwrap_err().into_inner(), 8);
        /// # drop(rx);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        ///
        /// # Errors
        ///
        /// [`Full`](TrySendError::Full), and those of [`send`](Self::send).
        ///
        /// # Crash
        ///
        /// As [`send`](Self::send).
        #[doc(alias = "put_nowait")]
        #[inline]
        pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
            match encoding::send(&self.end, &value, Patience::none) {
                Ok(()) => Ok(()),
                Err(Unsent::Full) => Err(TrySendError::Full(value)),
                Err(Unsent::Disconnected) => Err(TrySendError::Disconnected(value)),
                Err(Unsent::Failed(error)) => Err(TrySendError::Failed(value, error)),
            }
        }

        /// Sends a message, and waits for room at most for that long.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = $new]
        ///
        /// tx.send(7)?;
        /// let error = tx.send_timeout(8, std::time::Duration::from_millis(10)).unwrap_err();
        /// assert!(error.is_timeout());
        /// # drop(rx);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        ///
        /// # Errors
        ///
        /// [`Timeout`](SendTimeoutError::Timeout), and those of [`send`](Self::send).
        ///
        /// # Crash
        ///
        /// As [`send`](Self::send).
        pub fn send_timeout(&self, value: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
            self.send_until(value, Deadline::after(timeout))
        }

        /// Sends a message, and waits for room until that moment.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = $new]
        ///
        /// tx.send_deadline(7, std::time::Instant::now())?;
        /// assert!(tx.send_deadline(8, std::time::Instant::now()).unwrap_err().is_timeout());
        /// # drop(rx);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        ///
        /// # Errors
        ///
        /// [`Timeout`](SendTimeoutError::Timeout), and those of [`send`](Self::send).
        ///
        /// # Crash
        ///
        /// As [`send`](Self::send).
        pub fn send_deadline(&self, value: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
            self.send_until(value, Deadline::at(deadline))
        }

        fn send_until(&self, value: T, deadline: Deadline) -> Result<(), SendTimeoutError<T>> {
            match encoding::send(&self.end, &value, || Patience::until(deadline)) {
                Ok(()) => Ok(()),
                Err(Unsent::Full) => Err(SendTimeoutError::Timeout(value)),
                Err(Unsent::Disconnected) => Err(SendTimeoutError::Disconnected(value)),
                Err(Unsent::Failed(error)) => Err(SendTimeoutError::Failed(value, error)),
            }
        }
    };
}

/// The methods that receive. `$as_receiver` is the function that makes an iterator's receiver out of the handle.
macro_rules! receives {
    ($new:literal) => {
        /// Takes the next message, and waits for it as long as it takes.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = $new]
        ///
        /// tx.send(7)?;
        /// assert_eq!(rx.recv()?, 7);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        ///
        /// # Errors
        ///
        /// There is no message, and none will come: nobody is left to send one, or the queue was closed
        /// ([`Disconnected`](RecvError::Disconnected)). A message came that is no `T`: it is lost, and the next call gets the
        /// next one ([`Failed`](RecvError::Failed)).
        ///
        /// # Crash
        ///
        /// If the caller is killed in here, the message that it was about to take is lost, or another receiver gets it; no other
        /// message is. Once this has returned, the message is the caller's.
        #[doc(alias = "get")]
        #[inline]
        pub fn recv(&self) -> Result<T, RecvError> {
            encoding::receive(&self.end, Patience::forever).map_err(|unreceived| match unreceived {
                Unreceived::Failed(error) => RecvError::Failed(error),
                Unreceived::Disconnected | Unreceived::Empty => RecvError::Disconnected,
            })
        }

        /// Takes the next message if there is one now.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = $new]
        ///
        /// assert!(rx.try_recv().unwrap_err().is_empty());
        /// # drop(tx);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        ///
        /// # Errors
        ///
        /// [`Empty`](TryRecvError::Empty), and those of [`recv`](Self::recv).
        ///
        /// # Crash
        ///
        /// As [`recv`](Self::recv).
        #[doc(alias = "get_nowait")]
        #[inline]
        pub fn try_recv(&self) -> Result<T, TryRecvError> {
            encoding::receive(&self.end, Patience::none).map_err(|unreceived| match unreceived {
                Unreceived::Empty => TryRecvError::Empty,
                Unreceived::Disconnected => TryRecvError::Disconnected,
                Unreceived::Failed(error) => TryRecvError::Failed(error),
            })
        }

        /// Takes the next message, and waits for it at most for that long.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = $new]
        ///
        /// let error = rx.recv_timeout(std::time::Duration::from_millis(10)).unwrap_err();
        /// assert!(error.is_timeout());
        /// # drop(tx);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        ///
        /// # Errors
        ///
        /// [`Timeout`](RecvTimeoutError::Timeout), and those of [`recv`](Self::recv).
        ///
        /// # Crash
        ///
        /// As [`recv`](Self::recv).
        pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
            self.recv_until(Deadline::after(timeout))
        }

        /// Takes the next message, and waits for it until that moment.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = $new]
        ///
        /// assert!(rx.recv_deadline(std::time::Instant::now()).unwrap_err().is_timeout());
        /// # drop(tx);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        ///
        /// # Errors
        ///
        /// [`Timeout`](RecvTimeoutError::Timeout), and those of [`recv`](Self::recv).
        ///
        /// # Crash
        ///
        /// As [`recv`](Self::recv).
        pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
            self.recv_until(Deadline::at(deadline))
        }

        fn recv_until(&self, deadline: Deadline) -> Result<T, RecvTimeoutError> {
            encoding::receive(&self.end, || Patience::until(deadline)).map_err(|unreceived| match unreceived {
                Unreceived::Empty => RecvTimeoutError::Timeout,
                Unreceived::Disconnected => RecvTimeoutError::Disconnected,
                Unreceived::Failed(error) => RecvTimeoutError::Failed(error),
            })
        }

        /// The messages one after another, each waited for, until none will come. One that is no `T` is lost and passed over;
        /// [`recv`](Self::recv) tells of it.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = $new]
        ///
        /// tx.send(7)?;
        /// assert_eq!(rx.iter().next(), Some(7));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn iter(&self) -> Iter<'_, T> {
            Iter::new(&self.end)
        }

        /// The messages that are there, without waiting for more. One that is no `T` is lost and passed over.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = $new]
        ///
        /// tx.send(7)?;
        /// assert_eq!(rx.try_iter().collect::<Vec<_>>(), [7]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn try_iter(&self) -> TryIter<'_, T> {
            TryIter::new(&self.end)
        }
    };
}

pub(crate) use {handle, measures, receives, sends};
