//! The running machine, looked into lazily.

use crate::features::identify;
use crate::symbols::{self, Names};
use crate::tracefs::Tracefs;
use bpfquery_btf::Btf;
use bpfquery_catalog::{Feature, Identity, Kernel, Snapshot};
use bpfquery_diag::{Failure, Result, Unsupported};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Bytes that somebody lends, such as a memory map.
pub type Lent = Box<dyn AsRef<[u8]> + Send + Sync>;

/// The kernel of this machine, or of one whose `/sys` and `/proc` are mounted elsewhere.
pub struct Live {
    root: PathBuf,
    map: Option<fn(&Path) -> Option<Lent>>,
    identity: Identity,
    btf: OnceLock<Arc<Btf>>,
    modules: Mutex<BTreeMap<String, Option<Arc<Btf>>>>,
    traceable: OnceLock<Option<Names>>,
    existing: OnceLock<Option<Names>>,
    blacklist: OnceLock<Option<Names>>,
}

impl Live {
    /// The running kernel. Reads its version only.
    pub fn new() -> Live {
        Live::at(Path::new("/"))
    }

    /// The kernel whose `sys` and `proc` directories stand under `root`.
    pub fn at(root: &Path) -> Live {
        Live {
            root: root.to_path_buf(),
            map: None,
            identity: identify(root),
            btf: OnceLock::new(),
            modules: Mutex::new(BTreeMap::new()),
            traceable: OnceLock::new(),
            existing: OnceLock::new(),
            blacklist: OnceLock::new(),
        }
    }

    /// The same with a feature that was probed in some better way: present, or not.
    #[must_use]
    pub fn with_feature(mut self, feature: Feature, present: bool) -> Live {
        if present {
            self.identity.features.insert(feature);
        } else {
            self.identity.features.remove(&feature);
        }
        self
    }

    /// The same with a way to have vmlinux's BTF without copying it, which takes half of the time until a query is live. It
    /// says `None` where the kernel does not offer that (before 6.16); then the file is read.
    #[must_use]
    pub fn mapping(mut self, map: fn(&Path) -> Option<Lent>) -> Live {
        self.map = Some(map);
        self
    }

    /// The functions that can be traced; `None` where the kernel does not tell. Reads some megabytes at first.
    fn traceable_functions(&self) -> Option<&Names> {
        let read = || symbols::filter_functions(&Tracefs::find(&self.root).ok()?.path("available_filter_functions"));
        self.traceable.get_or_init(read).as_ref()
    }

    /// The functions that there are; `None` where the kernel does not tell.
    fn existing_functions(&self) -> Option<&Names> {
        self.existing.get_or_init(|| symbols::kallsyms(&self.root.join("proc/kallsyms"))).as_ref()
    }

    /// All of it as a value. Takes as long as reading all of tracefs and packing all BTF: about a second.
    ///
    /// # Errors
    /// What cannot be read; only the list of traceable functions may be missing.
    pub fn capture(&self) -> Result<Snapshot> {
        let mut snapshot = Snapshot::new(self.identity.clone());
        for (category, event) in self.events()? {
            // An event whose module goes away meanwhile is none.
            if let Some(text) = self.format(&category, &event)? {
                snapshot = snapshot.with_format(&category, &event, &text);
            }
        }
        if self.identity.features.contains(&Feature::Btf) {
            snapshot = snapshot.with_btf(&self.vmlinux_bytes()?);
        }
        for module in self.modules()? {
            if let Some(bytes) = self.module_bytes(&module)? {
                snapshot = snapshot.with_module(&module, &bytes);
            }
        }
        if let Some(functions) = self.traceable_functions() {
            snapshot = snapshot.with_traceable(functions.iter().map(str::to_string));
        }
        Ok(snapshot)
    }

    /// A module's BTF as bytes; `None` when it is not loaded or has none.
    fn module_bytes(&self, module: &str) -> Result<Option<Vec<u8>>> {
        if module.is_empty() || module.contains(['/', '\0']) || module.starts_with('.') || module == "vmlinux" {
            return Ok(None);
        }
        self.read_btf(module)
    }

