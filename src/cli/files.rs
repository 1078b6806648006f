//! Files that are read and written: whole or not at all.

use super::Failure;
use bellerophon::agents::PlainModel;
use bellerophon::client::{Client, SECRETS_LIMIT};
use bellerophon::compile::Program;
use bellerophon::compile::program::PROGRAM_LIMIT;
use bellerophon::polynomial::protected::PLAIN_LIMIT;
use bellerophon_bridge as bridge;
use bellerophon_schemes::security::SecurityLevel;
use bellerophon_schemes::wire::HEADER_BYTES;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The level of security that everything must reach: for programs, the only one that has parameters.
pub const LEVEL: SecurityLevel = SecurityLevel::Bits128;

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Whom the system's defaults allow.
    Default,
    /// The owner alone; a file that is there is not replaced.
    Owner,
}

/// Reads a file of at most `limit` bytes and a header, called `what` in messages.
pub fn read(path: &Path, what: &str, limit: u64) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let limit = limit + HEADER_BYTES as u64;
    let shown = path.display();
    let error = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => format!("there is no {what} file {shown}"),
        _ => format!("cannot read the {what} file {shown}: {error}"),
    };
    let file = File::open(path).map_err(error)?;
    let length = file.metadata().map_err(error)?.len();
    let most = limit.saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(length.min(most) as usize));
    // a file can grow, and a pipe says nothing of its length
    file.take(most).read_to_end(&mut bytes).map_err(error)?;
    match bytes.len() as u64 > limit {
        true => Err(format!("{shown} is no {what}: it has more than {limit} bytes").into()),
        false => Ok(bytes),
    }
}

/// Fails early where `path` could not be written at the end.
pub fn check_target(path: &Path, access: Access) -> Result<(), Failure> {
    let shown = path.display();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    if !folder.is_dir() {
        let folder = folder.display();
        return Err(format!("cannot write {shown}: the folder {folder} does not exist").into());
    }
    if path.is_dir() {
        return Err(format!("cannot write {shown}: it is a folder; name a file").into());
    }
    if access == Access::Owner && path.exists() {
        return Err(format!("{shown} exists, and secrets are not replaced: move it away").into());
    }
    Ok(())
}

/// Writes a file whole or not at all.
pub fn write(path: &Path, bytes: &[u8], access: Access) -> Result<(), Failure> {
    check_target(path, access)?;
    let partial = partial(path);
    let written = write_new(&partial, bytes, access).and_then(|()| fs::rename(&partial, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&partial);
        format!("cannot write {}: {error}", path.display()).into()
    })
}

/// As [`write`], for what is written piece by piece.
pub fn write_with<T>(
    path: &Path,
    access: Access,
    write: impl FnOnce(&mut File) -> Result<T, Failure>,
) -> Result<T, Failure> {
    check_target(path, access)?;
    let partial = partial(path);
    let written = || -> Result<T, Failure> {
        let mut file = create(&partial, access)?;
        let made = write(&mut file)?;
        file.sync_all()?;
        fs::rename(&partial, path)?;
        Ok(made)
    };
    written().map_err(|error: Failure| {
        let _ = fs::remove_file(&partial);
        format!("cannot write {}: {error}", path.display()).into()
    })
}

/// A name beside `path` that no other process uses.
fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.partial", std::process::id()));
    PathBuf::from(name)
}

fn write_new(path: &Path, bytes: &[u8], access: Access) -> std::io::Result<()> {
    let mut file = create(path, access)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn create(path: &Path, access: Access) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if access == Access::Owner {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    options.open(path)
}

/// Reads a program and the parameters that it was compiled for.
pub fn program(path: &Path) -> Result<(Program, bridge::Parameters), Failure> {
    let bytes = read(path, "program", PROGRAM_LIMIT)?;
    let opened = Program::open(&bytes, LEVEL);
    opened.map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Reads a program, or a network in slots, with its parameters.
pub fn plain_model(path: &Path) -> Result<PlainModel, Failure> {
    let bytes = read(path, "program", PLAIN_LIMIT)?;
    let opened = PlainModel::from_bytes(&bytes, LEVEL);
    opened.map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Refuses a file for the keys of polynomials in slots where the program has none, and its absence
/// where it has some.
pub fn check_slots(program: &Program, file: Option<&Path>) -> Result<(), Failure> {
    match (&program.slots, file) {
        (Some(_), None) => {
            Err("the program has polynomials in slots: name the file of their keys with --slots"
                .into())
        }
        (None, Some(_)) => Err("--slots: the program has no polynomials in slots".into()),
        _ => Ok(()),
    }
}

/// Reads secrets for these parameters.
pub fn client(path: &Path, parameters: &bridge::Parameters) -> Result<Client, Failure> {
    let bytes = read(path, "secret key", SECRETS_LIMIT)?;
    let client = Client::import_secrets(parameters.clone(), &bytes);
    client.map_err(|error| format!("{}: {error}", path.display()).into())
}
