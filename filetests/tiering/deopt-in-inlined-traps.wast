;; A guard inside of three inlined calls fails, and what comes then is a trap: of the call that the guard was for, or of the
;; function that it leads to. And guards fail while the stack runs out.
;; flags: sync copy-and-patch

(module
  (type $op (func (param i32) (result i32)))
  (table 4 funcref)
  (elem (i32.const 0) $increment $double $divide)
  (func $increment (type $op) (i32.add (local.get 0) (i32.const 1)))
  (func $double (type $op) (i32.shl (local.get 0) (i32.const 1)))
  (func $divide (type $op) (i32.div_u (i32.const 100) (i32.const 0)))
  (func $inner-divides (param $x i32) (param $which i32) (result i32)
    (i32.add (i32.mul (local.get $x) (i32.const 3))
      (call_indirect (type $op) (local.get $x) (local.get $which))))
  (func $middle-divides (param $x i32) (param $which i32) (result i32)
    (i32.sub (call $inner-divides (local.get $x) (local.get $which)) (local.get $x)))
  (func $outer-divides (param $x i32) (param $which i32) (result i32)
    (i32.xor (i32.const 77) (call $middle-divides (local.get $x) (local.get $which))))
  (func (export "divides") (param $n i32) (param $which i32) (result i32)
    (local $sum i32) (local $this i32)
    (loop $next
      (if (i32.eq (local.get $n) (i32.const 2)) (then (local.set $this (local.get $which))))
      (local.set $sum
        (i32.add (local.get $sum) (call $outer-divides (local.get $n) (local.get $this))))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))
  (func $inner-null (param $x i32) (param $which i32) (result i32)
    (i32.add (i32.mul (local.get $x) (i32.const 3))
      (call_indirect (type $op) (local.get $x) (local.get $which))))
  (func $middle-null (param $x i32) (param $which i32) (result i32)
    (i32.sub (call $inner-null (local.get $x) (local.get $which)) (local.get $x)))
  (func $outer-null (param $x i32) (param $which i32) (result i32)
    (i32.xor (i32.const 77) (call $middle-null (local.get $x) (local.get $which))))
  (func (export "null") (param $n i32) (param $which i32) (result i32)
    (local $sum i32) (local $this i32)
    (loop $next
      (if (i32.eq (local.get $n) (i32.const 2)) (then (local.set $this (local.get $which))))
      (local.set $sum
        (i32.add (local.get $sum) (call $outer-null (local.get $n) (local.get $this))))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))
  (func $inner-deep (param $x i32) (param $which i32) (result i32)
    (i32.add (i32.mul (local.get $x) (i32.const 3))
      (call_indirect (type $op) (local.get $x) (local.get $which))))
  (func $middle-deep (param $x i32) (param $which i32) (result i32)
    (i32.sub (call $inner-deep (local.get $x) (local.get $which)) (local.get $x)))
  (func $outer-deep (param $x i32) (param $which i32) (result i32)
    (i32.xor (i32.const 77) (call $middle-deep (local.get $x) (local.get $which))))
  (func $deep (export "deep") (param $n i32) (result i32)
    (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
    (i32.add
      (call $outer-deep (local.get $n) (i32.eqz (i32.rem_u (local.get $n) (i32.const 70))))
      (call $deep (i32.sub (local.get $n) (i32.const 1))))))

(assert_trap (invoke "divides" (i32.const 5000) (i32.const 2)) "integer divide by zero")
(assert_return (invoke "divides" (i32.const 5000) (i32.const 0)) (i32.const 37513028))
(assert_trap (invoke "null" (i32.const 5000) (i32.const 3)) "uninitialized element")
(assert_return (invoke "null" (i32.const 5000) (i32.const 0)) (i32.const 37513028))
(assert_return (invoke "deep" (i32.const 69)) (i32.const 8151))
(assert_return (invoke "deep" (i32.const 69)) (i32.const 8151))
(assert_exhaustion (invoke "deep" (i32.const -1)) "call stack exhausted")
(assert_return (invoke "deep" (i32.const 400)) (i32.const 243079))

;; events:
;; divides: tier 0
;; outer-divides: tier 0
;; middle-divides: tier 0
;; inner-divides: tier 0
;; increment: tier 0
;; outer-divides: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; outer-divides: tier 1 made: 0 indirect calls direct, inlined middle-divides +inner-divides ++increment
;; outer-divides: tier 1
;; middle-divides: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; middle-divides: tier 1 made: 0 indirect calls direct, inlined inner-divides +increment
;; middle-divides: tier 1
;; inner-divides: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; inner-divides: tier 1 made: 1 indirect calls direct, inlined increment
;; inner-divides: tier 1
;; increment: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; increment: tier 1
;; divides: loop 0: tier 0 -> 1 wanted after 1000 iterations
;; divides: tier 1 made: 0 indirect calls direct, inlined outer-divides +middle-divides ++inner-divides +++increment
;; divides: loop 0: tier 1 ready
;; divides: loop 0: tier 0 -> 1
;; divides: tier 1 -> 0 at 124 in inner-divides in middle-divides in outer-divides: another call target
;; divide: tier 0
;; divides: tier 0 -> 1 wanted after 2 calls, 1000 iterations
;; divides: tier 1 made: 0 indirect calls direct, inlined outer-divides +middle-divides ++inner-divides +++increment
;; divides: tier 1
;; divides: loop 0: tier 0 -> 1
;; null: tier 0
;; outer-null: tier 0
;; middle-null: tier 0
;; inner-null: tier 0
;; outer-null: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; outer-null: tier 1 made: 0 indirect calls direct, inlined middle-null +inner-null ++increment
;; outer-null: tier 1
;; middle-null: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; middle-null: tier 1 made: 0 indirect calls direct, inlined inner-null +increment
;; middle-null: tier 1
;; inner-null: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; inner-null: tier 1 made: 1 indirect calls direct, inlined increment
;; inner-null: tier 1
;; null: loop 0: tier 0 -> 1 wanted after 1000 iterations
;; null: tier 1 made: 0 indirect calls direct, inlined outer-null +middle-null ++inner-null +++increment
;; null: loop 0: tier 1 ready
;; null: loop 0: tier 0 -> 1
;; null: tier 1 -> 0 at 207 in inner-null in middle-null in outer-null: another call target
;; null: tier 0 -> 1 wanted after 2 calls, 1000 iterations
;; null: tier 1 made: 0 indirect calls direct, inlined outer-null +middle-null ++inner-null +++increment
;; null: tier 1
;; null: loop 0: tier 0 -> 1
;; deep: tier 0
;; outer-deep: tier 0
;; middle-deep: tier 0
;; inner-deep: tier 0
;; deep: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; deep: tier 1 made: 0 indirect calls direct, inlined outer-deep +middle-deep ++inner-deep +++increment deep +outer-deep ++middle-deep +++inner-deep ++++increment
;; deep: tier 1
;; deep: tier 1 -> 0 at 290 in inner-deep in middle-deep in outer-deep in deep: another call target
;; double: tier 0
;; deep: tier 1 -> 0 at 290 in inner-deep in middle-deep in outer-deep in deep: another call target, 3 times
;; deep: tier 1 is of no use: another call target
;; deep: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; deep: tier 1 made: 0 indirect calls direct, inlined outer-deep +middle-deep ++inner-deep +++increment deep +outer-deep ++middle-deep +++inner-deep ++++increment
;; deep: tier 1
;; double: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; double: tier 1
