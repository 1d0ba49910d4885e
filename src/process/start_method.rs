/// How a child comes into being; see [`ProcessBuilder::start_method`](crate::ProcessBuilder::start_method).
///
/// # Examples
///
/// ```
/// use crossproc::{Process, StartMethod};
///
/// fn main() -> crossproc::Result<()> {
///     crossproc::init_with_zygote();
///     let quick = Process::spawn(|a: i32, b: i32| a + b, (1, 2))?;
///     let fresh = Process::builder().start_method(StartMethod::Exec).spawn(|a: i32, b: i32| a + b, (1, 2))?;
///     assert_eq!((quick.join()?, fresh.join()?), (3, 3));
///     Ok(())
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StartMethod {
    /// The program is executed anew: the loader and everything before `main` run once more.
    Exec,
    /// The child is a copy of the zygote, which [`init_with_zygote`](crate::init_with_zygote) has made.
    Zygote,
}
