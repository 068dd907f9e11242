//! Random CLIF functions over integers, compared with Cranelift's interpreter.

mod generate;
mod run;

pub use generate::case;
pub use run::run;
