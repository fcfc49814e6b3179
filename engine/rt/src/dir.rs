//! Directories, and the names in them.
//!
//! Keeps: entries are reached through their open directory by one component, never through a
//! symbolic link; directories are made with mode 0700, files with 0600.

use std::ffi::{CStr, CString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::descriptor::{Descriptor, Label};
use crate::error::{Error, Result};
use crate::file::File;
use crate::op::{Operation, Status, Submitted};
use crate::shard;

/// Direct I/O was refused and somebody was told.
static WARNED: AtomicBool = AtomicBool::new(false);

/// The longest name in a directory, in bytes.
pub const NAME_BYTES_MAX: usize = 255;

/// One component of a path, as the system takes it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name(CString);

impl Name {
    /// `None` for what is no single component: empty, too long, `.`, `..`, with `/` or NUL.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let is_component = !text.is_empty()
            && text.len() <= NAME_BYTES_MAX
            && text != "."
            && text != ".."
            && !text.contains('/');
        is_component
            .then(|| CString::new(text).ok().map(Self))
            .flatten()
    }

    pub(crate) fn as_c_str(&self) -> &CStr {
        &self.0
    }

    /// The name as text; names are made from text.
    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How to open a file. The default opens nothing useful: name what you want.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one flag of open(2)")]
pub struct FileOptions {
    /// For reading.
    pub read: bool,
    /// For writing.
    pub write: bool,
    /// Make it if it is not there.
    pub create: bool,
    /// Make it; an error if it is there.
    pub create_new: bool,
    /// Past the page cache (O_DIRECT): offsets, lengths and addresses of writes are multiples of
    /// 4 KiB. Falls back to the page cache, with one warning a process, where the file system has
    /// no direct I/O.
    pub direct: bool,
}

impl FileOptions {
    /// For reading only.
    pub const READ: Self = Self {
        read: true,
        write: false,
        create: false,
        create_new: false,
        direct: false,
    };
    /// For reading and writing what is there.
    pub const READ_WRITE: Self = Self {
        write: true,
        ..Self::READ
    };
    /// For reading and writing a file that must be new.
    pub const CREATE_NEW: Self = Self {
        create_new: true,
        ..Self::READ_WRITE
    };

    /// The same past the page cache.
    #[must_use]
    pub const fn direct(self) -> Self {
        Self {
            direct: true,
            ..self
        }
    }
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its name; bytes that are no UTF-8 are replaced, such a name cannot be opened.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry of a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// A file with content.
    File,
    /// A directory.
    Directory,
    /// A link, a socket, a device, a pipe: nothing we ever make.
    Other,
}

/// An open directory. Clones share it.
#[derive(Clone, Debug)]
pub struct Dir {
    descriptor: Rc<Descriptor>,
}

impl Dir {
    /// Opens the directory at `path`, which may have any number of components and symbolic links:
    /// it is the operator's choice.
    ///
    /// Cancel: safe, here and in every method below; what was asked for may have happened.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_path(path.as_ref()).await
    }

    async fn open_path(path: &Path) -> Result<Self> {
        let label: std::sync::Arc<str> = path.to_string_lossy().into();
        let shard = shard::current();
        let Ok(c_path) = CString::new(path.as_os_str().as_bytes()) else {
            return Err(Error::new("open", label, libc::EINVAL));
        };
        let operation = Operation::OpenRoot { path: c_path };
        let (result, _) = Submitted::new(Rc::clone(&shard), operation).await;
        if result < 0 {
            return Err(Error::new("open", label, -result));
        }
        Ok(Self {
            descriptor: Descriptor::new(shard, result, Label::Path(label)),
        })
    }

    /// Opens the directory at `path` and makes it, mode 0700, where it is missing, together with
    /// the directories above it. What was made is durable when this returns.
    pub async fn create(path: impl AsRef<Path>) -> Result<Self> {
        Self::create_path(path.as_ref()).await
    }

    fn create_path(path: &Path) -> Pin<Box<dyn Future<Output = Result<Self>> + '_>> {
        Box::pin(async move {
            match Self::open_path(path).await {
                Err(error) if error.is_not_found() => {}
                found => return found,
            }
            let name = path.file_name().and_then(|name| name.to_str());
            let (Some(above), Some(name)) = (path.parent(), name) else {
                let target = path.to_string_lossy().into_owned();
                return Err(Error::new("create directory", target, libc::ENOENT));
            };
            let above = if above.as_os_str().is_empty() {
                Path::new(".")
            } else {
                above
            };
            let parent = Self::create_path(above).await?;
            match parent.create_dir(name).await {
                Err(error) if !error.is_already_exists() => return Err(error),
                _ => {}
            }
            parent.sync().await?;
            Self::open_path(path).await
        })
    }

    fn name(&self, verb: &'static str, name: &str) -> Result<Name> {
        Name::new(name).ok_or_else(|| self.error(verb, name, libc::EINVAL))
    }

    fn error(&self, verb: &'static str, name: &str, errno: i32) -> Error {
        Error::new(verb, self.descriptor.label().join(name), errno)
    }

    /// Runs an operation on the entry `name`; errors name the entry.
    async fn on_entry(&self, name: &str, operation: Operation) -> Result<(i32, Operation)> {
        let shard = Rc::clone(self.descriptor.shard());
        let (result, operation) = Submitted::new(shard, operation).await;
        if result < 0 {
            return Err(self.error(operation.verb(), name, -result));
        }
        Ok((result, operation))
    }

    fn adopt(&self, name: &str, raw: i32) -> Rc<Descriptor> {
        let label = Label::Path(self.descriptor.label().join(name));
        Descriptor::new(Rc::clone(self.descriptor.shard()), raw, label)
    }

    /// Opens or makes the file `name`; see [`FileOptions`].
    pub async fn open_file(&self, name: &str, options: FileOptions) -> Result<File> {
        let parent = Rc::clone(&self.descriptor);
        let open = |options| {
            let (parent, name) = (Rc::clone(&parent), self.name("open", name));
            name.map(|name| Operation::OpenFile {
                parent,
                name,
                options,
            })
        };
        match self.on_entry(name, open(options)?).await {
            Ok((raw, _)) => Ok(File::new(self.adopt(name, raw), options.direct)),
            Err(error) if options.direct && error.errno == libc::EINVAL => {
                // Some kernels make the file before they refuse direct I/O, so a file that must be
                // new may be there now, made by us.
                let buffered = FileOptions {
                    direct: false,
                    create: options.create || options.create_new,
                    create_new: false,
                    ..options
                };
                let (raw, _) = self.on_entry(name, open(buffered)?).await?;
                if !WARNED.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        file = %self.descriptor.label().join(name),
                        "the file system has no direct I/O; files go through the page cache"
                    );
                }
                Ok(File::new(self.adopt(name, raw), false))
            }
            Err(error) => Err(error),
        }
    }

    /// Opens the directory `name`.
    pub async fn open_dir(&self, name: &str) -> Result<Self> {
        let parent = Rc::clone(&self.descriptor);
        let operation = Operation::OpenDirectory {
            parent,
            name: self.name("open", name)?,
        };
        let (raw, _) = self.on_entry(name, operation).await?;
        Ok(Self {
            descriptor: self.adopt(name, raw),
        })
    }

    /// Makes the directory `name`, mode 0700. Durable after [`Dir::sync`].
    pub async fn create_dir(&self, name: &str) -> Result<()> {
        let parent = Rc::clone(&self.descriptor);
        let name_ = self.name("create directory", name)?;
        let operation = Operation::CreateDirectory {
            parent,
            name: name_,
        };
        self.on_entry(name, operation).await.map(drop)
    }

    /// Every entry, sorted by name. Reads the whole directory at once: keep directories small.
    pub async fn list(&self) -> Result<Vec<Entry>> {
        let directory = Rc::clone(&self.descriptor);
        let operation = Operation::List {
            directory,
            entries: Vec::new(),
        };
        match self.descriptor.run(operation).await? {
            (_, Operation::List { entries, .. }) => Ok(entries),
            _ => Ok(Vec::new()),
        }
    }

    /// Something has that name.
    pub async fn exists(&self, name: &str) -> Result<bool> {
        let target = Rc::clone(&self.descriptor);
        let name_ = Some(self.name("inspect", name)?);
        let operation = Operation::Inspect {
            target,
            name: name_,
            status: Status::default(),
        };
        match self.on_entry(name, operation).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Renames an entry, replacing a file called `to`. Durable after [`Dir::sync`].
    pub async fn rename(&self, from: &str, to: &str) -> Result<()> {
        let operation = Operation::Rename {
            parent: Rc::clone(&self.descriptor),
            from: self.name("rename", from)?,
            to: self.name("rename", to)?,
        };
        self.on_entry(from, operation).await.map(drop)
    }

    /// Removes a file. Durable after [`Dir::sync`].
    pub async fn remove_file(&self, name: &str) -> Result<()> {
        self.remove(name, false).await
    }

    /// Removes an empty directory. Durable after [`Dir::sync`].
    pub async fn remove_dir(&self, name: &str) -> Result<()> {
        self.remove(name, true).await
    }

    async fn remove(&self, name: &str, directory: bool) -> Result<()> {
        let parent = Rc::clone(&self.descriptor);
        let operation = Operation::Remove {
            parent,
            name: self.name("remove", name)?,
            directory,
        };
        self.on_entry(name, operation).await.map(drop)
    }

    /// Makes every entry made, renamed or removed so far durable.
    pub async fn sync(&self) -> Result<()> {
        let file = Rc::clone(&self.descriptor);
        self.descriptor
            .run(Operation::Sync {
                file,
                data_only: false,
            })
            .await
            .map(drop)
    }

    /// Takes the exclusive lock `name`, a file that is made if it is missing and stays.
    ///
    /// Held until the [`DirLock`] is dropped or the process dies. Error: `is_locked` if another
    /// process (or another part of this one) holds it.
    pub async fn lock(&self, name: &str) -> Result<DirLock> {
        let options = FileOptions {
            create: true,
            ..FileOptions::READ_WRITE
        };
        let file = self.open_file(name, options).await?;
        file.take_lock().await?;
        Ok(DirLock { file })
    }

    /// Bytes that may still be written to this file system.
    pub async fn free_space(&self) -> Result<u64> {
        let directory = Rc::clone(&self.descriptor);
        match self
            .descriptor
            .run(Operation::FreeSpace {
                directory,
                bytes: 0,
            })
            .await?
        {
            (_, Operation::FreeSpace { bytes, .. }) => Ok(bytes),
            _ => Ok(0),
        }
    }
}

impl fmt::Display for Dir {
    /// The path it was opened by.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.descriptor.label().fmt(f)
    }
}

/// An exclusive lock, held while this lives.
#[derive(Debug)]
#[must_use = "the lock is given up when this is dropped"]
pub struct DirLock {
    file: File,
}

impl DirLock {
    /// The lock's file, for a word on who holds it.
    pub fn file(&self) -> &File {
        &self.file
    }
}
