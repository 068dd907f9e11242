;; A loop in an inlined callee is not one of the caller's: activations of the caller in tier 1 move to tier 2 at the
;; caller's own loops only, and the callee's loops keep their place in the callee.
;; flags: sync top thresholds=20,200

(module
  (func $inner (param $n i32) (param $x i32) (result i32)
    (loop $a
      (local.set $x (i32.xor (i32.mul (local.get $x) (i32.const 5)) (local.get $n)))
      (br_if $a (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $x))
  (func $outer (export "outer") (param $n i32) (result i32)
    (local $x i32) (local $i i32)
    (local.set $i (i32.const 3))
    (loop $skipped (br_if $skipped (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
    (loop $b
      (local.set $x (call $inner (i32.const 4) (i32.add (local.get $x) (local.get $n))))
      (loop $c
        (local.set $x (i32.add (local.get $x) (i32.const 3)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $c (i32.and (local.get $i) (i32.const 3))))
      (br_if $b (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $x)))

(assert_return (invoke "outer" (i32.const 10)) (i32.const -1829668785))
(assert_return (invoke "outer" (i32.const 3000)) (i32.const -870106020))
(assert_return (invoke "outer" (i32.const 100)) (i32.const 1731011722))

;; events:
;; outer: tier 0
;; inner: tier 0
;; inner: tier 0 -> 1 wanted after 20 calls, 76 iterations
;; inner: tier 1
;; outer: tier 0 -> 1 wanted after 2 calls, 200 iterations
;; outer: tier 1 made: 0 indirect calls direct, inlined inner
;; outer: tier 1
;; inner: tier 1 -> 2 wanted after 193 calls, 768 iterations
;; inner: tier 2
;; outer: loop 1: tier 0 -> 1 wanted after 1982 iterations
;; outer: tier 1 made: 0 indirect calls direct, inlined inner
;; outer: loop 1: tier 1 ready
;; outer: loop 1: tier 0 -> 1
;; outer: tier 1 -> 2 wanted after 2 calls, 2982 iterations
;; outer: tier 2 made: 0 indirect calls direct, inlined inner
;; outer: tier 2
