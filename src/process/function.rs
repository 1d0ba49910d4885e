//! What can be run in another process, and with which arguments.

use std::any::type_name;
use std::os::fd::OwnedFd;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::trampoline;
use crate::error::{Error, Result};
use crate::message::Sends;
use crate::message::codec::{Arguments, append, extend, pack, unpack};
use crate::segment::handle::{Outgoing, Parcel};

/// A function that can run in another process with arguments of the types in the tuple `S`; its own parameters have
/// the types in the tuple `P`.
///
/// Every `fn` item and every closure that captures nothing is one, if it takes at most twelve owned, serialisable
/// parameters and returns a serialisable value. Only its place in the program travels to the child, which is why it
/// cannot bring anything along: what it needs goes into the arguments.
///
/// Closures that capture variables, and function pointers, are refused when the program is built, by `cargo build` and `cargo
/// test`. `cargo check`, and so most editors, say nothing: what a closure captures is known when code is made of it. What it
/// needs goes into its arguments; in a [`map`](crate::Pool::map) with each item, or to each worker by
/// [`initializer`](crate::PoolBuilder::initializer).
///
/// ```compile_fail,E0080
/// let number = 7;
/// let process = crossproc::Process::spawn(move || number, ());
/// ```
///
/// ```
/// # fn main() -> crossproc::Result<()> {
/// # crossproc::init();
/// let number = 7;
/// let process = crossproc::Process::spawn(|number| number, (number,))?;
/// let products = crossproc::Pool::new(1)?.starmap(|number, item| number * item, (1..=3).map(|item| (number, item)))?;
/// assert_eq!((process.join()?, products), (7, vec![7, 14, 21]));
/// # Ok(())
/// # }
/// ```
///
/// So are functions that borrow their parameters, which have to be owned: `String` instead of `&str`, `Vec<T>` instead of `&[T]`. Where such
/// an argument is passed as well, all that the compiler says is "implementation of `Deserialize` is not general enough".
///
/// ```compile_fail,E0277
/// fn length(text: &str) -> usize {
///     text.len()
/// }
/// let process = crossproc::Process::spawn(length, ("text",));
/// ```
///
/// A function that fails returns a `Result` whose error is serialisable, too: this crate's [`Error`](crate::Error), a
/// `String`, an enum of the program's own; `std::io::Error` is not, but `?` makes an [`Error`](crate::Error) of it. The process of
/// one that returned an `Err` ends with exit code 1; if nobody can ask for that any more, it says so on its standard error.
///
/// One that never returns must say so by returning `()`, as the type `!` is not `Serialize`.
///
/// A zero-sized `Copy + Send` value that a closure captures by `move` is recreated out of nothing in the child.
/// Types whose mere existence proves something must therefore not be `Copy + Send + 'static` and zero-sized.
///
/// # Examples
///
/// ```
/// use crossproc::Process;
///
/// fn main() -> crossproc::Result<()> {
///     crossproc::init();
///     assert_eq!(Process::spawn(u64::pow, (2, 10))?.join()?, 1024);
///     assert_eq!(Process::spawn(|a: i32, b: i32| a - b, (1, 2))?.join()?, -1);
///     Ok(())
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot run in another process with arguments of type `{S}`",
    label = "not a function for a process with these arguments",
    note = "pass a function, or a closure that captures nothing, and a tuple with one argument for each of its \
            parameters: `(a, b)`, `(a,)`, `()`",
    note = "parameters must be owned (`String`, not `&str`), parameters and result `Serialize` and `Deserialize`",
    note = "an `async fn` cannot be run; run its future inside a plain function"
)]
pub trait Function<S, P>: Copy + Send + 'static {
    /// What the function returns.
    type Output: Serialize + DeserializeOwned;

    #[doc(hidden)]
    fn entry(self) -> Entry;

    #[doc(hidden)]
    fn step(self) -> Step;

    #[doc(hidden)]
    fn encode(arguments: &S) -> Result<Encoded>;

    #[doc(hidden)]
    fn append(arguments: &S, bytes: &mut Encoding<'_>) -> Result<()>;
}

/// A function in the form in which another process calls it: from encoded arguments to an encoded result.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Entry(pub(super) Run);

pub(super) type Run = fn(&[u8], Vec<OwnedFd>) -> Result<Returned>;

/// A function that is called again and again: it takes the arguments of one call from the encoded ones of many, and appends
/// the encoded result to others.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Step(pub(super) Stride);

pub(super) type Stride = fn(&mut Arguments<'_>, &mut Vec<u8>) -> Result<Option<Box<Outgoing>>, Fault>;

impl Step {
    /// Calls it; the handles in the result.
    #[inline]
    pub(crate) fn take(
        self,
        arguments: &mut Arguments<'_>,
        results: &mut Vec<u8>,
    ) -> Result<Option<Box<Outgoing>>, Fault> {
        (self.0)(arguments, results)
    }
}

/// Where encoded arguments are appended.
#[doc(hidden)]
pub struct Encoding<'a>(pub(crate) &'a mut Vec<u8>);

/// Which of the two could not be handed over, and why.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Boxed, as the others are: calls that go well, one behind the other, should not have to carry the room for it.
    Arguments(Box<Error>),
    Result(Box<Error>),
}

impl Fault {
    #[cold]
    fn arguments(error: Error) -> Self {
        Fault::Arguments(Box::new(error))
    }

