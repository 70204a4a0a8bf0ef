//! Prints the events of connectors among the lines of runs, and writes failures to the error log as
//! well.

use atlas_service::{RegistryEvent, RegistryObserver, event_failure, event_notices, hold_notice};

use super::console::Lines;
use super::report;

/// Prints the events of connectors.
pub(super) struct ConnectorConsole {
    pub(super) lines: Lines,
}

impl RegistryObserver for ConnectorConsole {
    fn on(&self, event: &RegistryEvent) {
        if let Some(failure) = event_failure(event) {
            self.lines.suspend(|| report::print(&self.lines.texts, &failure, ""));
        }
        if let RegistryEvent::Held { reasons, .. } = event {
            for reason in reasons {
                self.lines.say(&format!("   ↳ {}", self.lines.texts.text(&hold_notice(reason))));
            }
        }
        for notice in event_notices(event) {
            self.lines.say(&self.lines.texts.text(&notice));
        }
    }
}
