;; It asks which directories it has, finds none, and opens a file in one all the same, by a handle
;; that it makes up.
(module
  (import "wasi:filesystem/preopens@0.2.6" "get-directories" (func $directories (param i32)))
  (import "wasi:filesystem/types@0.2.6" "[method]descriptor.open-at"
    (func $open (param i32 i32 i32 i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "/etc/passwd")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
  (func (export "fetch-page") (param i32) (result i32) unreachable)
  (func (export "describe") (param i32 i32 i32) (result i32)
    (call $directories (i32.const 16))
    ;; It would wait for ever with a directory.
    (if (i32.load offset=4 (i32.const 16)) (then (loop $for_ever (br $for_ever))))
    (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 11) (i32.const 0) (i32.const 1) (i32.const 32))
    unreachable))
