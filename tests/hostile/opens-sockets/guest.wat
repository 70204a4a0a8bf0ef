;; It looks a name up and asks for a socket, is refused both, and connects all the same, by a handle
;; that it makes up.
(module
  (import "wasi:sockets/instance-network@0.2.6" "instance-network" (func $network (result i32)))
  (import "wasi:sockets/ip-name-lookup@0.2.6" "resolve-addresses" (func $resolve (param i32 i32 i32 i32)))
  (import "wasi:sockets/tcp-create-socket@0.2.6" "create-tcp-socket" (func $create (param i32 i32)))
  (import "wasi:sockets/tcp@0.2.6" "[method]tcp-socket.start-listen" (func $listen (param i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "localhost")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
  (func (export "fetch-page") (param i32) (result i32) unreachable)
  ;; It would wait for ever where it was not refused: a result whose first byte is 0.
  (func $refused (param $result i32)
    (if (i32.eqz (i32.load8_u (local.get $result))) (then (loop $for_ever (br $for_ever)))))
  (func (export "describe") (param i32 i32 i32) (result i32)
    (call $resolve (call $network) (i32.const 64) (i32.const 9) (i32.const 16))
    (call $refused (i32.const 16))
    (call $create (i32.const 0) (i32.const 16))
    (call $refused (i32.const 16))
    (call $listen (i32.const 7) (i32.const 16))
    unreachable))
