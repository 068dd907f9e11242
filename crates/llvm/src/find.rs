//! Where the compile server is.

use crate::server::Server;
use std::env;
use std::path::{Path, PathBuf};

/// The file name of the server.
pub const SERVER: &str = "upshift-llvm";

/// The environment variable that names another file, or the socket of a server that runs.
const SERVER_VARIABLE: &str = "UPSHIFT_LLVM";

/// Bytes of address space for a server that is only asked who it is.
const MEMORY_BYTES: u64 = 4 << 30;

/// The server: what `UPSHIFT_LLVM` names, which is its program or the socket of one that runs already; or the program
/// `upshift-llvm` beside the running one or in the search path.
pub fn find_server() -> Option<PathBuf> {
    if let Some(named) = env::var_os(SERVER_VARIABLE) {
        return Some(PathBuf::from(named)).filter(|path| path.exists() && !path.is_dir());
    }
    let beside = beside().into_iter();
    let search_path = env::var_os("PATH").unwrap_or_default();
    let mut files = beside
        .chain(env::split_paths(&search_path))
        .map(|folder| folder.join(SERVER));
    files.find(|file| file.is_file())
}

fn beside() -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    program.parent().map(Path::to_path_buf)
}

/// Where [`find_server`] looks, for people.
pub fn places() -> String {
    if let Some(named) = env::var_os(SERVER_VARIABLE) {
        return format!(
            "{}, which {SERVER_VARIABLE} names",
            Path::new(&named).display()
        );
    }
    match beside() {
        Some(folder) => format!("{SERVER} in {} and in the search path", folder.display()),
        None => format!("{SERVER} in the search path"),
    }
}

/// What the server there says of itself.
///
/// # Errors
/// Why it cannot be used.
pub fn server_version(place: &Path) -> Result<String, String> {
    let server = Server::start(place, MEMORY_BYTES)?;
    Ok(server.name().to_owned())
}
