;; A loop in optimized code whose calls were all of one function, until one is of another: the activation goes on in tier 0
;; with that very call, and moves up again. After four such calls the assumption is given up.
;; flags: sync copy-and-patch

(module
  (type $op (func (param i32) (result i32)))
  (table 3 funcref)
  (elem (i32.const 0) $increment $double)
  (func $increment (type $op) (i32.add (local.get 0) (i32.const 1)))
  (func $double (type $op) (i32.shl (local.get 0) (i32.const 1)))
  ;; Calls the second function in iteration number `breaks` and as many others as follow it, each `apart` after the last.
  (func (export "run") (param $n i32) (param $breaks i32) (param $apart i32) (result i32)
    (local $x i32) (local $i i32) (local $other i32)
    (loop $next
      (local.set $other (i32.eq (local.get $i) (local.get $breaks)))
      (if (local.get $other)
        (then (local.set $breaks (i32.add (local.get $breaks) (local.get $apart)))))
      (local.set $x
        (i32.rem_u
          (call_indirect (type $op) (local.get $x) (local.get $other))
          (i32.const 1000003)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
    (local.get $x))
  (func (export "empty") (param $n i32) (result i32)
    (local $x i32)
    (loop $next
      (local.set $x
        (call_indirect (type $op) (local.get $x) (i32.shl (i32.eqz (local.get $n)) (i32.const 1))))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br $next))
    (local.get $x)))

(assert_return (invoke "run" (i32.const 20000) (i32.const 15000) (i32.const 100000)) (i32.const 34999))
(assert_return (invoke "run" (i32.const 20000) (i32.const 15000) (i32.const 1000)) (i32.const 510969))
;; The trap is that of the call, not of what was taken for granted.
(assert_trap (invoke "empty" (i32.const 20000)) "uninitialized element")

;; events:
;; run: tier 0
;; increment: tier 0
;; increment: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; increment: tier 1
;; run: loop 0: tier 0 -> 1 wanted after 1000 iterations
;; run: tier 1 made: 1 indirect calls direct, inlined increment
;; run: loop 0: tier 1 ready
;; run: loop 0: tier 0 -> 1
;; run: tier 1 -> 0 at 111: another call target
;; double: tier 0
;; run: loop 0: tier 0 -> 1
;; run: tier 0 -> 1 wanted after 2 calls, 2000 iterations
;; run: tier 1 made: 1 indirect calls direct, inlined increment
;; run: tier 1
;; run: loop 0: tier 0 -> 1
;; run: tier 1 -> 0 at 111: another call target
;; run: loop 0: tier 0 -> 1
;; run: tier 1 -> 0 at 111: another call target
;; run: loop 0: tier 0 -> 1
;; run: tier 1 -> 0 at 111: another call target
;; run: loop 0: tier 0 -> 1 wanted after 6000 iterations
;; run: tier 1 made: 1 indirect calls direct, inlined increment
;; run: loop 0: tier 1 ready
;; run: loop 0: tier 0 -> 1
;; empty: tier 0
;; empty: loop 0: tier 0 -> 1 wanted after 1000 iterations
;; empty: tier 1 made: 1 indirect calls direct, inlined increment
;; empty: loop 0: tier 1 ready
;; empty: loop 0: tier 0 -> 1
;; empty: tier 1 -> 0 at 153: another call target
