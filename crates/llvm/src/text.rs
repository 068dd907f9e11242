//! A function as text that Cranelift's reader understands.

use upshift_codegen::cranelift_codegen::ir::{ExternalName, Function, GlobalValueData};

/// The text of a body. Cranelift writes the symbols of global values as references to a table of names that the text does
/// not have; here they are the names, as they are in the declarations of functions.
pub fn clif(body: &Function) -> String {
    let mut text = body.display().to_string();
    for (value, data) in &body.global_values {
        let GlobalValueData::Symbol {
            name: ExternalName::User(name),
            ..
        } = data
        else {
            continue;
        };
        // A declaration is a line of its own, ahead of all blocks.
        let Some(start) = text.find(&format!("\n    {value} = symbol ")) else {
            continue;
        };
        let reference = name.to_string();
        let declaration = &text[start..];
        let end = declaration[1..]
            .find('\n')
            .map_or(text.len(), |end| start + 1 + end);
        if let Some(place) = text[start..end].find(&reference) {
            let place = start + place;
            let name = &body.params.user_named_funcs()[*name];
            let name = format!("u{}:{}", name.namespace, name.index);
            text.replace_range(place..place + reference.len(), &name);
        }
    }
    text
}
