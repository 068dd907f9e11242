//! What the tests of the embedding API share: each test runs in every way that code can be run.
#![allow(dead_code, reason = "not every test file uses everything")]

use upshift_wasm::{Config, Engine, Instance, Linker, Module, Store, Tier};

/// Engines that run all code in tier 0, all in tier 1, and that promote on the calling thread at the first call.
pub fn engines() -> Vec<(&'static str, Engine)> {
    let config = || Config::default().verify(true);
    let promoting = config().thresholds(1, u32::MAX).synchronous(true);
    let configs = [
        ("tier 0", config().only_tier(Tier::Baseline)),
        ("tier 1", config().only_tier(Tier::Optimizing)),
        ("promotion at the first call", promoting),
    ];
    configs
        .into_iter()
        .map(|(name, config)| (name, Engine::new(config).expect("an engine")))
        .collect()
}

/// Runs `test` with each engine and says which one it was if it panics.
pub fn in_each_way(test: impl Fn(&Engine)) {
    for (name, engine) in engines() {
        println!("with {name}");
        test(&engine);
    }
}

/// Any engine.
pub fn engine() -> Engine {
    Engine::new(Config::default()).expect("an engine")
}

/// A module from text.
pub fn module(engine: &Engine, text: &str) -> Module {
    Module::new(engine, text).expect("a valid module")
}

/// An instance of a module without imports, in a new store.
pub fn instantiate(engine: &Engine, text: &str) -> (Store<()>, Instance) {
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, &module(engine, text), &[]).expect("an instance");
    (store, instance)
}

/// An instance of a module whose imports `linker` defines.
pub fn link<T>(store: &mut Store<T>, linker: &Linker<T>, text: &str) -> Instance {
    let module = module(linker.engine(), text);
    linker.instantiate(store, &module).expect("an instance")
}
