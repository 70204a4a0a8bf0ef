//! Limits on open event streams. A listener holds its connection for as long as it likes, so one
//! access must not hold them all.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// Listeners of one access (a browser's session, a program's token): many more than a person's
/// tabs.
const OF_ONE_MAX: usize = 64;
/// Listeners of all accesses together: half of the connections that there are.
const ALL_MAX: usize = 300;

/// The number of open listeners of each access.
#[derive(Clone, Default)]
pub(crate) struct Listeners(Arc<Mutex<HashMap<i64, usize>>>);

impl Listeners {
    /// A place for one more listener of an access, if there is one.
    pub(crate) fn admit(&self, access: i64) -> Option<ListenerSlot> {
        let mut all = self.0.lock();
        let of_one = all.get(&access).copied().unwrap_or_default();
        if of_one >= OF_ONE_MAX || all.values().sum::<usize>() >= ALL_MAX {
            return None;
        }
        all.insert(access, of_one + 1);
        Some(ListenerSlot { all: self.clone(), access })
    }
}

/// A listener's place; given back when it is dropped.
pub(crate) struct ListenerSlot {
    all: Listeners,
    access: i64,
}

impl Drop for ListenerSlot {
    fn drop(&mut self) {
        let mut all = self.all.0.lock();
        if let Some(of_one) = all.get_mut(&self.access) {
            *of_one -= 1;
            if *of_one == 0 {
                all.remove(&self.access);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_access_leaves_places_to_the_others() {
        let listeners = Listeners::default();
        let mut places: Vec<ListenerSlot> = (0..OF_ONE_MAX).filter_map(|_| listeners.admit(1)).collect();
        assert_eq!(places.len(), OF_ONE_MAX);
        assert!(listeners.admit(1).is_none());
        assert!(listeners.admit(2).is_some());
        places.pop();
        assert!(listeners.admit(1).is_some());
    }

    #[test]
    fn all_together_have_an_end_and_give_their_places_back() {
        let listeners = Listeners::default();
        let places: Vec<ListenerSlot> = (0..).map_while(|access| listeners.admit(access)).collect();
        assert_eq!(places.len(), ALL_MAX);
        drop(places);
        assert!(listeners.0.lock().is_empty());
    }
}
