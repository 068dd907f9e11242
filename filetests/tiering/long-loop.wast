;; A function that is called once and loops reaches tier 1 in the middle of the call. It is not promoted itself: nobody
;; would use that version before the second call, and that asks for it.
;; flags: sync

(module
  (func (export "sum") (param $n i64) (result i64)
    (local $sum i64)
    (block $done
      (loop $next
        (br_if $done (i64.eqz (local.get $n)))
        (local.set $sum (i64.add (local.get $sum) (local.get $n)))
        (local.set $n (i64.sub (local.get $n) (i64.const 1)))
        (br $next)))
    (local.get $sum)))

(assert_return (invoke "sum" (i64.const 30000000)) (i64.const 450000015000000))
(assert_return (invoke "sum" (i64.const 5000)) (i64.const 12502500))
(assert_return (invoke "sum" (i64.const 5000)) (i64.const 12502500))

;; events:
;; sum: tier 0
;; sum: loop 0: tier 0 -> 1 wanted after 1000 iterations
;; sum: loop 0: tier 1 ready
;; sum: loop 0: tier 0 -> 1
;; sum: tier 0 -> 1 wanted after 2 calls, 1000 iterations
;; sum: tier 1
;; sum: loop 0: tier 0 -> 1
