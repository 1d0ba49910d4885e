//! Connections that are not used just now.
//!
//! Each thread has its own, and finds it without a lock that another thread might hold, or a copy of the process for ever. They end with
//! the thread that has used them, and with the client whose they are, in whatever threads: each lies in a place that both know.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::link::Link;
use crate::sys::clock;
use crate::sys::fork;

/// What a client knows of them.
#[derive(Default)]
pub(super) struct Idle {
    /// By which its places are known.
    mark: Arc<()>,
    places: Mutex<Vec<Weak<Place>>>,
}

/// Where a thread leaves its connection.
struct Place {
    client: Weak<()>,
    /// A forked copy leaves its parent's alone.
    generation: u32,
    /// Nobody else locks it before the client is gone.
    link: Mutex<Option<Unused>>,
}

struct Unused {
    link: Link,
    since: u64,
}

thread_local! {
    /// This thread's, of clients of which some may be gone.
    static PLACES: RefCell<Vec<Arc<Place>>> = const { RefCell::new(Vec::new()) };
}

impl Place {
    fn with<R>(&self, work: impl FnOnce(&mut Option<Unused>) -> R) -> R {
        work(&mut self.link.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_ours(&self) -> bool {
        self.generation == fork::generation()
    }
}

impl Idle {
    /// This thread's, and for how many milliseconds nobody has used it.
    pub(super) fn take(&self) -> Option<(Link, u64)> {
        let unused = self.place()?.with(Option::take)?;
        Some((unused.link, clock::coarse_milliseconds().saturating_sub(unused.since)))
    }

    /// One that is in step: it is this thread's until it ends.
    pub(super) fn put(&self, link: Link) {
        let unused = Unused { link, since: clock::coarse_milliseconds() };
        match self.place() {
            Some(place) => drop(place.with(|known| known.replace(unused))),
            None => self.add(Some(unused)),
        }
    }

    /// What this thread has in its connection.
    pub(super) fn look<R>(&self, look: impl FnOnce(&Link) -> Option<R>) -> Option<R> {
        self.place()?.with(|unused| unused.as_ref().and_then(|unused| look(&unused.link)))
    }

    fn place(&self) -> Option<Arc<Place>> {
        let find = |places: &RefCell<Vec<Arc<Place>>>| {
            let places = places.borrow();
            let is_mine = |place: &&Arc<Place>| place.client.as_ptr() == Arc::as_ptr(&self.mark) && place.is_ours();
            places.iter().find(is_mine).map(Arc::clone)
        };
        PLACES.try_with(find).ok().flatten()
    }

    fn add(&self, unused: Option<Unused>) {
        let (client, link) = (Arc::downgrade(&self.mark), Mutex::new(unused));
        let place = Arc::new(Place { client, generation: fork::generation(), link });
        let weak = Arc::downgrade(&place);
        // A thread at its end keeps none.
        let kept = PLACES.try_with(|places| {
            let mut places = places.borrow_mut();
            places.retain(|place| place.client.strong_count() > 0 && place.is_ours());
            places.push(place);
        });
        if kept.is_ok() {
            let _no_fork = fork::exclude();
            let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            places.retain(|place| place.strong_count() > 0);
            places.push(weak);
        }
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        let places = self.places.get_mut().unwrap_or_else(PoisonError::into_inner);
        let ours = places.drain(..).filter_map(|place| place.upgrade()).filter(|place| place.is_ours());
        ours.for_each(|place| drop(place.with(Option::take)));
    }
}