    #[cold]
    fn result(error: Error) -> Self {
        Fault::Result(Box::new(error))
    }
}

/// What a function returned.
pub(super) struct Returned {
    pub(super) result: Encoded,
    /// What it says, if it is an `Err`: then the process ends with code 1, as one whose `main` returns an `Err`.
    pub(super) error: Option<String>,
}

impl Returned {
    pub(super) fn of<R: Serialize>(result: &R) -> Result<Self> {
        let parcel = pack(RESULT, result)?;
        Ok(Returned { error: error_of::<R>(&parcel.bytes), result: Encoded(parcel) })
    }
}

/// Encoded arguments, or an encoded result.
#[doc(hidden)]
pub struct Encoded(pub(crate) Parcel);

/// Names of the two things that are encoded, for errors.
pub(super) const ARGUMENTS: &str = "the arguments";
pub(super) const RESULT: &str = "the result";

/// If the encoded bytes of an `R` are those of a `Result` that is an `Err`, what that says.
///
/// There is no way to ask a type without a bound that it is a `Result`, or what its error is. The name of the type tells;
/// and an encoded enum begins with its variant's number. Of errors that are neither `Error` nor a text, it is all there is.
fn error_of<R>(bytes: &[u8]) -> Option<String> {
    let name = type_name::<R>();
    let error = bytes.strip_prefix(&[1]).filter(|_| name.starts_with("core::result::Result<"))?;
    let is = |error: &str| name.strip_suffix('>').is_some_and(|name| name.ends_with(&format!(", {error}")));
    let text = if is(type_name::<Error>()) {
        postcard::from_bytes(error).ok().map(|error: Error| format!("{error:?}"))
    } else if is(type_name::<String>()) {
        postcard::from_bytes(error).ok()
    } else {
        None
    };
    Some(text.unwrap_or_else(|| format!("it returned the `Err` of a {name}")))
}

macro_rules! functions {
    ($($sent:ident $parameter:ident $value:ident),*) => {
        impl<Callable, Output, $($sent, $parameter),*> Function<($($sent,)*), ($($parameter,)*)> for Callable
        where
            Callable: Fn($($parameter),*) -> Output + Copy + Send + 'static,
            Output: Serialize + DeserializeOwned,
            $($sent: Sends<$parameter>, $parameter: DeserializeOwned,)*
        {
            type Output = Output;

            fn entry(self) -> Entry {
                fn run<Callable, Output, $($parameter),*>(bytes: &[u8], descriptors: Vec<OwnedFd>) -> Result<Returned>
                where
                    Callable: Fn($($parameter),*) -> Output + Copy + Send + 'static,
                    Output: Serialize,
                    $($parameter: DeserializeOwned,)*
                {
                    let ($($value,)*): ($($parameter,)*) = unpack(ARGUMENTS, bytes, descriptors)?;
                    let function = trampoline::conjure::<Callable>();
                    Returned::of(&function($($value),*))
                }
                const { trampoline::assert_captures_nothing::<Callable>() };
                Entry(run::<Callable, Output, $($parameter),*>)
            }

            fn step(self) -> Step {
                fn stride<Callable, Output, $($parameter),*>(
                    arguments: &mut Arguments<'_>,
                    results: &mut Vec<u8>,
                ) -> Result<Option<Box<Outgoing>>, Fault>
                where
                    Callable: Fn($($parameter),*) -> Output + Copy + Send + 'static,
                    Output: Serialize,
                    $($parameter: DeserializeOwned,)*
                {
                    let ($($value,)*): ($($parameter,)*) = arguments.next(ARGUMENTS).map_err(Fault::arguments)?;
                    let function = trampoline::conjure::<Callable>();
                    let result = function($($value),*);
                    append(RESULT, &result, results).map_err(Fault::result)
                }
                const { trampoline::assert_captures_nothing::<Callable>() };
                Step(stride::<Callable, Output, $($parameter),*>)
            }

            fn encode(arguments: &($($sent,)*)) -> Result<Encoded> {
                pack(ARGUMENTS, arguments).map(Encoded)
            }

            #[inline]
            fn append(arguments: &($($sent,)*), bytes: &mut Encoding<'_>) -> Result<()> {
                extend(ARGUMENTS, arguments, bytes.0)
            }
        }
    };
}

functions!();
functions!(SA A a);
functions!(SA A a, SB B b);
functions!(SA A a, SB B b, SC C c);
functions!(SA A a, SB B b, SC C c, SD D d);
functions!(SA A a, SB B b, SC C c, SD D d, SE E e);
functions!(SA A a, SB B b, SC C c, SD D d, SE E e, SF F f);
functions!(SA A a, SB B b, SC C c, SD D d, SE E e, SF F f, SG G g);
functions!(SA A a, SB B b, SC C c, SD D d, SE E e, SF F f, SG G g, SH H h);
functions!(SA A a, SB B b, SC C c, SD D d, SE E e, SF F f, SG G g, SH H h, SI I i);
functions!(SA A a, SB B b, SC C c, SD D d, SE E e, SF F f, SG G g, SH H h, SI I i, SJ J j);
functions!(SA A a, SB B b, SC C c, SD D d, SE E e, SF F f, SG G g, SH H h, SI I i, SJ J j, SK K k);
functions!(SA A a, SB B b, SC C c, SD D d, SE E e, SF F f, SG G g, SH H h, SI I i, SJ J j, SK K k, SL L l);
