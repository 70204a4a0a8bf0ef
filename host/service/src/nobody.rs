//! An observer for what has no run.

use atlas_pipeline::{Event, Observer};

/// An observer that ignores all events.
pub(super) struct Nobody;

impl Observer for Nobody {
    fn on(&self, _event: Event<'_>) {}
}
