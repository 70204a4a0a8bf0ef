;; Five memories of 64 MiB in one module: none is too large, all of them together are.
(module
  (memory (export "memory") 1)
  (memory 1024) (memory 1024) (memory 1024) (memory 1024) (memory 1024)
  (func (export "describe") (param i32 i32 i32) (result i32) unreachable)
  (func (export "fetch-page") (param i32) (result i32) unreachable)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable))
