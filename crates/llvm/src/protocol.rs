//! What client and server say to each other.
//!
//! Each sends one greeting first, with the version of the protocol and of CLIF's text form; the form of frames and
//! greetings is the same in all versions. A server of another version than its client says so and hangs up. Then requests and replies go their own ways, in any order: a job has a number, and its
//! reply carries it. A body travels as CLIF text, which is versioned, readable in a dump, and costs the server
//! little beside what LLVM takes.

use crate::artefact;
use crate::wire::{Decoder, Encoder};
use upshift_codegen::{CompileError, CompiledCode};

pub use crate::wire::{WireError, read_frame, write_frame};

/// The version of this protocol: messages of other versions are not understood.
pub const VERSION: u32 = 3;

/// The first bytes of a greeting.
const MAGIC: &[u8; 8] = b"UPSHIFTL";

/// The first message in each direction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Greeting {
    /// The sender's [`VERSION`].
    pub version: u32,
    /// The sender's version of Cranelift, which decides what CLIF text means.
    pub clif: String,
    /// The sender's name for people.
    pub name: String,
}

impl Greeting {
    /// The greeting of this version.
    pub fn new(name: String) -> Greeting {
        Greeting {
            version: VERSION,
            clif: upshift_codegen::cranelift_codegen::VERSION.to_owned(),
            name,
        }
    }

    /// As a frame's payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder(MAGIC.to_vec());
        e.u32(self.version);
        e.bytes(self.clif.as_bytes());
        e.bytes(self.name.as_bytes());
        e.0
    }

    /// From a frame's payload.
    ///
    /// # Errors
    /// If it is not a greeting.
    pub fn decode(payload: &[u8]) -> Result<Greeting, WireError> {
        let body = payload
            .strip_prefix(MAGIC)
            .ok_or(WireError::Malformed("it is not a greeting"))?;
        let mut d = Decoder(body);
        let greeting = Greeting {
            version: d.u32()?,
            clif: d.text()?,
            name: d.text()?,
        };
        d.end()?;
        Ok(greeting)
    }

    /// Why the two cannot work together, if they cannot.
    pub fn mismatch(&self, other: &Greeting) -> Option<String> {
        if self.version != other.version {
            let (own, other) = (self.version, other.version);
            return Some(format!("protocol version {other}, wanted {own}"));
        }
        if self.clif != other.clif {
            let (own, other) = (&self.clif, &other.clif);
            return Some(format!("CLIF of Cranelift {other}, wanted {own}"));
        }
        None
    }
}

/// One function to compile.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Job {
    /// Chosen by the client; comes back with the reply.
    pub number: u64,
    /// Make every NaN that an operation produces the canonical one.
    pub canonical_nans: bool,
    /// Check what is sent to LLVM with its verifier.
    pub verify: bool,
    /// The processor features that the code may use, by LLVM's names.
    pub features: Vec<String>,
    /// The function, as CLIF text.
    pub clif: String,
}

impl Job {
    /// As a frame's payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder(Vec::with_capacity(self.clif.len() + 256));
        e.u64(self.number);
        e.u8(self.canonical_nans.into());
        e.u8(self.verify.into());
        e.list(&self.features, |e, feature| e.bytes(feature.as_bytes()));
        e.bytes(self.clif.as_bytes());
        e.0
    }

    /// From a frame's payload.
    ///
    /// # Errors
    /// If it is not a job.
    pub fn decode(payload: &[u8]) -> Result<Job, WireError> {
        let mut d = Decoder(payload);
        let job = Job {
            number: d.u64()?,
            canonical_nans: d.bool()?,
            verify: d.bool()?,
            features: d.list(Decoder::text)?,
            clif: d.text()?,
        };
        d.end()?;
        Ok(job)
    }
}

/// What became of a job.
#[derive(Clone, PartialEq, Debug)]
pub struct Reply {
    /// The job's number.
    pub number: u64,
    /// The code, or why there is none.
    pub result: Result<CompiledCode, CompileError>,
}

