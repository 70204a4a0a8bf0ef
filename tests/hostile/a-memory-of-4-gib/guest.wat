;; One memory that is as large as can be from the beginning.
(module
  (memory (export "memory") 65536)
  (func (export "describe") (param i32 i32 i32) (result i32) unreachable)
  (func (export "fetch-page") (param i32) (result i32) unreachable)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable))
