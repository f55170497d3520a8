//! Groups as the maps hold them become rows: states of several CPUs merge, slots of an array become keys.
//!
//! What must hold: an emission is the groups between two calls of [`Engine::end_groups`]; every group pushed is in it once. Groups
//! are copied only as long as they are few, so that few groups come in the order of their keys' bytes and equal runs print equally;
//! many come as they are read, and go into columns at once unless a step needs all of them.
//!
//! A thread's name may stand in a key as the kernel had it while it changed, with something behind its NUL: zeros are put there, and
//! keys that are equal then are one group. So groups by name are all copied, however many.

use crate::decode::{self, word};
use crate::direct::{self, Direct, direct};
use crate::engine::Engine;
use crate::merge::States;
use bpfquery_diag::{Failure, Result};
use bpfquery_plan::eval::{compare_rows, eval, passes};
use bpfquery_plan::{Datum, Field, SortKey, Source, Step, Store, Stored, UserPlan};

/// Groups that are put in order by their keys: as many as a map holds if nobody asks for more.
const FEW: usize = bpfquery_plan::MAX_GROUPS as usize;
/// Bytes of a thread's name: TASK_COMM_LEN, include/linux/sched.h.
const NAME: u32 = 16;
/// Rows beyond those that a LIMIT keeps, before the others are dropped.
const SLACK: usize = 1024;

/// An entry of a map of groups: its key, and the state of each CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key's bytes: of an array, those of the index.
    pub key: Vec<u8>,
    /// The state's bytes, one for each possible CPU.
    pub states: Vec<Vec<u8>>,
}

/// Some entries of a map of groups, as the kernel copies them.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// Whether the map is the hash beside an array of slots.
    pub rest: bool,
    /// The keys' bytes, one key behind the other: of an array, those of the index.
    pub keys: &'a [u8],
    /// Bytes of a key.
    pub key_size: usize,
    /// The states' bytes: for each entry one for each possible CPU.
    pub values: &'a [u8],
    /// Bytes from a CPU's state to the next one's.
    pub stride: usize,
    /// Possible CPUs.
    pub cpus: usize,
}

impl<'a> Chunk<'a> {
    /// Key and states of each entry.
    pub fn entries(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let keys = self.keys.chunks_exact(self.key_size.max(1));
        keys.zip(self.values.chunks_exact((self.stride * self.cpus).max(1)))
    }
}

/// The groups of an emission so far.
pub(crate) struct Gathered {
    /// Where each column comes from, if the steps only choose columns.
    direct: Option<Vec<Direct>>,
    /// While they are few: keys and states in bytes, to be put in order.
    few: Flat,
    /// Whether they are many: then nothing waits in `few`.
    many: bool,
    /// Where in a key a thread's name may stand.
    names: Vec<usize>,
    /// Rows that wait for a step which needs all of them.
    rows: Vec<Vec<Datum>>,
}

/// Groups one behind the other.
#[derive(Default)]
struct Flat {
    keys: Vec<u8>,
    states: Vec<u8>,
    /// Where each group ends in `keys` and in `states`.
    ends: Vec<(usize, usize)>,
    stride: usize,
}

impl Flat {
    fn push(&mut self, key: &[u8], states: &[u8]) {
        self.keys.extend_from_slice(key);
        self.states.extend_from_slice(states);
        self.ends.push((self.keys.len(), self.states.len()));
    }

    /// Puts zeros behind the names of all keys.
    fn settle(&mut self, names: &[usize]) {
        let mut start = 0;
        for &(end, _) in &self.ends {
            for &name in names {
                let text = self.keys.get_mut(start + name..end).unwrap_or_default();
                let text = text.iter_mut().take(NAME as usize).skip_while(|byte| **byte != 0);
                text.for_each(|byte| *byte = 0);
            }
            start = end;
        }
    }

    fn groups(&self) -> Vec<Group<'_>> {
        let mut groups = Vec::with_capacity(self.ends.len());
        let mut start = (0, 0);
        for &end in &self.ends {
            let (key, states) = (&self.keys[start.0..end.0], &self.states[start.1..end.1]);
            groups.push(Group { key, states, stride: self.stride });
            start = end;
        }
        groups
    }
}

/// A group: its key, and one state or several.
#[derive(Clone, Copy)]
pub(crate) struct Group<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) states: &'a [u8],
    pub(crate) stride: usize,
}

impl Gathered {
    pub(crate) fn new(plan: &UserPlan) -> Gathered {
        Gathered { direct: direct(plan), few: Flat::default(), many: false, names: names(plan), rows: Vec::new() }
    }
}

/// The fields of a key that a thread's name fits: other texts of this width have zeros behind their NUL anyway.
fn names(plan: &UserPlan) -> Vec<usize> {
    let Source::Groups { key, .. } = &plan.source else { return Vec::new() };
    let fits = |field: &&Field| field.stored == Stored::Text { bytes: NAME } && field.null_bit.is_none();
    key.fields.iter().filter(fits).map(|field| field.offset as usize).collect()
}

