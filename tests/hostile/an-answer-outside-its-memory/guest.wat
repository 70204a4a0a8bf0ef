;; It says that its description stands where it has no memory.
(module
  (memory (export "memory") 1)
  (func (export "describe") (param i32 i32 i32) (result i32) (i32.const -8))
  (func (export "fetch-page") (param i32) (result i32) (i32.const -8))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable))
