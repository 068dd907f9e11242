;; More results than registers: the place for them was given by the caller of the frame that was left, and so were
;; more parameters than registers.
;; flags: sync

(module
  (func $f (export "f")
    (param i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)
    (result i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)
    (local $n i32)
    (loop $next
      (local.set 9 (i64.add (local.get 9) (i64.const 1)))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $n) (i32.const 5000))))
    (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4)
    (local.get 5) (local.get 6) (local.get 7) (local.get 8) (local.get 9))
  (func (export "g") (result i64)
    (call $f (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4) (i64.const 5)
      (i64.const 6) (i64.const 7) (i64.const 8) (i64.const 9) (i64.const 10))
    (i64.sub (i64.const 1)) (i64.mul)
    (i64.add) (i64.add) (i64.add) (i64.add) (i64.add) (i64.add) (i64.add) (i64.add)))

(assert_return (invoke "g") (i64.const 45117))
(assert_return
  (invoke "f" (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4) (i64.const 5)
    (i64.const 6) (i64.const 7) (i64.const 8) (i64.const 9) (i64.const 10))
  (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4) (i64.const 5)
  (i64.const 6) (i64.const 7) (i64.const 8) (i64.const 9) (i64.const 5010))

;; events:
;; g: tier 0
;; f: tier 0
;; f: loop 0: tier 0 -> 1 wanted after 1000 iterations
;; f: loop 0: tier 1 ready
;; f: loop 0: tier 0 -> 1
;; f: tier 0 -> 1 wanted after 2 calls, 1000 iterations
;; f: tier 1
;; f: loop 0: tier 0 -> 1
