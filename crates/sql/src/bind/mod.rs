//! Placeholder.
use crate::ast::Ast;
use bpfquery_catalog::Kernel;
use bpfquery_diag::Result;
use bpfquery_plan::Query;
/// Options.
#[derive(Default, Debug, Clone)]
pub struct BindOptions { /// pid
    pub pid: Option<u32> }
/// Binds.
pub fn bind(_ast: &Ast, _text: &str, _kernel: &dyn Kernel, _options: &BindOptions) -> Result<Query> { Err(bpfquery_diag::Failure::bug("bind", "unfinished")) }
