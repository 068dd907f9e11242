;; Each activation of a recursive function moves to better code in its own loop. The first call is hot before it calls
;; itself again; what it calls finds the loop's better version at the next look, or the function's.
;; flags: sync

(module
  (func $f (export "f") (param $depth i32) (result i32)
    (local $i i32) (local $sum i32)
    (if (local.get $depth)
      (then (local.set $sum (call $f (i32.sub (local.get $depth) (i32.const 1))))))
    (loop $next
      (local.set $sum (i32.add (local.get $sum) (i32.const 1)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 3000))))
    (local.get $sum)))

(assert_return (invoke "f" (i32.const 20)) (i32.const 63000))

;; events:
;; f: tier 0
;; f: tier 0 -> 1 wanted after 21 calls, 1000 iterations
;; f: tier 1 made: 0 indirect calls direct, inlined f
;; f: tier 1
;; f: loop 0: tier 0 -> 1 wanted after 2000 iterations
;; f: loop 0: tier 1 ready
;; f: loop 0: tier 0 -> 1, 21 times
