;; A connector for atlas:connector@0.1.0 that says of itself what a test wants it to, and whose pages are empty. What stands in
;; braces is written over.
(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8192))

  (data (i32.const 16) "{route}") (data (i32.const 128) "{version}") (data (i32.const 256) "{unhashed}")
  (data (i32.const 4) "jueri") (data (i32.const 12) "{}")
  (func $string (param $at i32) (param $text i32) (param $len i32)
    (i32.store (local.get $at) (local.get $text))
    (i32.store offset=4 (local.get $at) (local.get $len)))

  ;; result<descriptor, string> at 1024: whatever is not stored is zero, so no authentication, no lists, no options.
  (func (export "describe") (param i32 i32 i32) (result i32)
    (call $string (i32.const 1032) (i32.const 16) (i32.const {route-len}))
    (call $string (i32.const 1040) (i32.const 4) (i32.const 5))              ;; api
    (call $string (i32.const 1048) (i32.const 128) (i32.const {version-len}))
    (i32.store (i32.const 1056) (i32.const 1))                               ;; cursor-format
    (i32.store (i32.const 1064) (i32.const 100))                             ;; page-size
    (call $string (i32.const 1160) (i32.const 12) (i32.const 2))             ;; settings-schema
    (call $string (i32.const 512) (i32.const 256) (i32.const {unhashed-len}))
    (call $string (i32.const 1188) (i32.const 512) (i32.const {lists}))      ;; unhashed
    (i32.const 1024))

  ;; result<page, fetch-error> at 2400: all of it zero.
  (func (export "fetch-page") (param i32) (result i32) (i32.const 2400)))
