//! Decoding: what is kept of a module, and what is said of a bad one.

use super::*;
use crate::error::Error;
use crate::types::{ExternType, FuncType, GlobalType, MemoryType, TableType, ValType};

fn decode_text(text: &str) -> Result<ModuleInfo, Error> {
    decode(
        wat::parse_str(text).expect("text"),
        ModuleOptions::default(),
    )
}

fn error_of(text: &str) -> String {
    decode_text(text).expect_err("invalid").to_string()
}

const SAMPLE: &str = r#"
    (module $sample
      (type $unary (func (param i32) (result i32)))
      (import "env" "f" (func $f (type $unary)))
      (import "env" "g" (global $g i32))
      (import "env" "m" (memory 1 3))
      (import "env" "t" (table 2 funcref))
      (global $own (mut i64) (i64.const -1))
      (global $sum i32 (i32.add (global.get $g) (i32.const 5)))
      (global $ref funcref (ref.func $escapes))
      (memory $second 0)
      (func $plain (type $unary) (local.get 0))
      (func $escapes (nop))
      (func $exported (export "run"))
      (func $in_table (param v128))
      (elem (i32.const 1) func $f $in_table)
      (elem declare funcref (ref.func $exported) (ref.null func))
      (data (memory $second) (offset (i32.const 7)) "hello")
      (export "own" (global $own))
      (export "f again" (func $f))
      (start $escapes))"#;

#[test]
fn a_module_is_described() {
    let info = decode_text(SAMPLE).expect("valid");
    let unary = FuncType::new([ValType::I32], [ValType::I32]);
    let imports: Vec<_> = info
        .imports
        .iter()
        .map(|import| import.ty().clone())
        .collect();
    let expected = [
        ExternType::Func(unary.clone()),
        ExternType::Global(GlobalType {
            content: ValType::I32,
            mutable: false,
        }),
        ExternType::Memory(MemoryType {
            min: 1,
            max: Some(3),
        }),
        ExternType::Table(TableType {
            element: ValType::FuncRef,
            min: 2,
            max: None,
        }),
    ];
    assert_eq!(imports, expected);
    assert_eq!(
        (info.imports[0].module(), info.imports[0].name()),
        ("env", "f")
    );

    assert_eq!(
        (
            info.functions.len(),
            info.imported_functions,
            info.bodies.len()
        ),
        (5, 1, 4)
    );
    assert_eq!(info.func_type(1), &unary);
    assert_eq!((info.imported_memories, info.memories.len()), (1, 2));
    assert_eq!((info.imported_tables, info.imported_globals), (1, 1));
    assert_eq!(info.start, Some(2));
    assert_eq!(
        info.export("run").map(|export| export.index),
        Some(ExternIndex::Func(3))
    );
    assert_eq!(
        info.export("own").map(|export| export.index),
        Some(ExternIndex::Global(1))
    );
    assert!(info.export("ru").is_none());
    assert!(!info.is_private_global(0) && !info.is_private_global(1) && info.is_private_global(2));

    assert_eq!(info.global_inits[0].constant(), Some(u64::MAX.into()));
    assert_eq!(info.global_inits[1].evaluate(|_| 37, |_| 0), 42);
    assert_eq!(info.segment_bytes(&info.data[0]), b"hello");
    let SegmentMode::Active { target: 1, offset } = &info.data[0].mode else {
        panic!("memory 1")
    };
    assert_eq!(offset.constant(), Some(7));
    let items: Vec<_> = info.elements[0].items.iter().collect();
    assert_eq!(items, [ElementItem::Function(0), ElementItem::Function(4)]);
}

#[test]
fn functions_that_become_references_have_a_place() {
    let info = decode_text(SAMPLE).expect("valid");
    assert_eq!(info.escaping, [2, 3, 4]);
    assert_eq!(
        info.funcref_offset(0),
        Some(info.layout.imported_function(0))
    );
    assert_eq!(info.funcref_offset(1), None);
    assert_eq!(
        info.funcref_offset(3),
        Some(info.layout.escaping_function(1))
    );
}

