//! Checks a user plan that came from outside: an object file's bytes may say anything.
//!
//! What must hold: after `validate` said yes, decoding records by the layouts stays within them, and evaluating the steps finds every
//! column and parameter that they name. What may still fail is an operator on values of the wrong kind, which the evaluator
//! reports. Not checked: that the plan belongs to the program beside it.

use crate::{Axis, ColumnId, Datum, Expr, ExprKind, Layout, ParamId, SlotOp, Source, Step, Store, Stored, UserPlan};
use bpfquery_catalog::SqlType;

/// Bytes of a record, a key or a state: as many as an instruction's offset reaches.
const LARGEST: u32 = 32 << 10;

impl UserPlan {
    /// What is wrong with it, for a query with so many parameters; `Ok` if nothing is.
    pub fn validate(&self, params: usize) -> Result<(), String> {
        let mut width = source(&self.source)?;
        for step in &self.steps {
            match step {
                Step::Filter(predicate) => expr(predicate, width, params)?,
                Step::Project(list) => {
                    list.iter().try_for_each(|e| expr(e, width, params))?;
                    width = list.len();
                }
                Step::Sort(keys) => keys.iter().try_for_each(|key| expr(&key.expr, width, params))?,
                Step::Group { .. } => return Err("events are grouped in the kernel".to_string()),
                Step::Limit { .. } => {}
            }
        }
        ensure(width == self.output.len(), || format!("{width} columns are computed, {} are shown", self.output.len()))
    }
}

/// How many columns the source gives.
fn source(source: &Source) -> Result<usize, String> {
    match source {
        Source::Rows { layout, types } => {
            self::layout(layout, types, "record")?;
            Ok(types.len())
        }
        Source::Listing { .. } => Err("a listing needs no object".to_string()),
        Source::Groups { key, key_types, state, ops, slot_types, window, store } => {
            layout(key, key_types, "key")?;
            ensure(state.fields.len() == ops.len() && ops.len() == slot_types.len(), || {
                "a slot without a field".into()
            })?;
            bounds(state, "state")?;
            for ((field, op), ty) in state.fields.iter().zip(ops).zip(slot_types) {
                slot(field.stored, *op, ty, ops).ok_or_else(|| format!("the slot \"{}\" is no {op:?}", field.name))?;
            }
            if let Some(window) = window {
                let is_time = key_types.get(window.key as usize) == Some(&SqlType::Timestamp);
                ensure(is_time && window.size_ns > 0, || "the window is no key".into())?;
            }
            self::store(store, key, ops, window.is_some())?;
            Ok(key_types.len() + slot_types.len())
        }
    }
}

/// Every slot is a key's, and every key's slot there.
fn store(store: &Store, key: &Layout, ops: &[SlotOp], windows: bool) -> Result<(), String> {
    let Store::Slots { axes, slots, present, .. } = store else {
        let adds = |op: &SlotOp| matches!(op, SlotOp::Count | SlotOp::Histogram);
        let shared = matches!(store, Store::Shared { .. });
        ensure(!shared || ops.iter().all(adds), || "a state that CPUs cannot share".into())?;
        return ensure(!key.fields.is_empty(), || "a hash without keys".into());
    };
    ensure(axes.len() == key.fields.len() && !windows, || "the slots have other keys".into())?;
    let mut product = 1_u32;
    for (axis, field) in axes.iter().zip(&key.fields) {
        let int = matches!(field.stored, Stored::Int { .. });
        let fits = match axis {
            Axis::Cpu => int,
            Axis::Values { stride, count, null, .. } => {
                int && *stride == product && *count > 0 && *null == field.null_bit.is_some()
            }
        };
        ensure(fits, || format!("the slots do not fit the key \"{}\"", field.name))?;
        product = product.saturating_mul(axis.slots());
    }
    ensure(product == *slots && *slots <= LARGEST, || format!("the keys have {product} slots, not {slots}"))?;
    let counted = present.map_or(axes.is_empty(), |at| ops.get(at as usize) == Some(&SlotOp::Count));
    ensure(counted, || "nothing tells which slots are groups".into())
}

fn slot(stored: Stored, op: SlotOp, ty: &SqlType, ops: &[SlotOp]) -> Option<()> {
    let fits = match op {
        SlotOp::Count => stored == Stored::Int { bytes: 8, signed: false } && *ty == SqlType::U64,
        SlotOp::Sum => stored == Stored::Wide && *ty == SqlType::Decimal,
        SlotOp::Min { seen } | SlotOp::Max { seen } => {
            Stored::of(ty) == Some(stored) && ops.get(seen as usize) == Some(&SlotOp::Count)
        }
        SlotOp::Histogram => stored == Stored::Buckets && matches!(ty, SqlType::Histogram { .. }),
    };
    fits.then_some(())
}

fn layout(layout: &Layout, types: &[SqlType], what: &str) -> Result<(), String> {
    ensure(layout.fields.len() == types.len(), || format!("a field of the {what} without a type"))?;
    bounds(layout, what)?;
    for (field, ty) in layout.fields.iter().zip(types) {
        ensure(Stored::of(ty) == Some(field.stored), || format!("the field \"{}\" is no {ty}", field.name))?;
    }
    Ok(())
}

