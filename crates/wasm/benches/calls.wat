;; Programs whose time goes into indirect calls, each an export that does its work so many times and returns a checksum.
(module
  (memory 4)
  (type $handler (func (param i32) (result i32)))
  (type $compare (func (param i32 i32) (result i32)))
  (type $accept (func (param i32 i32) (result i32)))
  (type $visit (func (param i32 i32) (result i32)))
  (table 24 funcref)
  (elem (i32.const 0) func $halt $add $xor $shift $increment $loop $move $negate)
  (elem (i32.const 8) func $ascending $descending $by-low-byte)
  (elem (i32.const 11) func $accept-leaf $accept-pair $accept-negation)
  ;; Two visitors: a method for leaves, one for pairs, one for negations.
  (elem (i32.const 14) func $sum-leaf $sum-pair $sum-negation $max-leaf $max-pair $max-negation)

  ;; An interpreter of a register machine: an instruction is four bytes, its first the index of its handler, which
  ;; returns where to go on. Registers are words from address 0 on, the program is at 256.
  (data (i32.const 256)
    "\06\01\00\00"  ;; r1 = r0
    "\01\02\02\01"  ;; loop: r2 = r2 + r1
    "\03\03\02\05"  ;; r3 = r2 rotated by 5
    "\02\02\02\03"  ;; r2 = r2 xor r3
    "\04\04\04\01"  ;; r4 = r4 + 1
    "\05\04\05\10"  ;; if r4 < r5 go back 16 bytes
    "\07\02\02\00"  ;; r2 = -r2
    "\00\00\00\00") ;; stop
  (func $byte (param $at i32) (result i32) (i32.shl (i32.load8_u (local.get $at)) (i32.const 2)))
  (func $halt (type $handler) (i32.const 0))
  (func $add (type $handler)
    (i32.store (call $byte (i32.add (local.get 0) (i32.const 1)))
      (i32.add
        (i32.load (call $byte (i32.add (local.get 0) (i32.const 2))))
        (i32.load (call $byte (i32.add (local.get 0) (i32.const 3))))))
    (i32.add (local.get 0) (i32.const 4)))
  (func $xor (type $handler)
    (i32.store (call $byte (i32.add (local.get 0) (i32.const 1)))
      (i32.xor
        (i32.load (call $byte (i32.add (local.get 0) (i32.const 2))))
        (i32.load (call $byte (i32.add (local.get 0) (i32.const 3))))))
    (i32.add (local.get 0) (i32.const 4)))
  (func $shift (type $handler)
    (i32.store (call $byte (i32.add (local.get 0) (i32.const 1)))
      (i32.rotl
        (i32.load (call $byte (i32.add (local.get 0) (i32.const 2))))
        (i32.load8_u (i32.add (local.get 0) (i32.const 3)))))
    (i32.add (local.get 0) (i32.const 4)))
  (func $increment (type $handler)
    (i32.store (call $byte (i32.add (local.get 0) (i32.const 1)))
      (i32.add
        (i32.load (call $byte (i32.add (local.get 0) (i32.const 2))))
        (i32.load8_u (i32.add (local.get 0) (i32.const 3)))))
    (i32.add (local.get 0) (i32.const 4)))
  (func $loop (type $handler)
    (if (result i32)
      (i32.lt_u
        (i32.load (call $byte (i32.add (local.get 0) (i32.const 1))))
        (i32.load (call $byte (i32.add (local.get 0) (i32.const 2)))))
      (then (i32.sub (local.get 0) (i32.load8_u (i32.add (local.get 0) (i32.const 3)))))
      (else (i32.add (local.get 0) (i32.const 4)))))
  (func $move (type $handler)
    (i32.store (call $byte (i32.add (local.get 0) (i32.const 1)))
      (i32.load (call $byte (i32.add (local.get 0) (i32.const 2)))))
    (i32.add (local.get 0) (i32.const 4)))
  (func $negate (type $handler)
    (i32.store (call $byte (i32.add (local.get 0) (i32.const 1)))
      (i32.sub (i32.const 0) (i32.load (call $byte (i32.add (local.get 0) (i32.const 2))))))
    (i32.add (local.get 0) (i32.const 4)))
  (func $interpret (param $pc i32)
    (loop $next
      (local.set $pc (call_indirect (type $handler) (local.get $pc) (i32.load8_u (local.get $pc))))
      (br_if $next (local.get $pc))))
  (func (export "dispatch") (param $n i32) (result i32)
    (i32.store (i32.const 8) (i32.const 0))
    (if (local.get $n)
      (then
        (loop $again
          (i32.store (i32.const 0) (local.get $n))
          (i32.store (i32.const 16) (i32.const 0))
          (i32.store (i32.const 20) (i32.const 100))
          (call $interpret (i32.const 256))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))
    (i32.load (i32.const 8)))

  ;; Shell's sort of 400 words at 4096, with a comparison as a parameter.
  (func $ascending (type $compare) (i32.lt_s (local.get 0) (local.get 1)))
  (func $descending (type $compare) (i32.gt_s (local.get 0) (local.get 1)))
  (func $by-low-byte (type $compare)
    (i32.lt_u (i32.and (local.get 0) (i32.const 255)) (i32.and (local.get 1) (i32.const 255))))
  (func $sort-by (param $gap i32) (param $compare i32)
    (local $i i32) (local $j i32) (local $value i32) (local $other i32)
    (local.set $i (local.get $gap))
    (loop $each
      (local.set $value (i32.load offset=4096 (local.get $i)))
      (local.set $j (local.get $i))
      (block $found
        (loop $down
          (br_if $found (i32.lt_u (local.get $j) (local.get $gap)))
          (local.set $other (i32.load offset=4096 (i32.sub (local.get $j) (local.get $gap))))
          (br_if $found (i32.eqz
            (call_indirect (type $compare) (local.get $value) (local.get $other) (local.get $compare))))
          (i32.store offset=4096 (local.get $j) (local.get $other))
          (local.set $j (i32.sub (local.get $j) (local.get $gap)))
          (br $down)))
      (i32.store offset=4096 (local.get $j) (local.get $value))
      (br_if $each (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (i32.const 1600)))))
  (func $sort (param $compare i32)
    (call $sort-by (i32.const 692) (local.get $compare))
    (call $sort-by (i32.const 304) (local.get $compare))
    (call $sort-by (i32.const 132) (local.get $compare))
    (call $sort-by (i32.const 56) (local.get $compare))
    (call $sort-by (i32.const 24) (local.get $compare))
    (call $sort-by (i32.const 8) (local.get $compare))
    (call $sort-by (i32.const 4) (local.get $compare)))
  (func (export "sort") (param $n i32) (result i32)
    (local $i i32) (local $x i32)
    (if (local.get $n)
      (then
        (loop $again
          (local.set $x (local.get $n))
          (local.set $i (i32.const 0))
          (loop $fill
            (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
            (i32.store offset=4096 (local.get $i) (local.get $x))
            (br_if $fill (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (i32.const 1600))))
          (call $sort (i32.const 8))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))
    (i32.load (i32.const 4496)))

  ;; A tree at 8192, walked by visitors. A node is the index of its `accept`, and two words: a leaf's value, or children.
  ;; A visitor is the index of its first method.
  (func $accept-leaf (type $accept)
    (call_indirect (type $visit) (local.get 0) (local.get 1) (local.get 1)))
  (func $accept-pair (type $accept)
    (call_indirect (type $visit) (local.get 0) (local.get 1) (i32.add (local.get 1) (i32.const 1))))
  (func $accept-negation (type $accept)
    (call_indirect (type $visit) (local.get 0) (local.get 1) (i32.add (local.get 1) (i32.const 2))))
  (func $child (param $node i32) (param $visitor i32) (result i32)
    (call_indirect (type $accept) (local.get $node) (local.get $visitor) (i32.load (local.get $node))))
  (func $sum-leaf (type $visit) (i32.load offset=4 (local.get 0)))
  (func $sum-pair (type $visit)
    (i32.add
      (call $child (i32.load offset=4 (local.get 0)) (local.get 1))
      (call $child (i32.load offset=8 (local.get 0)) (local.get 1))))
  (func $sum-negation (type $visit)
    (i32.sub (i32.const 0) (call $child (i32.load offset=4 (local.get 0)) (local.get 1))))
  (func $max-leaf (type $visit) (i32.load offset=4 (local.get 0)))
  (func $max-pair (type $visit)
    (local $a i32) (local $b i32)
    (local.set $a (call $child (i32.load offset=4 (local.get 0)) (local.get 1)))
    (local.set $b (call $child (i32.load offset=8 (local.get 0)) (local.get 1)))
    (select (local.get $a) (local.get $b) (i32.gt_s (local.get $a) (local.get $b))))
  (func $max-negation (type $visit)
    (call $child (i32.load offset=4 (local.get 0)) (local.get 1)))
  (global $free (mut i32) (i32.const 8192))
  (func $node (param $accept i32) (param $a i32) (param $b i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $free))
    (global.set $free (i32.add (local.get $at) (i32.const 12)))
    (i32.store (local.get $at) (local.get $accept))
    (i32.store offset=4 (local.get $at) (local.get $a))
    (i32.store offset=8 (local.get $at) (local.get $b))
    (local.get $at))
  (func $tree (param $depth i32) (param $seed i32) (result i32)
    (if (i32.eqz (local.get $depth))
      (then (return (call $node (i32.const 11) (i32.mul (local.get $seed) (i32.const 77)) (i32.const 0)))))
    (if (i32.eqz (i32.rem_u (local.get $seed) (i32.const 9)))
      (then (return
        (call $node (i32.const 13)
          (call $tree (i32.sub (local.get $depth) (i32.const 1)) (i32.add (local.get $seed) (i32.const 1)))
          (i32.const 0)))))
    (call $node (i32.const 12)
      (call $tree (i32.sub (local.get $depth) (i32.const 1)) (i32.mul (local.get $seed) (i32.const 3)))
      (call $tree (i32.sub (local.get $depth) (i32.const 1)) (i32.add (local.get $seed) (i32.const 5)))))
  (func $walk (param $visitor i32) (result i32)
    (call $child (global.get $root) (local.get $visitor)))
  (global $root (mut i32) (i32.const 0))
  (func (export "visit") (param $n i32) (result i32)
    (local $sum i32)
    (if (i32.eqz (global.get $root))
      (then (global.set $root (call $tree (i32.const 9) (i32.const 2)))))
    (if (local.get $n)
      (then
        (loop $again
          (local.set $sum (i32.add (local.get $sum) (call $walk (i32.const 14))))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))
    (local.get $sum)))
