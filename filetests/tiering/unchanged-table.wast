;; A table that nothing writes: where the function that was always called is in one place of it, the index is what a guard
;; compares; where it is in several, what the table has there. An index that is a constant leads to its function at once.
;; Whatever else an index leads to is called as before, and traps as before.
;; flags: sync

(module
  (type $op (func (param i32) (result i32)))
  (table 6 funcref)
  (elem (i32.const 0) $double $square $double $wrong-type)
  (elem (i32.const 5) $third)
  (global $scale (mut i32) (i32.const 10))
  (func $double (type $op) (i32.shl (local.get 0) (i32.const 1)))
  (func $square (type $op) (i32.mul (local.get 0) (local.get 0)))
  (func $third (type $op) (i32.div_u (local.get 0) (i32.const 3)))
  (func $wrong-type (param i64))
  (func $apply (export "apply") (param $which i32) (param $x i32) (result i32)
    (i32.mul
      (global.get $scale)
      (call_indirect (type $op) (local.get $x) (local.get $which))))
  (func $tail (export "tail") (param $which i32) (param $x i32) (result i32)
    (return_call_indirect (type $op) (local.get $x) (local.get $which)))
  (func $fixed (export "fixed") (param $x i32) (result i32)
    (i32.add
      (call_indirect (type $op) (local.get $x) (i32.const 5))
      (call_indirect (type $op) (local.get $x) (i32.const 2))))
  (func $fixed-tail (export "fixed-tail") (param $x i32) (result i32)
    (return_call_indirect (type $op) (local.get $x) (i32.const 1)))
  (func $null (export "null") (param $x i32) (result i32)
    (call_indirect (type $op) (local.get $x) (i32.const 4)))
  (func $mismatch (export "mismatch") (param $x i32) (result i32)
    (call_indirect (type $op) (local.get $x) (i32.const 3)))
  (func $outside (export "outside") (param $x i32) (result i32)
    (call_indirect (type $op) (local.get $x) (i32.const 6)))
  (func (export "many") (param $which i32) (param $n i32) (result i32)
    (local $sum i32)
    (loop $next
      (local.set $sum (i32.add (local.get $sum) (call $apply (local.get $which) (local.get $n))))
      (local.set $sum (i32.xor (local.get $sum) (call $tail (local.get $which) (local.get $n))))
      (local.set $sum (i32.add (local.get $sum) (call $fixed (local.get $n))))
      (local.set $sum (i32.add (local.get $sum) (call $fixed-tail (local.get $n))))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))

(assert_return (invoke "many" (i32.const 1) (i32.const 1000)) (i32.const -628884416))
(assert_return (invoke "apply" (i32.const 1) (i32.const 7)) (i32.const 490))
(assert_return (invoke "apply" (i32.const 0) (i32.const 7)) (i32.const 140))
(assert_return (invoke "apply" (i32.const 5) (i32.const 7)) (i32.const 20))
(assert_return (invoke "tail" (i32.const 2) (i32.const 7)) (i32.const 14))
(assert_return (invoke "tail" (i32.const 1) (i32.const 7)) (i32.const 49))
(assert_return (invoke "fixed" (i32.const 9)) (i32.const 21))
(assert_return (invoke "fixed-tail" (i32.const 9)) (i32.const 81))
(assert_trap (invoke "apply" (i32.const 3) (i32.const 7)) "indirect call type mismatch")
(assert_trap (invoke "apply" (i32.const 4) (i32.const 7)) "uninitialized element")
(assert_trap (invoke "apply" (i32.const 6) (i32.const 7)) "undefined element")
(assert_trap (invoke "tail" (i32.const -1) (i32.const 7)) "undefined element")
(assert_trap (invoke "null" (i32.const 7)) "uninitialized element")
(assert_trap (invoke "mismatch" (i32.const 7)) "indirect call type mismatch")
(assert_trap (invoke "outside" (i32.const 7)) "undefined element")
(assert_return (invoke "many" (i32.const 0) (i32.const 1000)) (i32.const 345025896))
(assert_return (invoke "many" (i32.const 5) (i32.const 1000)) (i32.const 336672418))
(assert_return (invoke "apply" (i32.const 1) (i32.const 7)) (i32.const 490))

;; events:
;; many: tier 0
;; apply: tier 0
;; square: tier 0
;; tail: tier 0
;; fixed: tier 0
;; third: tier 0
;; double: tier 0
;; fixed-tail: tier 0
;; square: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; square: tier 1
;; apply: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; apply: tier 1 made: 1 indirect calls direct, inlined square
;; apply: tier 1
;; tail: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; tail: tier 1 made: 1 indirect calls direct, inlined square
;; tail: tier 1
;; fixed: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; fixed: tier 1 made: 2 indirect calls direct, inlined third double
;; fixed: tier 1
;; third: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; third: tier 1
;; double: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; double: tier 1
;; fixed-tail: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; fixed-tail: tier 1 made: 1 indirect calls direct, inlined square
;; fixed-tail: tier 1
;; many: loop 0: tier 0 -> 1 wanted after 1000 iterations
;; many: tier 1 made: 0 indirect calls direct, inlined apply +square tail +square fixed +third +double fixed-tail +square
;; many: loop 0: tier 1 ready
;; many: loop 0: tier 0 -> 1
;; apply: tier 1 -> 0 at 186: another call target, 2 times
;; tail: tier 1 -> 0 at 197: another call target
;; apply: tier 1 -> 0 at 186: another call target, 2 times
;; apply: tier 1 is of no use: another call target
;; apply: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; apply: tier 1 made: 1 indirect calls direct, inlined square
;; apply: tier 1
;; tail: tier 1 -> 0 at 197: another call target
;; null: tier 0
;; mismatch: tier 0
;; outside: tier 0
;; many: tier 0 -> 1 wanted after 2 calls, 1000 iterations
;; many: tier 1 made: 0 indirect calls direct, inlined apply +square tail +square fixed +third +double fixed-tail +square
;; many: tier 1
;; tail: tier 1 -> 0 at 197: another call target, 2 times
;; tail: tier 1 is of no use: another call target
;; tail: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; tail: tier 1 made: 1 indirect calls direct, inlined square
;; tail: tier 1
;; many: loop 0: tier 0 -> 1 wanted after 2000 iterations
;; many: tier 1 made: 0 indirect calls direct, inlined apply +square tail +square fixed +third +double fixed-tail +square
;; many: loop 0: tier 1 ready
;; many: loop 0: tier 0 -> 1
