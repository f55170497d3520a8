//! Reads the text form of a function.
//!
//! What comes out prints as what went in. It is well-formed, no more: [`super::verify`] says whether it is right.
//! Numbers of values and blocks are kept; what is between them is filled (values with unused integers, blocks with
//! removed ones). Comments are dropped, so spans are empty.

mod lex;
mod op;
mod table;

use super::{Block, BlockData, Context, Func, InstData, Terminator, Type, Value, ValueData};
use bpfquery_diag::Span;
use lex::Line;
use std::collections::BTreeMap;
use std::fmt;

/// Why a text is not a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// One-based.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for ParseError {}

/// The function that the text describes.
///
/// # Errors
///
/// The first line that cannot be read.
pub fn parse(text: &str) -> Result<Func, ParseError> {
    let mut parser = Parser::default();
    let mut last = 0;
    for (at, line) in text.lines().enumerate() {
        last = at + 1;
        let fail = |message| ParseError { line: last, message };
        let mut line = Line::new(line).map_err(fail)?;
        if !line.is_empty() {
            parser.line(&mut line).and_then(|()| line.end()).map_err(fail)?;
        }
    }
    parser.finish().map_err(|message| ParseError { line: last, message })
}

/// Numbers above this are typos, and tables are as long as the largest number.
const MOST: u32 = 1 << 20;

#[derive(PartialEq, Eq, Default)]
enum State {
    #[default]
    Head,
    Body,
    End,
}

#[derive(Default)]
struct Parser {
    state: State,
    func: Option<Func>,
    current: Option<Block>,
    blocks: BTreeMap<Block, BlockData>,
    params: BTreeMap<Value, Type>,
    values: u32,
}

impl Parser {
    fn line(&mut self, line: &mut Line) -> Result<(), String> {
        match self.state {
            State::Head => self.head(line),
            State::Body => self.body(line),
            State::End => Err(line.expected("nothing behind the function")),
        }
    }

    fn head(&mut self, line: &mut Line) -> Result<(), String> {
        expect_word(line, "func")?;
        let name = line.word("the function's name")?;
        expect_word(line, "context")?;
        let bytes = line.number("the context's bytes")?;
        let words_only = line.eat_word("words");
        line.punct('{')?;
        self.state = State::Body;
        self.func = Some(empty(name, Context { bytes, words_only }));
        Ok(())
    }

    fn body(&mut self, line: &mut Line) -> Result<(), String> {
        if line.eat('}') {
            self.state = State::End;
            return Ok(());
        }
        let word = line.word("a table, a block or an instruction")?;
        match (word.as_str(), &mut self.func) {
            ("slot" | "map" | "global" | "core", Some(func)) => table::entry(func, &word, line),
            _ if is_number(&word, 'b') => self.block(&word, line),
            _ => self.code(&word, line),
        }
    }

    fn block(&mut self, word: &str, line: &mut Line) -> Result<(), String> {
        let block = Block(entity(word, 'b')?);
        if self.blocks.contains_key(&block) {
            return Err(format!("{block} is there twice"));
        }
        let params = if line.eat('(') { self.params(line)? } else { Vec::new() };
        let cold = line.eat_word("cold");
        line.punct(':')?;
        self.blocks.insert(block, BlockData { params, cold, ..removed() });
        self.current = Some(block);
        Ok(())
    }

    fn params(&mut self, line: &mut Line) -> Result<Vec<Value>, String> {
        let mut params = Vec::new();
        loop {
            let param = self.value(line)?;
            line.punct(':')?;
            self.params.insert(param, op::ty(line)?);
            params.push(param);
            if !line.eat(',') {
                line.punct(')')?;
                return Ok(params);
            }
        }
    }

