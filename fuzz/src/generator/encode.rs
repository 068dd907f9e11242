//! From a plan and function bodies to a module's bytes.

use super::function::Code;
use super::plan::{Plan, val_type};
use crate::host;
use crate::value::Type;
use std::borrow::Cow;
use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, Elements, EntityType,
    ExportKind, ExportSection, Function, FunctionSection, GlobalSection, GlobalType, ImportSection,
    MemorySection, MemoryType, Module, RefType, TableSection, TableType, TypeSection,
};

/// Fuel of a module whose runner does not set it.
const FUEL: i32 = 500;

/// The module of that plan and those functions.
pub fn encode(plan: &Plan, bodies: Vec<Code>) -> Vec<u8> {
    let mut module = Module::new();
    let mut types = TypeSection::new();
    for ty in &plan.types {
        let (params, results) = (&ty.params, &ty.results);
        types.ty().function(
            params.iter().map(|&ty| val_type(ty)),
            results.iter().map(|&ty| val_type(ty)),
        );
    }
    module.section(&types);
    let mut imports = ImportSection::new();
    for (name, ty) in &plan.imports {
        imports.import("host", name, EntityType::Function(*ty));
    }
    module.section(&imports);
    let mut functions = FunctionSection::new();
    for (ty, _) in &plan.functions {
        functions.function(*ty);
    }
    module.section(&functions);
    objects(plan, &mut module);
    module.section(&exports(plan));
    segments(plan, &mut module, bodies);
    module.finish()
}

fn objects(plan: &Plan, module: &mut Module) {
    let mut tables = TableSection::new();
    for table in &plan.tables {
        tables.table(TableType {
            element_type: RefType::FUNCREF,
            table64: false,
            minimum: table.entries.len() as u64,
            maximum: table.max,
            shared: false,
        });
    }
    module.section(&tables);
    let mut memories = MemorySection::new();
    for memory in &plan.memories {
        memories.memory(MemoryType {
            minimum: memory.min,
            maximum: memory.max,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
    }
    module.section(&memories);
    let mut globals = GlobalSection::new();
    for (index, &ty) in plan.globals.iter().enumerate() {
        let n = index as i64 * 7;
        let init = match ty {
            Type::I32 if index == 0 => ConstExpr::i32_const(FUEL),
            Type::I32 => ConstExpr::i32_const(n as i32),
            Type::I64 => ConstExpr::i64_const(-n),
            Type::F32 => ConstExpr::f32_const((n as f32).into()),
            _ => ConstExpr::f64_const((-n as f64).into()),
        };
        let ty = GlobalType {
            val_type: val_type(ty),
            mutable: true,
            shared: false,
        };
        globals.global(ty, &init);
    }
    module.section(&globals);
}

fn exports(plan: &Plan) -> ExportSection {
    let mut exports = ExportSection::new();
    let first = plan.imports.len() as u32;
    exports.export(host::ENTRY, ExportKind::Func, first);
    for index in 0..plan.functions.len() as u32 {
        exports.export(&format!("f{index}"), ExportKind::Func, first + index);
    }
    exports.export(host::FUEL, ExportKind::Global, 0);
    for index in 1..plan.globals.len() as u32 {
        exports.export(&format!("g{index}"), ExportKind::Global, index);
    }
    for index in 0..plan.memories.len() as u32 {
        exports.export(&format!("m{index}"), ExportKind::Memory, index);
    }
    for index in 0..plan.tables.len() as u32 {
        exports.export(&format!("t{index}"), ExportKind::Table, index);
    }
    exports
}

fn segments(plan: &Plan, module: &mut Module, bodies: Vec<Code>) {
    let mut elements = ElementSection::new();
    for segment in &plan.elements {
        elements.passive(Elements::Functions(Cow::Borrowed(segment)));
    }
    for (table, index) in plan.tables.iter().zip(0..) {
        for (entry, offset) in table.entries.iter().zip(0..) {
            if let Some(function) = *entry {
                let offset = ConstExpr::i32_const(offset);
                let items = Elements::Functions(Cow::Owned(vec![function]));
                elements.active(Some(index), &offset, items);
            }
        }
    }
    // Functions that code makes references to have to be declared.
    let all: Vec<u32> = (0..(plan.imports.len() + plan.functions.len()) as u32).collect();
    elements.declared(Elements::Functions(Cow::Owned(all)));
    module.section(&elements);
    module.section(&DataCountSection {
        count: plan.data.len() as u32,
    });
    let mut code = CodeSection::new();
    for body in bodies {
        let mut function = Function::new_with_locals_types(body.locals.into_iter().map(val_type));
        for instruction in &body.instructions {
            function.instruction(instruction);
        }
        code.function(&function);
    }
    module.section(&code);
    let mut data = DataSection::new();
    for bytes in &plan.data {
        data.passive(bytes.iter().copied());
    }
    module.section(&data);
}
