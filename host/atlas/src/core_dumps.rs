//! No core files, and no look into the process by others of the same user: secrets stand in its
//! memory and environment.

/// Sees to it, as far as the system lets: where it does not, nothing else is worse for it.
pub(crate) fn disable() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
    // A core file may also go to a program (`core_pattern` with a pipe), which the limit does not
    // stop.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}
