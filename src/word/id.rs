/// Who a process is to the other peers of one segment. Never used twice (`peers`, I1).
///
/// | bits  | name       | meaning                                  |
/// |-------|------------|------------------------------------------|
/// | 0-9   | SLOT       | place in the segment's table of peers    |
/// | 10-30 | GENERATION | which claim of that place, from 1        |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PeerId(u32);

impl PeerId {
    pub(crate) const BITS: u32 = 31;
    /// No identity.
    pub(crate) const NOBODY: PeerId = PeerId(0);
    pub(crate) const SLOT_BITS: u32 = 10;
    pub(crate) const LAST_GENERATION: u32 = (1 << (Self::BITS - Self::SLOT_BITS)) - 1;

    /// slot: below `1 << SLOT_BITS`; generation: at most `LAST_GENERATION`.
    pub(crate) fn new(slot: usize, generation: u32) -> Self {
        debug_assert!(slot < 1 << Self::SLOT_BITS && generation <= Self::LAST_GENERATION);
        PeerId(generation << Self::SLOT_BITS | slot as u32)
    }

    /// The identity as other words and the byte locks name it: 31 bits, never 0.
    pub(crate) fn get(self) -> u32 {
        self.0
    }

    /// From a number that [`get`](Self::get) gave, within the same process.
    pub(crate) fn from_number(number: u32) -> Self {
        PeerId(number)
    }

    /// From a number of unknown origin, if it could be an identity in a table of so many places.
    pub(crate) fn checked(number: u32, places: usize) -> Option<Self> {
        let id = PeerId(number);
        (number >> Self::BITS == 0 && id.generation() > 0 && id.slot() < places).then_some(id)
    }

    pub(crate) fn slot(self) -> usize {
        (self.0 & ((1 << Self::SLOT_BITS) - 1)) as usize
    }

    pub(crate) fn generation(self) -> u32 {
        self.0 >> Self::SLOT_BITS
    }
}
