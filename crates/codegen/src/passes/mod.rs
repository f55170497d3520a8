//! Rewrites of the typed SSA form, a file each.
//!
//! What holds: a pass keeps what the function does (helper calls with effects and stores, in order) and leaves a function that
//! the IR verifier accepts. `run` says whether it changed anything. All of them give the same result for the same
//! function, and none looks at the machine.

pub mod bounded;
pub mod branches;
pub mod cfg;
pub mod counters;
pub mod dce;
pub mod extend;
pub mod facts;
pub mod fold;
pub mod gvn;
pub mod memory;
pub mod merge;
pub mod offset;
pub mod params;
mod ranges;
pub mod search;
pub mod shape;
pub mod sink;
pub mod slot_set;
pub mod slots;
pub mod stores;
pub mod thread;
pub mod widen;

use crate::ir::{Func, verify};
use bpfquery_diag::{Failure, Result};
use shape::Shape;

/// A pass: says whether it changed the function.
pub type Pass = fn(&mut Func, &mut Shape) -> bool;

/// Repeated until none of them finds anything:
///
/// - arithmetic first, for it makes the constants that decide branches;
/// - branches before what cleans up behind them: ways sent on, parameters without a choice, blocks in a line;
/// - numbering after that, for in longer blocks and with fewer parameters more is the same;
/// - what memory holds behind numbering, by which equal addresses have one name;
/// - extensions and offsets next to the end, on values that have their final names;
/// - removal last: everything above leaves things that nobody uses.
pub const SIMPLIFY: &[(&str, Pass)] = &[
    ("fold", fold::run),
    ("branches", branches::run),
    ("thread", thread::run),
    ("params", params::run),
    ("merge", merge::run),
    ("gvn", gvn::run),
    ("memory", memory::run),
    ("extend", extend::run),
    ("offset", offset::run),
    ("dce", dce::run),
];

/// Once, when the shape stands: searches in long chains, stores that nobody reads, those side by side, what only they needed, then the rest to
/// where it is needed, and counters to the ends of their blocks.
pub const FINISH: &[(&str, Pass)] = &[
    ("search", search::run),
    ("stores", stores::run),
    ("widen", widen::run),
    ("dce", dce::run),
    ("sink", sink::run),
    ("counters", counters::run),
];

/// Rounds of [`SIMPLIFY`]; each shortens the function, and real ones need three or four.
const ROUNDS: usize = 32;

/// All passes. The IR verifier runs before them, and in builds with assertions behind each.
///
/// # Errors
///
/// A bug, if the function is not right before or behind a pass.
pub fn run(func: &mut Func) -> Result<()> {
    run_counted(func).map(drop)
}

/// What it took, in numbers that no machine's speed changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Passes that were run.
    pub runs: u32,
    /// How often the control-flow graph was computed.
    pub graphs: u32,
}

/// [`run`], with the work that it was.
///
/// # Errors
///
/// As above.
pub fn run_counted(func: &mut Func) -> Result<Work> {
    check(func, "lower")?;
    let mut runner = Runner { func, shape: Shape::default(), version: 0, runs: 0 };
    // The version of the function that each pass has nothing to say to.
    let mut rested = [None; SIMPLIFY.len()];
    for _ in 0..ROUNDS {
        let before = runner.version;
        for (pass, rested) in SIMPLIFY.iter().zip(&mut rested) {
            if *rested != Some(runner.version) {
                let changed = runner.pass(pass)?;
                *rested = (!changed).then_some(runner.version);
            }
        }
        if runner.version == before {
            break;
        }
    }
    FINISH.iter().try_for_each(|pass| runner.pass(pass).map(drop))?;
    Ok(Work { runs: runner.runs, graphs: runner.shape.computed() })
}

struct Runner<'a> {
    func: &'a mut Func,
    shape: Shape,
    /// How many passes have changed it.
    version: u32,
    runs: u32,
}

impl Runner<'_> {
    fn pass(&mut self, (name, pass): &(&'static str, Pass)) -> Result<bool> {
        self.runs += 1;
        let changed = pass(self.func, &mut self.shape);
        self.version += u32::from(changed);
        if cfg!(debug_assertions) {
            if !self.shape.holds(self.func) {
                return Err(Failure::bug(name, "it did not say that blocks go elsewhere"));
            }
            if changed {
                check(self.func, name)?;
            }
        }
        Ok(changed)
    }
}

fn check(func: &Func, pass: &'static str) -> Result<()> {
    verify(func).map_err(|error| Failure::bug(pass, format!("{error}\n{func}")))
}
