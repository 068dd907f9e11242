;; Compresses and decompresses text with zstd-wasm's module and prints, for each level, the compressed size, a checksum
;; of the compressed bytes, and a checksum of what decompressing gives back (it must equal the input's: exit code 3 if
;; not). All of it as often as the first argument says. Run with the preloads a=zstd_env.wat and zstd=zstd.wasm.
(module
  (import "zstd" "f" (memory 1))
  (import "zstd" "g" (func $call_constructors))
  (import "zstd" "h" (func $is_error (param i32) (result i32)))
  (import "zstd" "i" (func $compress_bound (param i32) (result i32)))
  ;; to + bytes, from + bytes, level
  (import "zstd" "m" (func $compress (param i32 i32 i32 i32 i32) (result i32)))
  ;; to + bytes, from + bytes
  (import "zstd" "r" (func $decompress (param i32 i32 i32 i32) (result i32)))
  (import "zstd" "s" (func $malloc (param i32) (result i32)))
  (import "zstd" "t" (func $free (param i32)))
  (import "a" "host" (table $host 1 1 funcref))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (export "memory" (memory 0))

  (elem (table $host) (i32.const 0) func $resize_heap)

  (global $random (mut i32) (i32.const 12345))
  (global $line (mut i32) (i32.const 0))
  (global $line_bytes (mut i32) (i32.const 0))

  (func $resize_heap (param $bytes i32) (result i32)
    (i32.ne
      (memory.grow
        (i32.sub
          (i32.shr_u (i32.add (local.get $bytes) (i32.const 65535)) (i32.const 16))
          (memory.size)))
      (i32.const -1)))

  (func $next_random (result i32)
    (global.set $random
      (i32.add (i32.mul (global.get $random) (i32.const 1103515245)) (i32.const 12345)))
    (i32.shr_u (global.get $random) (i32.const 16)))

  ;; Words of three to ten letters out of 256 kinds, the kind drawn with a bias, a comma now and then.
  (func $make_text (param $text i32) (param $bytes i32)
    (local $at i32) (local $kind i32) (local $left i32)
    (loop $next
      (if (i32.eqz (local.get $left))
        (then
          (local.set $kind
            (i32.and (i32.and (call $next_random) (call $next_random)) (i32.const 255)))
          (local.set $left (i32.add (i32.and (local.get $kind) (i32.const 7)) (i32.const 4)))))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (i32.store8
        (i32.add (local.get $text) (local.get $at))
        (if (result i32) (local.get $left)
          (then
            (i32.add
              (i32.rem_u (i32.mul (local.get $kind) (i32.add (local.get $left) (i32.const 31))) (i32.const 26))
              (i32.const 97)))
          (else
            (select (i32.const 44) (i32.const 32) (i32.eqz (i32.and (call $next_random) (i32.const 15)))))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $bytes)))))

  ;; FNV-1a, 32 bits.
  (func $checksum (param $from i32) (param $bytes i32) (result i32)
    (local $sum i32) (local $end i32)
    (local.set $sum (i32.const 0x811c9dc5))
    (local.set $end (i32.add (local.get $from) (local.get $bytes)))
    (loop $next
      (local.set $sum
        (i32.mul (i32.xor (local.get $sum) (i32.load8_u (local.get $from))) (i32.const 0x01000193)))
      (local.set $from (i32.add (local.get $from) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $from) (local.get $end))))
    (local.get $sum))

  (func $put (param $byte i32)
    (i32.store8 (i32.add (global.get $line) (global.get $line_bytes)) (local.get $byte))
    (global.set $line_bytes (i32.add (global.get $line_bytes) (i32.const 1))))

  (func $put_hex (param $value i32)
    (local $shift i32) (local $digit i32)
    (local.set $shift (i32.const 28))
    (loop $next
      (local.set $digit (i32.and (i32.shr_u (local.get $value) (local.get $shift)) (i32.const 15)))
      (call $put
        (i32.add
          (local.get $digit)
          (select (i32.const 87) (i32.const 48) (i32.gt_u (local.get $digit) (i32.const 9)))))
      (local.set $shift (i32.sub (local.get $shift) (i32.const 4)))
      (br_if $next (i32.ge_s (local.get $shift) (i32.const 0))))
    (call $put (i32.const 32)))

  ;; The line's text starts 16 bytes into its block, behind the vector that fd_write reads and the count it writes.
  (func $end_line
    (local $vector i32)
    (call $put (i32.const 10))
    (local.set $vector (i32.sub (global.get $line) (i32.const 16)))
    (i32.store (local.get $vector) (global.get $line))
    (i32.store offset=4 (local.get $vector) (global.get $line_bytes))
    (global.set $line_bytes (i32.const 0))
    (if (call $fd_write (i32.const 1) (local.get $vector) (i32.const 1) (i32.add (local.get $vector) (i32.const 8)))
      (then (call $proc_exit (i32.const 1)))))

  (func $round_trip (param $text i32) (param $bytes i32) (param $level i32)
    (local $bound i32) (local $packed i32) (local $packed_bytes i32) (local $back i32)
    (local.set $bound (call $compress_bound (local.get $bytes)))
    (local.set $packed (call $malloc (local.get $bound)))
    (local.set $back (call $malloc (local.get $bytes)))
    (local.set $packed_bytes
      (call $compress
        (local.get $packed) (local.get $bound) (local.get $text) (local.get $bytes) (local.get $level)))
    (if (call $is_error (local.get $packed_bytes)) (then (call $proc_exit (i32.const 2))))
    (call $put_hex (local.get $level))
    (call $put_hex (local.get $packed_bytes))
    (call $put_hex (call $checksum (local.get $packed) (local.get $packed_bytes)))
    (if
      (i32.ne
        (call $decompress (local.get $back) (local.get $bytes) (local.get $packed) (local.get $packed_bytes))
        (local.get $bytes))
      (then (call $proc_exit (i32.const 3))))
    (call $put_hex (call $checksum (local.get $back) (local.get $bytes)))
    (call $end_line)
    (if
      (i32.ne
        (call $checksum (local.get $back) (local.get $bytes))
        (call $checksum (local.get $text) (local.get $bytes)))
      (then (call $proc_exit (i32.const 3))))
    (call $free (local.get $back))
    (call $free (local.get $packed)))

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
    (local $text i32) (local $bytes i32) (local $round i32) (local $rounds i32)
    (call $call_constructors)
    (global.set $line (i32.add (call $malloc (i32.const 128)) (i32.const 16)))
    (local.set $bytes (i32.const 1000003))
    (local.set $text (call $malloc (local.get $bytes)))
    (call $make_text (local.get $text) (local.get $bytes))
    (local.set $rounds (call $rounds))
    (loop $next
      (if (i32.lt_u (local.get $round) (local.get $rounds))
        (then
          (call $round_trip (local.get $text) (local.get $bytes) (i32.const -5))
          (call $round_trip (local.get $text) (local.get $bytes) (i32.const 1))
          (call $round_trip (local.get $text) (local.get $bytes) (i32.const 3))
          (call $round_trip (local.get $text) (local.get $bytes) (i32.const 9))
          (call $round_trip (local.get $text) (i32.const 200000) (i32.const 19))
          (call $round_trip (local.get $text) (i32.const 1) (i32.const 3))
          (local.set $round (i32.add (local.get $round) (i32.const 1)))
          (br $next))))))
