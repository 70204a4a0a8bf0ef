//! Every limit of the house, by name, with its default, the most that it may be, and its reason.
//! `[limits]` in `atlas.toml` changes them; an error that comes from one names it. Those that one
//! connector or one client may have to itself are changed for it alone in
//! `[connector.ROUTE.limits]` and `[client.ID.limits]`.

use serde::{Deserialize, Serialize};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const GIB: usize = 1024 * MIB;
const HOUR_MS: u64 = 60 * 60 * 1000;

/// A limit that is set above the most that it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutOfRange {
    /// The limit's name.
    pub name: &'static str,
    /// What it is set to.
    pub value: String,
    /// The most that it may be.
    pub most: String,
}

/// Makes the two structures of one table, so that each limit stands in one place. A limit has its
/// default, then the most that it may be set to: no setting can ask for more than the arithmetic
/// and the libraries behind it can bear.
macro_rules! limits {
    (
        each { $($(#[$each_doc:meta])* $each:ident: $each_type:ty = $each_default:expr => $each_most:expr,)+ }
        house { $($(#[$house_doc:meta])* $house:ident: $house_type:ty = $house_default:expr => $house_most:expr,)+ }
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

        /// Limits that are set for one connector, or for one client, in place of the common ones.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct OwnLimits {
            $($(#[$each_doc])* pub $each: Option<$each_type>,)+
        }

        impl Limits {
            /// These limits for a connector and a client that have their own; where both have one,
            /// the tighter holds.
            #[must_use]
            pub fn with(mut self, connector: &OwnLimits, client: &OwnLimits) -> Self {
                $(
                    let tighter = connector.$each.into_iter().chain(client.$each).min();
                    self.$each = tighter.unwrap_or(self.$each);
                )+
                self
            }

            /// The first limit that is set above the most that it may be.
            pub fn out_of_range(&self) -> Option<OutOfRange> {
                $(out_of_range!($house, Some(self.$house), $house_type, $house_most);)+
                OwnLimits { $($each: Some(self.$each),)+ }.out_of_range()
            }
        }

        impl OwnLimits {
            /// The first limit that is set above the most that it may be.
            pub fn out_of_range(&self) -> Option<OutOfRange> {
                $(out_of_range!($each, self.$each, $each_type, $each_most);)+
                None
            }
        }
    };
}

macro_rules! out_of_range {
    ($name:ident, $value:expr, $type:ty, $most:expr) => {{
        const MOST: $type = $most;
        if let Some(value) = $value.filter(|value| *value > MOST) {
            return Some(OutOfRange { name: stringify!($name), value: value.to_string(), most: MOST.to_string() });
        }
    }};
}

limits! {
    each {
        /// All memories and tables of one connector instance together. Selected records stay in the
        /// host, so few guests need a tenth.
        guest_memory: usize = 256 * MIB => 4 * GIB,
        /// CPU time of one page: its guest code, and the host's work on its answers. Time that is
        /// waited is not charged.
        guest_cpu_ms: u64 = 5_000 => HOUR_MS,
        /// Wall time of one attempt at a page, host calls included; waits between attempts are not.
        page_wall_ms: u64 = 120_000 => 24 * HOUR_MS,
        /// What a guest hands over in one call, and so what the host copies at once: a request, a
        /// page with all of its texts.
        call_bytes: usize = 128 * MIB => 4 * GIB,
        /// Requests of one page; those that are refused count, and so do redirects.
        requests_per_page: u32 = 100 => 1_000_000,
        /// Decoded bytes of one body.
        body_bytes: usize = 64 * MIB => 4 * GIB,
        /// Decoded bytes of all bodies of one page.
        page_bytes: usize = 128 * MIB => 16 * GIB,
        /// Records of one page, and of all selections that its guest holds at a time.
        records_per_page: usize = 100_000 => 10_000_000,
        /// One record.
        record_bytes: usize = 16 * MIB => GIB,
        /// Arrays and objects within each other in one record.
        record_depth: usize = 128 => 10_000,
        /// Records waiting for a writer; the fetcher waits beyond.
        queue_records: usize = 10_000 => 10_000_000,
        /// Their bytes; the fetcher waits beyond.
        queue_bytes: usize = 64 * MIB => 16 * GIB,
        /// Cursors that one page may name.
        cursors_per_page: usize = 100_000 => 1_000_000,
        /// One cursor.
        cursor_bytes: usize = 4 * KIB => MIB,
        /// Cursors known and not yet written, of one scrap; the scrap stops beyond, resumable.
        frontier: u64 = 1_000_000 => 1_000_000_000,
        /// Their bytes; the scrap stops beyond, resumable.
        frontier_bytes: u64 = 512 * MIB as u64 => 1024 * GIB as u64,
        /// Rejected records that are kept for one client; its scraps stop beyond, resumable.
        client_rejects: u64 = 1_000_000 => 1_000_000_000_000,
        /// Their bytes, with those of their cursors; the same.
        client_reject_bytes: u64 = 256 * MIB as u64 => 1024 * GIB as u64,
        /// Cursors that are kept for one client, those of ended scraps included; its scraps stop
        /// beyond, resumable.
        client_cursors: u64 = 20_000_000 => 1_000_000_000_000,
        /// Their bytes; the same.
        client_cursor_bytes: u64 = 2 * GIB as u64 => 1024 * GIB as u64,
        /// Rows of one client in `dados_raw`; no bound unless one is set. Its scraps stop beyond,
        /// resumable.
        client_records: u64 = u64::MAX => u64::MAX,
        /// The bytes of their payloads; the same.
        client_record_bytes: u64 = u64::MAX => u64::MAX,
        /// Pages of one scrap; it stops beyond, resumable.
        pages: u64 = 10_000_000 => 1_000_000_000_000,
        /// Pages of a chain in a row without a record, each of which names the next; the scrap
        /// stops beyond, resumable: a source that always names a next page would be asked for ever.
        empty_pages: u32 = 500 => 1_000_000_000,
        /// What a connector may log in one page.
        log_bytes: usize = 64 * KIB => 64 * MIB,
        /// In how many lines.
        log_lines: usize = 1_000 => 1_000_000,
    }
    house {
        /// Memory of all guests together, not counting the first 16 MiB of each; one client or
        /// connector may have half of it. A page that would take more fails, and is tried again.
        host_guests: usize = 2048 * MIB => 1024 * GIB,
        /// Bodies in flight, the whole host; a read past it waits.
        host_bodies: usize = 512 * MIB => 1024 * GIB,
        /// A component's file.
        component_bytes: usize = 64 * MIB => GIB,
        /// CPU time of compiling one component, in seconds. It happens in a process of its own.
        compile_cpu_s: u64 = 60 => 3_600,
        /// That process's memory.
        compile_memory: usize = 2048 * MIB => 64 * GIB,
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

    #[test]
    fn no_limit_can_be_set_beyond_what_the_arithmetic_behind_it_bears() {
        let named = |limits: Limits| limits.out_of_range().map(|found| (found.name, found.most));
        assert_eq!(named(Limits::default()), None);
        let queue = Limits { queue_records: usize::MAX, ..Limits::default() };
        assert_eq!(named(queue), Some(("queue_records", "10000000".to_owned())));
        let house = Limits { host_bodies: usize::MAX, ..Limits::default() };
        assert_eq!(named(house).map(|(name, _)| name), Some("host_bodies"));
        let own = OwnLimits { page_wall_ms: Some(u64::MAX), ..OwnLimits::default() };
        assert_eq!(own.out_of_range().map(|found| found.name), Some("page_wall_ms"));
    }
}
