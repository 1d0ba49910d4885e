//! What both kinds of semaphore can do, written once for both.

/// For a handle whose field `placed` is a `PlacedSemaphore`.
macro_rules! impl_semaphore {
    ($handle:ident, $name:literal) => {
        impl $handle {
            fn attach(segment: std::sync::Arc<crate::segment::Segment>, offset: u64) -> crate::Result<Self> {
                Ok($handle { placed: crate::sync::semaphore::PlacedSemaphore::attach(segment, offset)? })
            }

            /// Waits for a permit as long as it takes.
            ///
            /// # Errors
            ///
            /// Only in a forked copy of the process that has attached, when it cannot become a peer of its own:
            /// [`TooManyPeers`](crate::Error::TooManyPeers), or [`Os`](crate::Error::Os).
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let semaphore = crossproc::", $name, "::new(2)?;")]
            /// let permit = semaphore.acquire()?;
            /// assert_eq!(semaphore.value(), 1);
            /// drop(permit);
            /// assert_eq!(semaphore.value(), 2);
            /// # Ok::<(), crossproc::Error>(())
            /// ```
            #[inline]
            pub fn acquire(&self) -> crate::Result<crate::Permit<'_>> {
                Ok(self.placed.take(crate::segment::Wait::FOR_EVER)?)
            }

            /// Takes a permit if one is free, or its owner is dead. Where others take permits and give them back meanwhile, it
            /// may miss one.
            ///
            /// # Errors
            ///
            /// [`NoPermit`](crate::TryAcquireError::NoPermit) if it finds none, [`Failed`](crate::TryAcquireError::Failed) as
            /// [`acquire`](Self::acquire).
            ///
            /// # Examples
            ///
            /// ```
            /// use crossproc::{Error, TryAcquireError};
            ///
            #[doc = concat!("let semaphore = crossproc::", $name, "::new(1)?;")]
            /// let _permit = semaphore.try_acquire()?;
            /// assert!(matches!(semaphore.try_acquire(), Err(TryAcquireError::NoPermit)));
            /// # Ok::<(), Error>(())
            /// ```
            #[inline]
            pub fn try_acquire(&self) -> crate::Result<crate::Permit<'_>, crate::TryAcquireError> {
                self.placed.take(crate::segment::Wait::No)
            }

            /// Waits for a permit, `timeout` at most (monotonic; never shorter). Zero is a [`try_acquire`](Self::try_acquire).
            ///
            /// # Errors
            ///
            /// As [`try_acquire`](Self::try_acquire), when the time is up.
            ///
            /// # Examples
            ///
            /// ```
            /// use std::time::Duration;
            ///
            #[doc = concat!("let semaphore = crossproc::", $name, "::new(1)?;")]
            /// let _permit = semaphore.acquire_timeout(Duration::from_secs(1))?;
            /// assert!(semaphore.acquire_timeout(Duration::from_millis(1)).is_err());
            /// # Ok::<(), crossproc::Error>(())
            /// ```
            pub fn acquire_timeout(
                &self,
                timeout: std::time::Duration,
            ) -> crate::Result<crate::Permit<'_>, crate::TryAcquireError> {
                self.placed.take(crate::segment::Wait::at_most(timeout))
            }

            /// Makes so many permits free that nobody owns: such as have been [forgotten](crate::Permit::forget), or, in a
            /// [`Semaphore`](crate::Semaphore), such as have not been there before. As many who wait go on.
            ///
            /// # Concurrency
            ///
            /// All of them, or none. Releases at the same time that together are too many may all be refused.
            ///
            /// # Death
            ///
            /// A process that is killed in the middle has released some of them, even where it would have been refused; never
            /// more than there is room for.
            ///
            /// # Errors
            ///
            /// [`TooManyPermits`](crate::Error::TooManyPermits) if there is room for fewer: nothing changes then. And as
            /// [`acquire`](Self::acquire).
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let semaphore = crossproc::", $name, "::new(2)?;")]
            /// semaphore.acquire()?.forget();
            /// semaphore.acquire()?.forget();
            /// assert_eq!(semaphore.value(), 0);
            /// semaphore.release(2)?;
            /// assert_eq!(semaphore.value(), 2);
            /// # Ok::<(), crossproc::Error>(())
            /// ```
            pub fn release(&self, permits: usize) -> crate::Result<()> {
                self.placed.release(permits)
            }

            /// How many permits are free, those of dead processes among them: it asks the kernel, once for each process that
            /// has any. Stale at once where others use it.
            ///
            /// # Examples
            ///
            /// See [`acquire`](Self::acquire).
            pub fn value(&self) -> usize {
                self.placed.value()
            }

            /// The most permits that there can be.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let semaphore = crossproc::", $name, "::new(2)?;")]
            /// assert!(semaphore.capacity() >= 2);
            /// # Ok::<(), crossproc::Error>(())
            /// ```
            pub fn capacity(&self) -> usize {
                self.placed.capacity()
            }
        }

        crate::segment::impls::impl_from_fd!($handle, $name);
        crate::segment::impls::impl_memory_fd!($handle);
        crate::segment::impls::impl_travel!($handle);

        /// Says how many permits are free, and how many there can be.
        impl std::fmt::Debug for $handle {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct($name).field("value", &self.value()).field("capacity", &self.capacity()).finish()
            }
        }
    };
}

pub(super) use impl_semaphore;
