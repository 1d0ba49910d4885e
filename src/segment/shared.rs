//! Which types may lie in shared memory.

#![allow(unsafe_code)]

use std::sync::atomic::{AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64};

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Plain data: every pattern of bytes is a value, there is no padding and no pointer, so that a value means the same in
/// every process and a hostile byte is at worst a wrong number.
///
/// Integers from `i8` to `u128`, `f32`, `f64` and arrays of them are `Shared`. A `#[repr(C)]` struct of such fields is,
/// once it derives zerocopy's traits and says so; its trait bounds carry all that is needed for safety, which is why
/// this trait is safe to implement. `usize` and `isize` are not `Shared`, and have no place in a struct that is: name
/// their width.
///
/// Types with forbidden patterns (`bool`, `char`, enums) are not plain data; share a `u8` or a `u32` and convert.
///
/// # Examples
///
/// ```
/// use crossproc::{Shared, Value};
/// use zerocopy::{FromBytes, Immutable, IntoBytes};
///
/// #[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
/// #[repr(C)]
/// struct Point {
///     x: f64,
///     y: f64,
/// }
///
/// impl Shared for Point {}
///
/// let point = Value::new(Point { x: 1.0, y: 2.0 })?;
/// point.update(|p| Point { x: p.x + 1.0, ..p });
/// assert_eq!(point.get().x, 2.0);
/// # Ok::<(), crossproc::Error>(())
/// ```
///
/// Shared objects are aligned to 128 bytes at most; a type that wants more is refused when the program is built:
///
/// ```compile_fail,E0080
/// use zerocopy::{FromBytes, Immutable, IntoBytes};
///
/// #[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
/// #[repr(C, align(256))]
/// struct Wide([u8; 256]);
///
/// impl crossproc::Shared for Wide {}
///
/// let array = crossproc::Array::<Wide>::new(2);
/// ```
///
/// A `usize` is refused:
///
/// ```compile_fail,E0277
/// let counter = crossproc::Value::new(0_usize);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not plain data that processes can share",
    note = "use an integer of fixed width, `f32`, `f64` or an array of these (for a `bool`, a `u8`)",
    note = "a `#[repr(C)]` struct of these can be shared once it derives zerocopy's `FromBytes`, `IntoBytes` and `Immutable`, and \
            says so: `impl crossproc::Shared for {Self} {{}}`"
)]
pub trait Shared: FromBytes + IntoBytes + Immutable + Copy + Send + Sync + 'static {}

/// Types made of atomics: every byte may be changed by another process at any time, through a shared reference.
///
/// The atomic integers and arrays of them are. So is a struct of them, if you say so:
///
/// # Safety
///
/// Every byte of the type lies in an atomic integer (no padding, no plain field), the type is `#[repr(C)]`, and every
/// pattern of bytes is a value.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
/// use crossproc::{Atomics, RawValue};
///
/// #[derive(Default)]
/// #[repr(C)]
/// struct Counters {
///     hits: AtomicU64,
///     misses: AtomicU64,
/// }
///
/// // SAFETY: two AtomicU64 in `repr(C)` leave no padding.
/// unsafe impl Atomics for Counters {}
///
/// let counters = RawValue::new(Counters::default())?;
/// counters.hits.fetch_add(1, Relaxed);
/// assert_eq!(counters.hits.load(Relaxed), 1);
/// # Ok::<(), crossproc::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not made of atomics",
    note = "a raw object has no lock: use `AtomicU64` and its like, arrays of them, or `Value`/`Array` for plain data",
    note = "for an `AtomicBool` use `AtomicU8`, for an `AtomicUsize` `AtomicU64`: any bytes are one, of the same width everywhere"
)]
pub unsafe trait Atomics: Send + Sync + 'static {}

macro_rules! shared {
    ($($plain:ty)*; $($atomic:ty)*) => {
        $(impl Shared for $plain {})*
        $(
            // SAFETY: an atomic integer is one atomic integer, for which any bytes are a value.
            unsafe impl Atomics for $atomic {}
        )*
    };
}

shared! {
    i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64;
    AtomicI8 AtomicI16 AtomicI32 AtomicI64 AtomicU8 AtomicU16 AtomicU32 AtomicU64
}

impl<T: Shared, const N: usize> Shared for [T; N] {}

// SAFETY: an array has no bytes but those of its elements.
unsafe impl<T: Atomics, const N: usize> Atomics for [T; N] {}
