use std::io;

use serde::{Deserialize, Serialize};

/// An OS error number: the `source` of [`Error::Os`](crate::Error::Os), in a form that travels between processes.
///
/// # Examples
///
/// ```
/// let missing = crossproc::OsError::from(std::io::Error::from_raw_os_error(2));
/// assert_eq!(missing.to_string(), "No such file or directory (os error 2)");
/// assert_eq!(missing.code(), 2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}", io::Error::from_raw_os_error(*.0))]
pub struct OsError(i32);

impl OsError {
    /// The error number (`errno`).
    ///
    /// # Examples
    ///
    /// See [`OsError`].
    pub fn code(self) -> i32 {
        self.0
    }

    pub(crate) fn from_code(code: i32) -> Self {
        OsError(code)
    }

    pub(crate) fn last() -> Self {
        io::Error::last_os_error().into()
    }
}

impl From<io::Error> for OsError {
    /// An error that did not come from the kernel has no number; it becomes `EIO`.
    fn from(error: io::Error) -> Self {
        OsError(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

impl From<OsError> for io::Error {
    fn from(error: OsError) -> Self {
        io::Error::from_raw_os_error(error.0)
    }
}
