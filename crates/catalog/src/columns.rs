//! Finding a column by the name that the user wrote.

use crate::relation::{Access, Builtin, Column, Origin, Relation};
use bpfquery_diag::nearest;

/// Why there is no column of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Miss {
    /// No column has it.
    Unknown {
        /// The name that was probably meant.
        nearest: Option<String>,
    },
    /// Several columns have it when case counts for nothing, and none has it exactly.
    Ambiguous {
        /// Those columns, in order.
        names: Vec<String>,
    },
    /// The kernel declares it, and this hook cannot reach it.
    Absent {
        /// As what follows "because".
        why: String,
    },
}

impl Relation {
    /// The index in [`Relation::columns`] of the column of this name: an exact match first, the built-in before the
    /// relation's own; then a unique one in other case. `args_only` is `args.NAME`, which passes the built-ins over.
    pub fn column(&self, name: &str, args_only: bool) -> Result<usize, Miss> {
        let all = || self.columns.iter().enumerate().filter(move |(_, column)| !(args_only && column.is_builtin()));
        if let Some((index, _)) = all().find(|(_, column)| column.name == name) {
            return Ok(index);
        }
        if let Some(absent) = self.absent.iter().find(|absent| absent.name == name) {
            return Err(Miss::Absent { why: absent.why.clone() });
        }
        let similar: Vec<(usize, &Column)> = all().filter(|(_, c)| c.name.eq_ignore_ascii_case(name)).collect();
        match similar.as_slice() {
            [] => {
                Err(Miss::Unknown { nearest: nearest(name, all().map(|(_, c)| c.name.as_str())).map(str::to_string) })
            }
            // Columns of one and the same name: the built-in comes first.
            [(index, first), rest @ ..] if rest.iter().all(|(_, c)| c.name == first.name) => Ok(*index),
            several => Err(Miss::Ambiguous { names: several.iter().map(|(_, c)| c.name.clone()).collect() }),
        }
    }

    /// The indexes of what `SELECT *` shows: `ts`, `pid`, `comm`, `cpu` and the relation's own columns that can be
    /// shown. An own column that a shown built-in hides is shown too; it is `args.NAME`.
    pub fn star(&self) -> Vec<usize> {
        let shown = [Builtin::Ts, Builtin::Pid, Builtin::Comm, Builtin::Cpu];
        let wanted = |column: &Column| match column.access {
            Access::Builtin(builtin) => shown.contains(&builtin),
            Access::Context { .. } | Access::DataLocation { .. } | Access::Member { .. } => column.ty.is_output(),
            Access::Listed { .. } => true,
            // What is made of other relations' columns.
            Access::Unreachable => column.ty.is_output(),
            Access::Held { .. } => false,
        };
        self.columns.iter().enumerate().filter(|(_, column)| wanted(column)).map(|(index, _)| index).collect()
    }
}

impl Column {
    /// A built-in column.
    pub fn builtin(builtin: Builtin) -> Column {
        Column {
            name: builtin.name().to_string(),
            ty: builtin.ty(),
            access: Access::Builtin(builtin),
            origin: Origin::Builtin,
        }
    }

    /// Whether every event has it.
    pub fn is_builtin(&self) -> bool {
        matches!(self.access, Access::Builtin(_))
    }

    /// Its type as C text; empty for a built-in.
    pub fn c_type(&self) -> &str {
        match &self.origin {
            Origin::Builtin => "",
            Origin::Field { c_type, .. }
            | Origin::Parameter { c_type, .. }
            | Origin::Argument { c_type, .. }
            | Origin::Returns { c_type } => c_type,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relation::{Absent, Hook};
    use crate::ty::SqlType;

    fn relation() -> Relation {
        let own = |name: &str| Column {
            name: name.to_string(),
            ty: SqlType::I32,
            access: Access::Context { offset: 8, size: 4 },
            origin: Origin::Parameter { index: 0, c_type: "int".to_string() },
        };
        let mut relation = Relation::new(Hook::Once);
        relation.columns.extend([own("pid"), own("Flags"), own("mode"), own("MODE")]);
        relation.absent.push(Absent { name: "seventh".into(), why: "it is passed on the stack".into() });
        relation
    }

    #[test]
    fn names_resolve() {
        let relation = relation();
        let own = Builtin::ALL.len();
        let check = |name: &str, args_only: bool, expect: Result<usize, Miss>| {
            assert_eq!(relation.column(name, args_only), expect, "{name} {args_only}");
        };
        check("pid", false, Ok(2));
        check("pid", true, Ok(own));
        check("PID", true, Ok(own));
        check("PID", false, Ok(2));
        check("flags", false, Ok(own + 1));
        check("mode", false, Ok(own + 2));
        check("MODE", false, Ok(own + 3));
        check("Mode", false, Err(Miss::Ambiguous { names: vec!["mode".into(), "MODE".into()] }));
        check("comm", true, Err(Miss::Unknown { nearest: None }));
        check("comn", false, Err(Miss::Unknown { nearest: Some("comm".into()) }));
        check("zzzzzz", false, Err(Miss::Unknown { nearest: None }));
        check("seventh", true, Err(Miss::Absent { why: "it is passed on the stack".into() }));
    }
}
