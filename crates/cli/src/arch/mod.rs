//! What depends on the processor's architecture.

mod aarch64;
mod x64;

/// Features of this processor that matter to generated code, and whether each is there.
pub fn features() -> Vec<(&'static str, bool)> {
    let mut features = x64::features();
    features.extend(aarch64::features());
    features
}

/// One instruction.
pub struct Instruction {
    /// Where it is in the function's code.
    pub offset: u32,
    /// How many bytes it has.
    pub len: u32,
    /// It, in the notation of the processor's manual.
    pub text: String,
}

/// Code of this processor as text. The first byte is at `offset` in the function's code.
pub fn disassemble(code: &[u8], offset: u32) -> anyhow::Result<Vec<Instruction>> {
    if !is_supported() {
        anyhow::bail!("code of this processor cannot be shown");
    }
    let instructions = x64::disassemble(code, offset).into_iter();
    Ok(instructions
        .map(|(offset, len, text)| Instruction { offset, len, text })
        .collect())
}

/// Whether Upshift generates code for this processor.
pub fn is_supported() -> bool {
    x64::IS_THIS
}
