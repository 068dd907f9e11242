//! Gets other people's files: npm packages through `npm pack`, crates through cargo. Both are asked for by name and
//! version, so that each user's own registry settings hold; what arrives is checked against a pinned SHA-256.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};

use super::table::{Package, SourceCrate};
use crate::shell;

/// Something cannot be had on this machine now: no network, or a program is missing. Nothing is wrong with the project.
#[derive(Debug)]
pub struct Unavailable(pub String);

impl std::fmt::Display for Unavailable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unavailable {}

/// Fetches and unpacks an npm package, unless that was done before.
pub fn package(package: &Package, corpus: &Path) -> Result<()> {
    let folder = corpus.join(package.folder);
    let stamp = folder.join(".sha256");
    if std::fs::read_to_string(&stamp).is_ok_and(|text| text == package.sha256) {
        return Ok(());
    }
    shell::step(&format!("npm package {} {}", package.name, package.version));
    let archive = download(package, &corpus.join("downloads"))?;
    let found = shell::sha256_of_file(&archive)?;
    ensure!(
        found == package.sha256,
        "{} has SHA-256 {found}, but {} is pinned; remove the file and try again, or find out who changed it",
        archive.display(),
        package.sha256
    );
    shell::empty_folder(&folder)?;
    unpack(&archive, &folder)?;
    if let Some((inner, to)) = package.resources {
        let to = folder.join(to);
        shell::create_folder(&to)?;
        unpack(&folder.join(inner), &to)?;
    }
    shell::write(&stamp, package.sha256.as_bytes())
}

fn download(package: &Package, folder: &Path) -> Result<PathBuf> {
    shell::create_folder(folder)?;
    let wanted = format!("{}@{}", package.name, package.version);
    let printed = shell::output(
        Command::new("npm")
            .args(["pack", "--silent", &wanted, "--pack-destination"])
            .arg(folder),
    )
    .map_err(|error| {
        Unavailable(format!(
            "cannot fetch the npm package {wanted} (npm comes with Node.js): {error:#}"
        ))
    })?;
    let name = printed.lines().last().map(str::trim).unwrap_or_default();
    ensure!(
        !name.is_empty(),
        "npm did not say which file it wrote for {wanted}"
    );
    Ok(folder.join(name))
}

fn unpack(archive: &Path, folder: &Path) -> Result<()> {
    shell::output(
        Command::new("tar")
            .arg("-xf")
            .arg(archive)
            .arg("-C")
            .arg(folder),
    )
    .map(drop)
}

/// The folder of a crate's C sources, fetched by cargo into its own cache.
pub fn crate_sources(wanted: &SourceCrate, corpus: &Path) -> Result<PathBuf> {
    let scratch = corpus.join("crates").join(wanted.name);
    let manifest = format!(
        "[package]\nname = \"corpus-sources\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies]\n{} = \"={}\"\n",
        wanted.name, wanted.version
    );
    shell::write(&scratch.join("Cargo.toml"), manifest.as_bytes())?;
    shell::write(&scratch.join("src/lib.rs"), b"")?;
    let metadata = shell::output(shell::cargo(&scratch).args([
        "metadata",
        "--quiet",
        "--format-version",
        "1",
    ]))
    .map_err(|error| {
        Unavailable(format!(
            "cannot fetch {} {}: {error:#}",
            wanted.name, wanted.version
        ))
    })?;
    let metadata: serde_json::Value =
        serde_json::from_str(&metadata).context("cargo metadata is not JSON")?;
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata lists no packages")?;
    let manifest_path = packages
        .iter()
        .find(|package| package["name"] == wanted.name && package["version"] == wanted.version)
        .and_then(|package| package["manifest_path"].as_str())
        .with_context(|| {
            format!(
                "cargo metadata does not mention {} {}",
                wanted.name, wanted.version
            )
        })?;
    let Some(package) = Path::new(manifest_path).parent() else {
        bail!("{manifest_path} is in no folder");
    };
    let folder = package.join(wanted.folder);
    let found = hash_of_sources(&folder)?;
    ensure!(
        found == wanted.sha256,
        "the sources in {} have SHA-256 {found}, but {} is pinned",
        folder.display(),
        wanted.sha256
    );
    Ok(folder)
}

/// SHA-256 over the names and contents of a folder's C files and headers, in the order of their names.
fn hash_of_sources(folder: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    for path in c_files(folder, &["c", "h"])? {
        let bytes =
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        hasher.update(path.file_name().unwrap_or_default().as_encoded_bytes());
        hasher.update([0]);
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(&bytes);
    }
    Ok(hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// The files of a folder that have one of these extensions, in the order of their names.
pub fn c_files(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in
        std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let path = entry?.path();
        if path
            .extension()
            .and_then(|extension| extension.to_str())
            .is_some_and(|found| extensions.contains(&found))
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
