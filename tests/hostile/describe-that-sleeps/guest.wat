;; It sleeps for an hour before it says what it is, and at every start there is.
(module
  (import "wasi:clocks/monotonic-clock@0.2.6" "subscribe-duration" (func $after (param i64) (result i32)))
  (import "wasi:io/poll@0.2.6" "[method]pollable.block" (func $block (param i32)))

  (memory (export "memory") 1)
  (data (i32.const 16) "slept for an hour")

  ;; result<descriptor, string> at 1024: the second of the two.
  (func (export "describe") (param i32 i32 i32) (result i32)
    (call $block (call $after (i64.const 3600000000000)))
    (i32.store8 (i32.const 1024) (i32.const 1))
    (i32.store (i32.const 1032) (i32.const 16))
    (i32.store (i32.const 1036) (i32.const 17))
    (i32.const 1024))
  (func (export "fetch-page") (param i32) (result i32) unreachable)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable))
