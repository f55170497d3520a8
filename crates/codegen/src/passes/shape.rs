//! A function's control flow, computed once for all passes that ask.
//!
//! What must hold: a pass that changes where blocks go, or makes one, says so ([`Shape::changed`]) before it or another
//! asks again; `passes::run` compares in builds with assertions. Instructions and parameters do not matter here.

use crate::ir::{Cfg, Func, Terminator};

/// The control-flow graph of the one function that passes run on, as long as it holds.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    cfg: Cfg,
    is_current: bool,
    /// Whether blocks that the entry does not reach are empty.
    is_pruned: bool,
    /// How often the graph was computed.
    computed: u32,
}

impl Shape {
    /// The graph of the function as it is now.
    pub fn cfg(&mut self, func: &Func) -> &Cfg {
        if !self.is_current {
            self.cfg.compute(func);
            self.is_current = true;
            self.computed += 1;
        }
        &self.cfg
    }

    /// Some block goes elsewhere now, or is new.
    pub fn changed(&mut self) {
        self.is_current = false;
        self.is_pruned = false;
    }

    /// How often the graph was computed.
    pub fn computed(&self) -> u32 {
        self.computed
    }

    /// Whether what is kept is what would be computed now.
    pub fn holds(&self, func: &Func) -> bool {
        !self.is_current || self.cfg == Cfg::new(func)
    }

    /// Empties the blocks that the entry does not reach; says whether there were any.
    pub fn remove_unreachable(&mut self, func: &mut Func) -> bool {
        if std::mem::replace(&mut self.is_pruned, true) {
            return false;
        }
        let cfg = self.cfg(func);
        let mut changed = false;
        for block in func.block_ids().filter(|block| !cfg.is_reachable(*block)) {
            let data = &mut func.blocks[block.index()];
            if data.terminator != Terminator::None {
                data.params.clear();
                data.insts.clear();
                data.terminator = Terminator::None;
                data.cold = false;
                changed = true;
            }
        }
        changed
    }
}
