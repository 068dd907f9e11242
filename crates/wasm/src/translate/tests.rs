//! Translation of small programs: the CLIF is valid, compiles in each tier's setting, and has the shape it should.

use super::function;
use crate::info::{ModuleInfo, ModuleOptions, decode};
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable, Flags};
use cranelift_codegen::{Context, ir, verify_function};
use std::fmt::Write;
use upshift::embed::FuncId;

const PLAIN: ModuleOptions = ModuleOptions {
    interruptible: false,
};

fn isa(opt_level: &str) -> OwnedTargetIsa {
    let mut flags = settings::builder();
    let settings = [
        ("opt_level", opt_level),
        ("is_pic", "true"),
        ("preserve_frame_pointers", "true"),
        ("enable_multi_ret_implicit_sret", "true"),
    ];
    for (name, value) in settings {
        flags.set(name, value).expect("a setting");
    }
    let builder = cranelift_native::builder().expect("a supported host");
    builder.finish(Flags::new(flags)).expect("an ISA")
}

/// All functions of a module, verified and compiled.
fn bodies(text: &str, options: ModuleOptions) -> Vec<ir::Function> {
    let info = decode(wat::parse_str(text).expect("text"), options).expect("valid");
    let bodies = (0..info.bodies.len() as u32).map(|own| body(&info, own));
    bodies.collect()
}

fn body(info: &ModuleInfo, own: u32) -> ir::Function {
    let body = function(info, own, FuncId(1000)).expect("translated");
    for opt_level in ["none", "speed"] {
        let isa = isa(opt_level);
        if let Err(error) = verify_function(&body, &*isa) {
            panic!("{error}\n{body}");
        }
        let mut context = Context::for_function(body.clone());
        if let Err(error) = context.compile(&*isa, &mut ControlPlane::default()) {
            panic!("{:?}\n{body}", error.inner);
        }
    }
    body
}

/// The CLIF of a module's first function.
fn clif(text: &str) -> String {
    bodies(text, PLAIN)[0].to_string()
}

/// How often `part` occurs.
fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

#[test]
fn blocks_that_nothing_jumps_to_the_end_of_cost_nothing() {
    let clif = clif(
        "(module (func (param i32) (result i32)
            block (result i32) block (result i32) local.get 0 i32.const 1 i32.add end end))",
    );
    assert_eq!(count(&clif, "\n\nblock"), 0, "{clif}");
    assert_eq!(count(&clif, "jump"), 0, "{clif}");
}

#[test]
fn comparisons_are_fused_with_what_tests_them() {
    let clif = clif(
        "(module (func (param i32 i64) (result i32)
            (if (i32.lt_s (local.get 0) (i32.const 3)) (then (return (i32.const 1))))
            (block (br_if 0 (i32.eqz (i64.eqz (local.get 1)))))
            (block (br_if 0 (i32.eqz (local.get 0))))
            (select (i32.const 4) (i32.const 5) (f64.lt (f64.const 0) (f64.const 1)))))",
    );
    for line in clif
        .lines()
        .filter(|line| line.contains("brif") || line.contains("select"))
    {
        let tested = line
            .split_whitespace()
            .find(|word| word.starts_with('v') && word.ends_with(','));
        let tested = tested.expect("an operand").trim_end_matches(',');
        let definition = clif
            .lines()
            .find(|line| line.contains(&format!("{tested} = ")));
        assert!(
            !definition.is_some_and(|line| line.contains("uextend")),
            "{line}\n{clif}"
        );
    }
}

#[test]
fn code_that_cannot_be_reached_is_skipped() {
    let bodies = bodies(
        "(module
          (func (result i32) unreachable block loop i32.const 0 if else end end end i32.add)
          (func (result i32) (block (result i32) (br 0 (i32.const 1)) (block (br 0)) i64.const 0 drop))
          (func (param i32) (result i32)
            (if (result i32) (local.get 0) (then unreachable) (else unreachable)))
          (func (param i32) (if (local.get 0) (then return) (else return)) unreachable)
          (func (param i32) (loop (br 0)))
          (func (param i32) (loop (loop (br 1)) (br 0)))
          (func (param i32) (result i64) (loop (result i64) (br_table 0 0 (local.get 0))))
          (func (result i32) (loop (result i32) (return (i32.const 1)) (if (then)) i32.const 2)))",
        PLAIN,
    );
    assert_eq!(bodies.len(), 8);
    let first = bodies[0].to_string();
    assert_eq!(count(&first, "\n\nblock"), 0, "{first}");
}

