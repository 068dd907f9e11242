;; An assumption that holds for 10^8 iterations of one call and then breaks: for one iteration, and in the next call for all
;; that follow, until it is not made any more.
;; flags: sync long copy-and-patch

(module
  (type $op (func (param i32) (result i32)))
  (table 2 funcref)
  (elem (i32.const 0) $one $two)
  (func $one (type $op) (i32.add (local.get 0) (i32.const 1)))
  (func $two (type $op) (i32.add (local.get 0) (i32.const 2)))
  ;; Calls the second function in iteration number `breaks`, and in all from number `changes` on.
  (func (export "run") (param $n i32) (param $breaks i32) (param $changes i32) (result i32)
    (local $x i32) (local $i i32)
    (loop $next
      (local.set $x
        (call_indirect (type $op)
          (local.get $x)
          (i32.or
            (i32.eq (local.get $i) (local.get $breaks))
            (i32.ge_u (local.get $i) (local.get $changes)))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
    (local.get $x)))

;; 10^8 and 1,000 iterations, one of which adds 2 and the others 1.
(assert_return
  (invoke "run" (i32.const 100001000) (i32.const 100000000) (i32.const -1))
  (i32.const 100001001))
;; 10^8 iterations and 10,000 that all add 2.
(assert_return
  (invoke "run" (i32.const 100010000) (i32.const 0) (i32.const 100000000))
  (i32.const 100020001))

;; events:
;; run: tier 0
;; one: tier 0
;; one: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; one: tier 1
;; run: loop 0: tier 0 -> 1 wanted after 1000 iterations
;; run: tier 1 made: 1 indirect calls direct, inlined one
;; run: loop 0: tier 1 ready
;; run: loop 0: tier 0 -> 1
;; run: tier 1 -> 0 at 92: another call target
;; two: tier 0
;; run: tier 0 -> 1 wanted after 2 calls, 1999 iterations
;; run: tier 1 made: 1 indirect calls direct, inlined one
;; run: tier 1
;; run: loop 0: tier 0 -> 1
;; run: tier 1 -> 0 at 92: another call target
;; two: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; two: tier 1
;; run: loop 0: tier 0 -> 1
;; run: tier 1 -> 0 at 92: another call target
;; run: loop 0: tier 0 -> 1
;; run: tier 1 -> 0 at 92: another call target
;; run: loop 0: tier 0 -> 1 wanted after 5999 iterations
;; run: tier 1 made: 1 indirect calls direct, inlined two one
;; run: loop 0: tier 1 ready
;; run: loop 0: tier 0 -> 1
