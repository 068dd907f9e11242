;; What zstd-wasm's module imports (module "a": Emscripten's proc_exit, keepalive_clear, abort, setitimer and
;; resize_heap). Growing the heap works on the memory that the importing module defines, so that one calls through a
;; table, which the driver fills; see argon2_env.wat.
(module
  (type $resize_heap (func (param i32) (result i32)))
  (table (export "host") 1 1 funcref)
  (func (export "a") (param $code i32) unreachable)
  (func (export "b"))
  (func (export "c") unreachable)
  (func (export "d") (param $which i32) (param $timeout_ms f64) (result i32) (i32.const 0))
  (func (export "e") (param $bytes i32) (result i32)
    (call_indirect (type $resize_heap) (local.get $bytes) (i32.const 0))))