#[test]
fn names_come_from_the_name_section() {
    let info = decode_text(SAMPLE).expect("valid");
    assert_eq!(info.name(), Some("sample"));
    let names: Vec<_> = (0..6).map(|index| info.func_name(index)).collect();
    let expected = [
        Some("f"),
        Some("plain"),
        Some("escapes"),
        Some("exported"),
        Some("in_table"),
    ];
    assert_eq!(names[..5], expected);
    assert_eq!(names[5], None);
    let unnamed = decode_text("(module (func))").expect("valid");
    assert_eq!((unnamed.name(), unnamed.func_name(0)), (None, None));
}

#[test]
fn a_bad_name_section_is_no_fault() {
    let mut bytes = wat::parse_str("(module (func))").expect("text");
    bytes.extend_from_slice(b"\x00\x09\x04name\x01\xff\xff\x00");
    let info = decode(bytes, ModuleOptions::default()).expect("valid");
    assert_eq!(info.func_name(0), None);
}

#[test]
fn errors_say_what_is_wrong_and_where() {
    let error = error_of("(module (func) (func $bad (result i32) i64.const 1))");
    assert!(
        error.starts_with("function 1 `bad`: type mismatch"),
        "{error}"
    );
    assert!(error.contains("at offset 0x"), "{error}");
    let error = error_of("(module (func (drop)))");
    assert!(error.starts_with("function 0: "), "{error}");
}

#[test]
fn proposals_that_are_not_supported_are_rejected_by_name() {
    let cases = [
        ("(module (memory 1 2 shared))", "threads"),
        ("(module (memory i64 1))", "memory64"),
        ("(module (tag))", "exceptions"),
        ("(module (type (struct)))", "gc"),
        (
            "(module (func (param (ref null 0))))",
            "function references",
        ),
        ("(module (func (param anyref)))", "gc"),
        (
            "(module (func (param v128 v128) (result v128)
                local.get 0 local.get 1 i8x16.relaxed_swizzle))",
            "relaxed SIMD",
        ),
        (
            "(module (func (i32.atomic.load (i32.const 0)) drop))",
            "threads",
        ),
        (
            "(module (func (param i64 i64 i64 i64) (result i64 i64)
            local.get 0 local.get 1 local.get 2 local.get 3 i64.add128))",
            "wide arithmetic",
        ),
        ("(module (memory 1 (pagesize 1)))", "page size"),
    ];
    for (text, feature) in cases {
        let error = error_of(text);
        assert!(error.contains(feature), "{text}: {error}");
        assert!(
            error.contains("supported are WebAssembly 2.0"),
            "{text}: {error}"
        );
    }
    let component =
        wat::parse_str("(component)").map(|bytes| decode(bytes, ModuleOptions::default()));
    if let Ok(result) = component {
        assert!(
            result
                .expect_err("a component")
                .to_string()
                .contains("component")
        );
    }
}

/// Many threads validate; the error is that of the first bad function, each time.
#[test]
fn the_first_bad_function_is_reported() {
    let mut text = String::from("(module ");
    for index in 0..5_000 {
        let body = match index {
            3_000 | 3_001 | 4_900 => "i32.const 0",
            _ => {
                "i32.const 1 i32.const 2 i32.add drop nop nop nop nop nop nop nop nop nop nop nop nop nop \
                  i32.const 1 i32.const 2 i32.add drop i64.const 99999999999 drop"
            }
        };
        text.push_str(&format!("(func {body})"));
    }
    text.push(')');
    let bytes = wat::parse_str(&text).expect("text");
    assert!(bytes.len() > 160 << 10, "large enough for two threads");
    for _ in 0..10 {
        let error = decode(bytes.clone(), ModuleOptions::default()).expect_err("invalid");
        assert!(error.to_string().starts_with("function 3000: "), "{error}");
    }
}

#[test]
fn truncation_anywhere_is_an_error() {
    let bytes = wat::parse_str(SAMPLE).expect("text");
    for end in 0..bytes.len() {
        // A prefix may be a module by itself, without its last sections; it never makes the decoder panic.
        let _ = decode(bytes[..end].to_vec(), ModuleOptions::default());
    }
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            if let Ok(info) = decode(bytes, ModuleOptions::default()) {
                let _ = info.func_name(1);
            }
        }
    }
}