/// Every field and the null bits lie within the layout.
fn bounds(layout: &Layout, what: &str) -> Result<(), String> {
    let within = |offset: u32, bytes: u32| offset.checked_add(bytes).is_some_and(|end| end <= layout.size);
    ensure(layout.size <= LARGEST, || format!("the {what} has {} bytes", layout.size))?;
    let bits = match layout.nulls {
        None => 0,
        Some((offset, bytes)) => {
            ensure(matches!(bytes, 1 | 2 | 4 | 8) && within(offset, bytes), || {
                format!("the {what}'s null bits lie outside")
            })?;
            8 * bytes
        }
    };
    for field in &layout.fields {
        let outside = || format!("the field \"{}\" lies outside the {what}", field.name);
        ensure(field.stored.bytes() > 0 && within(field.offset, field.stored.bytes()), outside)?;
        ensure(field.null_bit.is_none_or(|bit| bit < bits), outside)?;
    }
    Ok(())
}

fn expr(expr: &Expr, columns: usize, params: usize) -> Result<(), String> {
    let mut wrong = None;
    expr.walk(&mut |e| {
        let found = match &e.kind {
            ExprKind::Column(ColumnId(at)) if *at as usize >= columns => Some(format!("column {at} of {columns}")),
            ExprKind::Param(ParamId(at)) if *at as usize >= params => Some(format!("parameter {at} of {params}")),
            ExprKind::Field { .. } | ExprKind::ReadText(_) => Some("memory is read in user space".to_string()),
            ExprKind::Tumble { .. } => Some("a window is found in user space".to_string()),
            ExprKind::Literal(Datum::Histogram(counts)) if counts.len() != crate::BUCKETS as usize => {
                Some(format!("a histogram of {} buckets", counts.len()))
            }
            _ => None,
        };
        wrong = wrong.take().or(found);
    });
    wrong.map_or(Ok(()), Err)
}

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Q, call, col, int, lt, param, tumble};
    use crate::{Query, Source, Step, UserPlan, split};
    use bpfquery_catalog::SqlType;

    fn grouped() -> UserPlan {
        let keys = [("bucket", tumble(1_000_000_000)), ("comm", col("comm"))];
        let plan = Q::scan()
            .aggregate(&keys, vec![call("min", Some(col("flags"))), call("hist", Some(col("flags")))])
            .filter(lt(col("#2 integer"), int(i128::from(u64::MAX))))
            .plan();
        split(&Query { plan, params: Vec::new() }).expect("the query is right").user
    }

    fn check(change: impl FnOnce(&mut UserPlan), expect: &str) {
        let mut plan = grouped();
        change(&mut plan);
        assert_eq!(plan.validate(0), Err(expect.to_string()));
    }

    fn groups(
        plan: &mut UserPlan,
        change: impl FnOnce(&mut crate::Layout, &mut crate::Layout, &mut Vec<crate::SlotOp>),
    ) {
        if let Source::Groups { key, state, ops, .. } = &mut plan.source {
            change(key, state, ops);
        }
    }

    #[test]
    fn what_the_split_makes_is_valid_and_travels() {
        let plan = grouped();
        assert_eq!(plan.validate(0), Ok(()));
        let text = serde_json::to_string(&plan).expect("a plan is plain data");
        let mut back: UserPlan = serde_json::from_str(&text).expect("it was just written");
        assert_eq!(serde_json::to_string(&back).expect("plain data"), text);
        assert_eq!(back.to_string(), plan.to_string());
        back.steps.clear();
        assert_ne!(back, plan);
    }

    #[test]
    fn hostile_plans_are_refused() {
        check(|p| groups(p, |key, _, _| key.fields[1].offset = 9), "the field \"comm\" lies outside the key");
        check(|p| groups(p, |key, _, _| key.fields[1].offset = u32::MAX), "the field \"comm\" lies outside the key");
        check(|p| groups(p, |key, _, _| key.size = 1 << 20), "the key has 1048576 bytes");
        check(|p| groups(p, |key, _, _| key.fields[0].null_bit = Some(0)), "the field \"bucket\" lies outside the key");
        check(|p| groups(p, |key, _, _| key.nulls = Some((0, 3))), "the key's null bits lie outside");
        check(|p| groups(p, |key, _, _| key.fields.truncate(1)), "a field of the key without a type");
        check(
            |p| groups(p, |key, _, _| key.fields[1].stored = crate::Stored::Text { bytes: 8 }),
            "the field \"comm\" is no text(16)",
        );
        check(|p| groups(p, |_, state, _| state.fields.truncate(1)), "a slot without a field");
        check(
            |p| groups(p, |_, _, ops| ops[1] = crate::SlotOp::Min { seen: 7 }),
            "the slot \"min\" is no Min { seen: 7 }",
        );
        check(|p| groups(p, |_, _, ops| ops[2] = crate::SlotOp::Sum), "the slot \"hist\" is no Sum");
        check(|p| p.steps.push(Step::Filter(param(0))), "parameter 0 of 0");
        check(|p| p.steps.push(Step::Project(vec![col("#4 integer")])), "column 4 of 4");
        check(|p| p.steps.push(Step::Project(vec![tumble(1); 4])), "a window is found in user space");
        check(|p| p.steps.push(Step::Project(vec![col("filename"); 4])), "memory is read in user space");
        check(|p| p.output.truncate(1), "4 columns are computed, 1 are shown");
        check(
            |p| {
                if let Source::Groups { window: Some(window), .. } = &mut p.source {
                    window.key = 1;
                }
            },
            "the window is no key",
        );
        check(
            |p| {
                if let Source::Groups { store, .. } = &mut p.source {
                    *store = crate::Store::Shared { max_groups: 1 };
                }
            },
            "a state that CPUs cannot share",
        );
        let mut plan = grouped();
        if let Source::Groups { slot_types, .. } = &mut plan.source {
            slot_types[1] = SqlType::Text { width: 8 };
        }
        assert!(plan.validate(0).is_err());
    }
}
