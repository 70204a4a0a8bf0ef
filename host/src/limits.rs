//! Every limit of the house, by name, with its default and its reason. `[limits]` in `atlas.toml` changes them; an error that
//! comes from one names it. Those that one connector or one client may have to itself are changed for it alone in
//! `[connector.ROUTE.limits]` and `[client.ID.limits]`.

use serde::{Deserialize, Serialize};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Makes the two structures of one table, so that each limit stands in one place.
macro_rules! limits {
    (
        each { $($(#[$each_doc:meta])* $each:ident: $each_type:ty = $each_default:expr,)+ }
        house { $($(#[$house_doc:meta])* $house:ident: $house_type:ty = $house_default:expr,)+ }
    ) => {
        /// The limits. Sizes are bytes, times are milliseconds unless their name says otherwise.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Limits {
            $($(#[$each_doc])* pub $each: $each_type,)+
            $($(#[$house_doc])* pub $house: $house_type,)+
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($each: $each_default,)+ $($house: $house_default,)+ }
            }
        }

        /// What of the limits is another for one connector, or for one client.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct OwnLimits {
            $($(#[$each_doc])* pub $each: Option<$each_type>,)+
        }

        impl Limits {
            /// These limits for a connector and a client that have their own; where both have one, the tighter holds.
            #[must_use]
            pub fn with(mut self, connector: &OwnLimits, client: &OwnLimits) -> Self {
                $(
                    let tighter = connector.$each.into_iter().chain(client.$each).min();
                    self.$each = tighter.unwrap_or(self.$each);
                )+
                self
            }
        }
    };
}

limits! {
    each {
        /// All memories and tables of one connector instance together. Selected records stay in the host, so few guests need a
        /// tenth.
        guest_memory: usize = 256 * MIB,
        /// CPU time of one page: its guest code, and the host's work on its answers. Time that is waited is not charged.
        guest_cpu_ms: u64 = 5_000,
        /// Wall time of one attempt at a page, host calls included; waits between attempts are not.
        page_wall_ms: u64 = 120_000,
        /// What a guest hands over in one call, and so what the host copies at once: a request, a page with all of its texts.
        call_bytes: usize = 128 * MIB,
        /// Requests of one page; those that are refused count, and so do redirects.
        requests_per_page: u32 = 100,
        /// Decoded bytes of one body.
        body_bytes: usize = 64 * MIB,
        /// Decoded bytes of all bodies of one page.
        page_bytes: usize = 128 * MIB,
        /// Records of one page, and of all selections that its guest holds at a time.
        records_per_page: usize = 100_000,
        /// One record.
        record_bytes: usize = 16 * MIB,
        /// Arrays and objects within each other in one record.
        record_depth: usize = 128,
        /// Records waiting for a writer; the fetcher waits beyond.
        queue_records: usize = 10_000,
        /// Their bytes; the fetcher waits beyond.
        queue_bytes: usize = 64 * MIB,
        /// Cursors that one page may name.
        cursors_per_page: usize = 100_000,
        /// One cursor.
        cursor_bytes: usize = 4 * KIB,
        /// Cursors known and not yet written, of one scrap; the scrap stops beyond, resumable.
        frontier: u64 = 1_000_000,
        /// Pages of one scrap; it stops beyond, resumable.
        pages: u64 = 10_000_000,
        /// What a connector may log in one page.
        log_bytes: usize = 64 * KIB,
        /// In how many lines.
        log_lines: usize = 1_000,
    }
    house {
        /// Memory of all guests together, not counting the first 16 MiB of each; one client or connector may have half of it.
        /// A page that would take more fails, and is tried again.
        host_guests: usize = 2048 * MIB,
        /// Bodies in flight, the whole host; whoever reads past it waits.
        host_bodies: usize = 512 * MIB,
        /// A component's file.
        component_bytes: usize = 64 * MIB,
        /// CPU time of compiling one component, in seconds. It happens in a process of its own.
        compile_cpu_s: u64 = 60,
        /// That process's memory.
        compile_memory: usize = 2048 * MIB,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_connectors_limit_and_a_clients_the_tighter_holds() {
        let connector = OwnLimits { guest_cpu_ms: Some(9_000), record_depth: Some(64), ..OwnLimits::default() };
        let client = OwnLimits { guest_cpu_ms: Some(1_000), pages: Some(5), ..OwnLimits::default() };
        let limits = Limits::default().with(&connector, &client);
        assert_eq!((limits.guest_cpu_ms, limits.record_depth, limits.pages), (1_000, 64, 5));
        assert_eq!(limits.page_wall_ms, Limits::default().page_wall_ms);
    }
}
