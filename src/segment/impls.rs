//! What all handles can do, written once: made under a name, opened, found by a descriptor, sent, printed.

/// What has a field `placed` and a function `attach(segment, offset)` can be had again from a descriptor, which its `memory_fd` gives.
macro_rules! impl_from_fd {
    ($handle:ident $(<$element:ident: $bound:ident $(+ $more:ident)*>)?, $name:literal) => {
        impl $(<$element: $bound $(+ $more)*>)? $handle $(<$element>)? {
            #[doc = concat!("The `", $name, "` whose memory's descriptor this is: one that [`memory_fd`](Self::memory_fd) gave, in")]
            /// this process or in one that sent it over a socket.
            ///
            /// It needs no common ancestor, only a descriptor. What the descriptor refers to is checked, not trusted. An
            /// object in an arena is not found this way: its descriptor is the arena's.
            ///
            /// # Errors
            ///
            /// [`Attach`](crate::Error::Attach) if it is something else, with both sides of the mismatch;
            /// [`TooManyPeers`](crate::Error::TooManyPeers) if too many processes are attached already;
            /// [`NoSpace`](crate::Error::NoSpace) if it has holes and there is no memory to fill them;
            /// [`Unsupported`](crate::Error::Unsupported) without `/proc`; [`Os`](crate::Error::Os) with `EBUSY` if somebody who is
            /// removing its name has been stopped at it, and does not go on for half a second.
            ///
            /// # Examples
            ///
            /// See [`AttachError`](crate::AttachError).
            pub fn from_fd(descriptor: std::os::fd::OwnedFd) -> crate::Result<Self> {
                let segment = crate::segment::Segment::attach(descriptor)?;
                let offset = segment.first_object();
                Self::attach(segment, offset)
            }

            #[doc = concat!("The `", $name, "` of this name.")]
            ///
            /// # Errors
            ///
            /// [`NoSuchName`](crate::Error::NoSuchName) if there is none; [`PermissionDenied`](crate::Error::PermissionDenied)
            /// if it is another user's, or others can get at it; [`InvalidName`](crate::Error::InvalidName); and those of
            /// [`from_fd`](Self::from_fd), as for one of another kind or type.
            ///
            /// # Examples
            ///
            /// See [`Name`](crate::Name).
            pub fn open(name: impl Into<crate::Name>) -> crate::Result<Self> {
                crate::segment::named::open(&name.into())
            }

            /// The name under which this process has made the object, or by which it has opened it. It says nothing of whether that
            /// has been removed since.
            ///
            /// # Examples
            ///
            /// See [`Name`](crate::Name).
            pub fn name(&self) -> Option<&str> {
                self.placed.segment().name_of(self.placed.offset()).map(crate::Name::as_str)
            }

            /// Removes the [name](Self::name). Those who have the object open keep it; the kernel frees it with the last of them.
            ///
            /// As the function [`unlink`](crate::unlink()), but never another object that has got the name since.
            ///
            /// # Errors
            ///
            /// [`NoSuchName`](crate::Error::NoSuchName) if it has been removed already; [`Nameless`](crate::Error::Nameless) if
            /// this process has neither made the object under a name nor opened it by one;
            /// [`PermissionDenied`](crate::Error::PermissionDenied) if it is another user's.
            ///
            /// # Examples
            ///
            /// See [`Name`](crate::Name).
            pub fn unlink(&self) -> crate::Result<()> {
                let (segment, offset) = (self.placed.segment(), self.placed.offset());
                crate::segment::unlink_object(segment, offset, crate::Kind::$handle)
            }
        }

        impl $(<$element: $bound $(+ $more)*>)? crate::segment::named::Named for $handle $(<$element>)? {
            fn attached(segment: std::sync::Arc<crate::segment::Segment>, offset: u64) -> crate::Result<Self> {
                Self::attach(segment, offset)
            }

            fn segment(&self) -> &std::sync::Arc<crate::segment::Segment> {
                self.placed.segment()
            }
        }
    };
}

