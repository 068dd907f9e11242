//! The module `spectest` that the scripts of the test suite import from.

use crate::error::Result;
use crate::handle::{Global, Memory, Table};
use crate::linker::Linker;
use crate::store::Store;
use crate::types::{GlobalType, MemoryType, TableType, ValType};
use crate::val::{Extern, Val};

const NAME: &str = "spectest";

/// Defines the module's functions, globals, table and memory. What its functions are told to print is dropped.
pub(super) fn define(linker: &mut Linker<()>, store: &mut Store<()>) -> Result<()> {
    linker
        .func_wrap(NAME, "print", || {})?
        .func_wrap(NAME, "print_i32", |_: i32| {})?
        .func_wrap(NAME, "print_i64", |_: i64| {})?
        .func_wrap(NAME, "print_f32", |_: f32| {})?
        .func_wrap(NAME, "print_f64", |_: f64| {})?
        .func_wrap(NAME, "print_i32_f32", |_: i32, _: f32| {})?
        .func_wrap(NAME, "print_f64_f64", |_: f64, _: f64| {})?;
    let globals = [
        ("global_i32", Val::from(666_i32)),
        ("global_i64", Val::from(666_i64)),
        ("global_f32", Val::from(666.6_f32)),
        ("global_f64", Val::from(666.6_f64)),
    ];
    for (name, value) in globals {
        let ty = GlobalType {
            content: value.ty(),
            mutable: false,
        };
        let global = Global::new(&mut *store, ty, value)?;
        linker.define(&*store, NAME, name, global)?;
    }
    let ty = TableType {
        element: ValType::FuncRef,
        min: 10,
        max: Some(20),
    };
    let table = Extern::from(Table::new(&mut *store, ty, Val::FuncRef(None))?);
    linker.define(&*store, NAME, "table", table)?;
    let memory = Memory::new(
        &mut *store,
        MemoryType {
            min: 1,
            max: Some(2),
        },
    )?;
    linker.define(&*store, NAME, "memory", memory)?;
    Ok(())
}
