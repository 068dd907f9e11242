;; Traps in code that was entered in the middle of a loop, and what they leave behind.
;; flags: sync

(module
  (memory (export "memory") 1)
  (func (export "fill") (param $i i32)
    (loop $next
      (i32.store (local.get $i) (local.get $i))
      (local.set $i (i32.add (local.get $i) (i32.const 4)))
      (br $next)))
  (func (export "read") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "divide") (param $n i32) (result i32)
    (local $x i32)
    (loop $next
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (local.set $x (i32.add (local.get $x) (i32.div_u (i32.const 100) (local.get $n))))
      (br $next))
    unreachable))

(assert_trap (invoke "fill" (i32.const 0)) "out of bounds memory access")
(assert_return (invoke "read" (i32.const 65532)) (i32.const 65532))
(assert_trap (invoke "divide" (i32.const 5000)) "integer divide by zero")

;; events:
;; fill: tier 0
;; fill: loop 0: tier 0 -> 1 wanted after 1000 iterations
;; fill: loop 0: tier 1 ready
;; fill: loop 0: tier 0 -> 1
;; read: tier 0
;; divide: tier 0
;; divide: loop 0: tier 0 -> 1 wanted after 1000 iterations
;; divide: loop 0: tier 1 ready
;; divide: loop 0: tier 0 -> 1
