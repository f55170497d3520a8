//! Every relation of a kernel, one after the other, and what is known of its columns.
//!
//! What must hold: a relation that is met here can be named after FROM and attached on this kernel, as far as its files tell; nothing is
//! kept of those that were met, and columns are looked up only where somebody asks. Not checked: whether a trampoline can be loaded,
//! which nothing but trying tells ([`Feature::Trampoline`] is what the caller says).

use crate::convert::{Object, Pointers, VMLINUX, c_type};
use crate::format::parse_format;
use crate::glob::{glob, literal_prefix};
use crate::kernel::{Feature, Kernel};
use crate::listing::Listing;
use crate::name::RelationName;
use crate::probe::function::Kind;
use crate::probe::raw_tracepoint::Declaration;
use crate::probe::signature::{declared, refuses_trampoline};
use crate::probe::{raw_tracepoint, syscall, tracepoint};
use crate::relation::{Access, Builtin, Column, Relation};
use crate::ty::{Pointee, SqlType};
use bpfquery_btf::TypeId;
use bpfquery_diag::{Result, Span};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A relation that was met.
pub struct Met<'a> {
    /// Its first word.
    pub kind: &'static str,
    /// What stands before the last dot of its name: `kprobe`, `tracepoint.sched`.
    pub schema: &'a str,
    /// What stands behind it.
    pub name: &'a str,
    /// The module that its function is in; `None` for vmlinux, and for what is no function.
    pub module: Option<&'a str>,
    /// Whether its rows are events; otherwise they are there already.
    pub is_stream: bool,
    what: What<'a>,
    kernel: &'a dyn Kernel,
}

/// What its columns are made of.
enum What<'a> {
    Tracepoint { category: &'a str },
    Syscall,
    RawTracepoint { object: &'a Object, declared: &'a Declaration },
    Function { object: &'a Object, id: TypeId, kind: Kind },
    Listing(Listing),
}

/// What is known of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnFacts {
    /// As after SELECT; `args.NAME` where a built-in hides it.
    pub name: String,
    /// Its type.
    pub ty: Arc<TypeFacts>,
    /// Whether its value may be NULL.
    pub nullable: bool,
}

/// What is known of a column's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeFacts {
    /// In SQL, without the length of text.
    pub sql: String,
    /// Bytes of text at most; `None` for what is no text.
    pub text_length: Option<u32>,
    /// In C; `None` for a built-in.
    pub c: Option<String>,
}

/// What was found out of types, so that each is told only once.
#[derive(Default)]
pub struct Types(BTreeMap<(String, u32), (Arc<TypeFacts>, bool)>);

/// Calls `visit` with every relation of this kernel whose full name fits the pattern, kind by kind in the order of the language's
/// description, sorted within a kind; stops where it says so.
///
/// # Errors
/// What `kernel` could not answer, or `visit`'s own.
pub fn discover<'a>(
    kernel: &'a dyn Kernel,
    pattern: &str,
    visit: &mut dyn FnMut(&Met<'_>) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let mut walk = Walk { kernel, pattern, full: String::new(), visit };
    // The only break is that of `visit`.
    walk.all().map(|_| ())
}

/// Whether a relation whose name starts with this word can fit: saves looking for what cannot.
pub fn may_fit(pattern: &str, kind: &str) -> bool {
    let prefix = literal_prefix(pattern);
    let start = format!("{kind}.");
    !pattern.contains('.') || start.starts_with(prefix) || prefix.starts_with(&start)
}

/// A pattern without a dot is tried on the last part of names, too.
pub(crate) fn fits(pattern: &str, full: &str) -> bool {
    let last = full.rsplit('.').next().unwrap_or(full);
    glob(pattern, full) || !pattern.contains('.') && glob(pattern, last)
}

struct Walk<'a, 'v> {
    kernel: &'a dyn Kernel,
    pattern: &'v str,
    /// The name under way.
    full: String,
    visit: &'v mut dyn FnMut(&Met<'_>) -> Result<ControlFlow<()>>,
}