impl Reply {
    /// As a frame's payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::default();
        e.u64(self.number);
        let without_code = |e: &mut Encoder, tag, reason: &str| {
            e.u8(tag);
            e.bytes(reason.as_bytes());
        };
        match &self.result {
            Ok(code) => {
                let start = e.0.len();
                e.u8(0);
                if let Err(error) = artefact::encode(&mut e, code) {
                    e.0.truncate(start);
                    without_code(&mut e, 2, &error.to_string());
                }
            }
            Err(CompileError::Bailout(reason)) => without_code(&mut e, 1, reason),
            Err(CompileError::Failed(reason)) => without_code(&mut e, 2, reason),
        }
        e.0
    }

    /// From a frame's payload.
    ///
    /// # Errors
    /// If it is not a reply.
    pub fn decode(payload: &[u8]) -> Result<Reply, WireError> {
        let mut d = Decoder(payload);
        let number = d.u64()?;
        let result = match d.u8()? {
            0 => Ok(artefact::decode(&mut d)?),
            1 => Err(CompileError::Bailout(d.text()?)),
            2 => Err(CompileError::Failed(d.text()?)),
            _ => return Err(WireError::Malformed("an unknown kind of reply")),
        };
        d.end()?;
        Ok(Reply { number, result })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use upshift_base::{FuncId, TrapKind};
    use upshift_codegen::{RelocKind, Relocation, SourcePosition, Target, TrapSite};

    fn messages() -> (Greeting, Job, Reply) {
        let job = Job {
            number: 7,
            canonical_nans: true,
            verify: false,
            features: vec!["avx2".to_owned(), "bmi".to_owned()],
            clif: "function u0:0() {}".to_owned(),
        };
        let code = CompiledCode {
            bytes: vec![0xc3; 20],
            alignment: 16,
            placement: 0,
            relocations: vec![Relocation {
                offset: 4,
                kind: RelocKind::GotPcRel4,
                target: Target::Function(FuncId(9)),
                addend: -4,
            }],
            traps: vec![TrapSite {
                offset: 9,
                kind: TrapKind::Unreachable,
            }],
            accesses: Vec::new(),
            positions: vec![SourcePosition {
                offset: 0,
                position: None,
                inlined: None,
            }],
            frame_bytes: 8,
            adapter_bytes: 16,
            inlined: Vec::new(),
            call_sites: 0,
        };
        let reply = Reply {
            number: 7,
            result: Ok(code),
        };
        (Greeting::new("test".to_owned()), job, reply)
    }

    #[test]
    fn messages_round_trip_and_no_prefix_of_one_is_one() {
        let (greeting, job, reply) = messages();
        let payload = greeting.encode();
        assert_eq!(Greeting::decode(&payload).unwrap(), greeting);
        assert!((0..payload.len()).all(|end| Greeting::decode(&payload[..end]).is_err()));
        let payload = job.encode();
        assert_eq!(Job::decode(&payload).unwrap(), job);
        assert!((0..payload.len()).all(|end| Job::decode(&payload[..end]).is_err()));
        let payload = reply.encode();
        assert_eq!(Reply::decode(&payload).unwrap(), reply);
        assert!((0..payload.len()).all(|end| Reply::decode(&payload[..end]).is_err()));
        let declined = Reply {
            number: 1,
            result: Err(CompileError::Bailout("no".to_owned())),
        };
        assert_eq!(Reply::decode(&declined.encode()).unwrap(), declined);
    }

    #[test]
    fn damaged_messages_do_no_harm() {
        let (_, job, reply) = messages();
        let (job, reply) = (job.encode(), reply.encode());
        for (payload, flip) in [&job, &reply].into_iter().flat_map(|p| {
            let flips = 0..p.len() * 8;
            flips.map(move |bit| (p, bit))
        }) {
            let mut damaged = payload.clone();
            damaged[flip / 8] ^= 1 << (flip % 8);
            // Either is fine; neither may panic or ask for memory that the message does not fill.
            let _ = (Job::decode(&damaged), Reply::decode(&damaged));
        }
    }

    #[test]
    fn frames_are_limited_and_complete() {
        let mut stream = Vec::new();
        write_frame(&mut stream, b"hello").unwrap();
        assert_eq!(read_frame(&mut &stream[..]).unwrap().unwrap(), b"hello");
        assert_eq!(read_frame(&mut &stream[..0]).unwrap(), None);
        for end in 1..stream.len() {
            assert!(read_frame(&mut &stream[..end]).is_err());
        }
        for at in 4..stream.len() {
            let mut damaged = stream.clone();
            damaged[at] ^= 0x10;
            assert!(matches!(
                read_frame(&mut &damaged[..]),
                Err(WireError::Malformed(_))
            ));
        }
        let long = [0xff; 12];
        assert!(matches!(
            read_frame(&mut &long[..]),
            Err(WireError::TooLong(_))
        ));
    }

    #[test]
    fn other_versions_are_told_apart() {
        let own = Greeting::new("own".to_owned());
        let mut other = Greeting::new("other".to_owned());
        assert_eq!(own.mismatch(&other), None);
        other.clif = "0.1.0".to_owned();
        assert!(own.mismatch(&other).unwrap().contains("0.1.0"));
        other.version += 1;
        assert!(own.mismatch(&other).unwrap().contains("protocol"));
    }
}
