;; A connector for atlas:connector@0.1.0 that asks WASI for all it grants: the time, a random number, a sleep, output. Its one
;; record is what it saw, in hexadecimal: seconds (8 bytes) and nanoseconds (4, and 4 of nothing) of the wall clock at first, a
;; random number (8), and the monotonic clock after 20 ms of sleep (8). Its one cursor, "exit", makes it exit instead.
(module
  (import "wasi:clocks/wall-clock@0.2.6" "now" (func $wall (param i32)))
  (import "wasi:clocks/monotonic-clock@0.2.6" "now" (func $monotonic (result i64)))
  (import "wasi:clocks/monotonic-clock@0.2.6" "subscribe-duration" (func $after (param i64) (result i32)))
  (import "wasi:io/poll@0.2.6" "[method]pollable.block" (func $block (param i32)))
  (import "wasi:io/poll@0.2.6" "[resource-drop]pollable" (func $drop (param i32)))
  (import "wasi:random/random@0.2.6" "get-random-u64" (func $random (result i64)))
  (import "wasi:cli/stdout@0.2.6" "get-stdout" (func $stdout (result i32)))
  (import "wasi:io/streams@0.2.6" "[method]output-stream.blocking-write-and-flush" (func $write (param i32 i32 i32 i32)))
  (import "wasi:cli/exit@0.2.6" "exit" (func $exit (param i32)))

  (memory (export "memory") 1)
  (global $free (mut i32) (i32.const 8192))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $free (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    (global.get $free)
    (global.set $free (i32.add (global.get $free) (local.get 3))))

  (data (i32.const 16) "relogio") (data (i32.const 24) "jueri") (data (i32.const 32) "0.1.0") (data (i32.const 40) "{}")
  (func $string (param $at i32) (param $text i32) (param $len i32)
    (i32.store (local.get $at) (local.get $text))
    (i32.store offset=4 (local.get $at) (local.get $len)))

  ;; result<descriptor, string> at 1024: whatever is not stored is zero, so no authentication, no lists, no options.
  (func (export "describe") (param i32 i32 i32) (result i32)
    (call $string (i32.const 1032) (i32.const 16) (i32.const 7)) ;; route
    (call $string (i32.const 1040) (i32.const 24) (i32.const 5)) ;; api
    (call $string (i32.const 1048) (i32.const 32) (i32.const 5)) ;; version
    (i32.store (i32.const 1056) (i32.const 1))                   ;; cursor-format
    (i32.store (i32.const 1064) (i32.const 100))                 ;; page-size
    (call $string (i32.const 1160) (i32.const 40) (i32.const 2)) ;; settings-schema
    (i32.const 1024))

  (func $hex (param $from i32) (param $len i32) (param $to i32)
    (local $end i32) (local $digit i32)
    (local.set $end (i32.add (local.get $from) (local.get $len)))
    (loop $next
      (call $digit (i32.shr_u (i32.load8_u (local.get $from)) (i32.const 4)) (local.get $to))
      (call $digit (i32.and (i32.load8_u (local.get $from)) (i32.const 15)) (i32.add (local.get $to) (i32.const 1)))
      (local.set $to (i32.add (local.get $to) (i32.const 2)))
      (local.set $from (i32.add (local.get $from) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $from) (local.get $end)))))
  (func $digit (param $value i32) (param $to i32)
    (i32.store8 (local.get $to)
      (i32.add (local.get $value)
        (select (i32.const 48) (i32.const 87) (i32.lt_u (local.get $value) (i32.const 10))))))

  ;; The arguments lie in memory; the cursor's option is the last of them, after 64 bytes of the scrap.
  (func (export "fetch-page") (param $arguments i32) (result i32)
    (local $pollable i32)
    (if (i32.load8_u offset=64 (local.get $arguments)) (then (call $exit (i32.const 1))))
    (call $wall (i32.const 2048))
    (i64.store (i32.const 2064) (call $random))
    (local.set $pollable (call $after (i64.const 20000000)))
    (call $block (local.get $pollable))
    (call $drop (local.get $pollable))
    (i64.store (i32.const 2072) (call $monotonic))
    (call $hex (i32.const 2048) (i32.const 32) (i32.const 2200))
    (i32.store8 (i32.const 2199) (i32.const 34))
    (i32.store8 (i32.const 2264) (i32.const 34))
    (call $write (call $stdout) (i32.const 2199) (i32.const 66) (i32.const 3000))
    ;; result<page, fetch-error> at 2400: records.json of one text, and nothing else.
    (call $string (i32.const 2300) (i32.const 2199) (i32.const 66))
    (call $string (i32.const 2412) (i32.const 2300) (i32.const 1))
    (i32.const 2400)))
