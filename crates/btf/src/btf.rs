//! A BTF section, read lazily.
//!
//! - `parse` passes over all of the type section once, and refuses what is malformed; `trust` takes the running kernel's word
//!   for it, and looks at nothing before it is asked for. Everything else is read on demand.
//! - Queries are total: an id that does not exist reads as void, a string that does not, is not UTF-8 or is longer than the
//!   kernel's limit as empty. After `parse` every id and string offset inside a `Btf` exists.
//! - Every walk is bounded: a hostile cycle ends as void, no size, or no member; it never hangs.

use crate::index::{self, Index, Section, words_among};
use crate::kind::{self, Kind, Tag, TypeId};
use crate::raw::{self, Header, Scan, kind_of, u32_at};
use crate::{Error, Result};
use std::ffi::CStr;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// How many modifiers, arrays and nested types a walk follows; libbpf's `MAX_RESOLVE_DEPTH` is 32.
pub(crate) const MAX_DEPTH: u32 = 64;

/// Bytes of the longest name, with its NUL; the kernel's `KSYM_NAME_LEN`. Without a limit, a few bytes of hostile
/// types could each make a query walk megabytes of string.
const MAX_NAME: usize = 512;

/// How many places a name may have among the strings before every type is looked at instead.
const MAX_PLACES: usize = 8;

/// How many answers are kept: compiling asks for a few names, again and again.
const MAX_KNOWN: usize = 64;

/// Bytes of a pointer on the target, x86-64.
pub const POINTER_SIZE: u32 = 8;

/// A BTF section. Cloning shares it.
#[derive(Clone)]
pub struct Btf(Arc<Inner>);

struct Inner {
    bytes: Box<dyn AsRef<[u8]> + Send + Sync>,
    types: Range<usize>,
    strings: Range<usize>,
    layout: Range<usize>,
    /// Where the own types start.
    index: Index,
    /// The id of the first own type: 1, or the number after the base's last.
    first_id: u32,
    /// The string offset of this section's first own string: 0, or the base's strings' length.
    first_string: u32,
    base: Option<Btf>,
    /// Whether each string is there once, as its own: so it is with what pahole and libbpf write (`strset__add_str`, libbpf 1.7).
    strings_unique: bool,
    /// What was looked for already.
    found: Mutex<Vec<(Tag, String, Option<TypeId>)>>,
}

impl fmt::Debug for Btf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Btf({} types, first {})", self.count(), self.0.first_id)
    }
}

impl Btf {
    /// Reads a whole BTF section, such as the contents of `/sys/kernel/btf/vmlinux`. The bytes may be anything that
    /// lends them: a `Vec<u8>`, an `Arc<[u8]>`, a memory map.
    pub fn parse(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<Btf> {
        Btf::build(Box::new(bytes), None)
    }

    /// Reads a split BTF section, such as that of a kernel module, whose ids and strings continue its base's.
    pub fn parse_split(bytes: impl AsRef<[u8]> + Send + Sync + 'static, base: &Btf) -> Result<Btf> {
        Btf::build(Box::new(bytes), Some(base.clone()))
    }

    /// The BTF that a running kernel offers of itself: it was checked when the kernel started (`btf_parse_vmlinux`,
    /// kernel/bpf/btf.c, Linux 6.18). Only its header is looked at; parsing all takes 1.6 ms.
    pub fn trust(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<Btf> {
        Btf::unchecked(Box::new(bytes), None, true)
    }

    fn build(bytes: Box<dyn AsRef<[u8]> + Send + Sync>, base: Option<Btf>) -> Result<Btf> {
        let btf = Btf::unchecked(bytes, base, false)?;
        let section = btf.section();
        let Scan { count, max_id, max_name } = raw::scan(section.types, section.layout)?;
        let count = u64::from(btf.0.first_id) + u64::from(count);
        if u64::from(max_id) >= count || count > u64::from(u32::MAX) {
            return Err(Error::new(format!("BTF mentions type {max_id}, and has only {count} of them")));
        }
        let end = u64::from(btf.strings_end());
        if u64::from(max_name) >= end.max(1) {
            return Err(Error::new(format!("BTF mentions the string at {max_name}, and its strings end at {end}")));
        }
        Ok(btf)
    }

    /// A `Btf` of which only the outline is known to be sound.
    fn unchecked(bytes: Box<dyn AsRef<[u8]> + Send + Sync>, base: Option<Btf>, strings_unique: bool) -> Result<Btf> {
        let data = (*bytes).as_ref();
        let Header { types, strings, layout } = Header::parse(data)?;
        check_strings(&data[strings.clone()], base.is_some())?;
        let first_id = base.as_ref().map_or(1, Btf::next_id);
        let first_string = base.as_ref().map_or(0, Btf::strings_end);
        // A type takes 12 bytes or more, so this bounds the ids, too.
        let most = u64::from(first_id).max(u64::from(first_string)) + (types.len() as u64).max(strings.len() as u64);
        if most > u64::from(u32::MAX) {
            return Err(Error::new("BTF and its base are larger than 4 GiB"));
        }
        let (index, found) = Default::default();
        let inner = Inner { bytes, types, strings, layout, index, first_id, first_string, base, strings_unique, found };
        Ok(Btf(Arc::new(inner)))
    }

    /// The base of a split BTF.
    pub fn base(&self) -> Option<&Btf> {
        self.0.base.as_ref()
    }

    /// All ids, void left out, the base's first.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = TypeId> + use<> {
        (1..self.next_id()).map(TypeId)
    }

    /// The ids that are not the base's.
    pub fn own_ids(&self) -> impl DoubleEndedIterator<Item = TypeId> + use<> {
        (self.0.first_id..self.next_id()).map(TypeId)
    }

    /// The number after the last id.
    pub fn next_id(&self) -> u32 {
        // `unchecked` has checked that the sum fits.
        self.0.first_id + self.count() as u32
    }

    /// How many own types there are.
    fn count(&self) -> usize {
        self.0.index.count(self.section())
    }

    /// What a type is; void for an id that is not in this BTF.
    pub fn kind(&self, id: TypeId) -> Kind<'_> {
        match self.record(id) {
            Some((owner, bytes)) => kind::decode(owner, bytes),
            None => Kind::Void,
        }
    }