/// A module with a table and a global, and what it has besides: the value of the global, and which function is element 1 and
/// the only element that function 1 is, as far as they never change.
fn unchanged(besides: &str) -> (Option<u128>, Option<u32>, Option<u32>) {
    let text = format!(
        "(module (table $t 4 funcref) (table $other 4 funcref) (global $g (mut i32) (i32.const 7))
            (func $f) (func $h)
            (elem (i32.const 0) $f $h) (elem (i32.const 2) funcref (ref.null func) (ref.func $f))
            {besides})"
    );
    let info = decode_text(&text).expect("valid");
    let element = info.unchanged_element(0, 1);
    (info.unchanged_global(0), element, info.only_element(0, 1))
}

#[test]
fn what_a_module_never_changes_is_known() {
    let all = (Some(7), Some(1), Some(1));
    for besides in [
        "",
        "(func (drop (global.get $g)) (drop (table.get $t (i32.const 0))))",
        "(func (table.set $other (i32.const 0) (ref.null func)))",
        "(func (table.copy $other $t (i32.const 0) (i32.const 0) (i32.const 1)))",
        "(export \"other\" (table $other)) (elem (table $other) (i32.const 2) func $f $f)",
    ] {
        assert_eq!(unchanged(besides), all, "{besides}");
    }
    for besides in [
        "(export \"t\" (table $t))",
        "(func (table.set $t (i32.const 0) (ref.null func)))",
        "(func (table.fill $t (i32.const 0) (ref.null func) (i32.const 1)))",
        "(func (drop (table.grow $t (ref.null func) (i32.const 1))))",
        "(func (table.copy $t $other (i32.const 0) (i32.const 0) (i32.const 1)))",
        "(func (table.init $t 0 (i32.const 0) (i32.const 0) (i32.const 1)))",
        // Not every instance gets that far.
        "(elem (table $other) (i32.const 3) func $f $f)",
    ] {
        assert_eq!(unchanged(besides), (Some(7), None, None), "{besides}");
    }
    for besides in [
        "(export \"g\" (global $g))",
        "(func (global.set $g (i32.const 7)))",
    ] {
        assert_eq!(unchanged(besides), (None, Some(1), Some(1)), "{besides}");
    }
    // Function 0 is two elements; element 2 is null.
    let info = decode_text(
        "(module (table 4 funcref) (func) (elem (i32.const 0) 0 0) (elem (i32.const 3) funcref (ref.func 0)))",
    );
    let info = info.expect("valid");
    assert_eq!(info.only_element(0, 0), None);
    let elements = [0, 1, 2, 3, 4].map(|element| info.unchanged_element(0, element));
    assert_eq!(elements, [Some(0), Some(0), None, Some(0), None]);
}

#[test]
fn the_size_of_a_memory_that_cannot_change_is_known() {
    let pages = |text: &str| {
        let info = decode_text(&format!("(module {text})"));
        info.expect("valid").fixed_memory_pages(0)
    };
    for (known, text) in [
        (Some(3), "(memory 3)"),
        (
            Some(3),
            "(memory 3 5) (memory $b 1) (func (drop (memory.grow $b (i32.const 1))))",
        ),
        (Some(3), "(memory 3) (func (block (nop)))"),
        (
            Some(3),
            "(memory (export \"m\") 3 3) (func (drop (memory.grow (i32.const 1))))",
        ),
        (Some(3), "(import \"a\" \"m\" (memory 3 3))"),
        (None, "(import \"a\" \"m\" (memory 3))"),
        (None, "(memory 3) (export \"m\" (memory 0))"),
        (None, "(memory 3) (func (drop (memory.grow (i32.const 1))))"),
    ] {
        assert_eq!(pages(text), known, "{text}");
    }
}

#[test]
fn segments_at_a_place_that_is_not_known_leave_a_table_unknown() {
    let info = decode_text(
        "(module (import \"a\" \"g\" (global $g i32)) (import \"a\" \"t\" (table 1 funcref)) (table $own 4 funcref)
            (func) (elem (table $own) (global.get $g) func 0))",
    );
    assert_eq!(info.expect("valid").unchanged_element(1, 0), None);
    let info = decode_text(
        "(module (import \"a\" \"t\" (table 1 funcref)) (table $own 4 funcref)
            (func) (elem (table 0) (i32.const 0) func 0) (elem (table $own) (i32.const 0) func 0))",
    );
    let info = info.expect("valid");
    // The first segment may not fit what is imported; then what it has put there runs without the second.
    assert_eq!(info.unchanged_element(1, 0), None);
    assert_eq!(info.unchanged_element(0, 0), None);
}