#[test]
fn blocks_take_and_give_several_values() {
    bodies(
        "(module
          (type $two (func (param i32 i64) (result i64 i32)))
          (func (param i32 i64) (result i64 i32)
            local.get 0 local.get 1
            block (type $two) local.set 1 local.set 0 local.get 1 local.get 0 end
            drop i32.wrap_i64 local.get 1
            loop (type $two) local.set 1 local.tee 0 local.get 1 local.get 0 br_if 0
              local.set 1 drop local.get 1 i32.const 2 end)
          (func (param i32 f32 v128) (result f32 v128)
            local.get 1 local.get 2
            local.get 0
            if (param f32 v128) (result f32 v128) drop drop f32.const 1 local.get 2 end
            local.get 0
            if (param f32 v128) (result f32 v128) br 0 else br 1 end)
          (func (result i32 i64 f32 f64 i32 i64 f32 f64 i32 i64 f32 f64 v128 funcref externref)
            i32.const 1 i64.const 2 f32.const 3 f64.const 4 i32.const 1 i64.const 2 f32.const 3
            f64.const 4 i32.const 1 i64.const 2 f32.const 3 f64.const 4
            v128.const i64x2 1 2 ref.null func ref.null extern)
          (func (result i32) call 2 drop drop drop drop drop drop drop drop drop drop drop drop drop drop))",
        PLAIN,
    );
}

#[test]
fn accesses_are_checked_by_the_guard_if_their_offset_is_small() {
    let small = clif(
        "(module (memory 1) (func (param i32) (result i32)
            (i32.load offset=100 (local.get 0)) (i32.load offset=2147483644 (local.get 0)) i32.add))",
    );
    assert_eq!(count(&small, "trapnz"), 0, "{small}");
    assert_eq!(count(&small, "+0x7fff_fffc"), 1, "{small}");
    // Known within the block: one load.
    assert_eq!(count(&small, "readonly can_move v0"), 1, "{small}");

    let large = clif(
        "(module (memory 1) (func (param i32)
            (i64.store offset=2147483641 (local.get 0) (i64.const 1))
            (i64.store offset=4294967295 (local.get 0) (i64.const 1))))",
    );
    assert_eq!(count(&large, "trapnz"), 2, "{large}");
}

#[test]
fn memories_are_told_apart_and_sized() {
    bodies(
        "(module (import \"\" \"\" (memory 1)) (memory 1) (memory $c 2 3) (data $d \"x\")
          (func (param i32) (result i32)
            (i32.store 1 (local.get 0) (i32.load8_u $c (local.get 0)))
            (memory.size $c) (memory.grow $c (i32.const 1)) i32.add
            (memory.fill 1 (i32.const 0) (i32.const 1) (i32.const 2))
            (memory.copy 1 $c (i32.const 0) (i32.const 1) (i32.const 2))
            (memory.init $c $d (i32.const 0) (i32.const 1) (i32.const 2))
            (data.drop $d)
            (v128.store64_lane 1 1 (local.get 0) (v128.load $c (local.get 0)))))",
        PLAIN,
    );
}

#[test]
fn tables_and_references() {
    let bodies = bodies(
        "(module (table $t 10 funcref) (table $fixed 4 4 externref)
          (elem $e func $f) (elem declare func 0)
          (func $f (param i32 externref) (result funcref i32)
            (table.set $t (local.get 0) (ref.func $f))
            (table.set $fixed (local.get 0) (local.get 1))
            (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1))
            (table.copy $t $t (i32.const 0) (i32.const 0) (i32.const 1))
            (table.fill $fixed (i32.const 0) (ref.null extern) (i32.const 1))
            (elem.drop $e)
            (table.get $t (i32.const 1))
            (ref.is_null (table.get $fixed (i32.const 1)))
            (table.size $t) i32.add
            (table.grow $t (ref.null func) (i32.const 1)) i32.add)
          (func (param i32) (result externref) (table.get $fixed (local.get 0))))",
        PLAIN,
    );
    let fixed = bodies[1].to_string();
    assert!(fixed.contains("iconst.i64 4"), "the size is known: {fixed}");
}

#[test]
fn calls_of_every_kind() {
    let bodies = bodies(
        "(module
          (import \"\" \"i\" (func $import (param i32) (result i32)))
          (type $t (func (param i32) (result i32)))
          (table 3 funcref)
          (func $own (param i32) (result i32) (call $import (call $own (local.get 0))))
          (func (param i32) (result i32) (call_indirect (type $t) (local.get 0) (local.get 0)))
          (func (param i32) (result i32) (return_call $own (local.get 0)))
          (func (param i32) (result i32) (return_call $import (local.get 0)))
          (func (param i32) (result i32) (return_call_indirect (type $t) (i32.const 1) (local.get 0))))",
        PLAIN,
    );
    let [own, indirect, tail, tail_import, tail_indirect] = &bodies[..] else {
        panic!("five")
    };
    let own = own.to_string();
    assert!(
        own.contains("= u0:1000 sig"),
        "called by name, not colocated: {own}"
    );
    assert_eq!(count(&own, "call_indirect"), 1, "{own}");
    let indirect = indirect.to_string();
    for kind in ["user2", "user3", "user4"] {
        assert_eq!(count(&indirect, kind), 1, "bounds, null, type: {indirect}");
    }
    assert_eq!(count(&tail.to_string(), "return_call fn"), 1);
    assert_eq!(count(&tail_import.to_string(), "return_call_indirect"), 1);
    assert_eq!(count(&tail_indirect.to_string(), "return_call_indirect"), 1);
}