    /// What a type is, without its contents.
    pub fn tag(&self, id: TypeId) -> Tag {
        self.record(id).map_or(Tag::Void, |(_, bytes)| Tag::of(kind_of(u32_at(bytes, 4))))
    }

    /// A type's name; empty where it has none.
    pub fn name(&self, id: TypeId) -> &str {
        self.record(id).map_or("", |(owner, bytes)| owner.name_at(u32_at(bytes, 0)))
    }

    /// The string at an offset, up to its NUL; empty where there is none.
    pub fn string(&self, offset: u32) -> &str {
        until_nul(self.string_rest(offset))
    }

    /// A name; empty if longer than `MAX_NAME`.
    pub(crate) fn name_at(&self, offset: u32) -> &str {
        let rest = self.string_rest(offset);
        until_nul(&rest[..rest.len().min(MAX_NAME)])
    }

    /// The first type of this kind and name, this BTF's own before its base's. Copies nothing: for vmlinux some 0.4 ms, most
    /// of it for finding the name among the strings.
    pub fn find(&self, tag: Tag, name: &str) -> Option<TypeId> {
        self.find_own(tag, name).or_else(|| self.base()?.find(tag, name))
    }

    /// The first type of this kind and name that is not the base's.
    pub fn find_own(&self, tag: Tag, name: &str) -> Option<TypeId> {
        // The list is whole between two statements, so a panic elsewhere does not spoil it.
        let known = || self.0.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, _, id)) = known().iter().find(|(kind, known, _)| *kind == tag && known == name) {
            return *id;
        }
        let id = self.look_for(tag, name);
        let mut known = known();
        if known.len() < MAX_KNOWN {
            known.push((tag, name.to_string(), id));
        }
        id
    }

    fn look_for(&self, tag: Tag, name: &str) -> Option<TypeId> {
        match self.places_of(name) {
            Some(places) => self.find_named(tag, &places),
            None => self.own_of(tag).find(|(_, offset)| self.string_is(*offset, name.as_bytes())).map(|(id, _)| id),
        }
    }

    /// The first own type of this kind whose name is one of these strings.
    fn find_named(&self, tag: Tag, names: &[u32]) -> Option<TypeId> {
        self.all_named(tag, names).next()
    }

    /// The own types of this kind whose name is one of these strings, in order of ids.
    fn all_named<'a>(&'a self, tag: Tag, names: &'a [u32]) -> impl Iterator<Item = TypeId> + 'a {
        let section = self.section();
        // A word that is such a name may be one of a member, or mean something else altogether.
        let is = move |at: &usize| Tag::of(kind_of(u32_at(section.types, at + 4))) == tag;
        let found = words_among(section.types, names).filter(is);
        found
            .filter_map(move |at| self.0.index.starting_at(section, at))
            .map(|nth| TypeId(self.0.first_id + nth as u32))
    }

    /// All types of this kind and name, this BTF's own before its base's. Static types of different files may differ.
    pub fn find_all(&self, tag: Tag, name: &str) -> Vec<TypeId> {
        let mut all: Vec<TypeId> = match self.places_of(name) {
            Some(places) => self.all_named(tag, &places).collect(),
            None => self.own_of(tag).filter(|(_, at)| self.string_is(*at, name.as_bytes())).map(|(id, _)| id).collect(),
        };
        if let Some(base) = self.base() {
            all.extend(base.find_all(tag, name));
        }
        all
    }

    /// Where the strings have this name, as offsets; `None` for so many that one look at each type is faster. It may be the
    /// end of another string, too.
    fn places_of(&self, name: &str) -> Option<Vec<u32>> {
        if name.is_empty() {
            return None;
        }
        let with_nul = [name.as_bytes(), &[0]].concat();
        if self.0.strings_unique {
            // One behind the NUL of another: the first string is the empty one.
            let between = [&[0], with_nul.as_slice()].concat();
            let at = first_of(self.part(&self.0.strings), &between);
            return Some(at.map(|at| at as u32 + 1).into_iter().collect());
        }
        let mut places = Vec::new();
        let mut owner = Some(self);
        while let Some(btf) = owner {
            let strings = btf.part(&btf.0.strings);
            // `unchecked` has checked that the sum fits.
            let found = memchr::memmem::find_iter(strings, &with_nul).map(|at| btf.0.first_string + at as u32);
            places.extend(found.take(MAX_PLACES + 1 - places.len()));
            if places.len() > MAX_PLACES {
                return None;
            }
            owner = btf.base();
        }
        Some(places)
    }

    /// Every named type of a kind, the base's left out, in order of ids.
    pub fn own_named(&self, tag: Tag) -> impl Iterator<Item = (TypeId, &str)> {
        self.own_of(tag).filter(|(_, offset)| *offset != 0).map(|(id, offset)| (id, self.name_at(offset)))
    }

    /// The functions, the base's left out. A name may come twice: static functions of different files.
    pub fn functions(&self) -> impl Iterator<Item = (TypeId, &str)> {
        self.own_named(Tag::Func)
    }

    /// The ids and name offsets of this BTF's own types of a kind.
    fn own_of(&self, tag: Tag) -> impl Iterator<Item = (TypeId, u32)> {
        let first = self.0.first_id;
        let is = move |bytes: &[u8]| Tag::of(kind_of(u32_at(bytes, 4))) == tag;
        let found = index::all(self.section()).filter(move |(_, bytes)| is(bytes));
        found.map(move |(nth, bytes)| (TypeId(first + nth as u32), u32_at(bytes, 0)))
    }

    /// A type's bytes up to the end of the section, and the BTF, this or a base, that holds it.
    fn record(&self, id: TypeId) -> Option<(&Btf, &[u8])> {
        let mut owner = self;
        while id.0 < owner.0.first_id {
            owner = owner.base()?;
        }
        let section = owner.section();
        let offset = owner.0.index.offset(section, (id.0 - owner.0.first_id) as usize)?;
        Some((owner, section.types.get(offset..)?))
    }

    /// Whether the string at `offset` is `name`; does not look for its end.
    pub(crate) fn string_is(&self, offset: u32, name: &[u8]) -> bool {
        self.string_rest(offset).strip_prefix(name).is_some_and(|rest| rest.first() == Some(&0))
    }

    /// From a string's start to the end of the section that holds it.
    fn string_rest(&self, offset: u32) -> &[u8] {
        let mut owner = self;
        while offset < owner.0.first_string {
            match owner.base() {
                Some(base) => owner = base,
                None => return &[],
            }
        }
        let start = (offset - owner.0.first_string) as usize;
        owner.part(&owner.0.strings).get(start..).unwrap_or_default()
    }

    /// The types, with the lengths of kinds that are newer than this code: a split section may leave those to its base.
    fn section(&self) -> Section<'_> {
        let own = self.part(&self.0.layout);
        let layout = match self.base() {
            Some(base) if own.is_empty() => base.part(&base.0.layout),
            _ => own,
        };
        Section { types: self.part(&self.0.types), layout }
    }

    /// A part of the bytes. The lender could lend fewer bytes than at first; that reads as nothing.
    fn part(&self, range: &Range<usize>) -> &[u8] {
        (*self.0.bytes).as_ref().get(range.clone()).unwrap_or_default()
    }

    fn strings_end(&self) -> u32 {
        // `unchecked` has checked that the sum fits.
        self.0.first_string + self.0.strings.len() as u32
    }
}

/// The string section ends with NUL and, unless it continues a base's, starts with the empty string.
fn check_strings(strings: &[u8], split: bool) -> Result<()> {
    match strings {
        [] if split => Ok(()),
        [.., 0] if split => Ok(()),
        [0, .., 0] | [0] => Ok(()),
        _ => Err(Error::new("the BTF string section does not start and end with NUL; is a base missing?")),
    }
}

/// The first place of at least two bytes. `memmem::find` would ask the processor first what it can do: fifteen times CPUID, which
/// takes a virtual machine 7 µs each. What every x86-64 can do reads a vmlinux's strings as fast as they come from memory.
fn first_of(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    #[cfg(target_arch = "x86_64")]
    if let Some(finder) = memchr::arch::x86_64::sse2::packedpair::Finder::new(wanted)
        && finder.min_haystack_len() <= bytes.len()
    {
        return finder.find(bytes, wanted);
    }
    memchr::memmem::find(bytes, wanted)
}

/// The text up to the first NUL; empty if there is none, or it is not UTF-8.
fn until_nul(bytes: &[u8]) -> &str {
    CStr::from_bytes_until_nul(bytes).ok().and_then(|text| text.to_str().ok()).unwrap_or("")
}
