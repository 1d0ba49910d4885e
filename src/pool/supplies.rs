//! What a worker gets from its pool through the socket: what an order only names.

use std::collections::BTreeMap;
use std::io;
use std::process;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::order::{Ask, Load};
use crate::error::{Error, Result};
use crate::process::{Received, Step, control, note, step_in};
use crate::segment::Segment;
use crate::segment::handle::Parcel;

/// The most segments that it stays attached to while it works. A guess.
const MOST_KNOWN: usize = 64;

#[derive(Default)]
pub(super) struct Supplies {
    /// Segments of handles in arguments, by the pool's numbers.
    known: BTreeMap<u64, Arc<Segment>>,
    /// Functions, by the pool's numbers.
    functions: BTreeMap<u64, Step>,
    /// Something could not be asked for, or not be taken in: a task may have closed the socket, or have set this process a limit.
    is_deaf: bool,
}

impl Supplies {
    /// Whether it is attached to nothing that its last tasks used.
    pub(super) fn has_no_segments(&self) -> bool {
        self.known.is_empty()
    }

    /// Detaches from what its last tasks used.
    pub(super) fn let_go(&mut self) {
        self.known.clear();
    }

    /// Whether nobody is at the other end: the pool's process has ended, or become another program; or this end is closed.
    pub(super) fn are_cut_off() -> bool {
        control().is_none_or(note::is_at_end)
    }

    /// Whether it is no use to ask for anything.
    pub(super) fn are_deaf(&self) -> bool {
        self.is_deaf
    }

    /// Says something to the keeper, with what belongs to it.
    pub(super) fn say(&mut self, what: &Ask, parcel: Parcel) -> Result<()> {
        let said = Self::send(what, parcel);
        // What is too much to be sent says nothing of what comes next.
        self.is_deaf |= said.is_err() && Self::are_cut_off();
        said
    }

    fn send(what: &Ask, mut parcel: Parcel) -> Result<()> {
        let mut bytes = postcard::to_stdvec(what).unwrap_or_default();
        bytes.append(&mut parcel.bytes);
        parcel.bytes = bytes;
        loop {
            match note::send(control().ok_or_else(closed)?, &parcel) {
                // The keeper reads what is there in a moment, unless the pool's process is stopped.
                Err(error) if note::is_full(&error) => thread::sleep(Duration::from_millis(1)),
                Err(error) if note::nobody_listens(&error) => process::exit(0),
                said => return said,
            }
        }
    }

    /// Says how the worker has begun.
    pub(super) fn tell(&mut self, what: &Ask) {
        if self.ask(what).is_err() {
            process::exit(1);
        }
    }

    /// What is short, and without descriptors: it fails only without a socket.
    fn ask(&mut self, what: &Ask) -> Result<()> {
        self.say(what, Parcel::default())
    }

    fn answer(&mut self) -> Result<Received<()>> {
        match control().ok_or_else(closed).and_then(note::wait) {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => process::exit(0),
            Err(error) => {
                self.is_deaf = true;
                Err(error)
            }
        }
    }

    /// `None` if the pool has no memory or no descriptor to send it.
    pub(super) fn ask_for_load(&mut self, cell: u32) -> Option<Load> {
        self.ask(&Ask::Load(cell)).ok()?;
        postcard::from_bytes(self.answer().ok()?.body()).ok()
    }

    /// The function of this number; it is asked for once.
    pub(super) fn function(&mut self, number: u64) -> Result<Step> {
        if let Some(step) = self.functions.get(&number) {
            return Ok(*step);
        }
        self.ask(&Ask::Function(number))?;
        let step = step_in(&self.answer()?)?;
        self.functions.insert(number, step);
        Ok(step)
    }

    /// The segments of these numbers.
    pub(super) fn segments(&mut self, numbers: &[u64]) -> Result<Vec<Arc<Segment>>> {
        if self.known.len() > MOST_KNOWN {
            self.known.clear();
        }
        numbers.iter().map(|number| self.segment(*number)).collect()
    }

    fn segment(&mut self, number: u64) -> Result<Arc<Segment>> {
        if let Some(segment) = self.known.get(&number) {
            return Ok(Arc::clone(segment));
        }
        self.ask(&Ask::Segment(number))?;
        let gone = || Error::Decode { what: "a handle".into(), reason: "nobody wants the task any more".into() };
        let segment = Segment::attach(self.answer()?.descriptors.pop().ok_or_else(gone)?)?;
        self.known.insert(number, Arc::clone(&segment));
        Ok(segment)
    }
}

/// What it is not to ask: a task has closed the socket, and whatever has its number now would never answer.
fn closed() -> Error {
    Error::os("ask the pool", io::Error::from_raw_os_error(libc::EBADF))
}
