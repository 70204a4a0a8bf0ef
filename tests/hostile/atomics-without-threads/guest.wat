;; Atomic instructions, for an engine that was built without threads.
(module
  (memory (export "memory") 1)
  (func (export "describe") (param i32 i32 i32) (result i32)
    (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
  (func (export "fetch-page") (param i32) (result i32) unreachable)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable))
