;; The stack overflows while activations change tiers: each level of a recursion without end loops a little, so that stress
;; tests move it there and back before it goes on. A trap like any other, and the next call is none the worse.
;; flags: sync

(module
  (type $next (func (param i32) (result i32)))
  (table 2 funcref)
  (elem (i32.const 0) $deeper $stop)
  (func $stop (type $next) (local.get 0))
  (func $deeper (export "deeper") (type $next)
    (local $i i32)
    (loop $again
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $i) (i32.const 3))))
    (i32.add
      (local.get $i)
      (call_indirect (type $next)
        (i32.sub (local.get 0) (i32.const 1))
        (i32.eqz (local.get 0))))))

(assert_return (invoke "deeper" (i32.const 400)) (i32.const 1202))
(assert_exhaustion (invoke "deeper" (i32.const -1)) "call stack exhausted")
(assert_return (invoke "deeper" (i32.const 400)) (i32.const 1202))
(assert_exhaustion (invoke "deeper" (i32.const -1)) "call stack exhausted")
(assert_return (invoke "deeper" (i32.const 0)) (i32.const 2))

;; events:
;; deeper: tier 0
;; deeper: tier 0 -> 1 wanted after 100 calls, 297 iterations
;; deeper: tier 1 made: 1 indirect calls direct, inlined deeper
;; deeper: tier 1
;; deeper: tier 1 -> 0 at 88: another call target
;; stop: tier 0
;; deeper: tier 1 -> 0 at 88: another call target, 2 times
