//! Validation of function bodies when they are first used.
//!
//! The specification allows it: "an implementation may defer validation of individual functions until they are first
//! invoked" (WebAssembly core specification, appendix on implementation limitations). Everything but the bodies is
//! validated when the module is loaded.
//!
//! What is validated is a copy of the body, and the copy is what is used from then on: the module's bytes may be a mapped
//! file, which can change. Copies are kept in groups, so that a function that is never used costs a quarter of a byte.

use super::features::FEATURES;
use std::cell::RefCell;
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use wasmparser::{
    BinaryReader, BinaryReaderError, FuncToValidate, FuncValidatorAllocations, FunctionBody,
    ValidatorResources,
};

thread_local! {
    /// Memory for the thread's next validation.
    static ALLOCATIONS: RefCell<FuncValidatorAllocations> = RefCell::default();
}

/// Functions in a group.
const GROUP: usize = 64;

type Group = Box<[OnceLock<Box<[u8]>>; GROUP]>;

/// What bodies are validated against, and those that are valid.
pub(super) struct Deferred {
    /// Of the module's first function; the others differ in index and type.
    first: FuncToValidate<ValidatorResources>,
    valid: Box<[OnceLock<Group>]>,
    count: AtomicU32,
}

impl Deferred {
    pub(super) fn new(first: FuncToValidate<ValidatorResources>, functions: usize) -> Deferred {
        let groups = functions.div_ceil(GROUP);
        Deferred {
            first,
            valid: std::iter::repeat_with(OnceLock::new).take(groups).collect(),
            count: AtomicU32::new(0),
        }
    }

    /// The body of function `own`, which is of type number `ty` and in the module at `start`; `bytes` are what it is there
    /// now, and are looked at only if the function has not been used before.
    pub(super) fn body(
        &self,
        own: u32,
        ty: u32,
        bytes: &[u8],
        start: u32,
    ) -> Result<FunctionBody<'_>, BinaryReaderError> {
        let group = self.valid[own as usize / GROUP]
            .get_or_init(|| Box::new([const { OnceLock::new() }; GROUP]));
        let place = &group[own as usize % GROUP];
        if let Some(valid) = place.get() {
            return Ok(function_body(valid, start));
        }
        let copy: Box<[u8]> = bytes.into();
        self.validate(own, ty, &function_body(&copy, start))?;
        // If another thread was faster, its copy is as good.
        let valid = place.get_or_init(|| {
            self.count.fetch_add(1, Ordering::Relaxed);
            copy
        });
        Ok(function_body(valid, start))
    }

    fn validate(
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
        Ok(())
    }

    /// How many functions have been validated.
    pub(super) fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }
}

/// The body that these bytes are, which are at `start` in the module.
fn function_body(bytes: &[u8], start: u32) -> FunctionBody<'_> {
    FunctionBody::new(BinaryReader::new_features(bytes, start.into(), FEATURES))
}

impl fmt::Debug for Deferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} functions validated", self.count())
    }
}
