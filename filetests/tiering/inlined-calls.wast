;; Calls inside of one another: hot and small ones are inlined, outside in; what was never called is not.
;; flags: sync

(module
  (global $count (mut i32) (i32.const 0))
  (func $leaf (param i32) (result i32)
    (i32.rotl (i32.add (local.get 0) (i32.const 12345)) (i32.const 7)))
  (func $count-up (param i32) (result i32)
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (call $leaf (local.get 0)))
  (func $two-results (param i32) (result i32 i32)
    (call $count-up (local.get 0)) (call $leaf (local.get 0)))
  (func $tail (param i32) (result i32) (return_call $count-up (local.get 0)))
  (func $never (param i32) (result i32)
    (local $i i32)
    (loop $next
      (local.set 0 (i32.mul (local.get 0) (i32.const 31)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get 0))))
    (local.get 0))
  (func (export "f") (param i32) (result i32)
    (if (i32.eq (local.get 0) (i32.const 1234567)) (then (return (call $never (local.get 0)))))
    (call $two-results (local.get 0))
    i32.xor
    (i32.add (call $tail (local.get 0))))
  (func (export "g") (param i32) (result i32) (return_call $tail (local.get 0)))
  (func (export "many") (param $n i32) (result i32)
    (local $x i32)
    (loop $next
      (local.set $x (call 5 (local.get $x)))
      (local.set $x (i32.sub (local.get $x) (call 6 (local.get $n))))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $next (local.get $n)))
    (local.get $x))
  (func (export "count") (result i32) (global.get $count)))

(assert_return (invoke "many" (i32.const 500)) (i32.const 1447077982))
(assert_return (invoke "count") (i32.const 1500))
(assert_return (invoke "many" (i32.const 500)) (i32.const 1447077982))
(assert_return (invoke "many" (i32.const 3000)) (i32.const -417482106))
(assert_return (invoke "count") (i32.const 12000))
(assert_return (invoke "f" (i32.const 7)) (i32.const 1581056))

;; events:
;; many: tier 0
;; f: tier 0
;; two-results: tier 0
;; count-up: tier 0
;; leaf: tier 0
;; tail: tier 0
;; g: tier 0
;; leaf: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; leaf: tier 1
;; count-up: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; count-up: tier 1 made: 0 indirect calls direct, inlined leaf
;; count-up: tier 1
;; tail: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; tail: tier 1 made: 0 indirect calls direct, inlined count-up +leaf
;; tail: tier 1
;; f: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; f: tier 1 made: 0 indirect calls direct, inlined two-results +count-up ++leaf +leaf tail +count-up ++leaf
;; f: tier 1
;; two-results: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; two-results: tier 1 made: 0 indirect calls direct, inlined count-up +leaf leaf
;; two-results: tier 1
;; g: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; g: tier 1 made: 0 indirect calls direct, inlined tail +count-up ++leaf
;; g: tier 1
;; count: tier 0
;; many: tier 0 -> 1 wanted after 2 calls, 1000 iterations
;; many: tier 1 made: 0 indirect calls direct, inlined f +two-results ++count-up +++leaf ++leaf +tail ++count-up +++leaf g +tail ++count-up +++leaf
;; many: tier 1
