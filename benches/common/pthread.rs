//! The rivals of every lock: the C library's mutex between processes, plain, robust and recursive, and its readers-writer lock;
//! and its condition variable.

use std::mem;
use std::ptr::NonNull;

use super::mapping::{APART, Mapping};

/// Whether the mutex survives its owner, or may be locked again by it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Robust,
    Recursive,
}

/// A process-shared mutex in a part of a mapping.
pub(crate) struct Mutex<'a> {
    mutex: &'a Mapping,
    part: usize,
}

/// Unlocks when dropped.
pub(crate) struct Held<'a>(NonNull<libc::pthread_mutex_t>, #[expect(dead_code, reason = "a borrow")] &'a Mapping);

const _: () = assert!(size_of::<libc::pthread_mutex_t>() <= APART);

impl<'a> Mutex<'a> {
    /// A new mutex; nobody may use one that is there already.
    pub(crate) fn new(mapping: &'a Mapping, part: usize, kind: Kind) -> Self {
        let mutex = Mutex::at(mapping, part);
        // SAFETY: `init` gets room for a mutex within the mapping, which nobody uses yet.
        let answer = unsafe { init(mutex.address(), kind) };
        assert_eq!(answer, 0);
        mutex
    }

    /// The mutex that another process has made there.
    pub(crate) fn at(mapping: &'a Mapping, part: usize) -> Self {
        Mutex { mutex: mapping, part }
    }

    fn address(&self) -> NonNull<libc::pthread_mutex_t> {
        self.mutex.part(self.part).cast()
    }

    #[inline]
    pub(crate) fn lock(&self) -> Held<'a> {
        let address = self.address();
        // SAFETY: an initialised mutex, in a mapping that outlives the guard.
        match unsafe { libc::pthread_mutex_lock(address.as_ptr()) } {
            0 => {}
            libc::EOWNERDEAD => {
                // SAFETY: as above, and it is ours now.
                unsafe { libc::pthread_mutex_consistent(address.as_ptr()) };
            }
            error => panic!("{}", std::io::Error::from_raw_os_error(error)),
        }
        Held(address, self.mutex)
    }
}

/// A process-shared condition variable in a part of a mapping.
pub(crate) struct Cond<'a> {
    cond: &'a Mapping,
    part: usize,
}

const _: () = assert!(size_of::<libc::pthread_cond_t>() <= APART);

impl<'a> Cond<'a> {
    /// A new one; nobody may use one that is there already.
    pub(crate) fn new(mapping: &'a Mapping, part: usize) -> Self {
        let cond = Cond::at(mapping, part);
        // SAFETY: room for what the next call initialises.
        let mut attributes: libc::pthread_condattr_t = unsafe { mem::zeroed() };
        let attributes = &raw mut attributes;
        // SAFETY: live attributes.
        unsafe { libc::pthread_condattr_init(attributes) };
        // SAFETY: initialised attributes.
        unsafe { libc::pthread_condattr_setpshared(attributes, libc::PTHREAD_PROCESS_SHARED) };
        // SAFETY: room within the mapping that nobody uses yet, and initialised attributes.
        assert_eq!(unsafe { libc::pthread_cond_init(cond.address(), attributes) }, 0);
        // SAFETY: initialised attributes, not used again.
        unsafe { libc::pthread_condattr_destroy(attributes) };
        cond
    }

    /// The one that another process has made there.
    pub(crate) fn at(mapping: &'a Mapping, part: usize) -> Self {
        Cond { cond: mapping, part }
    }

    fn address(&self) -> *mut libc::pthread_cond_t {
        self.cond.part(self.part).cast().as_ptr()
    }

    pub(crate) fn wait(&self, held: &mut Held<'_>) {
        // SAFETY: both are initialised, in mappings that live, and the mutex is locked by this thread.
        assert_eq!(unsafe { libc::pthread_cond_wait(self.address(), held.0.as_ptr()) }, 0);
    }

    #[inline]
    pub(crate) fn signal(&self) {
        // SAFETY: initialised, in a mapping that lives.
        unsafe { libc::pthread_cond_signal(self.address()) };
    }
}

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: `lock` locked it, on this thread: the pointer keeps the guard there.
        unsafe { libc::pthread_mutex_unlock(self.0.as_ptr()) };
    }
}

