;; A program whose indirect calls go to another function every so often, so that what was always so until then never stays
;; so: nothing is taken for granted any more after a few times, however long it goes on.
;; flags: sync

(module
  (type $op (func (param i32) (result i32)))
  (table 4 funcref)
  (elem (i32.const 0) $increment $double $square $negate)
  (func $increment (type $op) (i32.add (local.get 0) (i32.const 1)))
  (func $double (type $op) (i32.shl (local.get 0) (i32.const 1)))
  (func $square (type $op) (i32.mul (local.get 0) (local.get 0)))
  (func $negate (type $op) (i32.sub (i32.const 0) (local.get 0)))
  (func $step (param $i i32) (param $x i32) (result i32)
    (local $phase i32)
    (local.set $phase (i32.and (i32.shr_u (local.get $i) (i32.const 8)) (i32.const 3)))
    (call_indirect (type $op) (local.get $x) (local.get $phase))
    (call_indirect (type $op) (i32.and (i32.shr_u (local.get $phase) (i32.const 1)) (i32.const 1)))
    (call_indirect (type $op) (i32.eq (local.get $phase) (i32.const 3)))
    (i32.rem_u (i32.const 10007)))
  (func (export "phases") (param $n i32) (result i32)
    (local $i i32) (local $x i32)
    (loop $next
      (local.set $x (call $step (local.get $i) (local.get $x)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
    (local.get $x)))

(assert_return (invoke "phases" (i32.const 20000)) (i32.const 1605))

;; events:
;; phases: tier 0
;; step: tier 0
;; increment: tier 0
;; increment: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; increment: tier 1
;; step: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; step: tier 1 made: 3 indirect calls direct, inlined increment increment increment
;; step: tier 1
;; step: tier 1 -> 0 at 114: another call target
;; double: tier 0
;; step: tier 1 -> 0 at 114: another call target, 3 times
;; step: tier 1 is of no use: another call target
;; step: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; step: tier 1 made: 3 indirect calls direct, inlined increment increment increment
;; step: tier 1
;; double: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; double: tier 1
;; square: tier 0
;; step: tier 1 -> 0 at 125: another call target, 4 times
;; step: tier 1 is of no use: another call target
;; step: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; step: tier 1 made: 3 indirect calls direct, inlined increment increment increment
;; step: tier 1
;; square: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; square: tier 1
;; negate: tier 0
;; step: tier 1 -> 0 at 133: another call target, 4 times
;; step: tier 1 is of no use: another call target
;; step: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; step: tier 1 made: 3 indirect calls direct, inlined increment increment increment
;; step: tier 1
;; negate: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; negate: tier 1
;; phases: loop 0: tier 0 -> 1 wanted after 1000 iterations
;; phases: tier 1 made: 0 indirect calls direct, inlined step +increment +increment +increment
;; phases: loop 0: tier 1 ready
;; phases: loop 0: tier 0 -> 1
