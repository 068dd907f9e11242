;; Found by fuzzing: another engine takes the wrong branch here. A global is an operand of a select whose condition is
;; a test for null, behind an `if` without an effect.
(module
  (global $g (mut f32) (f32.const 21))
  (global $k (mut i32) (i32.const 5))
  (func (export "f") (result i32) (local $r funcref)
    (if (global.get $k) (then (nop)))
    (if
      (f32.lt
        (select (global.get $g) (f32.const -460) (ref.is_null (local.get $r)))
        (f32.const -2))
      (then (return (i32.const 1))))
    (i32.const 7)))
(assert_return (invoke "f") (i32.const 7))
(assert_return (invoke "f") (i32.const 7))
(assert_return (invoke "f") (i32.const 7))
