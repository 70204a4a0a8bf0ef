//! The compiler, in this process, and with programs in the child's place.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use super::super::engine;
use super::*;

fn source(component: &str) -> Source<'static> {
    let component = Bytes::from(wat::parse_str(component).unwrap());
    Source { sha256: "00", component, contract: None, name: "teste.wasm".to_owned() }
}

#[tokio::test]
async fn what_the_child_compiles_fits_the_engine_that_runs_it() {
    let limits = Limits::default();
    let hash = |engine: &wasmtime::Engine| {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        hasher.finish()
    };
    let running = ConnectorEngine::new(limits.guest_memory, limits.host_guests).unwrap();
    assert_eq!(hash(running.engine()), hash(&engine::compiler(limits.guest_memory).unwrap()));
    let describing = ConnectorEngine::for_one(limits.guest_memory, limits.host_guests).unwrap();
    assert_eq!(hash(running.engine()), hash(describing.engine()));
}

#[tokio::test]
async fn a_compiler_that_is_not_there_is_told() {
    let program = Program(PathBuf::from("/nowhere/atlas"));
    let compiler = Compiler::in_this_process(&Limits::default());
    let task = compiler.task(Work::Compile, 1 << 20, &source("(component)"));
    let refused = compiler.in_child(&program, task, b"", &[]).await.err().unwrap();
    assert!(matches!(refused, CompileError::Hindered(_)), "{refused:?}");
    assert!(refused.to_string().starts_with("the child process did not start"), "{refused}");
}

#[tokio::test]
async fn nothing_is_compiled_in_this_process_because_the_program_was_not_found() {
    let limits = Limits::default();
    let engine = Arc::new(ConnectorEngine::new(limits.guest_memory, limits.host_guests).unwrap());
    let compiler = Compiler { place: Place::Nowhere, ..Compiler::in_this_process(&limits) };
    let (cache, blocking) = (ComponentCache::open(None), BlockingWork::default());
    let tools = Tools { engine: &engine, cache: &cache, blocking: &blocking };
    let refused = compiler.compile(&tools, &source("(component)")).await.err();
    assert!(matches!(refused, Some(CompileError::Hindered(_))), "{refused:?}");
}

#[tokio::test]
async fn what_was_too_slow_is_tried_again_only_if_it_may_take_longer() {
    let limits = Limits::default();
    let folder = tempfile::tempdir().unwrap();
    let engine = Arc::new(ConnectorEngine::new(limits.guest_memory, limits.host_guests).unwrap());
    let (compiler, blocking) = (Compiler::in_this_process(&limits), BlockingWork::default());
    let cache = ComponentCache::open(Some(&folder.path().join("cache")));
    let tools = Tools { engine: &engine, cache: &cache, blocking: &blocking };
    let seconds = limits.compile_cpu_s;
    cache.note_too_slow(engine.engine(), "00", seconds);
    let refused = compiler.compile(&tools, &source("(component)")).await.err();
    assert_eq!(refused, Some(CompileError::TooSlow { seconds }));
    cache.note_too_slow(engine.engine(), "00", seconds - 1);
    assert!(compiler.compile(&tools, &source("(component)")).await.is_ok());
}

#[tokio::test]
async fn a_module_of_much_code_is_compiled_once_for_all_components_that_have_it() {
    let limits = Limits::default();
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("cache");
    let engine = Arc::new(ConnectorEngine::new(limits.guest_memory, limits.host_guests).unwrap());
    let (compiler, blocking) = (Compiler::in_this_process(&limits), BlockingWork::default());
    let cache = ComponentCache::open(Some(&directory));
    let tools = Tools { engine: &engine, cache: &cache, blocking: &blocking };
    let kept = || {
        let entries = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap());
        let modules = entries.filter(|entry| entry.path().extension().is_some_and(|kind| kind == "module"));
        let mut modules: Vec<_> =
            modules.map(|entry| (entry.file_name(), entry.metadata().unwrap().modified().unwrap())).collect();
        modules.sort();
        modules
    };
    let module = format!("(core module $m (func (export \"f\") {}))", "(drop (i32.const 1))".repeat(50_000));
    let mut first = Vec::new();
    for (sha256, data) in [("00", "one"), ("01", "another")] {
        let text = format!(
            "(component (core module (memory 1) (data (i32.const 0) \"{data}\")) {module}
                (core instance (instantiate $m)))"
        );
        let compiled = compiler.compile(&tools, &Source { sha256, ..source(&text) }).await.unwrap();
        assert_eq!(compiled.modules.len(), 1);
        if first.is_empty() {
            first = kept();
        }
        assert_eq!((kept().len(), kept()), (1, first.clone()), "{data}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_child_that_gives_more_code_than_any_connector_needs_is_not_heard_to_the_end() {
    // It says what it was told, for ever.
    let program = Program(PathBuf::from("/usr/bin/yes"));
    let limits = Limits::default();
    let compiler = Compiler::in_this_process(&limits);
    let task = compiler.task(Work::Compile, limits.guest_memory, &source("(component)"));
    let refused = compiler.in_child(&program, task, b"", &[]).await.err().unwrap();
    assert_eq!(refused, CompileError::TooLarge { limit: COMPILED_BYTES_MAX });
}

#[test]
fn bytes_of_data_that_lie_far_apart_do_not_become_all_that_is_between_them() {
    let sparse = "(core module (memory 256) (data (i32.const 0) \"x\") (data (i32.const 16000000) \"x\"))";
    let component = wat::parse_str(format!("(component {})", sparse.repeat(8))).unwrap();
    let compiler = engine::compiler(Limits::default().guest_memory).unwrap();
    let compiled = compiler.precompile_component(&component).unwrap();
    assert!(compiled.len() < 1024 * 1024, "{} bytes become {}", component.len(), compiled.len());
}
