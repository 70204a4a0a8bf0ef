;; A connector for the made-up atlas:connector@0.0.9. Its first page is one record and names the next, "2"; on that one it sends
;; a request, and fails with what it was answered.
(module
  (import "atlas:connector/log@0.0.9" "log" (func $log (param i32 i32)))
  (import "atlas:connector/http@0.0.9" "get" (func $get (param i32 i32 i32)))

  (memory (export "memory") 1)
  (global $free (mut i32) (i32.const 8192))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $free (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    (global.get $free)
    (global.set $free (i32.add (global.get $free) (local.get 3))))

  (data (i32.const 16) "antiga") (data (i32.const 24) "jueri") (data (i32.const 32) "0.0.9") (data (i32.const 40) "2")
  (data (i32.const 48) "{\"id\":1}") (data (i32.const 64) "/pedido")
  (func $string (param $at i32) (param $text i32) (param $len i32)
    (i32.store (local.get $at) (local.get $text))
    (i32.store offset=4 (local.get $at) (local.get $len)))

  (func (export "describe") (result i32)
    (call $string (i32.const 1024) (i32.const 16) (i32.const 6))
    (call $string (i32.const 1032) (i32.const 24) (i32.const 5))
    (call $string (i32.const 1040) (i32.const 32) (i32.const 5))
    (i32.store (i32.const 1048) (i32.const 50))
    (i32.const 1024))

  (func (export "fetch-page") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (call $log (i32.const 16) (i32.const 6))
    (if (local.get 5) (then
      (call $get (i32.const 64) (i32.const 7) (i32.const 3000))
      (if (i32.load8_u (i32.const 3000)) (then
        (i32.store8 (i32.const 2400) (i32.const 1))
        (call $string (i32.const 2404) (i32.load (i32.const 3004)) (i32.load (i32.const 3008)))
        (return (i32.const 2400))))))
    (call $string (i32.const 2300) (i32.const 48) (i32.const 8))
    (call $string (i32.const 2408) (i32.const 2300) (i32.const 1))
    (i32.store8 (i32.const 2416) (i32.const 1))
    (call $string (i32.const 2420) (i32.const 40) (i32.const 1))
    (i32.const 2400)))
