use std::io;

use serde::{Deserialize, Serialize};

use super::Error;

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

/// For `?` in a function that a process runs.
///
/// # Examples
///
/// ```
/// fn first_line(path: String) -> crossproc::Result<String> {
///     Ok(std::fs::read_to_string(path)?.lines().next().unwrap_or_default().to_string())
/// }
///
/// let error = first_line("/nowhere".to_string()).unwrap_err();
/// assert_eq!(format!("{error:?}"), "cannot do input or output: No such file or directory (os error 2)");
/// ```
impl From<io::Error> for Error {
    /// [`Error::Os`]. What an error says that did not come from the kernel becomes part of what was attempted.
    fn from(error: io::Error) -> Self {
        const ATTEMPT: &str = "do input or output";
        match error.raw_os_error() {
            Some(_) => Error::os(ATTEMPT, error),
            None => Error::os(format!("{ATTEMPT} ({error})"), error),
        }
    }
}

/// For `?` in a function that does input and output; the error is inside.
impl From<Error> for io::Error {
    /// The kind is that of the kernel's error, if there is one, and otherwise [`Other`](io::ErrorKind::Other).
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::Os { source, .. } => io::Error::from(source).kind(),
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_either_kind_become_the_other() {
        let foreign = io::Error::other("no luck");
        assert_eq!(Error::from(foreign).to_string(), "cannot do input or output (no luck)");
        let missing = Error::from(io::Error::from_raw_os_error(libc::ENOENT));
        let back = io::Error::from(missing.clone());
        assert_eq!((back.kind(), back.to_string()), (io::ErrorKind::NotFound, missing.to_string()));
        assert_eq!(io::Error::from(Error::Exiting).kind(), io::ErrorKind::Other);
    }
}
