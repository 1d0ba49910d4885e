use std::fmt;

use crate::error::{Error, Result};

/// The name under which processes that have nothing else in common find a shared object, and what its file is to be like.
///
/// Wherever one is asked for, a text will do. Letters and digits of ASCII, `.`, `_` and `-`, with `/` between parts; up to 200
/// bytes. A part does not consist of dots alone. All users of a machine share one space of names; what is in it lies in
/// `/dev/shm`, in files that begin with `crossproc-`.
///
/// # Lifetime
///
/// The name goes with the last handle of the process that made the object, unless it is to [persist](Self::persist);
/// whoever has the object open then keeps it, without a name. A process that only opens an object never removes its name. A
/// creator that is killed, or ends without dropping its handles, leaves the name; [`gc`](crate::gc) removes it once nobody
/// is attached, and so those that were to persist. `systemd` with `RemoveIPC=yes` removes a user's names when the user logs
/// out.
///
/// The process that made it: a program that goes on in a forked copy of itself, as daemons do, makes its objects there.
///
/// # Who may open it
///
/// The user who made it, and nobody else, unless [`mode`](Self::mode) says so. A name cannot be sealed as anonymous memory
/// is: whoever may write to the file can also cut it off, at which this process would die of SIGBUS; whoever may read it can
/// lock bytes of it, by which processes are known to be alive. So who opens an object refuses one that others could read or write to,
/// or that belongs to another user.
///
/// # Examples
///
/// ```
/// use crossproc::{Error, Name, Value};
///
/// # let unique = format!("example/name-{}", std::process::id());
/// # let name = unique.as_str();
/// let counter = Value::create(name, 7_u64)?; // or "app/counter"
/// assert_eq!(Value::<u64>::open(name)?.get(), 7);
/// assert_eq!(Value::open_or_create(name, 0_u64)?.get(), 7);
/// assert!(matches!(Value::create(name, 0_u64), Err(Error::NameTaken { .. })));
///
/// drop(counter);
/// assert!(matches!(Value::<u64>::open(name), Err(Error::NoSuchName { .. })));
///
/// let memory = crossproc::SharedMemory::create_named(name, 10)?;
/// assert_eq!(memory.name(), Some(name));
/// memory.unlink()?;
/// assert!(matches!(memory.unlink(), Err(Error::NoSuchName { .. })));
/// assert_eq!(memory.to_vec(), [0; 10]); // for who has it open, it is there
///
/// let shared = Value::create(Name::new(name).mode(0o660).persist(), 0_u64)?;
/// # drop(shared);
/// # crossproc::unlink(name)?;
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    text: String,
    mode: u32,
    persists: bool,
}

/// What a file of ours begins with.
const PREFIX: &str = "crossproc-";

/// Stands for `/` in a file's name; no name contains it.
const SEPARATOR: &str = "%";

/// With the prefix it fits into the 255 bytes of a file's name.
const LONGEST: usize = 200;

impl Name {
    /// A name, which is checked when it is used.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Error, Lock, Name};
    ///
    /// for text in ["", "a b", "../a", "a//b", "/a", "ä"] {
    ///     assert!(matches!(Lock::open(Name::new(text)), Err(Error::InvalidName { .. })), "{text}");
    /// }
    /// ```
    pub fn new(text: impl Into<String>) -> Self {
        Name { text: text.into(), mode: 0o600, persists: false }
    }

    /// The permission bits of the file, for who makes it, whatever the umask; 0600 unless told. Who opens an object accepts
    /// no more than the bits that it says itself: with those for a group, or for all, it accepts that they can get at the
    /// object, and other users' objects as well.
    ///
    /// The owner can always read and write; bits for executing mean nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Error, Name, Value};
    ///
    /// # let unique = format!("example/mode-{}", std::process::id());
    /// # let name = unique.as_str();
    /// let _value = Value::create(Name::new(name).mode(0o660), 1_u64)?;
    /// assert!(matches!(Value::<u64>::open(name), Err(Error::PermissionDenied { .. })));
    /// assert_eq!(Value::<u64>::open(Name::new(name).mode(0o660))?.get(), 1);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn mode(self, bits: u32) -> Self {
        Name { mode: bits & 0o666 | 0o600, ..self }
    }

    /// The object keeps its name when the process that makes it has dropped its handles.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Name, Value};
    ///
    /// # let unique = format!("example/persist-{}", std::process::id());
    /// # let name = unique.as_str();
    /// drop(Value::create(Name::new(name).persist(), 1_u64)?);
    /// assert_eq!(Value::<u64>::open(name)?.get(), 1);
    /// crossproc::unlink(name)?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn persist(self) -> Self {
        Name { persists: true, ..self }
    }

    /// The name itself.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(crossproc::Name::new("app/counter").as_str(), "app/counter");
    /// ```
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn bits(&self) -> u32 {
        self.mode
    }

    pub(super) fn persists(&self) -> bool {
        self.persists
    }

    /// The name of its file.
    pub(super) fn entry(&self) -> Result<String> {
        let refused = |reason: &'static str| Error::InvalidName { name: self.text.clone(), reason: reason.into() };
        let is_part = |part: &str| part.bytes().any(|byte| byte != b'.');
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
        if self.text.len() > LONGEST {
            return Err(refused("more than 200 bytes"));
        }
        if !self.text.bytes().all(is_letter) {
            return Err(refused("only letters, digits, '.', '_', '-', and '/' between parts"));
        }
        if !self.text.split('/').all(is_part) {
            return Err(refused("a part is empty, or consists of dots"));
        }
        Ok(format!("{PREFIX}{}", self.text.replace('/', SEPARATOR)))
    }

    /// The name whose file this is, if it is one of ours.
    pub(super) fn of_entry(entry: &str) -> Option<String> {
        let text = entry.strip_prefix(PREFIX)?.replace(SEPARATOR, "/");
        Name::new(&*text).entry().is_ok_and(|ours| ours == entry).then_some(text)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Name::new(text)
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Name::new(text)
    }
}

impl From<&String> for Name {
    fn from(text: &String) -> Self {
        Name::new(text)
    }
}

impl From<&Name> for Name {
    fn from(name: &Name) -> Self {
        name.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_that_of_its_file() {
        for text in ["a", "app/counter", "A.b_c-1", "..a/b..", &"x".repeat(LONGEST)] {
            let entry = Name::new(text).entry().unwrap();
            assert!(entry.len() <= 255 && !entry.contains('/'));
            assert_eq!(Name::of_entry(&entry).as_deref(), Some(text));
        }
        for entry in ["crossproc-", "crossproc-a b", "crossproc-%a", "crossproc-a/b", "psm_1234", "crossproc-.."] {
            assert_eq!(Name::of_entry(entry), None, "{entry}");
        }
    }
}
