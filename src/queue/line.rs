//! What a ring and a queue have in common as lines of messages, written once for both.

/// Gets one message after the other: what `iter` of a [`Ring`](crate::Ring), [`Queue`](crate::Queue) or
/// [`Consumer`](crate::Consumer) gives, and a `for` over a reference to one.
///
/// It waits while there is no message, and ends with [`Closed`](crate::GetError::Closed) and
/// [`Disconnected`](crate::GetError::Disconnected): there is none any more, and will be none. Another failure, such as a
/// message that does not decode, is an item, behind which it goes on.
///
/// # Examples
///
/// ```
/// use crossproc::{Queue, Result};
///
/// let queue = Queue::new(4)?;
/// queue.put(1)?;
/// queue.put(2)?;
/// queue.close();
/// let mut sum = 0;
/// for number in &queue {
///     sum += number?;
/// }
/// assert_eq!(sum, 3);
/// # Ok::<(), crossproc::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is got until it is asked for"]
pub struct Iter<'a, H> {
    pub(super) line: &'a H,
}

/// For a handle with the fields `placed` (whose body has a `control`) and `cursors`, and the methods `cells` and `watch`.
/// `$any`: its parameters; `$sent`: those with which messages can be got.
macro_rules! impl_line {
    ($handle:ident, $name:literal, $noun:literal, [$($any:tt)*], [$($sent:tt)*]) => {
        impl<$($any)*> $handle<T> {
            /// Refuses every put from now on, also those that wait. What has been put can still be got, and then gets end
            /// with [`Closed`](crate::GetError::Closed): once nobody has a message in hand that may come back, as a
            /// [`QueueTask`](crate::QueueTask), a [`Taken`](crate::Taken) or a `get` half done. Until then they wait.
            ///
            /// # Examples
            ///
            /// See [`iter`](Self::iter).
            pub fn close(&self) {
                self.placed.body().control.close();
            }

            #[doc = concat!("Whether somebody has closed the ", $noun, ".")]
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let ", $noun, " = crossproc::", $name, "::<u8>::new(1)?;")]
            #[doc = concat!($noun, ".close();")]
            #[doc = concat!("assert!(", $noun, ".is_closed());")]
            /// # Ok::<(), crossproc::Error>(())
            /// ```
            pub fn is_closed(&self) -> bool {
                self.placed.body().control.is_closed()
            }

            /// How many messages have been put and not been got; those count, too, that stand behind one which is still
            /// being written, and cannot be got before it. Stale at once where others put and get. It looks at each of
            /// them.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let ", $noun, " = crossproc::", $name, "::new(2)?;")]
            #[doc = concat!($noun, ".put(7)?;")]
            #[doc = concat!("assert_eq!((", $noun, ".len(), ", $noun, ".is_empty(), ", $noun, ".is_full()), (1, false, false));")]
            /// # Ok::<(), crossproc::Error>(())
            /// ```
            pub fn len(&self) -> usize {
                self.cursors.count(&self.cells(), usize::MAX)
            }

            /// Whether [`len`](Self::len) is 0. Stale at once where others put and get.
            ///
            /// # Examples
            ///
            /// See [`len`](Self::len).
            pub fn is_empty(&self) -> bool {
                self.cursors.count(&self.cells(), 1) == 0
            }

            /// Whether there is no room for another message. Stale at once where others put and get.
            ///
            /// # Examples
            ///
            /// See [`len`](Self::len).
            pub fn is_full(&self) -> bool {
                self.cursors.is_full(&self.cells())
            }

            #[doc = concat!("How many messages the ", $noun, " holds.")]
            ///
            /// # Examples
            ///
            /// See [`new`](Self::new).
            pub fn capacity(&self) -> usize {
                self.placed.length()
            }

            /// How many messages have been taken from a consumer that died, for another one to get.
            ///
            /// # Death
            ///
            /// A process killed at the moment of the taking may leave one uncounted.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("assert_eq!(crossproc::", $name, "::<u8>::new(1)?.redelivered(), 0);")]
            /// # Ok::<(), crossproc::Error>(())
            /// ```
            pub fn redelivered(&self) -> u64 {
                self.placed.body().control.redelivered()
            }

            /// The descriptor of [`AsFd`](std::os::fd::AsFd), where there may be none left: it polls readable while there
            #[doc = concat!("is a message, and once the ", $noun, " has come to its end (see [`close`](Self::close)).")]
            ///
            /// It is an eventfd of this process, only to be polled: alone, with [`wait_any`](crate::wait_any), which says
            /// what it costs, or in an event loop with others. The first call starts a thread, which keeps it right until this handle and its
            /// clones are gone; before that, nothing is paid for it. It is gone with them. A forked copy of the process
            /// has its own.
            ///
            /// # Concurrency
            ///
            /// What this handle and its clones get is accounted for at once. Where others get, it may stay readable for
            /// 50 ms after the last message: get with a `try_` form.
            ///
            /// # Errors
            ///
            /// [`Os`](crate::Error::Os) without a descriptor or a thread.
            ///
            /// # Examples
            ///
            /// ```
            /// use std::time::Duration;
            #[doc = concat!("use crossproc::{", $name, ", wait_any};")]
            ///
            #[doc = concat!("let (few, many) = (", $name, "::<u8>::new(1)?, ", $name, "::<u8>::new(9)?);")]
            /// few.readiness()?;
            /// many.put(7)?;
            /// assert_eq!(wait_any(&[&few, &many], None)?, [1]);
            /// assert_eq!(many.try_get()?, 7);
            /// assert!(wait_any(&[&few, &many], Some(Duration::ZERO))?.is_empty());
            /// few.close();
            /// assert_eq!(wait_any(&[&few, &many], None)?, [0]);
            /// # Ok::<(), crossproc::Error>(())
            /// ```
            pub fn readiness(&self) -> crate::Result<std::os::fd::BorrowedFd<'_>> {
                self.watch()
            }

            /// The descriptor of the memory that the object lies in, for [`from_fd`](Self::from_fd): its own, or that of
            /// its arena.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use crossproc::", $name, ";")]
            ///
            #[doc = concat!("let object = ", $name, "::<u8>::new(4)?;")]
            /// object.put(7)?;
            #[doc = concat!("let again = ", $name, "::<u8>::from_fd(object.memory_fd().try_clone_to_owned().unwrap())?;")]
            /// assert_eq!(again.get()?, 7);
            /// # Ok::<(), crossproc::Error>(())
            /// ```
            pub fn memory_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                std::os::fd::AsFd::as_fd(&**self.placed.segment())
            }
        }

        impl<$($sent)*> $handle<T> {
            /// Gets messages until there are none any more, and will be none; waits while there are none. What is not got
            /// for another reason is an item, and not the end: see [`Iter`](crate::Iter).
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let ", $noun, " = crossproc::", $name, "::new(4)?;")]
            #[doc = concat!("(1..=3).try_for_each(|number| ", $noun, ".put(number))?;")]
            #[doc = concat!($noun, ".close();")]
            #[doc = concat!("assert_eq!(", $noun, ".iter().sum::<Result<i32, _>>()?, 6);")]
            /// # Ok::<(), crossproc::Error>(())
            /// ```
            pub fn iter(&self) -> crate::queue::Iter<'_, Self> {
                crate::queue::Iter { line: self }
            }
        }

        impl<$($sent)*> Iterator for crate::queue::Iter<'_, $handle<T>> {
            type Item = Result<T, crate::GetError>;

            fn next(&mut self) -> Option<Self::Item> {
                match self.line.get() {
                    Err(crate::GetError::Closed | crate::GetError::Disconnected) => None,
                    got => Some(got),
                }
            }
        }

        impl<'a, $($sent)*> IntoIterator for &'a $handle<T> {
            type Item = Result<T, crate::GetError>;
            type IntoIter = crate::queue::Iter<'a, $handle<T>>;

            fn into_iter(self) -> Self::IntoIter {
                self.iter()
            }
        }

        crate::queue::line::impl_polled!($handle, [$($any)*]);
    };
}

/// For a handle with a method `readiness`.
macro_rules! impl_polled {
    ($handle:ident, [$($any:tt)*]) => {
        /// Polls readable while there is something to be got: see `readiness`, which says so where there is no such
        /// descriptor; this panics.
        impl<$($any)*> std::os::fd::AsFd for $handle<T> {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.readiness().unwrap_or_else(|error| panic!("a descriptor for `poll`: {error:?}"))
            }
        }

        /// As `as_fd`.
        impl<$($any)*> std::os::fd::AsRawFd for $handle<T> {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(self))
            }
        }
    };
}

pub(super) use {impl_line, impl_polled};
