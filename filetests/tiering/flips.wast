;; Programs that deoptimize a million times if nobody stops them: what was so for long is so in every other iteration only,
;; in the loop itself and in a function that it calls.
;; flags: sync long copy-and-patch

(module
  (type $op (func (param i32) (result i32)))
  (table 2 funcref)
  (elem (i32.const 0) $one $two)
  (func $one (type $op) (i32.add (local.get 0) (i32.const 1)))
  (func $two (type $op) (i32.add (local.get 0) (i32.const 2)))
  ;; The first function for 2^14 iterations, then each in turn.
  (func $which (param $i i32) (result i32)
    (i32.and (local.get $i) (i32.gt_u (local.get $i) (i32.const 16383))))
  (func (export "in-loop") (param $n i32) (result i32)
    (local $x i32) (local $i i32)
    (loop $next
      (local.set $x (call_indirect (type $op) (local.get $x) (call $which (local.get $i))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
    (local.get $x))
  (func $step (param $x i32) (param $i i32) (result i32)
    (call_indirect (type $op) (local.get $x) (call $which (local.get $i))))
  (func (export "in-callee") (param $n i32) (result i32)
    (local $x i32) (local $i i32)
    (loop $next
      (local.set $x (call $step (local.get $x) (local.get $i)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
    (local.get $x))
  ;; The same over and over again from the beginning, so that it is long so each time: 2^14 iterations one way, and as many
  ;; in turn.
  (func (export "in-phases") (param $n i32) (result i32)
    (local $x i32) (local $i i32)
    (loop $next
      (local.set $x
        (call $step (local.get $x) (i32.and (local.get $i) (i32.const 0x7fff))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
    (local.get $x)))

;; 2^14 and 2^21 iterations.
(assert_return (invoke "in-loop" (i32.const 2113536)) (i32.const 3162112))
(assert_return (invoke "in-callee" (i32.const 2113536)) (i32.const 3162112))
;; 2^22 iterations: 128 times 2^14 * 2.5.
(assert_return (invoke "in-phases" (i32.const 4194304)) (i32.const 5242880))

;; events:
;; in-loop: tier 0
;; which: tier 0
;; one: tier 0
;; which: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; which: tier 1
;; one: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; one: tier 1
;; in-loop: loop 0: tier 0 -> 1 wanted after 1000 iterations
;; in-loop: tier 1 made: 1 indirect calls direct, inlined which one
;; in-loop: loop 0: tier 1 ready
;; in-loop: loop 0: tier 0 -> 1
;; in-loop: tier 1 -> 0 at 130: another call target
;; two: tier 0
;; two: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; two: tier 1
;; in-loop: loop 0: tier 0 -> 1
;; in-loop: tier 1 -> 0 at 130: another call target
;; in-loop: loop 0: tier 0 -> 1
;; in-loop: tier 1 -> 0 at 130: another call target
;; in-loop: loop 0: tier 0 -> 1
;; in-loop: tier 1 -> 0 at 130: another call target
;; in-loop: loop 0: tier 0 -> 1 wanted after 5000 iterations
;; in-loop: tier 1 made: 1 indirect calls direct, inlined which one two
;; in-loop: loop 0: tier 1 ready
;; in-loop: loop 0: tier 0 -> 1
;; in-callee: tier 0
;; step: tier 0
;; step: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; step: tier 1 made: 1 indirect calls direct, inlined which one
;; step: tier 1
;; in-callee: loop 0: tier 0 -> 1 wanted after 1000 iterations
;; in-callee: tier 1 made: 0 indirect calls direct, inlined step +which +one
;; in-callee: loop 0: tier 1 ready
;; in-callee: loop 0: tier 0 -> 1
;; in-callee: tier 1 -> 0 at 161 in step: another call target
;; step: tier 1 -> 0 at 161: another call target, 3 times
;; step: tier 1 is of no use: another call target
;; step: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; step: tier 1 made: 1 indirect calls direct, inlined which one
;; step: tier 1
;; in-callee: loop 0: tier 0 -> 1 wanted after 2000 iterations
;; in-callee: tier 1 made: 0 indirect calls direct, inlined step +which +one
;; in-callee: loop 0: tier 1 ready
;; in-callee: loop 0: tier 0 -> 1
;; in-phases: tier 0
;; in-phases: loop 0: tier 0 -> 1 wanted after 1000 iterations
;; in-phases: tier 1 made: 0 indirect calls direct, inlined step +which +one
;; in-phases: loop 0: tier 1 ready
;; in-phases: loop 0: tier 0 -> 1
