;; Loops that nothing jumps back to, that cannot be reached, or that have one or the other around them or in front of
;; them: all of them count when loops are numbered.
;; Tier 0 by Cranelift knows which loops are none and does not wait for them; the events are those without that knowledge.
;; flags: sync copy-and-patch

(module
  (func (export "dead") (param $n i32) (result i32)
    (local $sum i32)
    (block $skip
      (br $skip)
      (loop $never (loop $neither (br_if $never (local.get $n)) (br $neither))))
    (loop $next
      (local.set $sum (i32.add (local.get $sum) (local.get $n)))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $next (local.get $n))
      (return (local.get $sum))
      (loop $never (br $never)))
    unreachable)

  ;; The value below the loops is the same one in each of them.
  (func (export "once") (param $n i32) (result i32)
    (local $sum i32)
    (local.set $sum (i32.const 3))
    (local.set $sum
      (i32.add (local.get $sum)
        (block (result i32)
          (loop $once (result i32)
            (block $out (result i32)
              (loop $hot (result i32)
                (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                (br_if $hot (local.get $n))
                (loop $again (result i32) (br $out (i32.const 4)))))))))
    (local.get $sum))

  (func (export "else") (param $n i32) (result i32)
    (local $i i32) (local $sum i32)
    (loop $outer
      (i32.const 1)
      (if (result i32) (i32.and (local.get $n) (i32.const 1))
        (then (loop $then (result i32) (local.get $n)))
        (else
          (local.set $i (i32.const 3))
          (loop $else (result i32)
            (local.set $i (i32.sub (local.get $i) (i32.const 1)))
            (br_if $else (local.get $i))
            (i32.const 2))))
      (local.set $sum (i32.add (i32.add (local.get $sum))))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $outer (local.get $n)))
    (local.get $sum)))

(assert_return (invoke "dead" (i32.const 5000)) (i32.const 12502500))
(assert_return (invoke "once" (i32.const 5000)) (i32.const 7))
(assert_return (invoke "once" (i32.const 1)) (i32.const 7))
(assert_return (invoke "else" (i32.const 5000)) (i32.const 6260000))

;; events:
;; dead: tier 0
;; dead: loop 2: tier 0 -> 1 wanted after 1000 iterations
;; dead: loop 2: tier 1 ready
;; dead: loop 2: tier 0 -> 1
;; once: tier 0
;; once: loop 1: tier 0 -> 1 wanted after 1501 iterations
;; once: loop 1: tier 1 ready
;; once: loop 1: tier 0 -> 1
;; once: tier 0 -> 1 wanted after 2 calls, 1501 iterations
;; once: tier 1
;; else: tier 0
;; else: loop 0: tier 0 -> 1 wanted after 1001 iterations
;; else: loop 0: tier 1 ready
;; else: loop 0: tier 0 -> 1
