//! Returns memory to the system that the allocator would keep: after a connector made the host copy
//! 128 MiB of strings, the process held a hundred of them for as long as it lived, free, but lost
//! to all other processes of the machine.

use std::time::Duration;

/// From this size on, memory is the system's as soon as it is freed. The GNU C library's own
/// threshold grows with what is freed, up to 32 MiB, and an arena of each thread then keeps as much
/// for good (mallopt(3), `M_MMAP_THRESHOLD`, `M_TRIM_THRESHOLD`).
const LARGE: i32 = 4 * 1024 * 1024;

/// Lets no allocation that is large stay with the allocator. To be called before there are other
/// threads.
#[cfg_attr(all(target_os = "linux", target_env = "gnu"), allow(unsafe_code))]
pub fn keep_nothing_large() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for setting in [libc::M_MMAP_THRESHOLD, libc::M_TRIM_THRESHOLD] {
        // SAFETY: mallopt changes the allocator's own settings; nothing else runs yet that could be
        // allocating.
        unsafe {
            libc::mallopt(setting, LARGE);
        }
    }
}

/// Time after a run's end by which memory is free that others still held then, such as a database
/// connection its last statement.
const LATER: Duration = Duration::from_secs(1);

/// Gives back what a run that has ended held: now, and what is freed a little later.
pub async fn give_back_what_a_run_held() {
    for wait in [Duration::ZERO, LATER] {
        tokio::time::sleep(wait).await;
        // A program that ends meanwhile gives back everything.
        let _ = tokio::task::spawn_blocking(give_back).await;
    }
}

/// Gives back what is free. Takes milliseconds where much is, so it is for the end of a run, where
/// blocking is allowed. Where the allocator is not the GNU C library's it does nothing.
#[cfg_attr(all(target_os = "linux", target_env = "gnu"), allow(unsafe_code))]
fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim takes the allocator's own locks (MT-Safe, malloc_trim(3)) and touches no
    // memory that is in use; its argument is how much to leave at the top of the heap.
    unsafe {
        libc::malloc_trim(0);
    }
}
