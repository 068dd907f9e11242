;; Three loops in each other: the inner ones are hot first, and the outermost that is reached soon is what is moved in.
;; flags: sync

(module
  (func (export "nest") (param $n i32) (result i32)
    (local $i i32) (local $j i32) (local $k i32) (local $sum i32)
    (loop $outer
      (local.set $j (i32.const 0))
      (loop $middle
        (local.set $k (i32.const 0))
        (loop $inner
          (local.set $sum
            (i32.add (local.get $sum) (i32.xor (i32.xor (local.get $i) (local.get $j)) (local.get $k))))
          (local.set $k (i32.add (local.get $k) (i32.const 1)))
          (br_if $inner (i32.lt_u (local.get $k) (local.get $n))))
        (local.set $j (i32.add (local.get $j) (i32.const 1)))
        (br_if $middle (i32.lt_u (local.get $j) (local.get $n))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $outer (i32.lt_u (local.get $i) (local.get $n))))
    (local.get $sum)))

(assert_return (invoke "nest" (i32.const 100)) (i32.const 62445408))

;; events:
;; nest: tier 0
;; nest: loop 1: tier 0 -> 1 wanted after 1501 iterations
;; nest: loop 1: tier 1 ready
;; nest: loop 1: tier 0 -> 1
