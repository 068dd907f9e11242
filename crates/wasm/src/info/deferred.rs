//! Validation of function bodies when they are first used.
//!
//! The specification allows it: "an implementation may defer validation of individual functions until they are first
//! invoked" (WebAssembly core specification, appendix on implementation limitations). Everything but the bodies is
//! validated when the module is loaded.

use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use wasmparser::{
    BinaryReaderError, FuncToValidate, FuncValidatorAllocations, FunctionBody, ValidatorResources,
};

thread_local! {
    /// Memory for the thread's next validation.
    static ALLOCATIONS: RefCell<FuncValidatorAllocations> = RefCell::default();
}

/// What bodies are validated against, and which have been.
pub(super) struct Deferred {
    /// Of the module's first function; the others differ in index and type.
    first: FuncToValidate<ValidatorResources>,
    /// A bit for each function.
    valid: Box<[AtomicU8]>,
}

impl Deferred {
    pub(super) fn new(first: FuncToValidate<ValidatorResources>, functions: usize) -> Deferred {
        let bytes = functions.div_ceil(8);
        Deferred {
            first,
            valid: std::iter::repeat_with(AtomicU8::default)
                .take(bytes)
                .collect(),
        }
    }

    /// Whether function `own` is known to be valid.
    pub(super) fn is_known(&self, own: u32) -> bool {
        let byte = &self.valid[own as usize / 8];
        byte.load(Ordering::Acquire) >> (own % 8) & 1 == 1
    }

    /// Validates the body of function `own`, which is of type number `ty`.
    pub(super) fn validate(
        &self,
        own: u32,
        ty: u32,
        body: &FunctionBody<'_>,
    ) -> Result<(), BinaryReaderError> {
        let function = FuncToValidate {
            resources: self.first.resources.clone(),
            index: self.first.index + own,
            ty,
            features: self.first.features,
        };
        let mut validator = function.into_validator(ALLOCATIONS.take());
        validator.validate(body)?;
        ALLOCATIONS.set(validator.into_allocations());
        self.valid[own as usize / 8].fetch_or(1 << (own % 8), Ordering::Release);
        Ok(())
    }

    /// How many functions have been validated.
    pub(super) fn count(&self) -> u32 {
        let bits = |byte: &AtomicU8| byte.load(Ordering::Relaxed).count_ones();
        self.valid.iter().map(bits).sum()
    }
}

impl fmt::Debug for Deferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} functions validated", self.count())
    }
}
