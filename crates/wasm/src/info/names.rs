//! The names that a module gives its functions, found when they are first asked for.

use super::span::Span;
use wasmparser::{BinaryReader, Name, NameSectionReader};

/// What the custom section `name` says, as places in the module's bytes.
#[derive(Debug, Default)]
pub struct Names {
    module: Option<Span>,
    /// Sorted by function index.
    functions: Vec<(u32, Span)>,
}

impl Names {
    /// Reads the section at `section` in `bytes`. The section has no meaning, so it is read up to its first fault.
    pub(super) fn read(bytes: &[u8], section: Span) -> Names {
        let mut names = Names::default();
        let reader = BinaryReader::new(section.of(bytes), section.start.into());
        let place = |name: &str| Span::of_part(bytes, name.as_bytes());
        for subsection in NameSectionReader::new(reader) {
            match subsection {
                Ok(Name::Module { name, .. }) => names.module = place(name),
                Ok(Name::Function(map)) => {
                    let named = map.map_while(Result::ok);
                    names
                        .functions
                        .extend(named.filter_map(|n| Some((n.index, place(n.name)?))));
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
        names.functions.sort_by_key(|&(index, _)| index);
        names
    }

    /// The module's name.
    pub fn module<'a>(&self, bytes: &'a [u8]) -> Option<&'a str> {
        std::str::from_utf8(self.module?.of(bytes)).ok()
    }

    /// The name of function `index`.
    pub fn function<'a>(&self, bytes: &'a [u8], index: u32) -> Option<&'a str> {
        let found = self
            .functions
            .binary_search_by_key(&index, |&(index, _)| index)
            .ok()?;
        std::str::from_utf8(self.functions[found].1.of(bytes)).ok()
    }
}
