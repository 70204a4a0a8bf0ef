//! A file system without a directory. Languages' standard libraries look for files as a matter of
//! course: here they find none and report their own error, where a stub would trap.

use types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, MetadataHashValue,
    NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime::component::Resource;

use super::bindings::wasi::filesystem::{preopens, types};
use super::bindings::wasi::io::error::Error;
use super::never_given;
use super::stdio::{EmptyInput, LogOutput};
use crate::guest::Guest;

/// An open file or directory. Each is opened in a directory that was given, and none is given.
#[allow(unreachable_pub)] // the generated bindings re-export it
pub enum Descriptor {}

/// The entries of a directory.
#[allow(unreachable_pub)] // the generated bindings re-export it
pub enum DirectoryEntries {}

type Tried<T> = Result<T, ErrorCode>;

impl preopens::Host for Guest {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        Ok(Vec::new())
    }
}

impl types::Host for Guest {
    fn filesystem_error_code(&mut self, _: Resource<Error>) -> wasmtime::Result<Option<ErrorCode>> {
        wasmtime::bail!("an error that was never given")
    }
}

impl types::HostDescriptor for Guest {
    never_given! { Descriptor {
        read_via_stream(u64) -> Tried<Resource<EmptyInput>>;
        write_via_stream(u64) -> Tried<Resource<LogOutput>>;
        append_via_stream() -> Tried<Resource<LogOutput>>;
        advise(u64, u64, Advice) -> Tried<()>;
        sync_data() -> Tried<()>;
        get_flags() -> Tried<DescriptorFlags>;
        get_type() -> Tried<DescriptorType>;
        set_size(u64) -> Tried<()>;
        set_times(NewTimestamp, NewTimestamp) -> Tried<()>;
        read(u64, u64) -> Tried<(Vec<u8>, bool)>;
        write(Vec<u8>, u64) -> Tried<u64>;
        read_directory() -> Tried<Resource<DirectoryEntries>>;
        sync() -> Tried<()>;
        create_directory_at(String) -> Tried<()>;
        stat() -> Tried<DescriptorStat>;
        stat_at(PathFlags, String) -> Tried<DescriptorStat>;
        set_times_at(PathFlags, String, NewTimestamp, NewTimestamp) -> Tried<()>;
        link_at(PathFlags, String, Resource<Descriptor>, String) -> Tried<()>;
        open_at(PathFlags, String, OpenFlags, DescriptorFlags) -> Tried<Resource<Descriptor>>;
        readlink_at(String) -> Tried<String>;
        remove_directory_at(String) -> Tried<()>;
        rename_at(String, Resource<Descriptor>, String) -> Tried<()>;
        symlink_at(String, String) -> Tried<()>;
        unlink_file_at(String) -> Tried<()>;
        is_same_object(Resource<Descriptor>) -> bool;
        metadata_hash() -> Tried<MetadataHashValue>;
        metadata_hash_at(PathFlags, String) -> Tried<MetadataHashValue>;
    }}
}

impl types::HostDirectoryEntryStream for Guest {
    never_given! { DirectoryEntries {
        read_directory_entry() -> Tried<Option<DirectoryEntry>>;
    }}
}
