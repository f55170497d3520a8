//! LIKE: a start is compared like any text, every other pattern is an automaton.
//!
//! A state of the automaton is a bit, the last one the sign of the word; for each byte a table says which bits lead on to the next and
//! which stay. What of a cut text is still open at its end is NULL, and counted.

use super::Lowerer;
use super::compare_text::constant;
use super::cond::Ways;
use super::text::Text;
use crate::ir::{BinOp, Block, Cond, Global, GlobalId, Scan, Stop};
use bpfquery_diag::{Failure, Result};
use bpfquery_plan::like::Pattern;
use bpfquery_plan::{Datum, Expr, ExprKind, Like};

impl Lowerer<'_> {
    /// `text LIKE pattern`, where the pattern is a constant.
    pub(super) fn like(&mut self, expr: &Expr, text: &Expr, how: Like, pattern: &Expr, to: Ways) -> Result<()> {
        let pattern = match &pattern.kind {
            ExprKind::Literal(Datum::Text(bytes)) => how.parse(bytes),
            ExprKind::Literal(_) => None,
            _ => return Err(Failure::bug("lower", "a pattern that is not known")),
        };
        let Some(pattern) = pattern else {
            self.build.jump(to.null, &[]);
            return Ok(());
        };
        self.each_text(text, to.null, &mut |this, text, missing| {
            this.build.set_span(expr.span);
            if constant(text).is_some() {
                let ExprKind::Like(_, how, pattern) = &expr.kind else { return Err(Failure::bug("lower", "no LIKE")) };
                return this.compare_constants(ExprKind::Like(text.clone().into(), *how, pattern.clone()), to);
            }
            this.like_one(text, &pattern, missing, to)
        })
    }

    /// The same of a text that is not one of several; `missing` is where it is NULL.
    fn like_one(&mut self, text: &Expr, pattern: &Pattern, missing: Block, to: Ways) -> Result<()> {
        let span = self.build.span();
        let (start, rest) = pattern.behind_start();
        let is_start = rest.steps() == 0;
        if is_start && !pattern.is_open() {
            return self.equals_folded(text, &start, pattern.folds(), missing, to);
        }
        let text = self.text(text, false, missing)?;
        self.build.set_span(span);
        // A text ends at its NUL, so that no text goes on behind one.
        if start.contains(&0) {
            self.build.jump(to.no, &[]);
            return Ok(());
        }
        let kept = &start[..start.len().min(text.width as usize - 1)];
        self.begins_with(text, kept, pattern.folds(), to.no);
        if is_start && pattern.is_open() && kept.len() == start.len() {
            self.build.jump(to.yes, &[]);
        } else if start.len() >= text.width as usize - 1 {
            self.at_the_end(text, kept.len() == start.len(), &rest, to);
        } else {
            self.follow(text, start.len(), &rest, to);
        }
        Ok(())
    }

    /// Where the start takes all that is kept of a text: what follows it must match nothing, unless something was cut.
    fn at_the_end(&mut self, text: Text, whole: bool, rest: &Pattern, to: Ways) {
        let way = |matches| match matches {
            Some(true) => to.yes,
            _ => to.no,
        };
        let matches = rest.matches(b"", false).filter(|_| whole);
        match (text.length, whole.then(|| rest.matches(b"", true)).flatten()) {
            (Some(_), None) => self.unless_cut(text, way(matches), to.null),
            (Some(length), Some(cut)) => {
                let full = self.build.iconst(i64::from(text.width) + 1);
                self.build.branch(Cond::Eq, length, full, way(Some(cut)), way(matches));
            }
            (None, _) => self.build.jump(way(matches), &[]),
        }
    }

    /// The text behind its first `start` bytes against a pattern.
    fn follow(&mut self, text: Text, start: usize, pattern: &Pattern, to: Ways) {
        let table = self.table(pattern);
        let table = self.build.global_addr(table);
        let stop = match (pattern.stays(0, b'a'), pattern.is_open()) {
            (true, true) => Stop::Done,
            (true, false) => Stop::Never,
            (false, true) => Stop::Either,
            (false, false) => Stop::Dead,
        };
        let first = bit(pattern, 0).cast_signed();
        let behind = u32::try_from(start).unwrap_or(0);
        let from = if start == 0 { text.base } else { self.build.bin_imm(BinOp::Add, text.base, i64::from(behind)) };
        let state = self.build.scan(Scan { text: from, table, bytes: text.width - 1 - behind, start: first, stop });
        let (zero, rest) = (self.build.iconst(0), self.build.block());
        let Some(length) = text.length else {
            return self.build.branch(Cond::Slt, state, zero, to.yes, to.no);
        };
        if pattern.is_open() {
            self.build.branch(Cond::Slt, state, zero, to.yes, rest);
            self.build.switch_to(rest);
            let open = self.build.block();
            self.build.branch(Cond::Eq, state, zero, to.no, open);
            self.build.switch_to(open);
            return self.unless_cut(text, to.no, to.null);
        }
        let whole = self.build.block();
        let full = self.build.iconst(i64::from(text.width) + 1);
        self.build.branch(Cond::Eq, length, full, rest, whole);
        self.build.switch_to(whole);
        self.build.branch(Cond::Slt, state, zero, to.yes, to.no);
        self.build.switch_to(rest);
        // Something follows, so that who is at the end has lost, but for a character that may go on.
        let last = pattern.is_char_before(pattern.steps());
        let open = if last { state } else { self.build.bin_imm(BinOp::Shl, state, 1) };
        let undecided = self.build.block();
        self.build.branch(Cond::Eq, open, zero, to.no, undecided);
        self.build.switch_to(undecided);
        self.unless_cut(text, to.no, to.null);
    }

    /// The variable with the pattern's table, one for each.
    fn table(&mut self, pattern: &Pattern) -> GlobalId {
        let bytes = table(pattern);
        let mut name = "like".to_string();
        let mut others = 0;
        for (at, global) in self.build.func().globals.iter().enumerate() {
            if global.section == Global::Rodata && global.init == bytes {
                return GlobalId(u32::try_from(at).unwrap_or(u32::MAX));
            }
            if global.name.starts_with("like") {
                others += 1;
                name = format!("like_{others}");
            }
        }
        self.global(name, Global::Rodata, bytes)
    }
}

/// For each byte the states from which it leads on, and those in which it stays.
fn table(pattern: &Pattern) -> Vec<u8> {
    let mut words = [[0_u64; 2]; 256];
    for at in 0..=pattern.steps() {
        let bit = bit(pattern, at);
        for (byte, [advances, stays]) in (0..=u8::MAX).zip(&mut words) {
            *advances |= if pattern.advances(at, byte) { bit } else { 0 };
            *stays |= if pattern.stays(at, byte) { bit } else { 0 };
        }
    }
    words.iter().flatten().flat_map(|word| word.to_le_bytes()).collect()
}

/// The bit of a state; the last one's is the sign.
fn bit(pattern: &Pattern, at: usize) -> u64 {
    1 << (63 - pattern.steps().saturating_sub(at).min(63))
}
