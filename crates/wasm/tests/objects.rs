//! Memories, tables and globals: the host's and the program's, shared between instances.

mod common;

use common::{engine, in_each_way, instantiate, link, module};
use upshift_wasm::{
    Extern, ExternRef, Func, Global, GlobalType, Instance, Linker, Memory, MemoryType, Store,
    Table, TableType, Val, ValType,
};

#[test]
fn memories_are_read_written_and_grown_from_both_sides() {
    let text = r#"(module
        (memory (export "memory") 1 3)
        (func (export "get") (param i32) (result i32) (i32.load8_u (local.get 0)))
        (func (export "set") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
        (func (export "size") (result i32) memory.size))"#;
    in_each_way(|engine| {
        let (mut store, instance) = instantiate(engine, text);
        let memory = instance.get_memory(&store, "memory").unwrap();
        let get = instance.get_typed_func::<u32, u32>(&store, "get").unwrap();
        let set = instance
            .get_typed_func::<(u32, u32), ()>(&store, "set")
            .unwrap();
        let grow = instance.get_typed_func::<u32, i32>(&store, "grow").unwrap();
        let size = instance.get_typed_func::<(), u32>(&store, "size").unwrap();

        memory.write(&mut store, 65_535, &[9]).unwrap();
        assert_eq!(get.call(&mut store, 65_535).unwrap(), 9);
        assert!(memory.write(&mut store, 65_535, &[1, 2]).is_err());
        assert_eq!(get.call(&mut store, 65_535).unwrap(), 9);
        assert!(get.call(&mut store, 65_536).is_err());
        assert_eq!(grow.call(&mut store, 1).unwrap(), 1);
        assert_eq!(
            (memory.size(&store), memory.data_size(&store)),
            (2, 131_072)
        );
        set.call(&mut store, (131_071, 5)).unwrap();
        let mut byte = [0];
        memory.read(&store, 131_071, &mut byte).unwrap();
        assert_eq!(byte, [5]);
        assert!(memory.read(&store, usize::MAX, &mut byte).is_err());
        assert_eq!(memory.grow(&mut store, 1).unwrap(), 2);
        assert_eq!(size.call(&mut store, ()).unwrap(), 3);
        assert_eq!(grow.call(&mut store, 1).unwrap(), -1);
        assert!(memory.grow(&mut store, 1).is_err());
        assert!(memory.grow(&mut store, u64::MAX).is_err());
        assert_eq!(grow.call(&mut store, 0).unwrap(), 3);
        assert_eq!(
            memory.ty(&store),
            MemoryType {
                min: 3,
                max: Some(3)
            }
        );
        memory.data_mut(&mut store)[10] = 77;
        assert_eq!(get.call(&mut store, 10).unwrap(), 77);
    });
}

#[test]
fn memory_and_data_at_the_same_time() {
    let mut store = Store::new(&engine(), vec![0_u8; 4]);
    let memory = Memory::new(&mut store, MemoryType { min: 1, max: None }).unwrap();
    memory.write(&mut store, 3, b"abcd").unwrap();
    let (bytes, data) = memory.data_and_store_mut(&mut store);
    data.copy_from_slice(&bytes[3..7]);
    bytes[0] = data[3];
    assert_eq!(
        (store.data().as_slice(), memory.data(&store)[0]),
        (&b"abcd"[..], b'd')
    );
}

#[test]
fn a_memory_of_four_gibibytes() {
    let text = r#"(module
        (memory (export "memory") 65535 65536)
        (func (export "grow") (result i32) (memory.grow (i32.const 1)))
        (func (export "get") (param i32) (result i32) (i32.load8_u (local.get 0)))
        (func (export "over") (drop (i32.load (i32.const -1)))))"#;
    in_each_way(|engine| {
        let (mut store, instance) = instantiate(engine, text);
        let get = instance.get_typed_func::<i32, i32>(&store, "get").unwrap();
        assert!(get.call(&mut store, -1).is_err());
        let grow = instance.get_typed_func::<(), i32>(&store, "grow").unwrap();
        assert_eq!(grow.call(&mut store, ()).unwrap(), 65_535);
        assert_eq!(grow.call(&mut store, ()).unwrap(), -1);
        let memory = instance.get_memory(&store, "memory").unwrap();
        assert_eq!(memory.data_size(&store), 1 << 32);
        memory.write(&mut store, (1 << 32) - 1, &[6]).unwrap();
        assert_eq!(get.call(&mut store, -1).unwrap(), 6);
        let over = instance.get_typed_func::<(), ()>(&store, "over").unwrap();
        assert!(over.call(&mut store, ()).is_err());
    });
}

