//! The places that a route leaves out of its hash, as a tree that is walked along with the record.

use super::pointer::{Pointer, index};

/// A place in a record on the way to an unhashed value, or [`Place::NOWHERE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u32);

impl Place {
    /// Below here nothing is left out: the record need not be followed.
    pub(super) const NOWHERE: Self = Self(u32::MAX);
}

/// What to do with a member or an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Hash it; whatever is left out inside it is found from this place.
    Into(Place),
    /// Leave it out.
    LeaveOut,
}

/// A tree of pointers.
#[derive(Debug, Default)]
pub(super) struct Unhashed {
    /// The root is the first; empty when nothing is left out.
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// By token, ascending.
    keys: Vec<(String, Step)>,
    /// The same, for tokens that are array indices, ascending.
    indices: Vec<(usize, Step)>,
}

impl Unhashed {
    /// The root pointer is passed over: a record cannot be left out as a whole.
    pub(super) fn new(mut pointers: Vec<Pointer>) -> Self {
        // Shorter ones first: what stands inside a place that is left out needs no node.
        pointers.retain(|pointer| !pointer.is_root());
        pointers.sort_by_key(|pointer| pointer.tokens().len());
        let mut tree = Self::default();
        if !pointers.is_empty() {
            tree.nodes.push(Node::default());
        }
        for pointer in &pointers {
            tree.insert(pointer.tokens());
        }
        for node in &mut tree.nodes {
            node.indices = node.keys.iter().filter_map(|(key, step)| Some((index(key)?, *step))).collect();
            node.indices.sort_unstable_by_key(|(index, _)| *index);
        }
        tree
    }

    fn insert(&mut self, tokens: &[String]) {
        let mut node = 0;
        for (depth, token) in tokens.iter().enumerate() {
            let found = self.nodes[node].keys.binary_search_by(|(key, _)| key.as_str().cmp(token));
            let step = match found {
                Ok(position) => self.nodes[node].keys[position].1,
                Err(position) => {
                    let last = depth + 1 == tokens.len();
                    let step = if last { Step::LeaveOut } else { Step::Into(self.grow()) };
                    self.nodes[node].keys.insert(position, (token.clone(), step));
                    step
                }
            };
            match step {
                Step::Into(place) => node = place.0 as usize,
                Step::LeaveOut => return,
            }
        }
    }

    fn grow(&mut self) -> Place {
        let place = u32::try_from(self.nodes.len()).map_or(Place::NOWHERE, Place);
        self.nodes.push(Node::default());
        place
    }

    /// Where every record begins.
    pub(super) fn root(&self) -> Place {
        if self.nodes.is_empty() { Place::NOWHERE } else { Place(0) }
    }

    /// From an object's place to that of its member.
    pub(super) fn member(&self, place: Place, key: &[u8]) -> Step {
        let Some(node) = self.nodes.get(place.0 as usize) else {
            return Step::Into(Place::NOWHERE);
        };
        match node.keys.binary_search_by(|(token, _)| token.as_bytes().cmp(key)) {
            Ok(position) => node.keys[position].1,
            Err(_) => Step::Into(Place::NOWHERE),
        }
    }

    /// From an array's place to that of its element.
    pub(super) fn element(&self, place: Place, index: usize) -> Step {
        let Some(node) = self.nodes.get(place.0 as usize) else {
            return Step::Into(Place::NOWHERE);
        };
        match node.indices.binary_search_by_key(&index, |(token, _)| *token) {
            Ok(position) => node.indices[position].1,
            Err(_) => Step::Into(Place::NOWHERE),
        }
    }
}
