//! The command line that a connector does not have: no environment, no arguments, no terminal. To
//! exit is a trap.

use terminal_input::TerminalInput;
use terminal_output::TerminalOutput;
use wasmtime::component::Resource;

use super::bindings::wasi::cli::{
    environment, exit, stderr, stdin, stdout, terminal_input, terminal_output, terminal_stderr, terminal_stdin,
    terminal_stdout,
};
use super::stdio::{EmptyInput, LogOutput};
use crate::guest::Guest;
use crate::log::Stdio;

impl environment::Host for Guest {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        Ok(Vec::new())
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(None)
    }
}

impl exit::Host for Guest {
    fn exit(&mut self, status: Result<(), ()>) -> wasmtime::Result<()> {
        let how = if status.is_ok() { "success" } else { "failure" };
        wasmtime::bail!("the connector exited with {how} instead of returning")
    }
}

impl stdin::Host for Guest {
    fn get_stdin(&mut self) -> wasmtime::Result<Resource<EmptyInput>> {
        Ok(self.table.push(EmptyInput)?)
    }
}

impl stdout::Host for Guest {
    fn get_stdout(&mut self) -> wasmtime::Result<Resource<LogOutput>> {
        Ok(self.table.push(LogOutput(Stdio::Out))?)
    }
}

impl stderr::Host for Guest {
    fn get_stderr(&mut self) -> wasmtime::Result<Resource<LogOutput>> {
        Ok(self.table.push(LogOutput(Stdio::Err))?)
    }
}

impl terminal_stdin::Host for Guest {
    fn get_terminal_stdin(&mut self) -> wasmtime::Result<Option<Resource<TerminalInput>>> {
        Ok(None)
    }
}

impl terminal_stdout::Host for Guest {
    fn get_terminal_stdout(&mut self) -> wasmtime::Result<Option<Resource<TerminalOutput>>> {
        Ok(None)
    }
}

impl terminal_stderr::Host for Guest {
    fn get_terminal_stderr(&mut self) -> wasmtime::Result<Option<Resource<TerminalOutput>>> {
        Ok(None)
    }
}

impl terminal_input::Host for Guest {}
impl terminal_output::Host for Guest {}

// There is no terminal, so no guest ever holds one.
impl terminal_input::HostTerminalInput for Guest {
    fn drop(&mut self, _: Resource<TerminalInput>) -> wasmtime::Result<()> {
        wasmtime::bail!("a terminal that was never given")
    }
}

impl terminal_output::HostTerminalOutput for Guest {
    fn drop(&mut self, _: Resource<TerminalOutput>) -> wasmtime::Result<()> {
        wasmtime::bail!("a terminal that was never given")
    }
}
