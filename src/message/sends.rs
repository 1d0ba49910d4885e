use serde::Serialize;
use serde::de::DeserializeOwned;

/// What may be passed for a parameter, or put as a message, of type `P`: a `P`, a `&P`, a `&str` for a `String`, a slice for a `Vec`.
///
/// A reference is passed on as a copy of what it refers to, which is why `P` must be `Clone` then: a value with one
/// owner has to be given away. Handles (locks, values, arrays ...) passed by reference are the same objects in the
/// child.
///
/// # Types
///
/// Messages, arguments and results are encoded with [serde](https://serde.rs), in a format (postcard) that says neither which
/// fields there are nor of what types: who decodes has to know. So some attributes and types do not travel:
///
/// - `#[serde(skip_serializing_if)]`: where it leaves a field out, the message does not encode. `#[serde(flatten)]`, and what
///   else gives a map or a sequence of unknown length, does not either.
/// - `#[serde(tag)]`, `#[serde(untagged)]`, and types that ask what comes next (`serde_json::Value`) encode and do not decode.
///   A [`Queue`](crate::Queue) refuses such a message if it is the first that a handle puts; elsewhere, whoever receives it
///   gets an error that says so, and the message is gone.
/// - `#[serde(skip_serializing)]` without `skip_deserializing`: as those.
///
/// `#[serde(skip)]`, `#[serde(with)]`, `rename` and the like are as everywhere. A value may be nested as deeply as 256 KiB of
/// stack allow when it is decoded: hundreds of levels, as a rule. What is nested more deeply does not decode.
///
/// This trait cannot usefully be implemented for other types: the receiver decodes a `P` from whatever the sender
/// encodes.
///
/// # Examples
///
/// ```
/// use crossproc::Process;
///
/// fn count(names: Vec<String>, letter: String, more: u64) -> u64 {
///     names.iter().filter(|name| name.contains(&letter)).count() as u64 + more
/// }
///
/// fn main() -> crossproc::Result<()> {
///     crossproc::init();
///     let names = ["ada".to_string(), "bob".to_string()];
///     assert_eq!(Process::spawn(count, (&names[..], "b", &40))?.join()?, 41);
///     Ok(())
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent for a parameter of type `{P}`",
    label = "cannot be sent for a `{P}`",
    note = "arguments must be `Serialize` and `Deserialize`; a reference can be sent if the value is also `Clone`",
    note = "the function must take owned values: `String` instead of `&str`, `Vec<T>` instead of `&[T]`"
)]
pub trait Sends<P>: Serialize {}

// Both bounds let the compiler infer a parameter's type from the argument's.
impl<T: Serialize + DeserializeOwned> Sends<T> for T {}
impl<T: Serialize + DeserializeOwned + Clone> Sends<T> for &T {}
impl Sends<String> for &str {}
impl<T: Serialize + DeserializeOwned + Clone> Sends<Vec<T>> for &[T] {}
