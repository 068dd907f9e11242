//! How much stack a function takes, read off its first instructions.
//!
//! LLVM says so only to its own tools. What it emits is fixed, though, because frame pointers are kept and stacks are
//! probed: the frame pointer is saved, then callee-saved registers are pushed, and the stack pointer goes down by a
//! constant, at once or, if the frame is larger than a page, page by page to a limit that is computed first.

/// `push rbp; mov rbp, rsp`.
const ENTRY: [u8; 4] = [0x55, 0x48, 0x89, 0xe5];
/// `sub rsp, imm8` and `sub rsp, imm32`.
const SUB_8: [u8; 3] = [0x48, 0x83, 0xec];
const SUB_32: [u8; 3] = [0x48, 0x81, 0xec];
/// `and rsp, imm8` and `and rsp, imm32`: the stack pointer rounded down.
const AND_8: [u8; 3] = [0x48, 0x83, 0xe4];
const AND_32: [u8; 3] = [0x48, 0x81, 0xe4];
/// `mov r11, rsp; sub r11, imm32`: where a loop of probes ends.
const LIMIT: [u8; 6] = [0x49, 0x89, 0xe3, 0x49, 0x81, 0xeb];
/// `sub rsp, 4096`, the step of that loop, and how many bytes come from there to its end.
const LOOP: [u8; 7] = [0x48, 0x81, 0xec, 0x00, 0x10, 0x00, 0x00];
const LOOP_BYTES: usize = 20;
/// `mov qword ptr [rsp], 0`: a probe.
const PROBE: [u8; 8] = [0x48, 0xc7, 0x04, 0x24, 0, 0, 0, 0];

/// Bytes below the saved frame pointer that the code's prologue takes; 0 if it has none.
pub fn frame_bytes(code: &[u8]) -> u32 {
    let Some(mut rest) = code.strip_prefix(&ENTRY) else {
        return 0;
    };
    let mut bytes = 0u32;
    loop {
        let (taken, behind) = match rest {
            // push r8 to r15, push rax to rdi
            [0x41, 0x50..=0x57, behind @ ..] | [0x50..=0x57, behind @ ..] => (8, behind),
            _ => match step(rest) {
                Some(step) => step,
                None => return bytes,
            },
        };
        bytes = bytes.saturating_add(taken);
        rest = behind;
    }
}

/// Bytes that the first instructions take off the stack pointer, and what comes behind.
fn step(code: &[u8]) -> Option<(u32, &[u8])> {
    if let Some(behind) = code.strip_prefix(&PROBE) {
        return Some((0, behind));
    }
    if let Some(operand) = code.strip_prefix(&LIMIT) {
        let (distance, behind) = operand.split_first_chunk()?;
        let behind = behind.strip_prefix(&LOOP).and(behind.get(LOOP_BYTES..))?;
        return Some((i32::from_le_bytes(*distance).unsigned_abs(), behind));
    }
    for (opcode, wide) in [
        (SUB_8, false),
        (SUB_32, true),
        (AND_8, false),
        (AND_32, true),
    ] {
        let Some(operand) = code.strip_prefix(&opcode) else {
            continue;
        };
        let (number, behind) = match wide {
            true => {
                let (number, behind) = operand.split_first_chunk()?;
                (i32::from_le_bytes(*number), behind)
            }
            false => (i32::from(operand.first()?.cast_signed()), &operand[1..]),
        };
        // Rounding down to a multiple takes less than that multiple; `sub` of -128 is how 128 is added.
        let rounds = opcode == AND_8 || opcode == AND_32;
        let taken = match rounds {
            true => number.unsigned_abs().saturating_sub(1),
            false => u32::try_from(number).ok()?,
        };
        return Some((taken, behind));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prologues_are_read() {
        let read = |parts: &[&[u8]]| frame_bytes(&[&ENTRY[..], &parts.concat(), &[0xc3]].concat());
        assert_eq!(frame_bytes(&[0xc3]), 0);
        assert_eq!(read(&[]), 0);
        let (push_r15, push_rbx) = ([0x41, 0x57], [0x53]);
        assert_eq!(read(&[&push_r15, &push_rbx, &SUB_8, &[0x28]]), 16 + 0x28);
        assert_eq!(
            read(&[&AND_8, &[0xe0], &SUB_32, &200u32.to_le_bytes()]),
            31 + 200
        );
        let probes = [&LOOP[..], &PROBE, &SUB_32, &16u32.to_le_bytes()].concat();
        assert_eq!(read(&[&probes]), 4096 + 16);
        assert_eq!(read(&[&SUB_8]), 0, "cut off");
    }
}
