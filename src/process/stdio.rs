use std::fs::File;
use std::io::{PipeReader, PipeWriter};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use crate::error::{Error, Result};

/// Where a child's standard input comes from, or its standard output or error goes to.
///
/// # Examples
///
/// What a child prints, read through a pipe. The parent's copy of the writing end is gone once the child is started, so
/// that the end of the child is the end of the stream:
///
/// ```
/// use std::io::Read;
/// use crossproc::Process;
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     crossproc::init();
///     let (mut output, writer) = std::io::pipe()?;
///     let child = Process::builder().stdout(writer).spawn(|| println!("from the child"), ())?;
///     let mut text = String::new();
///     output.read_to_string(&mut text)?;
///     assert_eq!(text, "from the child\n");
///     child.join()?;
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Stdio(Stream);

#[derive(Clone, Debug)]
enum Stream {
    Inherit,
    Null,
    Descriptor(Arc<OwnedFd>),
}

impl Stdio {
    /// The parent's stream, which is what a child gets if nothing else is said.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Process, Stdio};
    ///
    /// fn main() -> crossproc::Result<()> {
    ///     crossproc::init();
    ///     Ok(Process::builder().stderr(Stdio::inherit()).spawn(|| eprintln!("heard"), ())?.join()?)
    /// }
    /// ```
    pub fn inherit() -> Self {
        Stdio(Stream::Inherit)
    }

    /// Nothing: `/dev/null`.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Process, Stdio};
    ///
    /// fn main() -> crossproc::Result<()> {
    ///     crossproc::init();
    ///     Ok(Process::builder().stdout(Stdio::null()).spawn(|| println!("not heard"), ())?.join()?)
    /// }
    /// ```
    pub fn null() -> Self {
        Stdio(Stream::Null)
    }

    /// Opens what has to be opened; `None` then means the parent's stream.
    pub(super) fn open(self) -> Result<Option<Arc<OwnedFd>>> {
        match self.0 {
            Stream::Inherit => Ok(None),
            Stream::Descriptor(descriptor) => Ok(Some(descriptor)),
            Stream::Null => {
                let null = File::options().read(true).write(true).open("/dev/null");
                let null = null.map_err(|error| Error::os("open /dev/null", error))?;
                Ok(Some(Arc::new(null.into())))
            }
        }
    }
}

/// Inherited.
impl Default for Stdio {
    fn default() -> Self {
        Stdio::inherit()
    }
}

impl From<OwnedFd> for Stdio {
    fn from(descriptor: OwnedFd) -> Self {
        Stdio(Stream::Descriptor(Arc::new(descriptor)))
    }
}

impl From<File> for Stdio {
    fn from(file: File) -> Self {
        OwnedFd::from(file).into()
    }
}

impl From<PipeReader> for Stdio {
    fn from(reader: PipeReader) -> Self {
        OwnedFd::from(reader).into()
    }
}

impl From<PipeWriter> for Stdio {
    fn from(writer: PipeWriter) -> Self {
        OwnedFd::from(writer).into()
    }
}

/// The three streams of a child that is being started.
pub(super) struct Streams(pub(super) [Option<Arc<OwnedFd>>; 3]);

impl Streams {
    pub(super) fn borrow(&self) -> [Option<BorrowedFd<'_>>; 3] {
        self.0.each_ref().map(|stream| stream.as_ref().map(AsFd::as_fd))
    }
}