    /// vmlinux's BTF as bytes.
    fn vmlinux_bytes(&self) -> Result<Vec<u8>> {
        let missing = || {
            Unsupported::new(Feature::Btf.title())
                .since("5.4")
                .detail("/sys/kernel/btf/vmlinux does not exist")
                .help("use a kernel built with CONFIG_DEBUG_INFO_BTF=y, as most distributions' are")
        };
        self.read_btf("vmlinux")?.ok_or_else(|| missing().into())
    }

    fn read_btf(&self, object: &str) -> Result<Option<Vec<u8>>> {
        let path = self.btf_dir().join(object);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(read_failure(&path, &error)),
        }
    }

    fn btf_dir(&self) -> PathBuf {
        self.root.join("sys/kernel/btf")
    }

    fn load_module(&self, module: &str) -> Result<Option<Arc<Btf>>> {
        let Some(bytes) = self.module_bytes(module)? else {
            return Ok(None);
        };
        let base = self.btf()?;
        let parsed = Btf::parse_split(bytes, &base);
        parsed.map(|btf| Some(Arc::new(btf))).map_err(|error| Failure::io(format!("read the BTF of {module}"), error))
    }
}

/// A box of what lends bytes lends bytes.
struct Bytes(Lent);

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

impl Default for Live {
    fn default() -> Live {
        Live::new()
    }
}

impl Kernel for Live {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn format(&self, category: &str, event: &str) -> Result<Option<String>> {
        Tracefs::find(&self.root)?.format(category, event)
    }

    fn events(&self) -> Result<Vec<(String, String)>> {
        Tracefs::find(&self.root)?.events()
    }

    fn categories_of(&self, event: &str) -> Result<Vec<String>> {
        Tracefs::find(&self.root)?.categories_of(event)
    }

    fn btf(&self) -> Result<Arc<Btf>> {
        if let Some(known) = self.btf.get() {
            return Ok(known.clone());
        }
        let parsed = match self.map.and_then(|map| map(&self.btf_dir().join("vmlinux"))) {
            Some(lent) => Btf::trust(Bytes(lent)),
            None => Btf::trust(self.vmlinux_bytes()?),
        };
        let parsed = parsed.map_err(|error| Failure::io("read the kernel's BTF", error))?;
        Ok(self.btf.get_or_init(|| Arc::new(parsed)).clone())
    }

    fn module_btf(&self, module: &str) -> Result<Option<Arc<Btf>>> {
        // A poisoned lock only means that another thread panicked while holding it; the map is whole at all times.
        if let Some(known) = self.modules.lock().unwrap_or_else(PoisonError::into_inner).get(module) {
            return Ok(known.clone());
        }
        let loaded = self.load_module(module)?;
        self.modules.lock().unwrap_or_else(PoisonError::into_inner).insert(module.to_string(), loaded.clone());
        Ok(loaded)
    }

    fn modules(&self) -> Result<Vec<String>> {
        let path = self.btf_dir();
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(read_failure(&path, &error)),
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| name != "vmlinux").collect();
        names.sort();
        Ok(names)
    }

    fn traceable(&self, function: &str) -> Result<Option<bool>> {
        if let Some(list) = self.traceable_functions() {
            return Ok(Some(list.contains(function)));
        }
        // A symbol may still be marked notrace; one that is not there surely cannot be traced.
        Ok(self.existing_functions().is_some_and(|names| !names.contains(function)).then_some(false))
    }

    fn exists(&self, function: &str) -> Result<Option<bool>> {
        Ok(self.existing_functions().map(|names| names.contains(function)))
    }

    fn refuses_kprobe(&self, function: &str) -> Result<bool> {
        let read = || symbols::kprobe_blacklist(&self.root.join("sys/kernel/debug/kprobes/blacklist"));
        Ok(self.blacklist.get_or_init(read).as_ref().is_some_and(|names| names.contains(function)))
    }

    fn functions_from(&self, start: &str) -> Result<Vec<String>> {
        let names = self.traceable_functions().or_else(|| self.existing_functions());
        Ok(names.map(|names| names.from(start).map(str::to_string).collect()).unwrap_or_default())
    }
}

/// A file that should be readable and is not.
pub(crate) fn read_failure(path: &Path, error: &std::io::Error) -> Failure {
    Failure::io(format!("read {}", path.display()), error)
}
