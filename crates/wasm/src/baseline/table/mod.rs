//! The tables of stencils, made in advance by `cargo xtask stencils` and committed, one for each architecture.
//!
//! `generated` holds the tables as rows, for people and for diffs. The compiler packs them into arrays of plain numbers:
//! nothing is left to be done when a program starts, not even relocation. An operation's number, which is how its
//! opcode is encoded, leads to its stencil by two look-ups.

mod arch;
mod generated;
pub mod packed;
pub mod row;

pub use arch::{LEVELS, TABLE, level};

#[cfg(test)]
mod tests {
    use super::packed::{Table, packed};
    use super::row::{Row, VARIANTS};
    use super::{TABLE, generated};

    /// Every row is where its operation and variants lead to.
    fn check(table: &Table, rows: &[Row]) {
        assert!(rows.len() > 100);
        for row in rows {
            for variant in (0..VARIANTS).filter(|variant| row.variants >> variant & 1 == 1) {
                let found = table.find(row.operation.into(), variant).unwrap();
                let code: String = found
                    .code
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect();
                assert_eq!(code, row.code);
                assert_eq!((found.operands, found.result), row.types);
                assert_eq!((found.traps, found.holes), row.fixups);
                assert_eq!((found.clobbers, found.aligned), (row.clobbers, row.aligned));
            }
        }
        // `i32.add` is encoded directly.
        assert!(table.find(0x6a, 0).is_none());
    }

    #[test]
    fn packed_tables_hold_their_rows() {
        static AARCH64: Table = packed!(generated::aarch64::ROWS);
        check(&AARCH64, generated::aarch64::ROWS);
        check(&TABLE, generated::x64::ROWS);
    }
}
