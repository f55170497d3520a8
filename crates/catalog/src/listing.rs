//! `information_schema`: relations whose rows are what is known of the kernel, not what happens in it.
//!
//! What must hold: no program is loaded for them; user space makes their rows. The names are PostgreSQL's
//! (<https://www.postgresql.org/docs/16/information-schema.html>), but for those that its catalog has no place for.

use crate::relation::{Access, Column, Hook, Origin, Relation};
use crate::ty::SqlType;
use serde::{Deserialize, Serialize};

/// Bytes of a name or a C type at most, as far as casts care: KSYM_NAME_LEN is 512 (include/linux/kallsyms.h, Linux 6.1).
const TEXT: SqlType = SqlType::Text { width: 4096 };

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Listing {
    /// A row for each relation.
    Tables,
    /// A row for each column of each relation.
    Columns,
}

/// Name, type, whether it may be NULL, and what it says.
type Declared = (&'static str, SqlType, bool, &'static str);

const TABLES: [Declared; 6] = [
    ("table_catalog", TEXT, false, "release of the kernel"),
    ("table_schema", TEXT, false, "what stands before the last dot of the relation's name: kprobe, tracepoint.sched"),
    ("table_name", TEXT, false, "what stands behind it"),
    ("table_type", TEXT, false, "STREAM where rows are events, VIEW otherwise"),
    ("is_insertable_into", TEXT, false, "NO"),
    ("module", TEXT, true, "module that the function is in; NULL in the kernel itself"),
];

const COLUMNS: [Declared; 9] = [
    ("table_catalog", TEXT, false, "release of the kernel"),
    ("table_schema", TEXT, false, "what stands before the last dot of the relation's name: kprobe, tracepoint.sched"),
    ("table_name", TEXT, false, "what stands behind it"),
    ("column_name", TEXT, false, "name of the column; args.NAME where a built-in hides it"),
    ("ordinal_position", SqlType::I32, false, "position in the relation, from 1, the built-in columns first"),
    ("is_nullable", TEXT, false, "YES or NO: whether a value may be NULL"),
    ("data_type", TEXT, false, "type in SQL"),
    ("character_maximum_length", SqlType::I32, true, "bytes of text at most; NULL for what is no text"),
    ("c_type", TEXT, true, "type in the kernel; NULL for a built-in column"),
];

impl Listing {
    /// All of them.
    pub const ALL: [Listing; 2] = [Listing::Columns, Listing::Tables];

    /// What stands before their names.
    pub const SCHEMA: &'static str = "information_schema";

    /// What stands behind the dot.
    pub fn name(self) -> &'static str {
        match self {
            Listing::Tables => "tables",
            Listing::Columns => "columns",
        }
    }

    /// The one of this name; case counts for nothing.
    pub fn named(name: &str) -> Option<Listing> {
        Listing::ALL.into_iter().find(|listing| listing.name().eq_ignore_ascii_case(name))
    }

    /// As a relation.
    pub fn relation(self) -> Relation {
        let column = |(name, ty, nullable, _): &Declared| Column {
            name: (*name).to_string(),
            ty: ty.clone(),
            access: Access::Listed { nullable: *nullable },
            origin: Origin::Builtin,
        };
        let hook = Hook::Listing(self);
        let columns = self.declared().iter().map(column).collect();
        Relation { name: hook.to_string(), hook, columns, absent: Vec::new() }
    }

    /// What a column says, in a sentence; empty for none of its own.
    pub(crate) fn doc(self, column: &str) -> &'static str {
        self.declared().iter().find(|(name, ..)| *name == column).map_or("", |(.., doc)| doc)
    }

    fn declared(self) -> &'static [Declared] {
        match self {
            Listing::Tables => &TABLES,
            Listing::Columns => &COLUMNS,
        }
    }
}
