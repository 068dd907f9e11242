;; A loop that calls a function too large to be inlined, which has a loop itself: both move, one inside the other.
;; flags: sync

(module
  (func $collatz (param $n i64) (result i32)
    (local $steps i32)
    (block $done
      (loop $next
        (br_if $done (i64.eq (local.get $n) (i64.const 1)))
        (local.set $steps (i32.add (local.get $steps) (i32.const 1)))
        (if (i64.eqz (i64.and (local.get $n) (i64.const 1)))
          (then (local.set $n (i64.shr_u (local.get $n) (i64.const 1))))
          (else (local.set $n (i64.add (i64.mul (local.get $n) (i64.const 3)) (i64.const 1)))))
        (br $next)))
    (local.get $steps))
  (func (export "longest") (param $below i64) (result i64)
    (local $n i64) (local $steps i32) (local $most i32) (local $best i64)
    (local.set $n (i64.const 1))
    (loop $next
      (local.set $steps (call $collatz (local.get $n)))
      (if (i32.gt_u (local.get $steps) (local.get $most))
        (then
          (local.set $most (local.get $steps))
          (local.set $best (local.get $n))))
      (local.set $n (i64.add (local.get $n) (i64.const 1)))
      (br_if $next (i64.lt_u (local.get $n) (local.get $below))))
    (i64.add (i64.mul (local.get $best) (i64.const 1000)) (i64.extend_i32_u (local.get $most)))))

(assert_return (invoke "longest" (i64.const 3000)) (i64.const 2919216))

;; events:
;; longest: tier 0
;; collatz: tier 0
;; collatz: tier 0 -> 1 wanted after 47 calls, 1000 iterations
;; collatz: tier 1
;; longest: loop 0: tier 0 -> 1 wanted after 1000 iterations
;; longest: tier 1 made: 0 indirect calls direct, inlined collatz
;; longest: loop 0: tier 1 ready
;; longest: loop 0: tier 0 -> 1
