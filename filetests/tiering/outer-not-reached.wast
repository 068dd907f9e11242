;; The outer loop is not reached while the inner one is watched: the inner one is what is moved in.
;; flags: sync

(module
  (func (export "f") (param $n i32) (result i32)
    (local $i i32) (local $k i32) (local $sum i32)
    (loop $outer
      (local.set $k (i32.const 0))
      (loop $inner
        (local.set $sum (i32.add (local.get $sum) (local.get $k)))
        (local.set $k (i32.add (local.get $k) (i32.const 1)))
        (br_if $inner (i32.lt_u (local.get $k) (local.get $n))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $outer (i32.lt_u (local.get $i) (i32.const 2))))
    (local.get $sum)))

(assert_return (invoke "f" (i32.const 1000000)) (i32.const 3566587328))

;; events:
;; f: tier 0
;; f: loop 1: tier 0 -> 1 wanted after 1501 iterations
;; f: loop 1: tier 1 ready
;; f: loop 1: tier 0 -> 1
