//! Gives memory back to the system that the allocator keeps: after a connector made the host copy 128 MiB of strings, the process
//! held a hundred of them for as long as it lived, free and of no use to anybody else on the machine.

/// Gives back what is free. Takes milliseconds where much is, so it is for the end of a run, where blocking is allowed. Where
/// the allocator is not the GNU C library's it does nothing.
#[cfg_attr(all(target_os = "linux", target_env = "gnu"), allow(unsafe_code))]
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim takes the allocator's own locks (MT-Safe, malloc_trim(3)) and touches no memory that is in use; its
    // argument is how much to leave at the top of the heap.
    unsafe {
        libc::malloc_trim(0);
    }
}
