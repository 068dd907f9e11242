;; With a tier 2, a loop moves twice in one call.
;; flags: sync top

(module
  (func (export "sum") (param $n i64) (result i64)
    (local $sum i64)
    (loop $next
      (local.set $sum (i64.add (local.get $sum) (local.get $n)))
      (local.set $n (i64.sub (local.get $n) (i64.const 1)))
      (br_if $next (i64.ne (local.get $n) (i64.const 0))))
    (local.get $sum)))

(assert_return (invoke "sum" (i64.const 1000000)) (i64.const 500000500000))

;; events:
;; sum: tier 0
;; sum: loop 0: tier 0 -> 1 wanted after 1000 iterations
;; sum: loop 0: tier 1 ready
;; sum: loop 0: tier 0 -> 1
;; sum: loop 0: tier 1 -> 2 wanted after 9990 iterations
;; sum: loop 0: tier 2 ready
;; sum: loop 0: tier 1 -> 2
