;; What frames of tier 0 look like: parameters in registers and on the stack, values of every type, locals that are still
;; known constants at the loop, so many locals that they are zeroed one by one.
;; flags: sync

(module
  (memory 1)
  (table 2 funcref)
  (elem (i32.const 0) $seven $eight)
  (type $number (func (result i32)))
  (func $seven (result i32) (i32.const 7))
  (func $eight (result i32) (i32.const 8))

  ;; The caller finds its own values again: what was passed on the stack is gone.
  (func $stack
    (param i64 f32 v128 i32 f64 i64 i64 f32 f64 v128 i32 i64 f32 f64 v128 i64 f32 i32 f64 v128 i32 f32) (result i64)
    (local $n i32)
    (loop $next
      (local.set 3 (i32.add (local.get 3) (i32.const 1)))
      (local.set 19 (i64x2.add (local.get 19) (local.get 14)))
      (local.set 21 (f32.add (local.get 21) (f32.const 1)))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $n) (i32.const 3000))))
    (i64.extend_i32_u (local.get 3))
    (i64.add (i64x2.extract_lane 1 (local.get 19)))
    (i64.add (i64.trunc_f32_s (local.get 21)))
    (i64.add (local.get 0))
    (i64.add (local.get 15))
    (i64.add (i64.extend_i32_u (local.get 20)))
    (i64.add (i64.trunc_f64_s (local.get 18)))
    (i64.add (i64x2.extract_lane 0 (local.get 2))))
  (func (export "stack") (param $a i64) (param $b i32) (result i64)
    (local.get $a)
    (call $stack
      (i64.const 1) (f32.const 2) (v128.const i64x2 3 4) (i32.const 5) (f64.const 6) (i64.const 7) (i64.const 8)
      (f32.const 9) (f64.const 10) (v128.const i64x2 11 12) (i32.const 13) (i64.const 14) (f32.const 15)
      (f64.const 16) (v128.const i64x2 17 18) (i64.const 19) (f32.const 20) (local.get $b) (f64.const 22)
      (v128.const i64x2 23 24) (i32.const 25) (f32.const 26))
    i64.mul)

  (func (export "references") (param $e externref) (param $n i32) (result i32)
    (local $f funcref) (local $g externref) (local $sum i32)
    (table.get (i32.const 1))
    (local.set $f (table.get (i32.const 0)))
    (loop $next
      (local.set $g (local.get $e))
      (table.set (i32.const 1) (local.get $f))
      (local.set $sum (i32.add (local.get $sum) (call_indirect (type $number) (i32.const 1))))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $next (local.get $n)))
    (local.set $f)
    (table.set (i32.const 1) (local.get $f))
    (i32.add
      (i32.mul (local.get $sum) (i32.const 100))
      (i32.add
        (call_indirect (type $number) (i32.const 1))
        (i32.mul (ref.is_null (local.get $g)) (i32.const 10)))))

  (func (export "constants") (param $n i32) (result i64)
    (local $a i32) (local $b i64) (local $c f32) (local $d f64) (local $e v128) (local $f i64)
    (local.set $a (i32.const -1))
    (local.set $b (i64.const 0x123456789abcdef))
    (local.set $c (f32.const 1.5))
    (local.set $d (f64.const 2.5))
    (i64.const -1)
    (f64.const 3.5)
    (loop $next
      (local.set $f
        (i64.add (local.get $f)
          (i64.add (i64.extend_i32_s (local.get $a)) (i64x2.extract_lane 1 (local.get $e)))))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $next (local.get $n)))
    (local.set $d (f64.add (f64.add (local.get $d)) (f64.promote_f32 (local.get $c))))
    (i64.add (i64.add (local.get $f)) (i64.add (local.get $b) (i64.trunc_f64_s (f64.mul (local.get $d) (f64.const 2))))))

  (func (export "many") (param $n i32) (result i64)
    (local i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 v128 v128 f32 f64 i32 i32 i64 i64)
    (local.set 1 (i64.const 5))
    (loop $next
      (local.set 12 (i64.add (local.get 12) (local.get 1)))
      (local.set 13 (i64x2.add (local.get 13) (i64x2.splat (local.get 12))))
      (local.set 20 (i64.add (local.get 20) (i64x2.extract_lane 1 (local.get 14))))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $next (local.get $n)))
    (i64.add (local.get 2) (i64.add (local.get 20) (i64x2.extract_lane 1 (local.get 13))))))

(assert_return (invoke "stack" (i64.const 1000003) (i32.const 21)) (i64.const 60125180375))
(assert_return (invoke "references" (ref.extern 1) (i32.const 3000)) (i32.const 2100008))
(assert_return (invoke "references" (ref.null extern) (i32.const 3000)) (i32.const 2100018))
(assert_return (invoke "constants" (i32.const 3000)) (i64.const 81985529216483909))
(assert_return (invoke "many" (i32.const 3000)) (i64.const 22507500))

;; events:
;; stack: tier 0, 2 times
;; stack: loop 0: tier 0 -> 1 wanted after 1000 iterations
;; stack: loop 0: tier 1 ready
;; stack: loop 0: tier 0 -> 1
;; references: tier 0
;; seven: tier 0
;; seven: tier 0 -> 1 wanted after 100 calls, 0 iterations
;; seven: tier 1
;; references: loop 0: tier 0 -> 1 wanted after 1000 iterations
;; references: tier 1 made: 1 indirect calls direct, inlined seven
;; references: loop 0: tier 1 ready
;; references: loop 0: tier 0 -> 1
;; eight: tier 0
;; references: tier 0 -> 1 wanted after 2 calls, 1000 iterations
;; references: tier 1 made: 1 indirect calls direct, inlined seven
;; references: tier 1
;; references: loop 0: tier 0 -> 1
;; constants: tier 0
;; constants: loop 0: tier 0 -> 1 wanted after 1000 iterations
;; constants: loop 0: tier 1 ready
;; constants: loop 0: tier 0 -> 1
;; many: tier 0
;; many: loop 0: tier 0 -> 1 wanted after 1000 iterations
;; many: loop 0: tier 1 ready
;; many: loop 0: tier 0 -> 1
