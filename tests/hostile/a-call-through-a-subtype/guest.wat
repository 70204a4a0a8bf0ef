;; A call through a declared supertype: built without its garbage collector, wasmtime 48.0.8 takes it and aborts the process.
(module
  (type $t (sub (func)))
  (type $u (sub $t (func)))
  (func $f (type $u))
  (table 1 funcref)
  (elem (i32.const 0) func $f)
  (memory (export "memory") 1)
  (func (export "describe") (param i32 i32 i32) (result i32)
    (call_indirect (type $t) (i32.const 0))
    unreachable)
  (func (export "fetch-page") (param i32) (result i32) unreachable)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable))
