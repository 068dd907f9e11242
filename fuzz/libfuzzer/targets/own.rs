//! Modules from the project's own generator, made of the choices that libFuzzer makes.
#![no_main]

libfuzzer_sys::fuzz_target!(|choices: &[u8]| upshift_fuzz::Body::Own.run_choices(choices));
