;; A function is inlined in itself once, and functions that call each other a few times; the stack still has its end.
;; flags: sync

(module
  (func $fib (export "fib") (param i32) (result i32)
    (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
      (then (local.get 0))
      (else (i32.add
        (call $fib (i32.sub (local.get 0) (i32.const 1)))
        (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
  (func $even (export "even") (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (call $odd (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 1))))
  (func $odd (export "odd") (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (call $even (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 0))))
  (func $endless (export "endless") (param i32) (result i32)
    (i32.add (i32.const 1) (call $endless (i32.add (i32.const 1) (local.get 0))))))

(assert_return (invoke "fib" (i32.const 20)) (i32.const 6765))
(assert_return (invoke "fib" (i32.const 20)) (i32.const 6765))
(assert_return (invoke "even" (i32.const 501)) (i32.const 0))
(assert_return (invoke "odd" (i32.const 501)) (i32.const 1))
(assert_return (invoke "even" (i32.const 1000)) (i32.const 1))
(assert_exhaustion (invoke "endless" (i32.const 0)) "call stack exhausted")
(assert_exhaustion (invoke "endless" (i32.const 0)) "call stack exhausted")
(assert_exhaustion (invoke "even" (i32.const -1)) "call stack exhausted")

;; events:
;; fib: tier 0
;; fib: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; fib: tier 1 made: 0 indirect calls direct, inlined fib fib
;; fib: tier 1
;; even: tier 0
;; odd: tier 0
;; even: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; even: tier 1 made: 0 indirect calls direct, inlined odd +even ++odd
;; even: tier 1
;; odd: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; odd: tier 1 made: 0 indirect calls direct, inlined even +odd ++even
;; odd: tier 1
;; endless: tier 0
;; endless: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; endless: tier 1 made: 0 indirect calls direct, inlined endless
;; endless: tier 1
