;; What argon2-browser's module imports (module "a"; its two functions are Emscripten's memcpy_big and resize_heap).
;;
;; Both work on the memory that the importing module defines, which does not exist yet when its imports are satisfied.
;; So they call through a table, and whoever comes last, the driver, fills it.
(module
  (type $memcpy_big (func (param i32 i32 i32) (result i32)))
  (type $resize_heap (func (param i32) (result i32)))
  (table (export "host") 2 2 funcref)
  (func (export "a") (param $to i32) (param $from i32) (param $bytes i32) (result i32)
    (call_indirect (type $memcpy_big)
      (local.get $to) (local.get $from) (local.get $bytes) (i32.const 0)))
  (func (export "b") (param $bytes i32) (result i32)
    (call_indirect (type $resize_heap) (local.get $bytes) (i32.const 1))))
