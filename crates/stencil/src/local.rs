//! Locals.

use crate::assembler::{Assembler, Loc, NO_LOCAL, Val};
use crate::value::Ty;

impl Assembler {
    /// `local.get`: pushes a local. One that is in its home gets a register.
    #[inline]
    pub fn local_get(&mut self, local: u32) {
        let val = self.vals[local as usize];
        match val.loc() {
            Loc::Reg(reg) => self.push_register(val.ty, reg),
            // A vector's constant is its zero, which needs a register to be operated on.
            Loc::Const(value) if val.ty != Ty::V128 => self.push_constant(val.ty, value),
            _ => self.load_local(local),
        }
    }

    #[inline(never)]
    fn load_local(&mut self, local: u32) {
        let val = self.vals[local as usize];
        let reg = self.allocate(val.ty.is_vector());
        self.load_into(reg, val);
        if val.loc() == Loc::Home {
            self.attach_local(local, reg, true);
        }
        self.push_register(val.ty, reg);
    }

    /// `local.set`: pops into a local.
    pub fn local_set(&mut self, local: u32) {
        let val = self.pop();
        self.assign(local, val);
    }

    /// Makes a popped value that of a local.
    pub(crate) fn assign(&mut self, local: u32, val: Val) {
        self.detach_local(local);
        let place = &mut self.vals[local as usize];
        if let Loc::Const(value) = val.loc() {
            place.set_loc(Loc::Const(value));
            place.saved = false;
            self.constants.push(local);
            self.unsaved_constants.push(local);
            return;
        }
        // Until the local is attached again it is nowhere.
        place.set_loc(Loc::Home);
        let mut reg = self.in_register(val);
        if self.holders[reg.index()].local != NO_LOCAL {
            let copy = self.allocate(val.ty.is_vector());
            self.code.move_register(val.ty, copy, reg);
            reg = copy;
        }
        self.attach_local(local, reg, false);
    }

    /// `local.tee`: copies the top operand to a local.
    pub fn local_tee(&mut self, local: u32) {
        let val = self.pop();
        match val.loc() {
            Loc::Const(value) => {
                self.push_constant(val.ty, value);
                self.push_constant(val.ty, value);
            }
            _ => {
                let reg = self.in_register(val);
                self.push_register(val.ty, reg);
                self.push_register(val.ty, reg);
            }
        }
        self.local_set(local);
    }
}