/// The descriptor that `from_fd` takes.
macro_rules! impl_memory_fd {
    ($handle:ident $(<$element:ident: $bound:ident $(+ $more:ident)*>)?) => {
        impl $(<$element: $bound $(+ $more)*>)? $handle $(<$element>)? {
            /// The descriptor of the memory that the object lies in, for [`from_fd`](Self::from_fd): its own, or that of
            /// its arena.
            ///
            /// It tells nothing when it is polled: what can be waited for with [`wait_any`](crate::wait_any) is `AsFd`.
            ///
            /// # Examples
            ///
            /// See [`AttachError`](crate::AttachError).
            pub fn memory_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                std::os::fd::AsFd::as_fd(&**self.placed.segment())
            }
        }
    };
}

/// What is sent to another process is the same object there.
macro_rules! impl_travel {
    ($handle:ident $(<$element:ident: $bound:ident $(+ $more:ident)*>)?) => {
        /// Only within a transfer to another process.
        impl $(<$element: $bound $(+ $more)*>)? serde::Serialize for $handle $(<$element>)? {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                crate::segment::handle::serialize(self.placed.segment(), self.placed.offset(), serializer)
            }
        }

        /// Only within a transfer from another process.
        impl<'de $(, $element: $bound $(+ $more)*)?> serde::Deserialize<'de> for $handle $(<$element>)? {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::segment::handle::deserialize(deserializer, Self::attach)
            }
        }
    };
}

/// What every handle can do, for a type with a field `placed` and a function `attach(segment, offset)`.
macro_rules! impl_handle {
    ($handle:ident $(<$element:ident: $bound:ident $(+ $more:ident)*>)?, $name:literal) => {
        crate::segment::impls::impl_from_fd!($handle $(<$element: $bound $(+ $more)*>)?, $name);
        crate::segment::impls::impl_memory_fd!($handle $(<$element: $bound $(+ $more)*>)?);
        crate::segment::impls::impl_travel!($handle $(<$element: $bound $(+ $more)*>)?);

        impl $(<$element: $bound $(+ $more)*>)? std::fmt::Debug for $handle $(<$element>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct($name).finish_non_exhaustive()
            }
        }
    };
}

/// Making an object under a name, for a handle with a function `make(home, arguments)`. In brackets, what an object that is
/// there must have in common with the one that would be made: its name, the argument, and the method that gives it.
macro_rules! impl_create {
    (
        $handle:ident $(<$element:ident: $bound:ident $(+ $more:ident)*>)?,
        ($($argument:ident: $type:ty),*),
        [$($what:literal: $expected:ident == $getter:ident),*]
    ) => {
        impl $(<$element: $bound $(+ $more)*>)? $handle $(<$element>)? {
            #[doc = concat!("As [`new`](Self::new), under a name: a new `", stringify!($handle), "` that other processes can")]
            /// [open](Self::open).
            ///
            /// # Errors
            ///
            /// [`NameTaken`](crate::Error::NameTaken) if there is one already, be it one that a killed process has left, which
            /// [`gc`](crate::gc) removes once nobody is attached; [`InvalidName`](crate::Error::InvalidName);
            /// and those of `new`.
            ///
            /// # Examples
            ///
            /// See [`Name`](crate::Name).
            pub fn create(name: impl Into<crate::Name> $(, $argument: $type)*) -> crate::Result<Self> {
                crate::segment::named::create(name.into(), |home| Self::make(home $(, $argument)*))
            }

            #[doc = concat!("The `", stringify!($handle), "` of this name, or a [new](Self::new) one if there is none.")]
            ///
            /// Of any number of processes that call it at once, one makes the object and the others find it whole. Whichever makes
            /// it, the name goes with that one's last handle, and the next to come makes another object, while others still use
            /// the first: programs that come and go want a name that [persists](crate::Name::persist).
            ///
            /// # Errors
            ///
            /// Those of [`open`](Self::open) and [`create`](Self::create), but that there is none, or one already; and
            /// [`Attach`](crate::Error::Attach) if the one that is there is of another kind, type or shape.
            ///
            /// # Examples
            ///
            /// See [`Name`](crate::Name).
            pub fn open_or_create(name: impl Into<crate::Name> $(, $argument: $type)*) -> crate::Result<Self> {
                let check = |found: &Self| {
                    let _ = found; // where nothing has to be the same
                    $(crate::segment::named::check_same(crate::Kind::$handle, $what, found.$getter(), $expected)?;)*
                    Ok(())
                };
                crate::segment::named::open_or_create(name.into(), |home| Self::make(home $(, $argument)*), check)
            }
        }
    };
}

pub(crate) use {impl_create, impl_from_fd, impl_handle, impl_memory_fd, impl_travel};