#[test]
fn globals_by_what_is_known_of_them() {
    let bodies = bodies(
        "(module (import \"\" \"a\" (global $a (mut i32))) (import \"\" \"b\" (global $b i64))
          (global $c f32 (f32.const 2.5)) (global $d (mut v128) (v128.const i64x2 1 2))
          (global $e externref (ref.null extern)) (global $f (mut i32) (i32.const 0))
          (export \"f\" (global $f))
          (func (result i32) (global.set $a (i32.const 1)) (global.get $a))
          (func (result i64) (global.get $b))
          (func (result f32) (global.get $c))
          (func (result v128) (global.set $d (global.get $d)) (global.get $d))
          (func (result externref) (global.get $e))
          (func (result i32) (global.set $f (global.get $a)) (global.get $f)))",
        PLAIN,
    );
    let text: Vec<String> = bodies.iter().map(|body| body.to_string()).collect();
    assert!(text[2].contains("f32const 0x1.4"), "{}", text[2]);
    assert!(text[3].contains("private global"), "{}", text[3]);
    assert!(!text[5].contains("private global"), "{}", text[5]);
}

#[test]
fn interruptible_code_looks_at_the_flag() {
    let text =
        "(module (func (param i32) (loop (loop (br_if 0 (local.get 0))) (br_if 0 (local.get 0)))))";
    let interruptible = bodies(
        text,
        ModuleOptions {
            interruptible: true,
        },
    )[0]
    .to_string();
    assert_eq!(count(&interruptible, "atomic_load"), 3, "{interruptible}");
    assert_eq!(count(&clif(text), "atomic_load"), 0);
}

#[test]
fn the_stack_limit_is_read_through_the_context() {
    let body = &bodies("(module (func))", PLAIN)[0];
    assert!(body.stack_limit.is_some());
    assert_eq!(body.params.user_named_funcs().len(), 0);
}

#[test]
fn every_instruction_has_its_position() {
    let bytes = wat::parse_str("(module (func (param i32) (result i32) local.get 0 i32.popcnt))");
    let info = decode(bytes.expect("text"), PLAIN).expect("valid");
    let body = body(&info, 0);
    let at = |wanted: ir::Opcode| {
        let insts = body
            .layout
            .blocks()
            .flat_map(|block| body.layout.block_insts(block));
        let mut found = insts.filter(|&inst| body.dfg.insts[inst].opcode() == wanted);
        body.srcloc(found.next().expect("there is one")).bits()
    };
    let position = at(ir::Opcode::Popcnt) as usize;
    assert_eq!(info.bytes[position], 0x69);
    assert_eq!(info.bytes[at(ir::Opcode::Return) as usize], 0x0b);
}

