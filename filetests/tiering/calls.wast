;; A loop with calls: the callee is promoted in the usual way meanwhile, and calls find its new version.
;; flags: sync

(module
  (func $step (param i32) (result i32)
    (i32.rotl (i32.add (local.get 0) (i32.const 12345)) (i32.const 7)))
  (func (export "f") (param $n i32) (result i32)
    (local $x i32)
    (loop $next
      (local.set $x (call $step (local.get $x)))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $next (local.get $n)))
    (local.get $x)))

(assert_return (invoke "f" (i32.const 20000)) (i32.const -625))

;; events:
;; f: tier 0
;; step: tier 0
;; step: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; step: tier 1
;; f: loop 0: tier 0 -> 1 wanted after 1000 iterations
;; f: tier 1 made: 0 indirect calls direct, inlined step
;; f: loop 0: tier 1 ready
;; f: loop 0: tier 0 -> 1
