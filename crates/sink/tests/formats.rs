//! What each format makes of every type of column, in full.
//!
//! Besides the goldens, hostile text is read back by serde_json and the csv crate: a program gets the values that went in.

use arrow_array::builder::{ListBuilder, StringBuilder, StructBuilder, UInt64Builder};
use arrow_array::{
    ArrayRef, BooleanArray, Decimal128Array, DurationNanosecondArray, Float64Array, Int32Array, Int64Array,
    RecordBatch, RecordBatchOptions, StringArray, TimestampNanosecondArray, UInt32Array, UInt64Array,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use bpfquery_exec::{KIND, bucket_range};
use bpfquery_sink::{Emission, Format};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, ErrorKind, Write};
use std::rc::Rc;
use std::sync::Arc;

/// A writer whose bytes can be looked at while a sink holds it.
#[derive(Clone, Default)]
struct Page(Rc<RefCell<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn batch(columns: &[(&str, &str, ArrayRef)]) -> RecordBatch {
    let fields = columns.iter().map(|(name, kind, array)| {
        let metadata = HashMap::from([(KIND.to_string(), (*kind).to_string())]);
        Field::new(*name, array.data_type().clone(), true).with_metadata(metadata)
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    RecordBatch::try_new(schema, columns.iter().map(|(_, _, array)| array.clone()).collect()).unwrap()
}

fn written(format: Format, emission: Emission, schema: &SchemaRef, batches: &[RecordBatch]) -> String {
    let page = Page::default();
    let mut sink = format.sink(schema, emission, Box::new(page.clone()));
    batches.iter().for_each(|batch| sink.batch(batch).unwrap());
    sink.finish().unwrap();
    let bytes = page.0.borrow().clone();
    String::from_utf8(bytes).unwrap()
}

fn check(format: Format, emission: Emission, batches: &[RecordBatch], expect: &str) {
    let text = written(format, emission, &batches[0].schema(), batches);
    assert_eq!(text, expect, "\n{text}");
}

fn comms(pids: &[Option<i32>], comms: &[Option<&str>]) -> RecordBatch {
    batch(&[
        ("pid", "integer", Arc::new(Int32Array::from(pids.to_vec()))),
        ("comm", "text(16)", Arc::new(StringArray::from(comms.to_vec()))),
    ])
}

/// Buckets by index with their counts.
fn histogram(rows: &[Option<&[(usize, u64)]>]) -> ArrayRef {
    let fields = vec![
        Field::new("range", DataType::Utf8, false),
        Field::new("low", DataType::UInt64, true),
        Field::new("count", DataType::UInt64, false),
    ];
    let item = Field::new("item", DataType::Struct(fields.clone().into()), false);
    let mut list = ListBuilder::new(StructBuilder::from_fields(fields, 0)).with_field(item);
    for row in rows {
        for (bucket, count) in row.unwrap_or_default() {
            let low = (*bucket > 0).then(|| if *bucket == 1 { 0 } else { 1_u64 << (bucket - 2) });
            let values = list.values();
            values.field_builder::<StringBuilder>(0).unwrap().append_value(bucket_range(*bucket));
            values.field_builder::<UInt64Builder>(1).unwrap().append_option(low);
            values.field_builder::<UInt64Builder>(2).unwrap().append_value(*count);
            values.append(true);
        }
        list.append(row.is_some());
    }
    Arc::new(list.finish())
}

/// A row of ordinary values, one of extreme ones, and one of NULLs.
fn every_type() -> RecordBatch {
    let times = vec![Some(1_795_221_612_345_678_901), Some(1_795_221_610_000_000_000), None];
    let sums = vec![Some(7), Some(i128::from(u64::MAX) * 1_000_000_000_000_000_000), None];
    batch(&[
        ("ts", "timestamp", Arc::new(TimestampNanosecondArray::from(times).with_timezone("UTC"))),
        ("ok", "boolean", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
        ("ret", "bigint", Arc::new(Int64Array::from(vec![Some(-2), Some(i64::MIN), None]))),
        ("len", "unsigned bigint", Arc::new(UInt64Array::from(vec![Some(10), Some(u64::MAX), None]))),
        ("file", "pointer", Arc::new(UInt64Array::from(vec![Some(0xffff_8881_0000_0000), Some(0), None]))),
        ("elapsed", "interval", Arc::new(DurationNanosecondArray::from(vec![Some(1_234_567), Some(-1), None]))),
        ("avg", "double precision", Arc::new(Float64Array::from(vec![Some(2.5), Some(1e20), None]))),
        ("sum", "decimal(38,0)", Arc::new(Decimal128Array::from(sums).with_precision_and_scale(38, 0).unwrap())),
        ("state", "enum", Arc::new(StringArray::from(vec![Some("TCP_CLOSE"), Some("99"), None]))),
    ])
}

#[test]
fn a_bounded_table_is_as_wide_as_its_values() {
    let first = comms(&[Some(1), None], &[Some("systemd"), Some("evil\x1b[2J\n")]);
    let expect = r"
 pid  |     comm
------+---------------
    1 | systemd
 NULL | evil\x1b[2J\n
(2 rows)
";
    check(Format::Table, Emission::Whole, &[first], &expect[1..]);
}

#[test]
fn all_batches_of_a_bounded_result_have_one_width() {
    let batches = [comms(&[Some(1)], &[Some("a")]), comms(&[Some(1234567)], &[Some("日本")])];
    let expect = "
   pid   | comm
---------+------
       1 | a
 1234567 | 日本
(2 rows)
";
    check(Format::Table, Emission::Whole, &batches, &expect[1..]);
}

#[test]
fn a_stream_has_one_header_and_grows() {
    let batches =
        [comms(&[Some(1)], &[Some("a")]), comms(&[Some(1_234_567_890)], &[Some("b")]), comms(&[Some(2)], &[Some("c")])];
    let expect = "
   pid   |      comm
---------+-----------------
       1 | a
 1234567890 | b
          2 | c
";
    check(Format::Table, Emission::Rows, &batches, &expect[1..]);
    check(Format::Table, Emission::Windows, &batches, &expect[1..]);
}

#[test]
fn what_is_empty_still_shows_its_columns() {
    let schema = comms(&[], &[]).schema();
    for (format, emission, expect) in [
        (Format::Table, Emission::Whole, " pid | comm\n-----+------\n(0 rows)\n"),
        (Format::Table, Emission::Rows, "   pid   |      comm\n---------+-----------------\n"),
        (Format::Csv, Emission::Whole, "pid,comm\n"),
        (Format::Json, Emission::Whole, ""),
    ] {
        assert_eq!(written(format, emission, &schema, &[]), expect, "{format:?} {emission:?}");
    }
}

#[test]
fn a_table_of_every_type() {
    let expect = "
                ts                |  ok  |         ret          |         len          |        file        | elapsed  |  avg  |                  sum                   |   state
----------------------------------+------+----------------------+----------------------+--------------------+----------+-------+----------------------------------------+-----------
 2026-11-21 00:40:12.345678901+00 | t    |                   -2 |                   10 | 0xffff888100000000 | 1.234 ms |   2.5 |                                      7 | TCP_CLOSE
 2026-11-21 00:40:10+00           | f    | -9223372036854775808 | 18446744073709551615 | 0x0                |    -1 ns | 1e+20 | 18446744073709551615000000000000000000 | 99
 NULL                             | NULL |                 NULL |                 NULL | NULL               |     NULL |  NULL |                                   NULL | NULL
(3 rows)
";
    check(Format::Table, Emission::Whole, &[every_type()], &expect[1..]);
}

#[test]
fn json_of_every_type() {
    let expect = r#"
{"ts":"2026-11-21T00:40:12.345678901Z","ok":true,"ret":-2,"len":10,"file":18446612686364999680,"elapsed":1234567,"avg":2.5,"sum":7,"state":"TCP_CLOSE"}
{"ts":"2026-11-21T00:40:10Z","ok":false,"ret":-9223372036854775808,"len":18446744073709551615,"file":0,"elapsed":-1,"avg":1.0e20,"sum":18446744073709551615000000000000000000,"state":"99"}
{"ts":null,"ok":null,"ret":null,"len":null,"file":null,"elapsed":null,"avg":null,"sum":null,"state":null}
"#;
    check(Format::Json, Emission::Rows, &[every_type()], &expect[1..]);
}

#[test]
fn csv_of_every_type() {
    let expect = "
ts,ok,ret,len,file,elapsed,avg,sum,state
2026-11-21T00:40:12.345678901Z,true,-2,10,18446612686364999680,1234567,2.5,7,TCP_CLOSE
2026-11-21T00:40:10Z,false,-9223372036854775808,18446744073709551615,0,-1,1e20,18446744073709551615000000000000000000,99
,,,,,,,,
";
    check(Format::Csv, Emission::Rows, &[every_type()], &expect[1..]);
}

#[test]
fn json_has_no_infinity() {
    let numbers = Float64Array::from(vec![f64::NAN, f64::INFINITY, 1.5]);
    let rows = batch(&[("x", "double precision", Arc::new(numbers))]);
    check(Format::Json, Emission::Whole, &[rows], "{\"x\":null}\n{\"x\":null}\n{\"x\":1.5}\n");
}

/// A histogram beside a key, one of a single bucket, and none.
fn histograms() -> RecordBatch {
    batch(&[
        ("comm", "text(16)", Arc::new(StringArray::from(vec!["dd", "cat", "sh"]))),
        ("hist", "histogram", histogram(&[Some(&[(0, 1), (1, 2), (2, 1), (5, 13)]), Some(&[(15, 10)]), None])),
    ])
}

#[test]
fn histograms_are_drawn_as_bpftrace_draws_them() {
    let expect = "
 comm |                                      hist
------+---------------------------------------------------------------------------------
 dd   | (..., 0)               1 |@@@@                                                |
      | [0]                    2 |@@@@@@@@                                            |
      | [1]                    1 |@@@@                                                |
      | [2, 4)                 0 |                                                    |
      | [4, 8)                 0 |                                                    |
      | [8, 16)               13 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|
 cat  | [8K, 16K)             10 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|
 sh   | NULL
(3 rows)
";
    check(Format::Table, Emission::Whole, &[histograms()], &expect[1..]);
}

#[test]
fn histograms_are_lists_to_programs() {
    let expect = r#"
{"comm":"dd","hist":[{"range":"(..., 0)","low":null,"count":1},{"range":"[0]","low":0,"count":2},{"range":"[1]","low":1,"count":1},{"range":"[8, 16)","low":8,"count":13}]}
{"comm":"cat","hist":[{"range":"[8K, 16K)","low":8192,"count":10}]}
{"comm":"sh","hist":null}
"#;
    check(Format::Json, Emission::Whole, &[histograms()], &expect[1..]);
    let text = written(Format::Csv, Emission::Whole, &histograms().schema(), &[histograms()]);
    let rows: Vec<csv::StringRecord> =
        csv::Reader::from_reader(text.as_bytes()).records().collect::<Result<_, _>>().unwrap();
    let cells: Vec<&str> = rows.iter().map(|row| &row[1]).collect();
    assert_eq!(cells[1..], [r#"[{"range":"[8K, 16K)","low":8192,"count":10}]"#, ""]);
}

#[test]
fn names_are_kept_and_keys_are_unique() {
    let one = || Arc::new(UInt32Array::from(vec![1])) as ArrayRef;
    let names = ["count(*)", "a b", "é", "x", "x", "x_2", "x", "q\"\x1b"];
    let row = batch(&names.map(|name| (name, "unsigned integer", one())));
    let check_here = |format, expect| check(format, Emission::Whole, std::slice::from_ref(&row), expect);
    check_here(
        Format::Json,
        "{\"count(*)\":1,\"a b\":1,\"é\":1,\"x\":1,\"x_3\":1,\"x_2\":1,\"x_4\":1,\"q\\\"\\u001b\":1}\n",
    );
    check_here(Format::Csv, "count(*),a b,é,x,x,x_2,x,\"q\"\"\x1b\"\n1,1,1,1,1,1,1,1\n");
    check_here(
        Format::Table,
        " count(*) | a b | é | x | x | x_2 | x | q\"\\x1b\n\
         ----------+-----+---+---+---+-----+---+--------\n\
         \x20       1 |   1 | 1 | 1 | 1 |   1 | 1 |      1\n(1 row)\n",
    );
}

/// What a hostile process may call itself comes back as it was.
#[test]
fn text_survives() {
    let texts = ["", "a,b", "\"", "a\nb", "\r\n", "\\", "日本", "\u{0}\u{7f}\u{9b}\u{fffd}", " x ", "null", "'", "🦀"];
    let rows = batch(&[
        ("n", "integer", Arc::new(Int32Array::from_iter_values(0..12))),
        ("text", "text(256)", Arc::new(StringArray::from(texts.to_vec()))),
    ]);
    let json = written(Format::Json, Emission::Rows, &rows.schema(), std::slice::from_ref(&rows));
    let read: Vec<String> = json
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["text"].as_str().unwrap().to_string())
        .collect();
    assert_eq!(read, texts);
    let csv = written(Format::Csv, Emission::Rows, &rows.schema(), &[rows]);
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let read: Vec<String> = reader.records().map(|record| record.unwrap()[1].to_string()).collect();
    assert_eq!(read, texts);
}

/// No query has none, but an object that nobody here wrote may say so.
#[test]
fn a_result_without_columns() {
    let options = RecordBatchOptions::new().with_row_count(Some(2));
    let rows = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).unwrap();
    check(Format::Table, Emission::Whole, std::slice::from_ref(&rows), "\n\n\n\n(2 rows)\n");
    check(Format::Json, Emission::Whole, std::slice::from_ref(&rows), "{}\n{}\n");
    check(Format::Csv, Emission::Whole, &[rows], "\"\"\n\"\"\n\"\"\n");
}

/// A writer that breaks at once.
struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_broken_pipe_is_told_as_one() {
    let rows = comms(&[Some(1)], &[Some("a")]);
    for format in Format::ALL {
        let mut sink = format.sink(&rows.schema(), Emission::Rows, Box::new(Broken));
        assert_eq!(sink.batch(&rows).map_err(|error| error.kind()), Err(ErrorKind::BrokenPipe), "{}", format.name());
    }
}
