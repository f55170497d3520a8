//! The border between kernel and user space: what runs on every event, and what runs on what comes out.

use crate::{ColumnId, Expr, ExprKind, Layout, Param, SortKey, Store};
use bpfquery_catalog::{Listing, Relation, SqlType};
use bpfquery_diag::Span;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A query cut in two.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// What runs in the kernel: one program for each. None where user space answers alone.
    pub kernel: Vec<Fragment>,
    /// What runs on their output.
    pub user: UserPlan,
    /// Parameters that kernel expressions use.
    pub params: Vec<Param>,
}

/// One program: a hook, a filter, and what becomes of the rows that pass. Expressions refer to the relation's columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Fragment {
    /// Whose rows; with a match, the held row's columns stand behind its own.
    pub relation: Arc<Relation>,
    /// Where each row first takes the row that its thread holds.
    pub matched: Option<Matched>,
    /// Conditions, cheapest first; a row passes if all are true.
    pub filter: Vec<Expr>,
    /// What becomes of a row.
    pub output: Output,
    /// The query's place, for instructions that belong to no expression.
    pub span: Span,
}

/// A row takes the one that its thread holds; a row without one goes no further, and is counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Matched {
    /// Conditions over the relation's own columns, judged before anything is taken.
    pub before: Vec<Expr>,
    /// Where rows are held.
    pub store: HeldStore,
    /// What is held: the value of the map `held`.
    pub layout: Layout,
    /// The field that says what is there: one of its own behind the others, or a time, which is 0 where there is no row.
    pub state: u32,
    /// Whether rows are held that are to make no pair.
    pub rejects: bool,
}

/// Where each thread holds a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldStore {
    /// A hash by the thread's id, with room made beforehand; a row that is taken is deleted.
    Tid {
        /// Threads that hold a row at once.
        max_threads: u32,
    },
    /// Task storage: memory that hangs on the thread and goes with it. A row that is taken is marked so, and the memory stays.
    Task,
}

/// The state of what a thread holds: nothing.
pub const HELD_NOTHING: u8 = 0;
/// The state of what a thread holds: a row.
pub const HELD_ROW: u8 = 1;
/// The state of what a thread holds: a row that is to make no pair.
pub const HELD_REJECTED: u8 = 2;

/// What becomes of a row in the kernel.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Its thread holds it in the map `held`, until it is taken or the next one comes.
    Hold {
        /// Where.
        store: HeldStore,
        /// The map's value.
        layout: Layout,
        /// The field that says what is there, as in [`Matched`].
        state: u32,
        /// A value for each field, but for a state of its own.
        values: Vec<Expr>,
        /// Where one is not true the row is held as one that makes no pair.
        holds: Vec<Expr>,
    },
    /// It is sent to user space through the ring buffer `rows`.
    Rows {
        /// The record.
        layout: Layout,
        /// A value for each field.
        values: Vec<Expr>,
    },
    /// It updates its group's state in the map `groups`, which is what the store says.
    Groups {
        /// The key: that of a hash; of an array's slots it says what they stand for.
        key: Layout,
        /// A value for each field of the key.
        keys: Vec<Expr>,
        /// The map's value: a field for each slot.
        state: Layout,
        /// How each field of the state is updated.
        slots: Vec<Slot>,
        /// Where the states lie.
        store: Store,
        /// The rule that chose the store; `None` for a hash by the whole key.
        rule: Option<&'static str>,
    },
}

/// One field of a group's state. All-zero bytes are the state of no rows, so that a new entry needs no set-up on other CPUs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    /// How it is updated.
    pub op: SlotOp,
    /// The value; `None` only for `Count`.
    pub input: Option<Expr>,
    /// The row counts only if this is true (FILTER).
    pub filter: Option<Expr>,
    /// Where the call stands.
    #[serde(skip)]
    pub span: Span,
}

/// How a row updates a field of the state, and how the fields of several CPUs merge. A row whose input is NULL, or whose filter is
/// not true, changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SlotOp {
    /// Adds 1. Merge: sum. Stored: 8-byte unsigned.
    Count,
    /// Adds the input, sign-extended if its type is signed, in 128 bits. Merge: 128-bit sum. Stored: wide.
    Sum,
    /// The least. `seen` is the field that counts the inputs; the field has no meaning where that is 0. Merge: least of those seen.
    Min {
        /// Index of a `Count` slot with the same input and filter.
        seen: u32,
    },
    /// The greatest; otherwise as `Min`.
    Max {
        /// Index of a `Count` slot with the same input and filter.
        seen: u32,
    },
    /// Adds 1 to the bucket that the input (an `ExprKind::Bucket`) says. Merge: sum by bucket. Stored: buckets.
    Histogram,
}

