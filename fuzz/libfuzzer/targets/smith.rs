//! Modules from wasm-smith, made of the choices that libFuzzer makes.
#![no_main]

libfuzzer_sys::fuzz_target!(|choices: &[u8]| upshift_fuzz::Body::Smith.run_choices(choices));