impl Engine {
    /// Takes groups of the emission under way. Rows may come out at once: see [`Engine::pending`].
    pub fn push_chunk(&mut self, chunk: &Chunk<'_>) -> Result<()> {
        let Source::Groups { key, state, store, .. } = &self.plan.source else {
            return Err(Failure::bug("exec", "groups for a plan of records"));
        };
        let slots = matches!(store, Store::Slots { .. }) && !chunk.rest;
        if chunk.stride < state.size as usize || chunk.key_size != if slots { 4 } else { key.size as usize } {
            return Err(Failure::bug("exec", "entries of another map"));
        }
        let mut flat = Flat { stride: chunk.stride, ..Flat::default() };
        let groups = if slots {
            self.expand(chunk, &mut flat);
            flat.groups()
        } else {
            chunk.entries().map(|(key, states)| Group { key, states, stride: chunk.stride }).collect()
        };
        self.take_in(&groups)
    }

    /// The same for entries that stand one by one.
    pub fn push_entries(&mut self, rest: bool, entries: &[Entry]) -> Result<()> {
        let Some(first) = entries.first() else { return Ok(()) };
        let (key_size, cpus) = (first.key.len(), first.states.len());
        let stride = first.states.first().map_or(0, Vec::len);
        let keys: Vec<u8> = entries.iter().flat_map(|entry| entry.key.iter().copied()).collect();
        let values: Vec<u8> = entries.iter().flat_map(|entry| entry.states.iter().flatten().copied()).collect();
        self.push_chunk(&Chunk { rest, keys: &keys, key_size, values: &values, stride, cpus })
    }

    /// The emission is complete: a window's groups, or the whole run's.
    pub fn end_groups(&mut self) -> Result<()> {
        let mut few = std::mem::take(&mut self.gathered.few);
        few.settle(&self.gathered.names);
        let mut groups = few.groups();
        groups.sort_by(|a, b| a.key.cmp(b.key));
        if self.gathered.names.is_empty() {
            self.process(&groups)?;
        } else {
            self.process(&joined(&groups, &mut Flat { stride: few.stride, ..Flat::default() }))?;
        }
        self.gathered.many = false;
        let mut rows = std::mem::take(&mut self.gathered.rows);
        let steps = std::mem::take(&mut self.plan.steps);
        for step in steps.iter().skip(self.leading(&steps)) {
            rows = self.step(step, rows)?;
        }
        self.plan.steps = steps;
        rows.iter().for_each(|row| self.append(row));
        Ok(())
    }

    /// The start of the window that a group's key lies in, in ns of CLOCK_MONOTONIC, and the window's length; `None` where
    /// the plan has no window.
    pub fn window(&self, key: &[u8]) -> Option<(u64, u64)> {
        let Source::Groups { key: layout, window: Some(window), .. } = &self.plan.source else {
            return None;
        };
        let field = layout.fields.get(window.key as usize)?;
        Some((word(key, field.offset, 8, false), window.size_ns))
    }

    /// The groups that an array's slots are: those that have seen a row, each CPU's on its own where the CPU is a key.
    fn expand(&self, chunk: &Chunk<'_>, flat: &mut Flat) {
        let Source::Groups { key, state, store, .. } = &self.plan.source else { return };
        let Store::Slots { present, .. } = store else { return };
        let seen = present.and_then(|at| state.fields.get(at as usize));
        let is = |states: &[u8]| {
            seen.is_none_or(|field| states.chunks_exact(chunk.stride).any(|one| word(one, field.offset, 8, false) > 0))
        };
        let mut bytes = vec![0; key.size as usize];
        for (index, states) in chunk.entries() {
            let slot = u32::try_from(word(index, 0, 4, false)).unwrap_or(u32::MAX);
            let copies = if store.by_cpu() { chunk.stride } else { states.len() };
            for (cpu, states) in (0..).zip(states.chunks_exact(copies.max(1))).filter(|(_, states)| is(states)) {
                store.write_key(key, slot, cpu, &mut bytes);
                flat.push(&bytes, states);
            }
        }
    }

