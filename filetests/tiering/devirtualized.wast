;; Indirect calls that always lead to a few functions of the module become comparisons and direct calls, which are
;; inlined. Whatever else the table holds is called as before, and traps as before.
;; flags: sync

(module $other
  (func (export "other") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 1000))))
(register "other" $other)

(module
  (type $op (func (param i32) (result i32)))
  (import "other" "other" (func $imported (type $op)))
  (table $t (export "table") 8 funcref)
  (elem (table $t) (i32.const 0) func $double $square $imported $wrong-type $third $never)
  (func $double (type $op) (i32.shl (local.get 0) (i32.const 1)))
  (func $square (type $op) (i32.mul (local.get 0) (local.get 0)))
  (func $third (type $op) (i32.div_u (local.get 0) (i32.const 3)))
  (func $never (type $op) (i32.const 77))
  (func $wrong-type (param i64))
  (func $apply (export "apply") (param $which i32) (param $x i32) (result i32)
    (call_indirect $t (type $op) (local.get $x) (local.get $which)))
  (func $tail (export "tail") (param $which i32) (param $x i32) (result i32)
    (return_call_indirect $t (type $op) (local.get $x) (local.get $which)))
  (func (export "clear") (table.set $t (i32.const 0) (ref.null func)))
  (func (export "change") (table.set $t (i32.const 0) (ref.func $third)))
  (func (export "many") (param $n i32) (param $kinds i32) (result i32)
    (local $sum i32)
    (loop $next
      (local.set $sum (i32.add (local.get $sum)
        (call $apply (i32.rem_u (local.get $n) (local.get $kinds)) (local.get $n))))
      (local.set $sum (i32.sub (local.get $sum)
        (call $tail (i32.rem_u (local.get $n) (local.get $kinds)) (i32.add (local.get $n) (i32.const 1)))))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))

(assert_return (invoke "many" (i32.const 400) (i32.const 2)) (i32.const -80600))
(assert_return (invoke "many" (i32.const 4000) (i32.const 2)) (i32.const -8006000))
(assert_return (invoke "many" (i32.const 4000) (i32.const 3)) (i32.const -6674334))
(assert_return (invoke "apply" (i32.const 2) (i32.const 7)) (i32.const 7000))
(assert_return (invoke "tail" (i32.const 2) (i32.const 7)) (i32.const 7000))
(assert_return (invoke "apply" (i32.const 4) (i32.const 9)) (i32.const 3))
(assert_return (invoke "tail" (i32.const 5) (i32.const 9)) (i32.const 77))
(assert_trap (invoke "apply" (i32.const 3) (i32.const 7)) "indirect call type mismatch")
(assert_trap (invoke "apply" (i32.const 6) (i32.const 7)) "uninitialized element")
(assert_trap (invoke "apply" (i32.const 8) (i32.const 7)) "undefined element")
(assert_trap (invoke "tail" (i32.const 3) (i32.const 7)) "indirect call type mismatch")
(assert_trap (invoke "tail" (i32.const 6) (i32.const 7)) "uninitialized element")
(assert_trap (invoke "tail" (i32.const -1) (i32.const 7)) "undefined element")
(assert_return (invoke "change"))
(assert_return (invoke "apply" (i32.const 0) (i32.const 9)) (i32.const 3))
(assert_return (invoke "tail" (i32.const 0) (i32.const 9)) (i32.const 3))
(invoke "clear")
(assert_trap (invoke "apply" (i32.const 0) (i32.const 7)) "uninitialized element")
(assert_return (invoke "apply" (i32.const 1) (i32.const 7)) (i32.const 49))

;; events:
;; many: tier 0
;; apply: tier 0
;; double: tier 0
;; tail: tier 0
;; square: tier 0
;; double: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; double: tier 1
;; apply: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; apply: tier 1 made: 1 indirect calls direct, inlined double square
;; apply: tier 1
;; tail: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; tail: tier 1 made: 1 indirect calls direct, inlined double square
;; tail: tier 1
;; square: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; square: tier 1
;; many: tier 0 -> 1 wanted after 2 calls, 1000 iterations
;; many: tier 1 made: 0 indirect calls direct, inlined apply +double +square tail +double +square
;; many: tier 1
;; many: loop 0: tier 0 -> 1 wanted after 2000 iterations
;; many: tier 1 made: 0 indirect calls direct, inlined apply +double +square tail +double +square
;; many: loop 0: tier 1 ready
;; many: loop 0: tier 0 -> 1
;; other: tier 0
;; other: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; other: tier 1
;; third: tier 0
;; never: tier 0
;; change: tier 0
;; clear: tier 0