/// pthread_mutex_init, and the attributes for it.
///
/// # Safety
///
/// `mutex` points to room for a mutex that nobody uses yet.
pub(crate) unsafe fn init(mutex: NonNull<libc::pthread_mutex_t>, kind: Kind) -> i32 {
    // SAFETY: room for what the next call initialises.
    let mut attributes: libc::pthread_mutexattr_t = unsafe { mem::zeroed() };
    let attributes = &raw mut attributes;
    // SAFETY: live attributes.
    unsafe { libc::pthread_mutexattr_init(attributes) };
    // SAFETY: initialised attributes.
    unsafe { libc::pthread_mutexattr_setpshared(attributes, libc::PTHREAD_PROCESS_SHARED) };
    if kind == Kind::Robust {
        // SAFETY: initialised attributes.
        unsafe { libc::pthread_mutexattr_setrobust(attributes, libc::PTHREAD_MUTEX_ROBUST) };
    }
    if kind == Kind::Recursive {
        // SAFETY: initialised attributes.
        unsafe { libc::pthread_mutexattr_settype(attributes, libc::PTHREAD_MUTEX_RECURSIVE) };
    }
    // SAFETY: the caller's promise, and initialised attributes.
    let answer = unsafe { libc::pthread_mutex_init(mutex.as_ptr(), attributes) };
    // SAFETY: initialised attributes, not used again.
    unsafe { libc::pthread_mutexattr_destroy(attributes) };
    answer
}

/// A process-shared readers-writer lock in a part of a mapping.
pub(crate) struct RwLock<'a> {
    mapping: &'a Mapping,
    part: usize,
}

/// Unlocks when dropped.
pub(crate) struct RwHeld<'a>(NonNull<libc::pthread_rwlock_t>, #[expect(dead_code, reason = "a borrow")] &'a Mapping);

const _: () = assert!(size_of::<libc::pthread_rwlock_t>() <= APART);

impl<'a> RwLock<'a> {
    /// A new lock; nobody may use one that is there already.
    pub(crate) fn new(mapping: &'a Mapping, part: usize) -> Self {
        let lock = RwLock::at(mapping, part);
        // SAFETY: room for what the next call initialises.
        let mut attributes: libc::pthread_rwlockattr_t = unsafe { mem::zeroed() };
        // SAFETY: live attributes.
        unsafe { libc::pthread_rwlockattr_init(&raw mut attributes) };
        // SAFETY: initialised attributes.
        unsafe { libc::pthread_rwlockattr_setpshared(&raw mut attributes, libc::PTHREAD_PROCESS_SHARED) };
        // SAFETY: room for a lock within the mapping, which nobody uses yet, and initialised attributes.
        let answer = unsafe { libc::pthread_rwlock_init(lock.address().as_ptr(), &raw const attributes) };
        assert_eq!(answer, 0);
        lock
    }

    /// The lock that another process has made there.
    pub(crate) fn at(mapping: &'a Mapping, part: usize) -> Self {
        RwLock { mapping, part }
    }

    fn address(&self) -> NonNull<libc::pthread_rwlock_t> {
        self.mapping.part(self.part).cast()
    }

    #[inline]
    pub(crate) fn read(&self) -> RwHeld<'a> {
        let address = self.address();
        // SAFETY: an initialised lock, in a mapping that outlives the guard.
        assert_eq!(unsafe { libc::pthread_rwlock_rdlock(address.as_ptr()) }, 0);
        RwHeld(address, self.mapping)
    }

    #[inline]
    pub(crate) fn write(&self) -> RwHeld<'a> {
        let address = self.address();
        // SAFETY: as in `read`.
        assert_eq!(unsafe { libc::pthread_rwlock_wrlock(address.as_ptr()) }, 0);
        RwHeld(address, self.mapping)
    }
}

impl Drop for RwHeld<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: locked by `read` or `write`, on this thread.
        unsafe { libc::pthread_rwlock_unlock(self.0.as_ptr()) };
    }
}
