//! The text form reads back as it prints, and says what it cannot read.

use bpfquery_codegen::ir::{Access, Builder, Context, WithSql, parse, verify};
use bpfquery_diag::Span;

const EVERYTHING: &str = include_str!("ir/everything.ir");

#[test]
fn text_reads_back() {
    let func = parse(EVERYTHING).expect("the text is well-formed");
    verify(&func).expect("the function is right");
    assert_eq!(func.to_string(), EVERYTHING);
    assert_eq!(parse(&func.to_string()), Ok(func));
}

#[test]
fn sql_stands_beside() {
    let sql = "SELECT ret\n  WHERE ret";
    let (mut builder, ctx) = Builder::new("q", Context { bytes: 64, words_only: true });
    builder.set_span(Span::new(7, sql.len()));
    let ret = builder.load(Access::U64, ctx, 16);
    builder.set_span(Span::new(7, 10));
    builder.ret(ret);
    let func = builder.finish();
    let text = WithSql { func: &func, sql }.to_string();
    let expect = "func q context 64 words {
b0(v0: ctx):
  v1 = load.u64 v0, 16                     ; ret WHERE ret
  ret v1                                   ; ret
}
";
    assert_eq!(text, expect);
    assert_eq!(parse(&text).expect("comments are skipped").to_string(), func.to_string());
}

/// `body` stands on line 3, in the entry block.
fn check(body: &str, expect: &str) {
    let text = format!("func q context 8 {{\nb0(v0: ctx):\n  {body}\n}}\n");
    let error = parse(&text).expect_err("the text is not well-formed");
    assert_eq!(error.to_string(), expect, "for {body}");
}

#[test]
fn errors_name_the_line() {
    check("v1 = cons 5", "line 3: \"cons\" is not an instruction");
    check("v1 = const x", "line 3: expected a number, found \"x\"");
    check("v1 = const 99999999999999999999", "line 3: expected a number, found \"99999999999999999999\"");
    check("v1 const 5", "line 3: expected \"=\", found \"const\"");
    check("v1 = load.u65 v0, 0", "line 3: \"u65\" is not a width");
    check("v1 = load.u64 v0, 40000", "line 3: expected an offset, found \"40000\"");
    check("v1 = load.u64 v0", "line 3: expected \",\", found the end of the line");
    check("v1 = call nothing", "line 3: \"nothing\" is not a helper");
    check("v1 = call get_current_task v0 v0", "line 3: expected \",\", found \"v0\"");
    check("v1 = add v0, b1", "line 3: expected a name such as \"v0\", found \"b1\"");
    check("v1 = add v0, v9999999", "line 3: expected a name such as \"v0\", found \"v9999999\"");
    check("br.lt v0, v0, b1, b2", "line 3: \"lt\" is not a comparison");
    check("br.eq v0, v0, b1", "line 3: expected \",\", found the end of the line");
    check("ret v0, v1", "line 3: expected the end of the line, found \",\"");
    check("ret v0\n  ret v0", "line 4: b0 has ended");
    check("ret v0\nb0:", "line 4: b0 is there twice");
    check("ret v0\nb1(v1: text):", "line 4: \"text\" is not a type");
    check("slot s1 \"x\" 8", "line 3: expected \"s0\", found \"s1\": tables are numbered from 0");
    check("slot s0 \"x 8", "line 3: a quote is not closed");
    check("map m0 \"x\": tree 8", "line 3: \"tree\" is not a kind of map");
    check("global g0 \"x\": text+0, 8", "line 3: \"text\" is not a section");
    check("global g0 \"x\": rodata+0, 8 = 123", "line 3: \"123\" is not bytes in hexadecimal");
    check("core c0 size \"v\":1 \"a.b\" [0] = 1", "line 3: \"size\" is not a kind of relocation");
    check("ret v0\n}\nret v0", "line 5: expected nothing behind the function, found \"ret\"");
}

#[test]
fn errors_of_the_whole() {
    let message = |text: &str| parse(text).expect_err("the text is not well-formed").to_string();
    assert_eq!(message(""), "line 0: the function does not end");
    assert_eq!(message("func q context 8 {\n"), "line 1: the function does not end");
    assert_eq!(message("fun q"), "line 1: expected \"func\", found \"fun\"");
    assert_eq!(message("func q context 8 {\n  v1 = const 5"), "line 2: an instruction stands before the first block");
}
