//! Locals.

use crate::assembler::{Assembler, Loc, NO_LOCAL, Val};
use crate::value::Ty;

impl Assembler {
    /// `local.get`: pushes a local. One that is in its home gets a register.
    #[inline]
    pub fn local_get(&mut self, local: u32) {
        let val = self.vals[local as usize];
        match val.register() {
            Some(reg) => self.push_register(val.ty, reg),
            None => self.load_local(local),
        }
    }

    #[inline(never)]
    fn load_local(&mut self, local: u32) {
        let val = self.vals[local as usize];
        // A vector's constant is its zero, which needs a register to be operated on.
        if let (Loc::Const(value), true) = (val.loc(), val.ty != Ty::V128) {
            return self.push_constant(val.ty, value);
        }
        let reg = self.allocate(val.ty.is_vector());
        match val.loc() {
            Loc::Home => {
                self.code.load_home(val.ty, reg, val.home);
                self.attach_local(local, reg, true);
            }
            _ => self.load_into(reg, val),
        }
        self.push_register(val.ty, reg);
    }

    /// `local.set`: pops into a local.
    #[inline]
    pub fn local_set(&mut self, local: u32) {
        let val = self.pop();
        self.assign(local, val);
    }

    /// Makes a popped value that of a local.
    #[inline]
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
        let Some(&val) = self.top() else {
            return;
        };
        match val.loc() {
            Loc::Const(_) => self.assign(local, val),
            Loc::Reg(reg) => {
                self.pinned |= reg.bit();
                self.assign(local, val);
            }
            Loc::Home => {
                self.pop();
                let reg = self.in_register(val);
                self.push_register(val.ty, reg);
                let val = Val::new(val.ty, Loc::Reg(reg), false, val.home);
                self.assign(local, val);
            }
        }
    }
}
