//! What happens when no addresses are left. In a program of its own: others would not get any either.

mod common;

use upshift_wasm::{Memory, MemoryType, Store, StoreLimits};

#[test]
fn a_reservation_that_fails_is_an_error() {
    let engine = common::engine();
    let ty = MemoryType { min: 1, max: None };
    // 128 TiB of addresses hold some 21,000 memories; a machine with more addresses may refuse for other reasons.
    let mut store = Store::new(&engine, ());
    store.set_limits(StoreLimits::new().memories(40_000));
    let failure = (0..40_000).find_map(|_| Memory::new(&mut store, ty).err());
    if let Some(failure) = failure {
        assert!(failure.to_string().contains("cannot reserve"), "{failure}");
    }
    drop(store);
    let mut store = Store::new(&engine, ());
    let memory = Memory::new(&mut store, ty).expect("addresses were given back");
    assert_eq!(memory.data(&store)[0], 0);
}
