//! Who has how much of something, as somebody counts who only reads, for people.

use std::collections::BTreeMap;

/// How much each of some identities has. Bytes may name any number of them: so many are told apart, and the others are
/// counted together.
#[derive(Default)]
pub(crate) struct Owners {
    counted: BTreeMap<u32, u64>,
    others: u64,
}

/// More than a line of text can say.
const MOST: usize = 16;

impl Owners {
    pub(crate) fn count(&mut self, owner: u32) {
        let has_room = self.counted.len() < MOST;
        match self.counted.get_mut(&owner) {
            Some(count) => *count += 1,
            None if has_room => drop(self.counted.insert(owner, 1)),
            None => self.others += 1,
        }
    }

    /// As in "2 by process 7, 1 by others"; empty if nobody has any. `who`: what an identity is called.
    pub(crate) fn list(&self, who: impl Fn(u32) -> String) -> String {
        let mut said: Vec<_> =
            self.counted.iter().map(|(owner, count)| format!("{count} by {}", who(*owner))).collect();
        if self.others > 0 {
            said.push(format!("{} by others", self.others));
        }
        said.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_told_apart_and_all_are_counted() {
        let who = |owner: u32| format!("process {owner}");
        let mut owners = Owners::default();
        assert_eq!(owners.list(who), "");
        [7, 5, 7].into_iter().for_each(|owner| owners.count(owner));
        assert_eq!(owners.list(who), "1 by process 5, 2 by process 7");
        (100..1_100).for_each(|owner| owners.count(owner));
        owners.count(7);
        let list = owners.list(who);
        assert!(list.contains("3 by process 7") && list.ends_with(", 986 by others"), "{list}");
    }
}
