//! The adapter in front of a function that takes arguments on the stack.
//!
//! In Cranelift's `tail` convention the callee removes such arguments, a multiple of 16 bytes, when it returns. None of LLVM's
//! conventions does that in the same way, so the function is compiled for System V's, in which registers and the places
//! on the stack are the same and the caller removes them, and this code calls it: with a copy of the arguments, which lie
//! above its own return address.

/// `push rbp; mov rbp, rsp`.
const ENTRY: [u8; 4] = [0x55, 0x48, 0x89, 0xe5];
/// `push qword ptr [rbp + disp32]`.
const PUSH: [u8; 2] = [0xff, 0xb5];
/// What lies between the frame pointer and the arguments: the caller's frame pointer and the return address.
const LINK_BYTES: i32 = 16;
/// `call rel32`.
const CALL: u8 = 0xe8;
/// `leave`, and `ret imm16`.
const LEAVE: u8 = 0xc9;
const RETURN: u8 = 0xc2;
/// The function behind the adapter is aligned to so many bytes, and a breakpoint fills what is between.
const ALIGN: usize = 16;
const FILL: u8 = 0xcc;

/// The code that calls what is behind it with `stack_bytes` bytes of arguments on the stack; none if there are none.
pub fn code(stack_bytes: u16) -> Vec<u8> {
    if stack_bytes == 0 {
        return Vec::new();
    }
    let mut code = ENTRY.to_vec();
    for offset in (0..i32::from(stack_bytes)).step_by(8).rev() {
        code.extend(PUSH);
        code.extend((LINK_BYTES + offset).to_le_bytes());
    }
    code.push(CALL);
    let displacement = code.len();
    code.extend([0; 4]);
    let returns_to = code.len();
    code.extend([LEAVE, RETURN]);
    code.extend(stack_bytes.to_le_bytes());
    code.resize(code.len().next_multiple_of(ALIGN), FILL);
    let distance = (code.len() - returns_to) as i32;
    code[displacement..returns_to].copy_from_slice(&distance.to_le_bytes());
    code
}

/// Bytes of stack that the adapter takes.
pub fn frame_bytes(stack_bytes: u16) -> u32 {
    match stack_bytes {
        0 => 0,
        _ => u32::from(stack_bytes) + LINK_BYTES as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_calls_what_is_behind_it() {
        assert!(code(0).is_empty());
        let code = code(32);
        assert_eq!(code.len() % ALIGN, 0);
        // Four arguments, the last first.
        let pushes: Vec<_> = (0..4).map(|i| code[4 + 6 * i + 2]).collect();
        assert_eq!(pushes, [16 + 24, 16 + 16, 16 + 8, 16]);
        let call = 4 + 4 * 6;
        assert_eq!(code[call], CALL);
        let distance = u32::from_le_bytes(code[call + 1..call + 5].try_into().unwrap());
        assert_eq!(call + 5 + distance as usize, code.len());
        assert_eq!(code[call + 5..call + 9], [LEAVE, RETURN, 32, 0]);
    }
}
