//! Every limit of the house, by name, with its default and its reason. `[limits]` in `atlas.toml` changes them; an error that
//! comes from one names it.

use serde::Deserialize;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The limits. Sizes are bytes, times are milliseconds unless their name says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// All memories of one connector instance together. Selected records stay in the host, so few guests need a tenth.
    pub guest_memory: usize,
    /// CPU time of one page's guest code; time awaited in the host is not charged.
    pub guest_cpu_ms: u64,
    /// Wall time of one attempt at a page, host calls included; waits between attempts are not.
    pub page_wall_ms: u64,
    /// Requests of one page.
    pub requests_per_page: u32,
    /// Decoded bytes of one body.
    pub body_bytes: usize,
    /// Decoded bytes of all bodies of one page.
    pub page_bytes: usize,
    /// Bodies in flight, the whole host; whoever reads past it waits.
    pub host_bodies: usize,
    /// Records of one page.
    pub records_per_page: usize,
    /// One record.
    pub record_bytes: usize,
    /// Arrays and objects within each other in one record.
    pub record_depth: usize,
    /// Records waiting for a writer; the fetcher waits beyond.
    pub queue_records: usize,
    /// Their bytes; the fetcher waits beyond.
    pub queue_bytes: usize,
    /// Cursors that one page may name.
    pub cursors_per_page: usize,
    /// One cursor.
    pub cursor_bytes: usize,
    /// Cursors known and not yet written, of one scrap; the scrap stops beyond, resumable.
    pub frontier: u64,
    /// Pages of one scrap; it stops beyond, resumable.
    pub pages: u64,
    /// What a connector may log in one page.
    pub log_bytes: usize,
    /// In how many lines.
    pub log_lines: usize,
    /// A component's file.
    pub component_bytes: usize,
    /// CPU time of compiling one component, in seconds. It happens in a process of its own.
    pub compile_cpu_s: u64,
    /// That process's memory.
    pub compile_memory: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            guest_memory: 256 * MIB,
            guest_cpu_ms: 5_000,
            page_wall_ms: 120_000,
            requests_per_page: 100,
            body_bytes: 64 * MIB,
            page_bytes: 128 * MIB,
            host_bodies: 512 * MIB,
            records_per_page: 100_000,
            record_bytes: 16 * MIB,
            record_depth: 128,
            queue_records: 10_000,
            queue_bytes: 64 * MIB,
            cursors_per_page: 100_000,
            cursor_bytes: 4 * KIB,
            frontier: 1_000_000,
            pages: 10_000_000,
            log_bytes: 64 * KIB,
            log_lines: 1_000,
            component_bytes: 64 * MIB,
            compile_cpu_s: 60,
            compile_memory: 2048 * MIB,
        }
    }
}