impl Fragment {
    /// Every expression, over the relation's columns.
    pub fn exprs(&self) -> Vec<&Expr> {
        let before = self.matched.iter().flat_map(|matched| &matched.before);
        let mut list: Vec<&Expr> = before.chain(&self.filter).collect();
        match &self.output {
            Output::Hold { values, holds, .. } => list.extend(holds.iter().chain(values)),
            Output::Rows { values, .. } => list.extend(values),
            Output::Groups { keys, slots, .. } => {
                list.extend(keys.iter().chain(slots.iter().flat_map(|slot| slot.input.iter().chain(&slot.filter))));
            }
        }
        list
    }

    /// The same, to be changed.
    pub fn exprs_mut(&mut self) -> Vec<&mut Expr> {
        let before = self.matched.iter_mut().flat_map(|matched| &mut matched.before);
        let mut list: Vec<&mut Expr> = before.chain(&mut self.filter).collect();
        match &mut self.output {
            Output::Hold { values, holds, .. } => list.extend(holds.iter_mut().chain(values)),
            Output::Rows { values, .. } => list.extend(values),
            Output::Groups { keys, slots, .. } => {
                let inputs = slots.iter_mut().flat_map(|slot| slot.input.iter_mut().chain(&mut slot.filter));
                list.extend(keys.iter_mut().chain(inputs));
            }
        }
        list
    }
}

impl SlotOp {
    /// The type of the slot as a column of the user plan, for its input.
    pub fn column_type(self, input: Option<&Expr>) -> SqlType {
        match self {
            SlotOp::Count => SqlType::U64,
            SlotOp::Sum => SqlType::Decimal,
            SlotOp::Min { .. } | SlotOp::Max { .. } => input.map_or(SqlType::I64, |e| e.ty.clone()),
            SlotOp::Histogram => {
                let of = input.and_then(|input| match &input.kind {
                    ExprKind::Bucket(x) => Some(&x.ty),
                    _ => None,
                });
                SqlType::Histogram { intervals: of == Some(&SqlType::Interval) }
            }
        }
    }
}

/// What runs in user space. It can travel: serialised in the object's manifest, it needs neither SQL nor the compiler.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserPlan {
    /// Where rows come from.
    pub source: Source,
    /// What is done to them, in order.
    pub steps: Vec<Step>,
    /// The result's columns.
    pub output: Vec<OutputColumn>,
}

/// A column of the result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputColumn {
    /// Its true name, duplicates included.
    pub name: String,
    /// Its type.
    pub ty: SqlType,
}

/// Where the rows of a user plan come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Source {
    /// Records of the ring buffer: the row's columns are the layout's fields.
    Rows {
        /// The record.
        layout: Layout,
        /// Each field's type.
        types: Vec<SqlType>,
    },
    /// What is known of the kernel, in its own columns; those that nobody uses are NULL.
    Listing {
        /// Which.
        listing: Listing,
        /// The columns that are used, ascending.
        used: Vec<ColumnId>,
    },
    /// Entries of the map `groups`, merged over CPUs: the row's columns are the keys, then one for each slot (`Count`: unsigned
    /// bigint, `Sum`: decimal, `Min`/`Max`: the input's type, NULL where none was seen, `Histogram`: histogram).
    Groups {
        /// The key, as a hash has it.
        key: Layout,
        /// Each key's type.
        key_types: Vec<SqlType>,
        /// The map's value.
        state: Layout,
        /// How the fields of the state merge.
        ops: Vec<SlotOp>,
        /// Each slot's type as a column.
        slot_types: Vec<SqlType>,
        /// The window among the keys, if there is one.
        window: Option<Window>,
        /// Where the states lie.
        store: Store,
    },
}

/// A tumbling window among the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Which key.
    pub key: u32,
    /// Its length in ns.
    pub size_ns: u64,
}

/// A step of the user plan over whole rows. For `Groups` a batch is one emission (one window, or the whole run); for
/// `Rows` filters and projections go row by row, `Limit` counts over the whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Step {
    /// Keeps the rows for which it is true (HAVING).
    Filter(Expr),
    /// One row for each distinct key: the keys, then a column for each slot. Of a listing only; the kernel groups events.
    Group {
        /// A value for each key.
        keys: Vec<Expr>,
        /// How each slot is updated.
        slots: Vec<Slot>,
    },
    /// Replaces the columns.
    Project(Vec<Expr>),
    /// Orders the batch.
    Sort(Vec<SortKey>),
    /// Leaves out `offset` rows, keeps at most `count`.
    Limit {
        /// At most so many.
        count: Option<u64>,
        /// Left out first.
        offset: u64,
    },
}