    fn take_in(&mut self, groups: &[Group<'_>]) -> Result<()> {
        self.received += groups.len() as u64;
        let few = self.gathered.few.ends.len() + groups.len() <= FEW || !self.gathered.names.is_empty();
        if !self.gathered.many && few {
            for group in groups {
                self.gathered.few.stride = group.stride;
                self.gathered.few.push(group.key, group.states);
            }
            return Ok(());
        }
        self.gathered.many = true;
        let few = std::mem::take(&mut self.gathered.few);
        self.process(&few.groups())?;
        self.process(groups)
    }

    /// Groups become values in columns, or rows that wait.
    fn process(&mut self, groups: &[Group<'_>]) -> Result<()> {
        if let Some(direct) = self.gathered.direct.take() {
            self.append_columns(&direct, groups);
            self.gathered.direct = Some(direct);
            return Ok(());
        }
        let steps = std::mem::take(&mut self.plan.steps);
        let done = self.through_steps(&steps, groups);
        self.plan.steps = steps;
        done
    }

    /// Column by column.
    fn append_columns(&mut self, direct: &[Direct], groups: &[Group<'_>]) {
        for (&from, column) in direct.iter().zip(&mut self.columns) {
            direct::append(from, &self.plan.source, self.wall_offset, groups, column);
        }
        self.pending += groups.len();
    }

    /// Row by row: as far as steps look at single rows, on to the columns if no other follows.
    fn through_steps(&mut self, steps: &[Step], groups: &[Group<'_>]) -> Result<()> {
        let leading = self.leading(steps);
        for group in groups {
            let Some(row) = self.lead(&steps[..leading], self.row(group))? else { continue };
            if leading == steps.len() {
                self.append(&row);
            } else {
                self.gathered.rows.push(row);
            }
        }
        // Of rows in order, those beyond the limit are never shown.
        if let [Step::Sort(keys), Step::Limit { count: Some(count), offset }, ..] = &steps[leading..] {
            let kept = usize::try_from(count.saturating_add(*offset)).unwrap_or(usize::MAX);
            if self.gathered.rows.len() > kept.saturating_mul(2).saturating_add(SLACK) {
                let mut rows = sorted(std::mem::take(&mut self.gathered.rows), keys, &self.params)?;
                rows.truncate(kept);
                self.gathered.rows = rows;
            }
        }
        Ok(())
    }

    /// How many steps from the first on look at a row alone.
    fn leading(&self, steps: &[Step]) -> usize {
        if self.gathered.direct.is_some() {
            return steps.len();
        }
        steps.iter().take_while(|step| matches!(step, Step::Filter(_) | Step::Project(_))).count()
    }

    fn lead(&self, steps: &[Step], mut row: Vec<Datum>) -> Result<Option<Vec<Datum>>> {
        for step in steps {
            match step {
                Step::Filter(predicate) if !passes(predicate, &row, &self.params)? => return Ok(None),
                Step::Project(exprs) => {
                    row = exprs.iter().map(|expr| eval(expr, &row, &self.params)).collect::<Result<_>>()?;
                }
                Step::Filter(_) | Step::Sort(_) | Step::Limit { .. } | Step::Group { .. } => {}
            }
        }
        Ok(Some(row))
    }

    fn row(&self, group: &Group<'_>) -> Vec<Datum> {
        let Source::Groups { key, key_types, state, ops, slot_types, .. } = &self.plan.source else {
            return Vec::new();
        };
        let keys = key.fields.iter().zip(key_types);
        let mut row: Vec<Datum> =
            keys.map(|(field, ty)| decode::datum(key, field, ty, group.key, self.wall_offset)).collect();
        let states = States { layout: state, ops, types: slot_types, wall_offset: self.wall_offset };
        row.extend((0..ops.len()).map(|at| states.slot(at, group.states, group.stride)));
        row
    }

    fn step(&self, step: &Step, rows: Vec<Vec<Datum>>) -> Result<Vec<Vec<Datum>>> {
        match step {
            Step::Filter(_) | Step::Project(_) => {
                let one = std::slice::from_ref(step);
                rows.into_iter().filter_map(|row| self.lead(one, row).transpose()).collect()
            }
            Step::Sort(keys) => sorted(rows, keys, &self.params),
            Step::Group { .. } => Err(Failure::bug("exec", "what is grouped is not grouped again")),
            Step::Limit { count, offset } => {
                let count = count.map_or(usize::MAX, |count| usize::try_from(count).unwrap_or(usize::MAX));
                Ok(rows.into_iter().skip(usize::try_from(*offset).unwrap_or(usize::MAX)).take(count).collect())
            }
        }
    }
}

/// Groups in order, of which those with equal keys become one with all their states.
fn joined<'a>(groups: &[Group<'a>], of_several: &'a mut Flat) -> Vec<Group<'a>> {
    let equal = |a: &Group<'_>, b: &Group<'_>| a.key == b.key;
    for several in groups.chunk_by(equal).filter(|groups| groups.len() > 1) {
        let states: Vec<u8> = several.iter().flat_map(|group| group.states.iter().copied()).collect();
        of_several.push(several[0].key, &states);
    }
    let mut several = of_several.groups().into_iter();
    let one = |groups: &[Group<'a>]| if groups.len() > 1 { several.next() } else { groups.first().copied() };
    groups.chunk_by(equal).filter_map(one).collect()
}

/// Orders rows by their sort keys, each evaluated once for each row; rows that compare as equal keep their order.
fn sorted(rows: Vec<Vec<Datum>>, keys: &[SortKey], params: &[Datum]) -> Result<Vec<Vec<Datum>>> {
    let value = |row: &Vec<Datum>| keys.iter().map(|key| eval(&key.expr, row, params)).collect::<Result<Vec<_>>>();
    let mut keyed = rows.into_iter().map(|row| Ok((value(&row)?, row))).collect::<Result<Vec<_>>>()?;
    keyed.sort_by(|(a, _), (b, _)| compare_rows(a, b, keys));
    Ok(keyed.into_iter().map(|(_, row)| row).collect())
}
