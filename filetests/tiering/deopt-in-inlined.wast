;; What an indirect call was taken to lead to turns out wrong inside of three inlined calls: the innermost function goes on
;; in tier 0 with that very call, and each of those around it behind its own, with values of all types in locals and on
;; operand stacks. After four failures all code that has the guard, inlined or not, is made without it.
;; flags: sync copy-and-patch

(module
  (type $op (func (param i32) (result i32)))
  (table 2 funcref)
  (elem (i32.const 0) $increment $other)
  (global $calls (mut i32) (i32.const 0))
  (func $increment (type $op) (i32.add (local.get 0) (i32.const 1)))
  (func $other (type $op)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (i32.xor (i32.mul (local.get 0) (i32.const 3)) (i32.const 5)))
  (func $inner (param $x i32) (param $which i32) (result f64 i32)
    (local $square i64)
    (local.set $square
      (i64.mul (i64.extend_i32_s (local.get $x)) (i64.extend_i32_s (local.get $x))))
    (f64.mul (f64.convert_i32_s (local.get $x)) (f64.const 0.5))
    (i32.add
      (i32.wrap_i64 (local.get $square))
      (call_indirect (type $op) (local.get $x) (local.get $which))))
  (func $middle (param $x i32) (param $which i32) (result i64 f32)
    (local $half f64) (local $sum i32)
    (i64.extend_i32_u (i32.mul (local.get $x) (i32.const 7)))
    (call $inner (local.get $x) (local.get $which))
    (local.set $sum)
    (local.set $half)
    (i64.add (i64.extend_i32_s (local.get $sum)))
    (f32.demote_f64 (f64.add (local.get $half) (f64.convert_i32_s (local.get $x)))))
  (func $outer (param $x i32) (param $which i32) (result i32)
    (local $v v128)
    (local.set $v (i32x4.splat (local.get $x)))
    (i32.const 1000)
    (call $middle (local.get $x) (local.get $which))
    i32.trunc_f32_s
    i32x4.splat
    (local.set $v (i32x4.add (local.get $v)))
    (i32.sub (i32.wrap_i64))
    (i32.xor (i32x4.extract_lane 2 (local.get $v))))
  ;; Calls function `$which` in iteration number `$at` and three others that are so far apart.
  (func (export "run") (param $n i32) (param $which i32) (param $at i32) (param $apart i32) (result i32)
    (local $i i32) (local $sum i32) (local $this i32)
    (loop $next
      (local.set $this (i32.const 0))
      (if (i32.eq (local.get $i) (local.get $at))
        (then
          (local.set $this (local.get $which))
          (local.set $at (i32.add (local.get $at) (local.get $apart)))))
      (local.set $sum
        (i32.add
          (i32.mul (local.get $sum) (i32.const 31))
          (call $outer (i32.and (local.get $i) (i32.const 1023)) (local.get $this))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
    (local.get $sum))
  (func (export "calls") (result i32) (global.get $calls)))

(assert_return (invoke "run" (i32.const 20000) (i32.const 1) (i32.const 15000) (i32.const 1000)) (i32.const -781565588))
(assert_return (invoke "calls") (i32.const 5))
(assert_return (invoke "run" (i32.const 30000) (i32.const 1) (i32.const 20000) (i32.const 2000)) (i32.const 1178344420))
(assert_return (invoke "calls") (i32.const 10))

;; events:
;; run: tier 0
;; outer: tier 0
;; middle: tier 0
;; inner: tier 0
;; increment: tier 0
;; outer: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; outer: tier 1 made: 0 indirect calls direct, inlined middle +inner ++increment
;; outer: tier 1
;; middle: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; middle: tier 1 made: 0 indirect calls direct, inlined inner +increment
;; middle: tier 1
;; inner: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; inner: tier 1 made: 1 indirect calls direct, inlined increment
;; inner: tier 1
;; increment: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; increment: tier 1
;; run: loop 0: tier 0 -> 1 wanted after 1000 iterations
;; run: tier 1 made: 0 indirect calls direct, inlined outer +middle ++inner +++increment
;; run: loop 0: tier 1 ready
;; run: loop 0: tier 0 -> 1
;; run: tier 1 -> 0 at 162 in inner in middle in outer: another call target
;; other: tier 0
;; run: loop 0: tier 0 -> 1
;; run: tier 1 -> 0 at 162 in inner in middle in outer: another call target
;; run: loop 0: tier 0 -> 1
;; run: tier 1 -> 0 at 162 in inner in middle in outer: another call target
;; run: loop 0: tier 0 -> 1
;; run: tier 1 -> 0 at 162 in inner in middle in outer: another call target
;; inner: tier 1 is of no use: another call target
;; inner: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; inner: tier 1 made: 1 indirect calls direct, inlined increment
;; inner: tier 1
;; middle: tier 1 is of no use: another call target
;; middle: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; middle: tier 1 made: 0 indirect calls direct, inlined inner +increment
;; middle: tier 1
;; outer: tier 1 is of no use: another call target
;; outer: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; outer: tier 1 made: 0 indirect calls direct, inlined middle +inner ++increment
;; outer: tier 1
;; run: loop 0: tier 0 -> 1 wanted after 5000 iterations
;; run: tier 1 made: 0 indirect calls direct, inlined outer +middle ++inner +++increment
;; run: loop 0: tier 1 ready
;; run: loop 0: tier 0 -> 1
;; calls: tier 0
;; run: tier 0 -> 1 wanted after 2 calls, 5000 iterations
;; run: tier 1 made: 0 indirect calls direct, inlined outer +middle ++inner +++increment
;; run: tier 1
;; run: loop 0: tier 0 -> 1
