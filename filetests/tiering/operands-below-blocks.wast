;; Values on the operand stack below an `if`, in code that is entered in the middle: where the arms join, they may have come
;; either way, and so may the results above them.
;; flags: sync

(module
  (func $nothing)
  (func (export "f") (param $n i32) (param $deep i32) (result i32)
    (local $sum i32)
    (i32.const 1000)
    (loop $next (param i32) (result i32)
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (local.set $sum
        (i32.add (local.get $sum)
          (select (i32.const 2) (i32.const 3)
            (if (result i32) (i32.and (local.get $n) (i32.const 1))
              (then (loop $once (br_if $once (i32.eqz (local.get $deep)))) (i32.const 1))
              (else (call $nothing) (i32.const 0))))))
      (i32.add (i32.const 1))
      (br_if $next (local.get $n)))
    (i32.add (local.get $sum))))

(assert_return (invoke "f" (i32.const 4000) (i32.const 1)) (i32.const 15000))

;; events:
;; f: tier 0
;; nothing: tier 0
;; nothing: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; nothing: tier 1
;; f: loop 0: tier 0 -> 1 wanted after 1000 iterations
;; f: tier 1 made: 0 indirect calls direct, inlined nothing
;; f: loop 0: tier 1 ready
;; f: loop 0: tier 0 -> 1
