use std::panic::Location;

pub(crate) use super::engine::sync::atomic::Ordering;
use super::engine::sync::atomic::Ordering::Relaxed;
use super::{Change, engine, is_changed, step};

/// The ordering of a call, weakened if its mutant is active.
fn ordering(site: &'static Location<'static>, ordering: Ordering) -> Ordering {
    if ordering != Relaxed && is_changed(site, Change::Relax) { Relaxed } else { ordering }
}

#[track_caller]
pub(crate) fn fence(ordering: Ordering) {
    step();
    if !is_changed(Location::caller(), Change::Relax) {
        engine::sync::atomic::fence(ordering);
    }
}

macro_rules! twin {
    ($name:ident, $number:ty) => {
        pub(crate) struct $name(engine::sync::atomic::$name);

        #[allow(dead_code, reason = "not every word uses every operation at every width")]
        impl $name {
            pub(crate) fn new(value: $number) -> Self {
                Self(engine::sync::atomic::$name::new(value))
            }

            #[track_caller]
            pub(crate) fn load(&self, order: Ordering) -> $number {
                step();
                self.0.load(ordering(Location::caller(), order))
            }

            #[track_caller]
            pub(crate) fn store(&self, value: $number, order: Ordering) {
                step();
                self.0.store(value, ordering(Location::caller(), order));
            }

            #[track_caller]
            pub(crate) fn swap(&self, value: $number, order: Ordering) -> $number {
                step();
                self.0.swap(value, ordering(Location::caller(), order))
            }

            #[track_caller]
            pub(crate) fn compare_exchange(
                &self,
                current: $number,
                new: $number,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$number, $number> {
                step();
                let site = Location::caller();
                if is_changed(site, Change::Blind) {
                    self.0.swap(new, success);
                    return Ok(current);
                }
                self.0.compare_exchange(current, new, ordering(site, success), failure)
            }

            #[track_caller]
            pub(crate) fn fetch_add(&self, value: $number, order: Ordering) -> $number {
                step();
                self.0.fetch_add(value, ordering(Location::caller(), order))
            }

            #[track_caller]
            pub(crate) fn fetch_max(&self, value: $number, order: Ordering) -> $number {
                step();
                self.0.fetch_max(value, ordering(Location::caller(), order))
            }

            #[track_caller]
            pub(crate) fn fetch_or(&self, value: $number, order: Ordering) -> $number {
                step();
                self.0.fetch_or(value, ordering(Location::caller(), order))
            }

            /// What futex(2) compares: the latest value, without ordering anything.
            pub(super) fn latest(&self) -> $number {
                self.0.fetch_or(0, Relaxed)
            }
        }
    };
}

twin!(AtomicU32, u32);
twin!(AtomicU64, u64);
