//! Where the compile server is.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The file name of the server.
pub const SERVER: &str = "upshift-llvm";

/// The environment variable that names another file.
const SERVER_VARIABLE: &str = "UPSHIFT_LLVM";

/// The server's file: what `UPSHIFT_LLVM` names, or `upshift-llvm` beside the running program or in the search path.
pub fn find_server() -> Option<PathBuf> {
    if let Some(named) = env::var_os(SERVER_VARIABLE) {
        return Some(PathBuf::from(named)).filter(|path| path.is_file());
    }
    let beside = env::current_exe().ok();
    let beside = beside.as_deref().and_then(Path::parent);
    let search_path = env::var_os("PATH").unwrap_or_default();
    let folders = beside.map(Path::to_path_buf).into_iter();
    let mut files = folders
        .chain(env::split_paths(&search_path))
        .map(|folder| folder.join(SERVER));
    files.find(|file| file.is_file())
}

/// What the server at `path` says of itself, if it is one.
pub fn server_version(path: &Path) -> Option<String> {
    let output = Command::new(path)
        .arg("--version")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.trim();
    (output.status.success() && line.starts_with(SERVER)).then(|| line.to_owned())
}
