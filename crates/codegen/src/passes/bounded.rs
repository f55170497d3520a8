//! Which numbers must be seen to lie within bounds: distances that are added to addresses, and what these are made of.
//!
//! A number in a stack word has no bounds for Linux 5.10 (check_stack_write, kernel/bpf/verifier.c; they are kept since 5.11), and on
//! no kernel has it those that a branch asks of its copy in a register later. Who keeps values in registers should keep these.

use super::cfg;
use super::facts;
use crate::ir::{BinOp, Cfg, Func, Op, Type, Value};

/// For each value, whether it is one of them.
pub fn values(func: &Func, cfg: &Cfg) -> Vec<bool> {
    let constants = facts::constants(func);
    let mut bounded = vec![false; func.values.len()];
    // From below: users come before what they use; around a loop, what is behind it decides.
    for &block in cfg.order().iter().rev() {
        let data = func.block(block);
        for (target, args) in data.terminator.targets() {
            let params = &func.block(target).params;
            // What `br.null` passes itself comes first, and is an address.
            let own = params.len().saturating_sub(args.len());
            for (param, arg) in params.iter().skip(own).zip(args) {
                bounded[arg.index()] |= bounded[param.index()];
            }
        }
        for inst in data.insts.iter().rev().map(|&inst| func.inst(inst)) {
            match &inst.op {
                Op::Bin(BinOp::Add | BinOp::Sub, base, by) if func.ty(*base) != Type::Int => {
                    bounded[by.index()] |= constants[by.index()].is_none();
                }
                Op::Bin(..) | Op::Extend { .. } if inst.result.is_some_and(|result| bounded[result.index()]) => {
                    cfg::operands(&inst.op, &mut |value: Value| {
                        bounded[value.index()] |= constants[value.index()].is_none();
                    });
                }
                _ => {}
            }
        }
    }
    bounded
}

#[cfg(test)]
mod tests {
    use super::values;
    use crate::ir::{Cfg, parse};

    /// What an address is moved by, through a parameter and arithmetic; not what only decides or is stored.
    #[test]
    fn distances_and_what_they_are_made_of() {
        let text = "func q context 64 words {
  map m0 \"groups\": percpu_array 4 -> 528, 1
  slot s0 \"index\" 8
b0(v0: ctx):
  v1 = load.u64 v0, 0
  v2 = load.u64 v0, 8
  v3 = slot s0
  v4 = const 0
  store.u64 v3, 0, v4
  v5 = map m0
  v6 = call map_lookup_elem v5, v3
  br.null v6, b1, b2
b1:
  ret v4
b2(v7: value m0):
  v8 = const 63
  br.ugt v1, v8, b1, b3(v1)
b3(v9: int):
  v10 = const 3
  v11 = shl v9, v10
  v12 = add v7, v11
  store.u64 v12, 0, v2
  jump b1
}
";
        let func = parse(text).expect("the text is well-formed");
        let bounded: Vec<usize> =
            values(&func, &Cfg::new(&func)).into_iter().enumerate().filter(|(_, is)| *is).map(|(at, _)| at).collect();
        assert_eq!(bounded, [1, 9, 11]);
    }
}
