use crate::sys::clock::Deadline;
use crate::word::eventcount::EventCount;

/// What can be watched.
pub(crate) trait Watchable: Send + Sync + 'static {
    /// Whether a call would not have to wait. Takes nothing. May ask the kernel.
    fn is_ready(&self) -> bool;

    /// Sleeps, like a call that waits, until it may be ready or `is_awake`; that is asked before every sleep, and so at least
    /// once in the detection bound.
    fn sleep_until(&self, is_awake: &dyn Fn() -> bool);

    /// Passes on a wake-up that may have been meant for somebody else (T2).
    fn pass_on(&self);

    /// Wakes whoever is in [`sleep_until`](Self::sleep_until).
    fn rouse(&self);
}

/// What an event count tells of, message by message.
pub(crate) trait Subject: Send + Sync + 'static {
    /// What is notified when it becomes ready.
    fn items(&self) -> &EventCount;

    /// As that of [`Watchable`].
    fn is_ready(&self) -> bool;
}

impl<S: Subject> Watchable for S {
    fn is_ready(&self) -> bool {
        Subject::is_ready(self)
    }

    fn sleep_until(&self, is_awake: &dyn Fn() -> bool) {
        self.items().wait(|_| None, Deadline::NEVER, || None, || is_awake().then_some(()));
    }

    fn pass_on(&self) {
        self.items().notify_one();
    }

    fn rouse(&self) {
        self.items().notify_all();
    }
}
