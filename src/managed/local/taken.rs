//! Values on their way out of the heap, and what keeps the objects that they refer to until somebody has handles of them.

use std::sync::Arc;

use super::super::kept::Kept;
use super::super::travel::{self, Loading};
use super::{Content, Held};
use crate::error::Result;
use crate::heap::object::Hold;
use crate::heap::{Heap, Transaction};

/// A value, and what holds its objects. Within a transaction, which may not come to its end: then there are no holds, and nothing is to
/// be let go.
pub(super) struct Taken {
    content: Content,
    holds: Vec<Hold>,
}

impl Taken {
    /// Has this process hold what the value refers to, before it is taken out of where it is.
    pub(super) fn hold(transaction: &mut Transaction<'_>, content: Content) -> Result<Self> {
        let me = transaction.heap().segment().me()?;
        let holds = content.objects.iter().map(|object| transaction.hold(*object, me)).collect::<Result<_>>()?;
        Ok(Taken { holds, content })
    }

    /// The transaction has come to its end.
    pub(super) fn keep(self, heap: &Arc<Heap>) -> Kept {
        if self.content.objects.is_empty() {
            return Kept::plain(self.content.bytes);
        }
        Kept::local(self.content.bytes, Holds { heap: Arc::clone(heap), holds: self.holds })
    }
}

/// All that was seen without a transaction, if none of it refers to anything.
pub(super) fn all_plain(found: Vec<Content>) -> Option<Vec<Kept>> {
    let are_plain = found.iter().all(|content| content.objects.is_empty());
    are_plain.then(|| found.into_iter().map(|content| Kept::plain(content.bytes)).collect())
}

impl Held {
    /// What `look` finds, with holds.
    pub(super) fn take_out(
        &self,
        mut look: impl FnMut(&mut Transaction<'_>) -> Result<Option<Content>>,
    ) -> Result<Option<Kept>> {
        let taken = self.heap.transact(|transaction| {
            let found = look(transaction)?;
            found.map(|found| Taken::hold(transaction, found)).transpose()
        })?;
        Ok(taken.map(|taken| taken.keep(&self.heap)))
    }
}

/// What a value refers to, held behind the transaction: what nobody decodes is let go.
pub(crate) struct Holds {
    pub(super) heap: Arc<Heap>,
    pub(super) holds: Vec<Hold>,
}

impl Holds {
    /// Runs `decode`, in which handles of these objects may be deserialised; what it does not take is let go.
    pub(crate) fn load<R>(&mut self, decode: impl FnOnce() -> R) -> R {
        let holds = Holds { heap: Arc::clone(&self.heap), holds: std::mem::take(&mut self.holds) };
        travel::loading(Loading::Local(holds), decode)
    }
}

impl Drop for Holds {
    fn drop(&mut self) {
        self.holds.drain(..).for_each(|hold| self.heap.give_up(hold));
    }
}
