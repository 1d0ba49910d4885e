/// A place in the endless row of messages: which slot, and in which lap.
///
/// Comparisons go by the shorter way round, so that the numbers may wrap: a small ring counts its laps fast.
///
/// | bits  | name  | meaning                |
/// |-------|-------|------------------------|
/// | 0-31  | INDEX | of the slot            |
/// | 32-63 | LAP   | times round, wrapping  |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position(u64);

const ONE_LAP: u64 = 1 << 32;

impl Position {
    pub(super) fn new(lap: u32, index: u32) -> Self {
        Position(u64::from(lap) << 32 | u64::from(index))
    }

    /// From a number that stood in shared memory: the index is made to fit.
    #[inline]
    pub(super) fn from_hint(number: u64, capacity: u32) -> Self {
        let position = Position(number);
        if position.index() < capacity { position } else { Position::new(position.lap(), 0) }
    }

    pub(super) fn number(self) -> u64 {
        self.0
    }

    #[inline]
    pub(crate) fn index(self) -> u32 {
        self.0 as u32
    }

    #[inline]
    pub(super) fn lap(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline]
    pub(super) fn next(self, capacity: u32) -> Self {
        if self.index() + 1 < capacity { Position(self.0 + 1) } else { Position::new(self.lap().wrapping_add(1), 0) }
    }

    /// Its number among all positions, wrapping.
    pub(super) fn ordinal(self, capacity: u32) -> u64 {
        u64::from(self.lap()) * u64::from(capacity) + u64::from(self.index())
    }

    /// The same slot, a lap before.
    pub(super) fn a_lap_before(self) -> Self {
        Position::new(self.lap().wrapping_sub(1), self.index())
    }

    /// This one, or the one a lap before `end` if this one is not between the two.
    pub(super) fn within_a_lap_of(self, end: Position) -> Position {
        if end.0.wrapping_sub(self.0) <= ONE_LAP { self } else { end.a_lap_before() }
    }

    #[inline]
    pub(super) fn is_before(self, other: Position) -> bool {
        (self.0.wrapping_sub(other.0) as i64) < 0
    }

    #[inline]
    pub(super) fn later(self, other: Position) -> Position {
        if self.is_before(other) { other } else { self }
    }
}
