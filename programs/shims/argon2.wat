;; Hashes passwords with argon2-browser's module and prints what comes out.
;;
;; First the three test vectors of RFC 9106, section 5 (version 0x13, 32 KiB, 3 passes, 4 lanes, with a secret and
;; associated data), as raw hex; then each of the three types with 16 MiB, which makes the module's heap grow, in the
;; encoded form, as often as the first argument says. Run with the preloads a=argon2_env.wat and argon2=argon2.wasm (or argon2-simd.wasm).
(module
  (import "argon2" "c" (memory 1))
  (import "argon2" "d" (func $call_constructors))
  (import "argon2" "f" (func $malloc (param i32) (result i32)))
  (import "argon2" "g" (func $free (param i32)))
  ;; passes, KiB, lanes, password + bytes, salt + bytes, hash + bytes, encoded + bytes, type, secret + bytes,
  ;; associated data + bytes, version
  (import "argon2" "l" (func $hash_ext
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "a" "host" (table $host 2 2 funcref))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (export "memory" (memory 0))

  (elem $host_functions (table $host) (i32.const 0) func $memcpy_big $resize_heap)

  (func $memcpy_big (param $to i32) (param $from i32) (param $bytes i32) (result i32)
    (memory.copy (local.get $to) (local.get $from) (local.get $bytes))
    (local.get $to))

  (func $resize_heap (param $bytes i32) (result i32)
    (local $pages i32)
    (local.set $pages
      (i32.sub
        (i32.shr_u (i32.add (local.get $bytes) (i32.const 65535)) (i32.const 16))
        (memory.size)))
    (i32.ne (memory.grow (local.get $pages)) (i32.const -1)))

  (func $write (param $text i32) (param $bytes i32)
    (local $vector i32)
    (local.set $vector (call $malloc (i32.const 12)))
    (i32.store (local.get $vector) (local.get $text))
    (i32.store offset=4 (local.get $vector) (local.get $bytes))
    (if (call $fd_write (i32.const 1) (local.get $vector) (i32.const 1) (i32.add (local.get $vector) (i32.const 8)))
      (then (call $proc_exit (i32.const 1))))
    (call $free (local.get $vector)))

  (func $hex_digit (param $value i32) (result i32)
    (i32.add
      (local.get $value)
      (select (i32.const 87) (i32.const 48) (i32.gt_u (local.get $value) (i32.const 9)))))

  (func $write_hex (param $from i32) (param $bytes i32)
    (local $text i32) (local $at i32) (local $byte i32)
    (local.set $text (call $malloc (i32.add (i32.shl (local.get $bytes) (i32.const 1)) (i32.const 1))))
    (loop $next
      (local.set $byte (i32.load8_u (i32.add (local.get $from) (local.get $at))))
      (i32.store8
        (i32.add (local.get $text) (i32.shl (local.get $at) (i32.const 1)))
        (call $hex_digit (i32.shr_u (local.get $byte) (i32.const 4))))
      (i32.store8 offset=1
        (i32.add (local.get $text) (i32.shl (local.get $at) (i32.const 1)))
        (call $hex_digit (i32.and (local.get $byte) (i32.const 15))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $bytes))))
    (i32.store8 (i32.add (local.get $text) (i32.shl (local.get $bytes) (i32.const 1))) (i32.const 10))
    (call $write (local.get $text) (i32.add (i32.shl (local.get $bytes) (i32.const 1)) (i32.const 1)))
    (call $free (local.get $text)))

  ;; `bytes` bytes of `value`, followed by a zero byte.
  (func $filled (param $value i32) (param $bytes i32) (result i32)
    (local $block i32)
    (local.set $block (call $malloc (i32.add (local.get $bytes) (i32.const 1))))
    (memory.fill (local.get $block) (local.get $value) (local.get $bytes))
    (i32.store8 (i32.add (local.get $block) (local.get $bytes)) (i32.const 0))
    (local.get $block))

  (func $check (param $code i32)
    (if (local.get $code) (then (call $proc_exit (local.get $code)))))

  (func $test_vector (param $type i32)
    (local $hash i32)
    (local.set $hash (call $filled (i32.const 0) (i32.const 32)))
    (call $check
      (call $hash_ext
        (i32.const 3) (i32.const 32) (i32.const 4)
        (call $filled (i32.const 1) (i32.const 32)) (i32.const 32)
        (call $filled (i32.const 2) (i32.const 16)) (i32.const 16)
        (local.get $hash) (i32.const 32)
        (i32.const 0) (i32.const 0)
        (local.get $type)
        (call $filled (i32.const 3) (i32.const 8)) (i32.const 8)
        (call $filled (i32.const 4) (i32.const 12)) (i32.const 12)
        (i32.const 0x13)))
    (call $write_hex (local.get $hash) (i32.const 32)))

  (func $large_hash (param $type i32)
    (local $encoded i32) (local $bytes i32)
    (local.set $encoded (call $filled (i32.const 0) (i32.const 200)))
    (call $check
      (call $hash_ext
        (i32.const 2) (i32.const 16384) (i32.const 1)
        (call $filled (i32.const 112) (i32.const 24)) (i32.const 24)
        (call $filled (i32.const 115) (i32.const 16)) (i32.const 16)
        (call $filled (i32.const 0) (i32.const 24)) (i32.const 24)
        (local.get $encoded) (i32.const 200)
        (local.get $type)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 0x13)))
    (loop $measure
      (local.set $bytes (i32.add (local.get $bytes) (i32.const 1)))
      (br_if $measure (i32.load8_u (i32.add (local.get $encoded) (local.get $bytes)))))
    (i32.store8 (i32.add (local.get $encoded) (local.get $bytes)) (i32.const 10))
    (call $write (local.get $encoded) (i32.add (local.get $bytes) (i32.const 1))))

  ;; How often the work is done: what the first argument says, once if there is none.
  (func $rounds (result i32)
    (local $sizes i32) (local $vector i32) (local $at i32) (local $digit i32) (local $rounds i32)
    (local.set $sizes (call $malloc (i32.const 8)))
    (if (call $args_sizes_get (local.get $sizes) (i32.add (local.get $sizes) (i32.const 4)))
      (then (call $proc_exit (i32.const 1))))
    (if (i32.lt_u (i32.load (local.get $sizes)) (i32.const 2))
      (then (return (i32.const 1))))
    (local.set $vector (call $malloc (i32.shl (i32.load (local.get $sizes)) (i32.const 2))))
    (if (call $args_get (local.get $vector) (call $malloc (i32.load offset=4 (local.get $sizes))))
      (then (call $proc_exit (i32.const 1))))
    (local.set $at (i32.load offset=4 (local.get $vector)))
    (loop $next
      (local.set $digit (i32.sub (i32.load8_u (local.get $at)) (i32.const 48)))
      (if (i32.lt_u (local.get $digit) (i32.const 10))
        (then
          (local.set $rounds (i32.add (i32.mul (local.get $rounds) (i32.const 10)) (local.get $digit)))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $next))))
    (local.get $rounds))

  (func (export "_start")
    (local $type i32) (local $round i32) (local $rounds i32)
    (call $call_constructors)
    (loop $vectors
      (call $test_vector (local.get $type))
      (local.set $type (i32.add (local.get $type) (i32.const 1)))
      (br_if $vectors (i32.lt_u (local.get $type) (i32.const 3))))
    (local.set $rounds (call $rounds))
    (loop $next
      (if (i32.lt_u (local.get $round) (local.get $rounds))
        (then
          (local.set $type (i32.const 0))
          (loop $large
            (call $large_hash (local.get $type))
            (local.set $type (i32.add (local.get $type) (i32.const 1)))
            (br_if $large (i32.lt_u (local.get $type) (i32.const 3))))
          (local.set $round (i32.add (local.get $round) (i32.const 1)))
          (br $next))))))
