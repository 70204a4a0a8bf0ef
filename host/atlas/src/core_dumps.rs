//! Disables core files, and access to the process by others of the same user, since its memory and
//! environment hold secrets.

/// Disables both as far as the system allows; errors are ignored.
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