type Flow = Result<ControlFlow<()>>;

const GO_ON: Flow = Ok(ControlFlow::Continue(()));

impl Walk<'_, '_> {
    fn all(&mut self) -> Flow {
        for part in [Self::tracepoints, Self::syscalls, Self::raw_tracepoints, Self::functions, Self::listings] {
            if part(self)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        GO_ON
    }

    fn wants(&self, kind: &str, features: &[Feature]) -> bool {
        let has = |feature| self.kernel.identity().features.contains(feature);
        may_fit(self.pattern, kind) && features.iter().all(has)
    }

    fn tracepoints(&mut self) -> Flow {
        if !self.wants("tracepoint", &[Feature::Tracepoint]) {
            return GO_ON;
        }
        for (category, event) in self.kernel.events()? {
            let schema = format!("tracepoint.{category}");
            if self.meet(&schema, &event, None, || What::Tracepoint { category: &category })?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        GO_ON
    }

    fn syscalls(&mut self) -> Flow {
        if !self.wants("syscall", &[Feature::Tracepoint]) {
            return GO_ON;
        }
        for name in syscall::names(self.kernel)? {
            if self.meet("syscall", &name, None, || What::Syscall)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        GO_ON
    }

    fn raw_tracepoints(&mut self) -> Flow {
        if !self.wants("rawtracepoint", &[Feature::RawTracepoint, Feature::Btf]) {
            return GO_ON;
        }
        for object in objects(self.kernel)? {
            for (event, declared) in raw_tracepoint::declarations(&object) {
                let what = || What::RawTracepoint { object: &object, declared: &declared };
                if self.meet("rawtracepoint", event, None, what)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        GO_ON
    }

    fn listings(&mut self) -> Flow {
        for listing in Listing::ALL {
            if self.meet(Listing::SCHEMA, listing.name(), None, || What::Listing(listing))?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        GO_ON
    }

    fn functions(&mut self) -> Flow {
        let feature = |kind| match kind {
            Kind::Kprobe | Kind::Kretprobe => Feature::Kprobe,
            Kind::Fentry | Kind::Fexit => Feature::Trampoline,
        };
        let wanted = |kind: &Kind| self.wants(kind.word(), &[feature(*kind), Feature::Btf]);
        let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(wanted).collect();
        if kinds.is_empty() {
            return GO_ON;
        }
        let objects = objects(self.kernel)?;
        let mut lists = Vec::new();
        for object in &objects {
            lists.push((object, self.traceable(&kinds, object)?));
        }
        for kind in kinds {
            for (object, functions) in &lists {
                if self.of_object(kind, object, functions)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        GO_ON
    }

    /// Its functions that fit with one of these kinds, and that can be traced.
    fn traceable<'o>(&mut self, kinds: &[Kind], object: &'o Object) -> Result<Vec<(&'o str, TypeId)>> {
        let schemas: Vec<String> = kinds.iter().map(|kind| schema(*kind, object)).collect();
        let mut functions = by_name(object);
        functions.retain(|(name, _)| schemas.iter().any(|schema| self.fits(schema, name)));
        let mut kept = Vec::with_capacity(functions.len());
        for function in functions {
            if self.kernel.traceable(function.0)? != Some(false) {
                kept.push(function);
            }
        }
        Ok(kept)
    }

    fn of_object(&mut self, kind: Kind, object: &Object, functions: &[(&str, TypeId)]) -> Flow {
        let module = (object.name != VMLINUX).then_some(object.name.as_str());
        let schema = schema(kind, object);
        for &(name, id) in functions {
            if !attaches(self.kernel, object, kind, name, id)? {
                continue;
            }
            if self.meet(&schema, name, module, || What::Function { object, id, kind })?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        GO_ON
    }

    fn fits(&mut self, schema: &str, name: &str) -> bool {
        self.full.clear();
        self.full.extend([schema, ".", name]);
        fits(self.pattern, &self.full)
    }

    fn meet<'w>(
        &mut self,
        schema: &'w str,
        name: &'w str,
        module: Option<&'w str>,
        what: impl FnOnce() -> What<'w>,
    ) -> Flow {
        if !self.fits(schema, name) {
            return GO_ON;
        }
        let what = what();
        let is_stream = !matches!(what, What::Listing(_));
        let kind = match what {
            What::Tracepoint { .. } => "tracepoint",
            What::Syscall => "syscall",
            What::RawTracepoint { .. } => "rawtracepoint",
            What::Function { kind, .. } => kind.word(),
            What::Listing(_) => Listing::SCHEMA,
        };
        (self.visit)(&Met { kind, schema, name, module, is_stream, what, kernel: self.kernel })
    }
}

/// vmlinux, then the modules that have BTF.
fn objects(kernel: &dyn Kernel) -> Result<Vec<Object>> {
    let mut objects = vec![Object::vmlinux(kernel.btf()?)];
    for name in kernel.modules()? {
        objects.extend(kernel.module_btf(&name)?.map(|btf| Object { name, btf }));
    }
    Ok(objects)
}

/// Its own functions, each name once: static functions of different files may share one, and the first is meant.
fn by_name(object: &Object) -> Vec<(&str, TypeId)> {
    let mut functions: Vec<(&str, TypeId)> = object.btf.functions().map(|(id, name)| (name, id)).collect();
    functions.sort_unstable();
    functions.dedup_by_key(|(name, _)| *name);
    functions
}

/// What stands before a function's name.
fn schema(kind: Kind, object: &Object) -> String {
    match object.name.as_str() {
        VMLINUX => kind.word().to_string(),
        module => format!("{}.{module}", kind.word()),
    }
}

/// Whether a probe of this kind can be put on a function that can be traced.
fn attaches(kernel: &dyn Kernel, object: &Object, kind: Kind, name: &str, id: TypeId) -> Result<bool> {
    if matches!(kind, Kind::Kprobe | Kind::Kretprobe) {
        return Ok(!kernel.refuses_kprobe(name)?);
    }
    let version = kernel.identity().version;
    let proto = object.btf.proto_of(id);
    Ok(proto.is_none_or(|proto| refuses_trampoline(&object.btf, kind, version, name, &proto).is_none()))
}

impl Met<'_> {
    /// How many columns it has.
    ///
    /// # Errors
    /// What the kernel could not answer.
    pub fn count(&self) -> Result<usize> {
        match &self.what {
            What::Function { .. } | What::RawTracepoint { .. } => Ok(Builtin::ALL.len() + self.parameters().len()),
            What::Tracepoint { category } => {
                let text = self.kernel.format(category, self.name)?.unwrap_or_default();
                Ok(Builtin::ALL.len() + tracepoint::reached(category, parse_format(&text)).count())
            }
            What::Syscall | What::Listing(_) => Ok(self.relation()?.map_or(0, |relation| relation.columns.len())),
        }
    }

    /// Its columns, the built-in ones first.
    ///
    /// # Errors
    /// What the kernel could not answer.
    pub fn columns(&self, types: &mut Types) -> Result<Vec<ColumnFacts>> {
        if let What::Function { object, .. } | What::RawTracepoint { object, .. } = &self.what {
            return Ok(self.of_parameters(object, types));
        }
        let Some(relation) = self.relation()? else { return Ok(Vec::new()) };
        let facts = |(index, column): (usize, &Column)| ColumnFacts {
            name: shown_name(&relation, index, &column.name),
            ty: Arc::new(type_facts(&column.ty, (!column.c_type().is_empty()).then(|| column.c_type().to_string()))),
            nullable: is_nullable(&column.access, &column.ty),
        };
        Ok(relation.columns.iter().enumerate().map(facts).collect())
    }

    /// What is described by formats, or by us; `None` for what has gone meanwhile.
    fn relation(&self) -> Result<Option<Relation>> {
        match &self.what {
            What::Tracepoint { category } => {
                let text = self.kernel.format(category, self.name)?;
                text.map(|text| tracepoint::of_format(self.kernel, category, self.name, &text)).transpose()
            }
            What::Syscall => {
                let name = RelationName::at(Span::default(), ["syscall", self.name]);
                Ok(syscall::syscall(self.kernel, &name)?.map(|call| call.relation))
            }
            What::Listing(listing) => Ok(Some(listing.relation())),
            What::Function { .. } | What::RawTracepoint { .. } => Ok(None),
        }
    }

    /// Names and types of what a probe of a function or a raw tracepoint reaches.
    fn parameters(&self) -> Vec<(Cow<'_, str>, TypeId)> {
        match &self.what {
            What::Function { object, id, kind } => {
                let Some(proto) = object.btf.proto_of(*id) else { return Vec::new() };
                let list = declared(&object.btf, *kind, self.kernel.identity().version, &proto).into_iter();
                list.filter(|declared| declared.place.is_ok()).map(|declared| (declared.name, declared.ty)).collect()
            }
            What::RawTracepoint { object, declared } => {
                let list = raw_tracepoint::columns(object, declared).into_iter();
                list.map(|(name, ty)| (Cow::Owned(name), ty)).collect()
            }
            What::Tracepoint { .. } | What::Syscall | What::Listing(_) => Vec::new(),
        }
    }

    fn of_parameters(&self, object: &Object, types: &mut Types) -> Vec<ColumnFacts> {
        let mut list: Vec<ColumnFacts> = Builtin::ALL.into_iter().map(|builtin| types.builtin(builtin)).collect();
        for (name, id) in self.parameters() {
            let hidden = list.iter().any(|known| *known.name == *name);
            let name = if hidden { format!("args.{name}") } else { name.into_owned() };
            let (ty, nullable) = types.of(object, id);
            list.push(ColumnFacts { name, ty, nullable });
        }
        list
    }
}

/// The name by which a column is found: another one may hide its own.
pub(crate) fn shown_name(relation: &Relation, index: usize, name: &str) -> String {
    let hidden = relation.column(name, false) != Ok(index);
    if hidden { format!("args.{name}") } else { name.to_string() }
}

impl Types {
    /// A built-in column.
    fn builtin(&mut self, builtin: Builtin) -> ColumnFacts {
        let access = Access::Builtin(builtin);
        let made = || (Arc::new(type_facts(&builtin.ty(), None)), is_nullable(&access, &builtin.ty()));
        let (ty, nullable) = self.0.entry((builtin.name().to_string(), u32::MAX)).or_insert_with(made).clone();
        ColumnFacts { name: builtin.name().to_string(), ty, nullable }
    }

    /// The type of a function's argument, and whether a value of it may be NULL.
    fn of(&mut self, object: &Object, id: TypeId) -> (Arc<TypeFacts>, bool) {
        let made = || {
            let ty = object.sql_type(id, Pointers::ARGUMENT);
            let access = Access::Context { offset: 0, size: 8 };
            (Arc::new(type_facts(&ty, Some(c_type(&object.btf, id)))), is_nullable(&access, &ty))
        };
        self.0.entry((object.name.clone(), id.0)).or_insert_with(made).clone()
    }
}

fn type_facts(ty: &SqlType, c: Option<String>) -> TypeFacts {
    match ty {
        SqlType::Text { width } => TypeFacts { sql: "text".to_string(), text_length: Some(width.saturating_sub(1)), c },
        ty => TypeFacts { sql: ty.to_string(), text_length: None, c },
    }
}

/// Whether a column may be NULL where it is selected: what is read from memory may not be there.
fn is_nullable(access: &Access, ty: &SqlType) -> bool {
    match access {
        Access::Builtin(builtin) => *builtin == Builtin::Ppid,
        Access::DataLocation { .. } => true,
        Access::Listed { nullable } => *nullable,
        _ => matches!(ty, SqlType::Text { .. } | SqlType::Pointer { to: Pointee::Char, .. }),
    }
}
