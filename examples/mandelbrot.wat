;; Draws the Mandelbrot set with characters, on standard output.
;;
;;   upshift run examples/mandelbrot.wat
;;   upshift run --print-compilation examples/mandelbrot.wat
;;
;; `iterate` is called once for each of 80 x 40 characters' sixteen samples, so it becomes hot at once; `shade` and
;; `row` follow. `_start` is called once and stays in tier 0.
(module $mandelbrot
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))

  (memory (export "memory") 1)
  ;; 0: the iovec for fd_write; 8: bytes written; 16: the palette; 64: one line of output.
  (data (i32.const 16) " .,:;-=+*oxOX#%@")

  (global $width i32 (i32.const 80))
  (global $height i32 (i32.const 40))
  (global $samples i32 (i32.const 4))
  (global $iterations i32 (i32.const 600))

  ;; How many steps of z = z^2 + c stay within the circle of radius 2.
  (func $iterate (param $cx f64) (param $cy f64) (result i32)
    (local $x f64) (local $y f64) (local $xx f64) (local $yy f64) (local $n i32)
    (loop $next
      (local.set $y
        (f64.add
          (f64.mul (f64.mul (f64.const 2) (local.get $x)) (local.get $y))
          (local.get $cy)))
      (local.set $x
        (f64.add (f64.sub (local.get $xx) (local.get $yy)) (local.get $cx)))
      (local.set $xx (f64.mul (local.get $x) (local.get $x)))
      (local.set $yy (f64.mul (local.get $y) (local.get $y)))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $next
        (i32.and
          (f64.lt (f64.add (local.get $xx) (local.get $yy)) (f64.const 4))
          (i32.lt_u (local.get $n) (global.get $iterations)))))
    (local.get $n))

  ;; The plane's coordinate of sample number $sample out of $count that cover from $low to $high.
  (func $at (param $sample i32) (param $count i32) (param $low f64) (param $high f64) (result f64)
    (f64.add
      (local.get $low)
      (f64.div
        (f64.mul
          (f64.add (f64.convert_i32_u (local.get $sample)) (f64.const 0.5))
          (f64.sub (local.get $high) (local.get $low)))
        (f64.convert_i32_u (local.get $count)))))

  ;; The character for a number of steps: darker for more, on a scale of square roots.
  (func $shade (param $n i32) (result i32)
    (i32.load8_u offset=16
      (i32.trunc_sat_f64_u
        (f64.mul
          (f64.sqrt
            (f64.div
              (f64.convert_i32_u (local.get $n))
              (f64.convert_i32_u (global.get $iterations))))
          (f64.const 15)))))

  ;; The mean number of steps over a character's samples.
  (func $pixel (param $column i32) (param $row i32) (result i32)
    (local $i i32) (local $j i32) (local $sum i32)
    (loop $down
      (local.set $i (i32.const 0))
      (loop $across
        (local.set $sum
          (i32.add
            (local.get $sum)
            (call $iterate
              (call $at
                (i32.add
                  (i32.mul (local.get $column) (global.get $samples))
                  (local.get $i))
                (i32.mul (global.get $width) (global.get $samples))
                (f64.const -2.2) (f64.const 1.0))
              (call $at
                (i32.add
                  (i32.mul (local.get $row) (global.get $samples))
                  (local.get $j))
                (i32.mul (global.get $height) (global.get $samples))
                (f64.const -1.35) (f64.const 1.35)))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $across (i32.lt_u (local.get $i) (global.get $samples))))
      (local.set $j (i32.add (local.get $j) (i32.const 1)))
      (br_if $down (i32.lt_u (local.get $j) (global.get $samples))))
    (i32.div_u
      (local.get $sum)
      (i32.mul (global.get $samples) (global.get $samples))))

  ;; Draws one line.
  (func $row (param $row i32)
    (local $column i32)
    (loop $next
      (i32.store8 offset=64
        (local.get $column)
        (call $shade (call $pixel (local.get $column) (local.get $row))))
      (local.set $column (i32.add (local.get $column) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $column) (global.get $width))))
    (i32.store8 offset=64 (global.get $width) (i32.const 10))
    (i32.store (i32.const 0) (i32.const 64))
    (i32.store (i32.const 4) (i32.add (global.get $width) (i32.const 1)))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))

  (func (export "_start")
    (local $row i32)
    (loop $next
      (call $row (local.get $row))
      (local.set $row (i32.add (local.get $row) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $row) (global.get $height))))))