#[test]
fn a_table_shared_by_instances_and_the_host() {
    let owner = r#"(module
        (type $f (func (result i32)))
        (table (export "table") 3 10 funcref)
        (func $zero (result i32) i32.const 0)
        (elem (i32.const 0) $zero)
        (func (export "call") (param i32) (result i32)
            (call_indirect (type $f) (local.get 0)))
        (func (export "grow") (param funcref i32) (result i32)
            (table.grow (local.get 0) (local.get 1))))"#;
    let user = r#"(module
        (import "owner" "table" (table 2 funcref))
        (global $base (mut i32) (i32.const 40))
        (func $two (result i32)
            (global.set $base (i32.add (global.get $base) (i32.const 1)))
            global.get $base)
        (elem (i32.const 1) $two))"#;
    in_each_way(|engine| {
        let mut linker = Linker::<()>::new(engine);
        let mut store = Store::new(engine, ());
        let owner = link(&mut store, &linker, owner);
        linker.instance(&store, "owner", owner).unwrap();
        let call = owner.get_typed_func::<i32, i32>(&store, "call").unwrap();
        assert!(call.call(&mut store, 1).is_err());
        link(&mut store, &linker, user);
        assert_eq!(call.call(&mut store, 0).unwrap(), 0);
        assert_eq!(call.call(&mut store, 1).unwrap(), 41);
        assert_eq!(call.call(&mut store, 1).unwrap(), 42);

        let table = owner.get_table(&store, "table").unwrap();
        let host = Func::wrap(&mut store, || 99).unwrap();
        table.set(&mut store, 2, host.into()).unwrap();
        assert_eq!(call.call(&mut store, 2).unwrap(), 99);
        let two = table.get(&store, 1).unwrap().func_ref().unwrap().unwrap();
        assert_eq!(
            two.typed::<(), i32>(&store)
                .unwrap()
                .call(&mut store, ())
                .unwrap(),
            43
        );
        assert!(table.get(&store, 3).is_none());
        assert!(table.set(&mut store, 3, host.into()).is_err());
        assert!(table.set(&mut store, 0, Val::ExternRef(None)).is_err());
        assert_eq!(table.grow(&mut store, 2, two.into()).unwrap(), 3);
        assert_eq!(call.call(&mut store, 4).unwrap(), 44);
        let grow = owner
            .get_typed_func::<(Option<Func>, u32), i32>(&store, "grow")
            .unwrap();
        assert_eq!(grow.call(&mut store, (Some(host), 5)).unwrap(), 5);
        assert_eq!(call.call(&mut store, 9).unwrap(), 99);
        assert_eq!(grow.call(&mut store, (None, 1)).unwrap(), -1);
        assert!(table.grow(&mut store, 1, Val::FuncRef(None)).is_err());
        table.fill(&mut store, 7, Val::FuncRef(None), 3).unwrap();
        assert!(call.call(&mut store, 7).is_err());
        assert!(table.fill(&mut store, 8, Val::FuncRef(None), 3).is_err());
        table.copy(&mut store, 8, table, 0, 2).unwrap();
        assert_eq!(call.call(&mut store, 8).unwrap(), 0);
        assert!(table.copy(&mut store, 9, table, 0, 2).is_err());
        assert_eq!(table.size(&store), 10);
    });
}