    fn code(&mut self, word: &str, line: &mut Line) -> Result<(), String> {
        let Some(block) = self.current else { return Err("an instruction stands before the first block".to_owned()) };
        if self.blocks.get(&block).is_some_and(|data| data.terminator != Terminator::None) {
            return Err(format!("{block} has ended"));
        }
        if let Some(terminator) = op::terminator(self, word, line)? {
            self.data(block).terminator = terminator;
            return Ok(());
        }
        let result = if is_number(word, 'v') { Some(self.known(Value(entity(word, 'v')?))) } else { None };
        let word = match result {
            Some(_) => {
                line.punct('=')?;
                line.word("an instruction")?
            }
            None => word.to_owned(),
        };
        let op = op::inst(self, &word, line)?;
        self.push(block, InstData { op, result, span: Span::default(), purpose: Default::default() })
    }

    fn push(&mut self, block: Block, inst: InstData) -> Result<(), String> {
        let Some(func) = &mut self.func else { return Err("there is no function yet".to_owned()) };
        let id = super::Inst(u32::try_from(func.insts.len()).unwrap_or(u32::MAX));
        func.insts.push(inst);
        self.data(block).insts.push(id);
        Ok(())
    }

    fn data(&mut self, block: Block) -> &mut BlockData {
        self.blocks.entry(block).or_insert_with(removed)
    }

    fn value(&mut self, line: &mut Line) -> Result<Value, String> {
        let word = line.word("a value")?;
        Ok(self.known(Value(entity(&word, 'v')?)))
    }

    fn known(&mut self, value: Value) -> Value {
        self.values = self.values.max(value.0 + 1);
        value
    }

    fn finish(self) -> Result<Func, String> {
        let Some(mut func) = self.func.filter(|_| self.state == State::End) else {
            return Err("the function does not end".to_owned());
        };
        let most = self.blocks.keys().next_back().map_or(0, |block| block.0 + 1);
        let mut blocks = self.blocks;
        func.blocks = (0..most).map(|i| blocks.remove(&Block(i)).unwrap_or_else(removed)).collect();
        func.values = vec![ValueData { ty: Type::Int }; self.values as usize];
        for (param, ty) in self.params {
            func.values[param.index()].ty = ty;
        }
        type_results(&mut func);
        Ok(func)
    }
}

// Results take their types from operands, which may stand further below: go on until nothing changes. A value can only
// go from int to a pointer, so this ends.
fn type_results(func: &mut Func) {
    loop {
        let typed = |inst: &InstData| Some((inst.result?, func.result_type(&inst.op)?));
        let new: Vec<(Value, Type)> = func
            .insts
            .iter()
            .filter_map(typed)
            .filter(|&(v, ty)| func.ty(v) != ty && func.ty(v) == Type::Int)
            .collect();
        if new.is_empty() {
            return;
        }
        for (value, ty) in new {
            func.values[value.index()].ty = ty;
        }
    }
}

fn empty(name: String, context: Context) -> Func {
    Func {
        name,
        context,
        blocks: Vec::new(),
        insts: Vec::new(),
        values: Vec::new(),
        slots: Vec::new(),
        maps: Vec::new(),
        globals: Vec::new(),
        cores: Vec::new(),
    }
}

fn removed() -> BlockData {
    BlockData {
        params: Vec::new(),
        insts: Vec::new(),
        terminator: Terminator::None,
        span: Span::default(),
        cold: false,
    }
}

fn expect_word(line: &mut Line, word: &str) -> Result<(), String> {
    if line.eat_word(word) { Ok(()) } else { Err(line.expected(&format!("\"{word}\""))) }
}

fn is_number(word: &str, prefix: char) -> bool {
    word.strip_prefix(prefix).is_some_and(|rest| rest.bytes().next().is_some_and(|b| b.is_ascii_digit()))
}

/// `7` of `v7`.
fn entity(word: &str, prefix: char) -> Result<u32, String> {
    let number = word.strip_prefix(prefix).and_then(|rest| rest.parse().ok());
    number.filter(|&n| n < MOST).ok_or_else(|| format!("expected a name such as \"{prefix}0\", found \"{word}\""))
}
