//! A wrong query, told: the fact, the place, the way out.

use crate::Span;

/// The kind of a problem, in kebab case (`unknown-column`): stable, and quotable by people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub &'static str);

/// A problem in the query's text.
///
/// The message is a lower-case fact without a full stop; if only one thing can be shown, it is that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of problem.
    pub code: Code,
    /// The fact.
    pub message: String,
    /// Where; `None` only when no place in the text is to blame.
    pub span: Option<Span>,
    /// More facts, a line each.
    pub details: Vec<String>,
    /// What to do instead, a line each.
    pub helps: Vec<String>,
}

impl Diagnostic {
    /// A problem at a place.
    pub fn new(code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            code: Code(code),
            message: message.into(),
            span: Some(span),
            details: Vec::new(),
            helps: Vec::new(),
        }
    }

    /// The same with one more fact.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Diagnostic {
        self.details.push(detail.into());
        self
    }

    /// The same with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.helps.push(help.into());
        self
    }

    /// The same with `did you mean "x"?` where a name is near enough.
    #[must_use]
    pub fn did_you_mean(self, near: Option<&str>) -> Diagnostic {
        match near {
            Some(name) => self.help(format!("did you mean \"{name}\"?")),
            None => self,
        }
    }
}
