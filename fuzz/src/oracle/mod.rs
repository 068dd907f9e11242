//! The other engines: wasmi, an interpreter that shares no code with the compilers, and wasmtime if it is built in.
//!
//! Version 2 is what cases are compared with: it can be told to produce canonical NaNs. It is young and gets some
//! programs wrong, so version 1, which works in quite another way, is asked for a second opinion when there is a
//! difference.

#[cfg(feature = "wasmtime")]
pub mod wasmtime;

use wasmparser::{Import, Operator, Parser, Payload, TypeRef};

/// Version 2.
pub mod newer {
    use wasmi as engine;
    use wasmi::{Nullable, Ref};
    include!("engine.rs");

    fn null(ty: wasmi::RefType) -> Ref {
        Ref::null(ty)
    }

    fn default_value(ty: ValType) -> Val {
        Val::default_for_ty(ty)
    }

    fn from_element(store: &impl wasmi::AsContext, element: Ref) -> Value {
        match element {
            Ref::Func(reference) => Value::Func(!reference.is_null()),
            Ref::Extern(reference) => from_extern(store, reference),
        }
    }
}

/// Version 1.
pub mod older {
    use wasmi_older as engine;
    use wasmi_older::Ref as Nullable;
    include!("engine.rs");

    fn null(ty: ValType) -> Val {
        Val::default(ty)
    }

    fn default_value(ty: ValType) -> Val {
        Val::default(ty)
    }

    fn from_element(store: &impl wasmi_older::AsContext, element: Val) -> Value {
        from_val(store, &element)
    }
}

/// Why version 2 must not be given this module, if so. It aborts the process at some stores of vector lanes, and reads
/// memory that is not its own at tail calls of imported functions.
pub fn unfit(module: &[u8]) -> Option<&'static str> {
    let mut imported_functions = 0;
    let crashes = |operator: &Operator<'_>, imported_functions| match operator {
        Operator::V128Store8Lane { .. } | Operator::V128Store16Lane { .. } => {
            Some("the other engine crashes at stores of narrow vector lanes")
        }
        Operator::ReturnCall { function_index } if *function_index < imported_functions => {
            Some("the other engine crashes at tail calls of imported functions")
        }
        _ => None,
    };
    for payload in Parser::new(0).parse_all(module) {
        match payload {
            Ok(Payload::ImportSection(imports)) => {
                let is_function = |import: &Import<'_>| matches!(import.ty, TypeRef::Func(_));
                let imports = imports.into_imports().flatten();
                imported_functions = imports.filter(is_function).count() as u32;
            }
            Ok(Payload::CodeSectionEntry(body)) => {
                let operators = body.get_operators_reader().ok()?.into_iter().flatten();
                let mut reasons = operators.filter_map(|o| crashes(&o, imported_functions));
                if let Some(reason) = reasons.next() {
                    return Some(reason);
                }
            }
            _ => {}
        }
    }
    None
}