#[test]
fn large_functions() {
    let mut many_locals = String::from("(module (func (param i32) (local");
    many_locals.push_str(&" i64".repeat(49_000));
    many_locals.push_str(") (loop (local.set 48000 (i64.const 1)) (br_if 0 (local.get 0)))))");
    bodies(&many_locals, PLAIN);

    let mut table = String::from(
        "(module (func (param i32) (result i32)
          (block (result i32) (i32.const 1)
            (loop (param i32) (result i32) (block (param i32) (result i32) (br_table 0 2 1",
    );
    table.push_str(&" 1 2 0 1 1".repeat(40_000));
    table.push_str(" 2 (local.get 0)))))))");
    let body = bodies(&table, PLAIN).remove(0);
    assert!(body.dfg.num_blocks() < 20, "one block for each target");

    let mut deep = String::from("(module (func (param i32) ");
    deep.push_str(&"block ".repeat(5_000));
    for depth in 0..5_000 {
        write!(deep, "local.get 0 br_if {} end ", depth % (5_000 - depth)).expect("a string");
    }
    deep.push_str("))");
    bodies(&deep, PLAIN);
}

/// A failed translation leaves nothing behind that the next one on the thread stumbles over.
#[test]
fn a_function_that_is_not_there_is_an_error() {
    let bytes = wat::parse_str("(module (func))").expect("text");
    let info = decode(bytes, PLAIN).expect("valid");
    assert!(function(&info, 1, FuncId(0)).is_err());
    let mut broken = info;
    let end = broken.bodies[0].end as usize;
    let mut bytes = broken.bytes.to_vec();
    bytes[end - 1] = 0xff;
    broken.bytes = bytes.into();
    assert!(function(&broken, 0, FuncId(0)).is_err());
    bodies(
        "(module (func (param i32) (result i32) (local.get 0)))",
        PLAIN,
    );
}

/// An operation's code without a translator around it, as a generator of stencils makes it.
#[test]
fn operations_can_be_used_by_themselves() {
    use crate::lower::{int, memory::i32_load};
    use crate::translate::{Env, global, memory, table};
    use cranelift_codegen::ir::types::{I32, I64};
    use cranelift_codegen::ir::{AbiParam, InstBuilder, Signature};
    use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};

    let text = "(module (memory 1) (table 1 externref) (global (mut i32) (i32.const 0)))";
    let info = decode(wat::parse_str(text).expect("text"), PLAIN).expect("valid");
    let isa = isa("speed");
    let mut signature = Signature::new(isa.default_call_conv());
    signature
        .params
        .extend([AbiParam::new(I64), AbiParam::new(I32)]);
    signature.returns.extend([AbiParam::new(I64)]);
    let mut body = ir::Function::with_name_signature(ir::UserFuncName::default(), signature);
    let mut context = FunctionBuilderContext::new();
    let mut b = FunctionBuilder::new(&mut body, &mut context);
    let block = b.create_block();
    b.append_block_params_for_function_params(block);
    b.switch_to_block(block);
    let &[vmctx, index] = b.block_params(block) else {
        panic!("two parameters")
    };
    let mut env = Env::new(&info, FuncId(0), vmctx);
    let location = memory::location(&mut b, &mut env, 0, index, 16, 4);
    let loaded = i32_load(&mut b, location);
    let old = global::global_get(&mut b, &mut env, 0, false);
    let sum = int::i32_add(&mut b, loaded, old);
    global::global_set(&mut b, &mut env, 0, sum);
    let element = table::table_get(&mut b, &mut env, 0, sum);
    b.ins().return_(&[element]);
    b.seal_all_blocks();
    b.finalize(isa.frontend_config());
    verify_function(&body, &*isa).expect("valid CLIF");
}

/// Whatever the validator accepts can be translated.
#[test]
fn mutated_modules_never_panic() {
    let texts = [
        "(module (memory 1) (table 2 funcref) (elem (i32.const 0) 0 1) (global (mut i64) (i64.const 1))
          (func (param i32 i64) (result i64) (local f64 v128)
            (block $b (loop $l (br_if $b (i32.lt_u (local.get 0) (i32.const 9)))
              (local.set 0 (i32.add (local.get 0) (i32.load8_s offset=3 (local.get 0)))) (br $l)))
            (global.set 0 (i64.mul (local.get 1) (global.get 0)))
            (if (result i64) (i64.eqz (local.get 1)) (then (i64.const 3)) (else (global.get 0))))
          (func (result i32) (i32.const 1)))",
        "(module (type $t (func (param i32) (result i32)))
          (import \"a\" \"b\" (func $i (type $t))) (memory 1) (data \"abc\") (table 3 4 funcref) (elem declare func 0 1)
          (func $f (type $t) (block (block (block (br_table 0 1 2 1 0 (local.get 0))) (return (i32.const 1)))
              (drop (table.grow 0 (ref.func $f) (i32.const 2)))) (memory.init 0 (i32.const 1) (i32.const 0) (i32.const 2))
            (call $i (call_indirect (type $t) (select (local.get 0) (i32.const 2) (i32.const 3)) (local.get 0))))
          (func (type $t) (return_call $f (i32.trunc_sat_f64_s (f64.const 1e9)))))",
        "(module (memory 1) (func (param v128 i32) (result v128)
            (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 31 (local.get 0)
              (v128.load32_lane 1 (local.get 1) (f32x4.mul (local.get 0) (v128.const f32x4 1 2 3 4))))
            (i16x8.extadd_pairwise_i8x16_s) (v128.bitselect (local.get 0) (i64x2.splat (i64.const 7)))))",
    ];
    let isa = isa("none");
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    let mut translated = 0;
    for text in texts {
        let bytes = wat::parse_str(text).expect("text");
        for _ in 0..4_000 {
            let mut bytes = bytes.clone();
            for _ in 0..=next(3) {
                let at = next(bytes.len());
                bytes[at] = next(256) as u8;
            }
            let options = ModuleOptions {
                interruptible: next(2) == 0,
            };
            let Ok(info) = decode(bytes, options) else {
                continue;
            };
            for own in 0..info.bodies.len() as u32 {
                let body = function(&info, own, FuncId(0)).expect("valid functions are translated");
                verify_function(&body, &*isa).expect("valid CLIF");
                translated += 1;
            }
        }
    }
    assert!(translated > 1_000, "{translated} functions were translated");
}
