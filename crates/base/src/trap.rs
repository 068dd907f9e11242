//! Why guest code stopped. The codes are shared by every tier, so that all of them report a fault alike.

use std::fmt;

macro_rules! trap_kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $message:literal;)*) => {
        /// The reason for a trap.
        ///
        /// The numbers 1 to 250 are free for front ends (`Other`); the named kinds below 32 and the five reserved by
        /// Cranelift (251 to 255) have a meaning of their own.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[non_exhaustive]
        pub enum TrapKind {
            $($(#[$doc])* $name,)*
            /// A code that only the front end knows the meaning of.
            Other(u8),
        }

        impl TrapKind {
            /// The kind that a code stands for.
            pub const fn from_code(code: u8) -> TrapKind {
                match code {
                    $($code => TrapKind::$name,)*
                    other => TrapKind::Other(other),
                }
            }

            /// The code that stands for this kind in compiled code.
            pub const fn code(self) -> u8 {
                match self {
                    $(TrapKind::$name => $code,)*
                    TrapKind::Other(code) => code,
                }
            }
        }

        impl fmt::Display for TrapKind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(TrapKind::$name => f.write_str($message),)*
                    TrapKind::Other(code) => write!(f, "trap code {code}"),
                }
            }
        }

        #[cfg(test)]
        const ALL: &[TrapKind] = &[$(TrapKind::$name,)*];
    };
}

trap_kinds! {
    /// The program reached an operation that says it is never reached.
    Unreachable = 1, "unreachable executed";
    /// An access outside a table.
    TableOutOfBounds = 2, "out of bounds table access";
    /// A call through a table element or reference that is null.
    IndirectCallToNull = 3, "uninitialized element";
    /// A call through a table element or reference of another signature.
    BadSignature = 4, "indirect call type mismatch";
    /// A null reference where none is allowed.
    NullReference = 5, "null reference";
    /// The program was stopped from outside.
    Interrupted = 6, "interrupted";
    /// A function could not be compiled when it was first called.
    CompilationFailed = 7, "compilation failed";
    /// A host function returned an error.
    HostError = 8, "host function failed";
    /// The stack is used up.
    StackOverflow = 251, "call stack exhausted";
    /// An integer operation whose result does not fit.
    IntegerOverflow = 252, "integer overflow";
    /// An access outside a memory.
    MemoryOutOfBounds = 253, "out of bounds memory access";
    /// An integer division by zero.
    IntegerDivisionByZero = 254, "integer divide by zero";
    /// A conversion to an integer of a number that is not one.
    BadConversionToInteger = 255, "invalid conversion to integer";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip() {
        for &kind in ALL {
            assert_eq!(TrapKind::from_code(kind.code()), kind);
        }
        assert_eq!(TrapKind::from_code(99), TrapKind::Other(99));
    }
}