#[test]
fn external_references_in_tables_and_globals() {
    let text = r#"(module
        (import "h" "global" (global (mut externref)))
        (table (export "table") 2 externref)
        (func (export "swap")
            (table.set 0 (i32.const 1) (global.get 0))
            (global.set 0 (table.get 0 (i32.const 0)))))"#;
    in_each_way(|engine| {
        let mut store = Store::new(engine, ());
        let text = module(engine, text);
        let first = ExternRef::new(&mut store, 1_i32).unwrap();
        let second = ExternRef::new(&mut store, 2_i32).unwrap();
        let ty = GlobalType {
            content: ValType::ExternRef,
            mutable: true,
        };
        let global = Global::new(&mut store, ty, first.into()).unwrap();
        let instance = Instance::new(&mut store, &text, &[Extern::Global(global)]).unwrap();
        let table = instance.get_table(&store, "table").unwrap();
        table.set(&mut store, 0, second.into()).unwrap();
        let swap = instance.get_typed_func::<(), ()>(&store, "swap").unwrap();
        swap.call(&mut store, ()).unwrap();
        let held = global.get(&store).extern_ref().unwrap().unwrap();
        assert_eq!(held.data(&store).downcast_ref::<i32>(), Some(&2));
        let held = table.get(&store, 1).unwrap().extern_ref().unwrap().unwrap();
        assert_eq!(held.data(&store).downcast_ref::<i32>(), Some(&1));
    });
}

#[test]
fn globals_of_all_types() {
    let text = r#"(module
        (import "h" "i" (global $i (mut i32)))
        (import "h" "c" (global $c i64))
        (global $sum (export "sum") i64 (i64.add (global.get $c) (i64.const 2)))
        (global (export "f") (mut f32) (f32.const 1.5))
        (global (export "v") (mut v128) (v128.const i32x4 1 2 3 4))
        (func (export "add") (global.set $i (i32.add (global.get $i) (i32.const 1)))))"#;
    in_each_way(|engine| {
        let mut store = Store::new(engine, ());
        let ty = |content, mutable| GlobalType { content, mutable };
        let i = Global::new(&mut store, ty(ValType::I32, true), Val::I32(6)).unwrap();
        let c = Global::new(&mut store, ty(ValType::I64, false), Val::I64(40)).unwrap();
        assert!(Global::new(&mut store, ty(ValType::I64, false), Val::I32(40)).is_err());
        let text = module(engine, text);
        let instance = Instance::new(&mut store, &text, &[i.into(), c.into()]).unwrap();
        let add = instance.get_typed_func::<(), ()>(&store, "add").unwrap();
        add.call(&mut store, ()).unwrap();
        assert_eq!(i.get(&store).i32(), Some(7));
        i.set(&mut store, Val::I32(100)).unwrap();
        add.call(&mut store, ()).unwrap();
        assert_eq!(i.get(&store).i32(), Some(101));
        assert!(i.set(&mut store, Val::I64(1)).is_err());
        assert!(c.set(&mut store, Val::I64(1)).is_err());
        let global = |name| instance.get_global(&store, name).unwrap();
        assert_eq!(global("sum").get(&store).i64(), Some(42));
        assert_eq!(global("sum").ty(&store), ty(ValType::I64, false));
        assert_eq!(global("f").get(&store).f32(), Some(1.5));
        let vector = global("v").get(&store).v128().unwrap().as_u128();
        assert_eq!(vector, 1 | 2 << 32 | 3 << 64 | 4 << 96);
        let v = global("v");
        v.set(&mut store, Val::V128((7_u128 << 100).into()))
            .unwrap();
        assert_eq!(v.get(&store).v128().unwrap().as_u128(), 7 << 100);
    });
}

#[test]
fn types_that_are_none() {
    let mut store = Store::new(&engine(), ());
    assert!(
        Memory::new(
            &mut store,
            MemoryType {
                min: 65_537,
                max: None
            }
        )
        .is_err()
    );
    assert!(
        Memory::new(
            &mut store,
            MemoryType {
                min: 2,
                max: Some(1)
            }
        )
        .is_err()
    );
    let ty = TableType {
        element: ValType::I32,
        min: 0,
        max: None,
    };
    assert!(Table::new(&mut store, ty, Val::I32(0)).is_err());
    let ty = TableType {
        element: ValType::FuncRef,
        min: 2,
        max: Some(1),
    };
    assert!(Table::new(&mut store, ty, Val::FuncRef(None)).is_err());
    let ty = TableType {
        element: ValType::FuncRef,
        min: 2,
        max: None,
    };
    assert!(Table::new(&mut store, ty, Val::ExternRef(None)).is_err());
}
