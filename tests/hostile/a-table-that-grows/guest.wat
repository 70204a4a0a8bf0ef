;; A table that grows for as long as it is let, and then for ever asks again.
(module
  (memory (export "memory") 1)
  (table $t 1 funcref)
  (func (export "describe") (param i32 i32 i32) (result i32)
    (loop $again
      (drop (table.grow $t (ref.null func) (i32.const 1000)))
      (br $again))
    unreachable)
  (func (export "fetch-page") (param i32) (result i32) unreachable)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable))
