//! A kernel as a value: what `k.snap` holds.
//!
//! - The same kernel makes the same bytes: everything in it is sorted, nothing in it is a time.
//! - Hostile bytes are refused, never a panic; no part unpacks to more than its header says, which is bounded.
//! - BTF is unpacked when it is asked for: a query on a tracepoint does not need it.
//!
//! Not checked: that the parts are of one and the same kernel.

mod file;
mod select;
mod subset;

pub use select::Selection;
pub use subset::{Subset, subset};

use crate::convert::VMLINUX;
use crate::kernel::{Feature, Identity, Kernel};
use bpfquery_btf::Btf;
use bpfquery_diag::{Failure, Result};
use file::Packed;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// A kernel's description, complete or in part.
#[derive(Clone, Debug)]
pub struct Snapshot {
    identity: Identity,
    formats: BTreeMap<(String, String), String>,
    vmlinux: Option<Object>,
    modules: BTreeMap<String, Object>,
    /// The functions that can be traced, sorted; `None` when that is not known.
    traceable: Option<Vec<String>>,
}

/// A BTF, packed, and parsed once it is asked for.
#[derive(Clone, Debug)]
struct Object {
    packed: Packed,
    parsed: OnceLock<Arc<Btf>>,
}

impl Object {
    fn new(packed: Packed) -> Object {
        Object { packed, parsed: OnceLock::new() }
    }

    fn btf(&self, name: &str, base: Option<&Btf>) -> Result<Arc<Btf>> {
        if let Some(known) = self.parsed.get() {
            return Ok(known.clone());
        }
        let doing = || format!("read the BTF of {name} in the snapshot");
        let bytes = self.packed.unpack().map_err(|error| Failure::io(doing(), error))?;
        let parsed = match base {
            None => Btf::parse(bytes),
            Some(base) => Btf::parse_split(bytes, base),
        };
        let parsed = parsed.map_err(|error| Failure::io(doing(), error))?;
        Ok(self.parsed.get_or_init(|| Arc::new(parsed)).clone())
    }
}

impl Snapshot {
    /// A snapshot that describes nothing but which kernel it is; the parts are added by `with_…`.
    pub fn new(identity: Identity) -> Snapshot {
        Snapshot { identity, formats: BTreeMap::new(), vmlinux: None, modules: BTreeMap::new(), traceable: None }
    }

    /// The same with an event's format.
    #[must_use]
    pub fn with_format(mut self, category: &str, event: &str, text: &str) -> Snapshot {
        self.formats.insert((category.to_string(), event.to_string()), text.to_string());
        self
    }

    /// The same with vmlinux's BTF, as read from `/sys/kernel/btf/vmlinux`.
    #[must_use]
    pub fn with_btf(mut self, bytes: &[u8]) -> Snapshot {
        self.vmlinux = Some(Object::new(Packed::pack(bytes)));
        self
    }

    /// The same with a module's BTF.
    #[must_use]
    pub fn with_module(mut self, name: &str, bytes: &[u8]) -> Snapshot {
        self.modules.insert(name.to_string(), Object::new(Packed::pack(bytes)));
        self
    }

    /// The same with the list of functions that can be traced; all others cannot.
    #[must_use]
    pub fn with_traceable(mut self, functions: impl IntoIterator<Item = String>) -> Snapshot {
        let mut functions: Vec<String> = functions.into_iter().collect();
        functions.sort();
        functions.dedup();
        self.traceable = Some(functions);
        self
    }

    /// The same with a feature present, or not: to describe a kernel that differs in that alone.
    #[must_use]
    pub fn with_feature(mut self, feature: Feature, present: bool) -> Snapshot {
        if present {
            self.identity.features.insert(feature);
        } else {
            self.identity.features.remove(&feature);
        }
        self
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        file::write(self)
    }

    /// Reads a file's bytes, whatever they are.
    ///
    /// # Errors
    /// [`Failure::Io`] that says what is wrong with them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Snapshot> {
        file::read(bytes).map_err(|error| Failure::io("read the snapshot", error))
    }
}

impl Kernel for Snapshot {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn format(&self, category: &str, event: &str) -> Result<Option<String>> {
        Ok(self.formats.get(&(category.to_string(), event.to_string())).cloned())
    }

    fn events(&self) -> Result<Vec<(String, String)>> {
        Ok(self.formats.keys().cloned().collect())
    }

    fn categories_of(&self, event: &str) -> Result<Vec<String>> {
        let found = self.formats.keys().filter(|(_, name)| name == event);
        Ok(found.map(|(category, _)| category.clone()).collect())
    }

    fn btf(&self) -> Result<Arc<Btf>> {
        match &self.vmlinux {
            Some(object) => object.btf(VMLINUX, None),
            None => Err(bpfquery_diag::Unsupported::new(Feature::Btf.title())
                .detail("the snapshot has no BTF of vmlinux")
                .help("take it on a kernel that has /sys/kernel/btf/vmlinux")
                .into()),
        }
    }

    fn module_btf(&self, module: &str) -> Result<Option<Arc<Btf>>> {
        match self.modules.get(module) {
            Some(object) => object.btf(module, Some(&*self.btf()?)).map(Some),
            None => Ok(None),
        }
    }

    fn modules(&self) -> Result<Vec<String>> {
        Ok(self.modules.keys().cloned().collect())
    }

    fn traceable(&self, function: &str) -> Result<Option<bool>> {
        Ok(self.traceable_at_once(function))
    }

    fn functions_from(&self, start: &str) -> Result<Vec<String>> {
        let list = self.traceable.as_deref().unwrap_or_default();
        let from = list.partition_point(|name| name.as_str() < start);
        Ok(list[from..].iter().take_while(|name| name.starts_with(start)).cloned().collect())
    }

    fn traceable_at_once(&self, function: &str) -> Option<bool> {
        let list = self.traceable.as_ref()?;
        Some(list.binary_search_by(|name| name.as_str().cmp(function)).is_ok())
    }
}
