//! What a generated module consists of, before any of its code is written.

use crate::host;
use crate::random::Random;
use crate::value::Type;
use wasm_encoder::{RefType, ValType};

/// The parameters and results of a function.
#[derive(Clone, PartialEq, Debug)]
pub struct Signature {
    /// The parameters.
    pub params: Vec<Type>,
    /// The results.
    pub results: Vec<Type>,
}

/// A memory's pages at first and at most.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// At first.
    pub min: u64,
    /// At most.
    pub max: Option<u64>,
}

/// A table of functions.
#[derive(Clone, Debug)]
pub struct Table {
    /// What is in it at first; `None` is null.
    pub entries: Vec<Option<u32>>,
    /// How many there may be.
    pub max: Option<u64>,
}

/// What a function is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Random statements.
    Any,
    /// Recursion as deep as its first parameter says, without effects but on globals.
    Deep,
    /// Recursion without end and without effects.
    Endless,
}

/// A module.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Signatures, without duplicates.
    pub types: Vec<Signature>,
    /// Imported functions: names and types.
    pub imports: Vec<(&'static str, u32)>,
    /// The module's own functions: their types and roles. The first is exported as the entry too.
    pub functions: Vec<(u32, Role)>,
    /// Globals, all mutable; the first is the fuel.
    pub globals: Vec<Type>,
    /// Memories.
    pub memories: Vec<Memory>,
    /// Tables of functions.
    pub tables: Vec<Table>,
    /// Passive data segments.
    pub data: Vec<Vec<u8>>,
    /// Passive element segments: functions.
    pub elements: Vec<Vec<u32>>,
    /// How often loops may go round: more in some modules than in others.
    pub trips_max: usize,
}

impl Plan {
    /// A random plan.
    pub fn new(random: &mut Random) -> Plan {
        let mut plan = Plan {
            types: Vec::new(),
            imports: Vec::new(),
            functions: Vec::new(),
            globals: vec![Type::I32],
            memories: Vec::new(),
            tables: Vec::new(),
            data: Vec::new(),
            elements: Vec::new(),
            trips_max: *random.pick(&[4, 20, 60, 200]),
        };
        plan.plan_imports(random);
        plan.plan_functions(random);
        for _ in 0..random.between(1, 6) {
            plan.globals.push(plain_type(random));
        }
        for _ in 0..random.between(1, 2) {
            let min = if random.one_in(8) {
                0
            } else {
                random.between(1, 2) as u64
            };
            let max = random.one_in(2).then(|| min + random.below(3) as u64);
            plan.memories.push(Memory { min, max });
        }
        let (first, all) = (
            plan.imports.len(),
            plan.imports.len() + plan.functions.len(),
        );
        for _ in 0..random.between(1, 2) {
            // Mostly the module's own functions.
            let entry = |random: &mut Random| match random.below(10) {
                0 => None,
                1 => Some(random.below(all) as u32),
                _ => Some(random.between(first, all - 1) as u32),
            };
            let entries: Vec<_> = (0..random.between(1, 16)).map(|_| entry(random)).collect();
            let max = random
                .one_in(2)
                .then(|| (entries.len() + random.below(8)) as u64);
            plan.tables.push(Table { entries, max });
        }
        for _ in 0..random.below(3) {
            let count = random.between(0, 40);
            plan.data.push(random.bytes(count));
        }
        for _ in 0..random.below(3) {
            let count = random.between(0, 6);
            plan.elements
                .push((0..count).map(|_| random.below(all) as u32).collect());
        }
        plan
    }

    fn plan_imports(&mut self, random: &mut Random) {
        use Type::{F64, I32, I64};
        let known: [(&'static str, &[Type], &[Type]); 6] = [
            ("note", &[I32], &[]),
            ("ask", &[I64], &[I64]),
            ("mix", &[F64, I32], &[I32, I64]),
            (host::REENTER, &[I32], &[I32]),
            ("float", &[], &[F64]),
            (
                "many",
                &[I32, I64, I32, F64, I64, I32, I32, I64, I32],
                &[I64, I32, F64],
            ),
        ];
        for (name, params, results) in known {
            if random.one_in(2) {
                let ty = self.type_index(params.to_vec(), results.to_vec());
                self.imports.push((name, ty));
            }
        }
    }

    fn plan_functions(&mut self, random: &mut Random) {
        let entry = self.type_index(vec![Type::I32], vec![Type::I32]);
        self.functions.push((entry, Role::Any));
        if random.one_in(4) {
            let ty = self.type_index(vec![Type::I32, Type::I64], vec![Type::I64]);
            self.functions.push((ty, Role::Deep));
        }
        if random.one_in(40) {
            let ty = self.type_index(vec![Type::I64, Type::F64], vec![Type::I64]);
            self.functions.push((ty, Role::Endless));
        }
        for _ in 0..random.between(1, 7) {
            // Types are shared, so that indirect calls find matching functions.
            let ty = if random.one_in(2) {
                random.below(self.types.len()) as u32
            } else {
                let params = (0..random.below(6)).map(|_| value_type(random)).collect();
                let results = (0..random.below(4)).map(|_| value_type(random)).collect();
                self.type_index(params, results)
            };
            self.functions.push((ty, Role::Any));
        }
    }

    fn type_index(&mut self, params: Vec<Type>, results: Vec<Type>) -> u32 {
        let signature = Signature { params, results };
        match self.types.iter().position(|ty| *ty == signature) {
            Some(index) => index as u32,
            None => {
                self.types.push(signature);
                self.types.len() as u32 - 1
            }
        }
    }

    /// The signature of function `index`, imports counted.
    pub fn signature(&self, index: usize) -> (u32, &Signature) {
        let ty = match self.imports.get(index) {
            Some((_, ty)) => *ty,
            None => self.functions[index - self.imports.len()].0,
        };
        (ty, &self.types[ty as usize])
    }
}

/// A type of numbers.
pub fn plain_type(random: &mut Random) -> Type {
    *random.pick(&[
        Type::I32,
        Type::I64,
        Type::I32,
        Type::I64,
        Type::F32,
        Type::F64,
    ])
}

/// Any type, mostly of numbers.
pub fn value_type(random: &mut Random) -> Type {
    match random.below(16) {
        0 => Type::V128,
        1 => Type::Func,
        2 => Type::Extern,
        _ => plain_type(random),
    }
}

/// A value type as the encoder has it.
pub fn val_type(ty: Type) -> ValType {
    match ty {
        Type::I32 => ValType::I32,
        Type::I64 => ValType::I64,
        Type::F32 => ValType::F32,
        Type::F64 => ValType::F64,
        Type::V128 => ValType::V128,
        Type::Func => ValType::Ref(RefType::FUNCREF),
        Type::Extern => ValType::Ref(RefType::EXTERNREF),
    }
}
