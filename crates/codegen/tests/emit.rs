//! Instructions of small functions.

use bpfquery_codegen::ir::{parse, verify};
use bpfquery_codegen::{Target, compile};

#[test]
fn smoke() {
    for text in [include_str!("ir/everything.ir"), include_str!("emit/count_by_comm.ir")] {
        let func = parse(text).unwrap();
        verify(&func).unwrap();
        let program = compile(func, Target::default()).unwrap();
        println!("{}", program.display(&|_| None));
    }
}
