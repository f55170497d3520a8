//! `bpfquery describe`

use crate::cli::args::DescribeArgs;
use crate::cli::{Result, Stop, input, output};
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use bpfquery_catalog::{Described, Description, RelationName, describe, relation};
use bpfquery_diag::Failure;
use bpfquery_sink::{Emission, Format};
use std::io;
use std::sync::Arc;

pub(crate) fn run(args: &DescribeArgs) -> Result {
    let (kernel, _) = input::kernel(&args.target)?;
    let found = relation(&*kernel, &RelationName::parse(&args.relation))
        .map_err(|failure| Stop::Failed(failure, args.relation.clone()))?;
    let text = text(&describe(&found)).map_err(|error| Failure::bug("describe", error.to_string()))?;
    output::stdout(&text)
}

fn text(description: &Description) -> io::Result<Vec<u8>> {
    let mut text = format!("{}: a row is {}\n\n", description.name, description.row).into_bytes();
    let column = |get: fn(&Described) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(description.columns.iter().map(get)))
    };
    table(
        &mut text,
        vec![
            ("column", column(|described| &described.name)),
            ("type", column(|described| &described.ty)),
            ("in the kernel", column(|described| &described.c_type)),
            ("meaning", column(|described| &described.doc)),
        ],
    )?;
    if !description.absent.is_empty() {
        let part = |get: fn(&(String, String)) -> &str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(description.absent.iter().map(get)))
        };
        text.push(b'\n');
        table(&mut text, vec![("left out", part(|(name, _)| name)), ("because", part(|(_, why)| why))])?;
    }
    Ok(text)
}

fn table(out: &mut Vec<u8>, columns: Vec<(&str, ArrayRef)>) -> io::Result<()> {
    let batch = RecordBatch::try_from_iter(columns).map_err(io::Error::other)?;
    let mut sink = Format::Table.sink(&batch.schema(), Emission::Whole, Box::new(out));
    sink.batch(&batch)?;
    sink.finish()
}
