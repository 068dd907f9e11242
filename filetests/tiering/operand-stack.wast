;; Values of every type on the operand stack below the loops, loop parameters, blocks that some paths skip, and loops
;; around the one that is moved in, which come back to code before it.
;; flags: sync

(module
  (func (export "below") (param $n i32) (result i64)
    (local $lane i64)
    (i64.const 1000)
    (f64.const 0.5)
    (v128.const i32x4 1 2 3 4)
    (loop $next
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $next (local.get $n)))
    (local.set $lane (i64.extend_i32_s (i32x4.extract_lane 2)))
    (i64.trunc_f64_s (f64.mul (f64.const 4)))
    (i64.add (local.get $lane))
    i64.sub)

  ;; The value below the inner loop differs each time, and a branch may skip that loop.
  (func (export "around") (param $n i32) (result i32)
    (local $i i32) (local $k i32) (local $sum i32)
    (i32.const 7)
    (loop $outer (param i32) (result i32)
      (local.set $sum (i32.add (local.get $sum) (i32.const 1)))
      (local.get $i)
      (block $skip
        (br_if $skip (i32.and (local.get $i) (i32.const 1)))
        (i32.mul (local.get $i) (i32.const 3))
        (local.set $k (i32.const 40))
        (loop $inner
          (local.set $k (i32.sub (local.get $k) (i32.const 1)))
          (br_if $inner (local.get $k)))
        (local.set $sum (i32.add (local.get $sum))))
      i32.add
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $outer (i32.lt_u (local.get $i) (local.get $n))))
    (i32.add (local.get $sum)))

  (func (export "parameters") (param $n i32) (result i64)
    (local $a i64) (local $b i64)
    (i64.const 0) (i64.const 1)
    (loop $fibonacci (param i64 i64) (result i64 i64)
      (local.set $b)
      (local.set $a)
      (local.get $b)
      (i64.add (local.get $a) (local.get $b))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $fibonacci (local.get $n)))
    i64.sub)

  (func (export "branches") (param $n i32) (result i32)
    (local $a i32) (local $b i32) (local $c i32)
    (loop $next
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (block $two
        (block $one
          (block $zero
            (br_table $zero $one $two $next (i32.rem_u (local.get $n) (i32.const 5))))
          (local.set $a (i32.add (local.get $a) (i32.const 1)))
          (br_if $next (local.get $n))
          (return (i32.add (i32.add (local.get $a) (local.get $b)) (local.get $c))))
        (local.set $b (i32.add (local.get $b) (i32.const 100)))
        (br $next))
      (local.set $c (i32.add (local.get $c) (i32.const 10000)))
      (br $next))
    unreachable)

  (func (export "vectors") (param $n i32) (result i64)
    (local $v v128) (local $w v128) (local $x f32)
    (local.set $w (i64x2.splat (i64.const 3)))
    (loop $next
      (local.set $v (i64x2.add (local.get $v) (local.get $w)))
      (local.set $x (f32.add (local.get $x) (f32.const 1)))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $next (local.get $n)))
    (i64.add
      (i64x2.extract_lane 1 (local.get $v))
      (i64.trunc_f32_s (local.get $x)))))

(assert_return (invoke "below" (i32.const 5000)) (i64.const 995))
(assert_return (invoke "around" (i32.const 500)) (i32.const 312007))
(assert_return (invoke "parameters" (i32.const 5000)) (i64.const 8726227927798193907))
(assert_return (invoke "branches" (i32.const 100000)) (i32.const 202020000))
(assert_return (invoke "vectors" (i32.const 100000)) (i64.const 400000))

;; events:
;; below: tier 0
;; below: loop 0: tier 0 -> 1 wanted after 1000 iterations
;; below: loop 0: tier 1 ready
;; below: loop 0: tier 0 -> 1
;; around: tier 0
;; around: loop 0: tier 0 -> 1 wanted after 1008 iterations
;; around: loop 0: tier 1 ready
;; around: loop 0: tier 0 -> 1
;; parameters: tier 0
;; parameters: loop 0: tier 0 -> 1 wanted after 1000 iterations
;; parameters: loop 0: tier 1 ready
;; parameters: loop 0: tier 0 -> 1
;; branches: tier 0
;; branches: loop 0: tier 0 -> 1 wanted after 1000 iterations
;; branches: loop 0: tier 1 ready
;; branches: loop 0: tier 0 -> 1
;; vectors: tier 0
;; vectors: loop 0: tier 0 -> 1 wanted after 1000 iterations
;; vectors: loop 0: tier 1 ready
;; vectors: loop 0: tier 0 -> 1
