//! The values of a query's parameters, from text.

use crate::cli::output;
use bpfquery_catalog::{EnumType, SqlType, parse_duration};
use bpfquery_diag::{Code, Diagnostic, Result, nearest};
use bpfquery_object::manifest::Parameter;
use bpfquery_plan::Datum;
use bpfquery_runtime::Command;

/// What `-c` sets.
const COMMAND_PID: &str = "cpid";

/// The parameter that a command gives, if it has a process id yet.
pub(crate) fn command_pid(command: &Command) -> Option<(String, String)> {
    command.pid().map(|pid| (COMMAND_PID.to_string(), pid.to_string()))
}

/// Whether a query may ask for the process id of its command: its text has the parameter's name, wherever.
pub(crate) fn may_want_command_pid(sql: &str) -> bool {
    sql.to_ascii_lowercase().contains(COMMAND_PID)
}

/// Refuses process ids that are not the kernel's own, whether -p gives one or the query asks for its command's; tells of one that is
/// nobody's.
pub(crate) fn check_process(pid: Option<u32>, asked: &[Parameter]) -> Result<()> {
    if pid.is_some() || asked.iter().any(|parameter| parameter.name == COMMAND_PID) {
        bpfquery_runtime::check_pid_namespace()?;
    }
    if let Some(pid) = pid.filter(|pid| !bpfquery_runtime::process_exists(*pid)) {
        output::tell(&format!("note: there is no process {pid}"));
    }
    Ok(())
}

/// A value for each parameter, in order. `given` is names and texts; of two with the same name the last counts. The process
/// id of the command may be given without being asked for.
pub(crate) fn values(params: &[Parameter], given: &[(String, String)]) -> Result<Vec<Datum>> {
    if let Some((name, _)) =
        given.iter().find(|(name, _)| name != COMMAND_PID && !params.iter().any(|p| p.name == *name))
    {
        let near = nearest(name, params.iter().map(|param| param.name.as_str()));
        return Err(wrong(format!("the query has no parameter \"{name}\"")).did_you_mean(near).into());
    }
    params.iter().map(|param| one(param, given)).collect()
}

fn one(param: &Parameter, given: &[(String, String)]) -> Result<Datum> {
    let name = &param.name;
    let Some((_, text)) = given.iter().rev().find(|(given, _)| given == name) else {
        let help = if name == COMMAND_PID { "-c COMMAND".to_string() } else { format!("--param {name}=VALUE") };
        return Err(wrong(format!("the parameter \"{name}\" has no value")).help(help).into());
    };
    value(&param.ty, text)
        .ok_or_else(|| wrong(format!("\"{text}\" is no {}, which the parameter \"{name}\" is", param.ty)).into())
}

fn value(ty: &SqlType, text: &str) -> Option<Datum> {
    match ty {
        SqlType::Bool => match text.to_ascii_lowercase().as_str() {
            "t" | "true" => Some(Datum::Bool(true)),
            "f" | "false" => Some(Datum::Bool(false)),
            _ => None,
        },
        SqlType::Int { bits, signed } => integer(*bits, *signed, text),
        SqlType::Pointer { .. } => integer(64, false, text),
        SqlType::Enum(names) => enumerated(names, text),
        SqlType::Interval => match text.strip_prefix('-') {
            Some(text) => parse_duration(text).map(|ns| Datum::Int(-i128::from(ns))),
            None => parse_duration(text).map(|ns| Datum::Int(ns.into())),
        },
        // The buffer's last byte is a NUL.
        SqlType::Text { width } if text.len() < *width as usize && !text.contains('\0') => {
            Some(Datum::Text(text.as_bytes().to_vec()))
        }
        SqlType::Text { .. } => None,
        // The kernel knows no wall time; the rest lives in user space only, or in memory.
        SqlType::Timestamp
        | SqlType::Struct(_)
        | SqlType::Array { .. }
        | SqlType::Double
        | SqlType::Decimal
        | SqlType::Histogram { .. }
        | SqlType::Null => None,
    }
}

/// A decimal or, after `0x`, hexadecimal number that fits its type.
fn integer(bits: u8, signed: bool, text: &str) -> Option<Datum> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => i128::from(u64::from_str_radix(digits, 16).ok()?),
        None => text.parse().ok()?,
    };
    let (low, high) = match signed {
        true => (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1),
        false => (0, (1_i128 << bits) - 1),
    };
    (low..=high).contains(&number).then_some(Datum::Int(number))
}

fn enumerated(names: &EnumType, text: &str) -> Option<Datum> {
    let named = names.values.iter().find(|(_, name)| name == text);
    named.map(|(value, _)| Datum::Int((*value).into())).or_else(|| integer(names.bits, names.signed, text))
}

fn wrong(message: String) -> Diagnostic {
    Diagnostic { code: Code("parameter"), message, span: None, details: Vec::new(), helps: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::{value, values};
    use bpfquery_catalog::{EnumType, SqlType};
    use bpfquery_diag::render;
    use bpfquery_object::manifest::Parameter;
    use bpfquery_plan::Datum;

    #[test]
    fn texts_as_values() {
        let check =
            |ty: &SqlType, text: &str, expect: Option<Datum>| assert_eq!(value(ty, text), expect, "{text} {ty}");
        let int = |n: i128| Some(Datum::Int(n));
        check(&SqlType::I32, "-5", int(-5));
        check(&SqlType::I32, "0x10", int(16));
        check(&SqlType::I32, "2147483648", None);
        check(&SqlType::U32, "-1", None);
        check(&SqlType::U64, "18446744073709551615", int(u64::MAX.into()));
        check(&SqlType::I64, "1e3", None);
        check(&SqlType::I64, "", None);
        check(&SqlType::Bool, "True", Some(Datum::Bool(true)));
        check(&SqlType::Bool, "1", None);
        check(&SqlType::Interval, "1.5ms", int(1_500_000));
        check(&SqlType::Interval, "-1s", int(-1_000_000_000));
        check(&SqlType::Interval, "5", None);
        check(&SqlType::Text { width: 4 }, "abc", Some(Datum::Text(b"abc".to_vec())));
        check(&SqlType::Text { width: 4 }, "abcd", None);
        check(&SqlType::Timestamp, "2026-11-21", None);
        let states = EnumType { name: "s".into(), bits: 32, signed: false, values: vec![(7, "TCP_CLOSE".into())] };
        check(&SqlType::Enum(states.clone()), "TCP_CLOSE", int(7));
        check(&SqlType::Enum(states.clone()), "9", int(9));
        check(&SqlType::Enum(states), "TCP_CLOSED", None);
    }

    #[test]
    fn what_is_given_must_fit_what_is_asked_for() {
        let params = [("limit", SqlType::I64), ("cpid", SqlType::I32)];
        let params = params.map(|(name, ty)| Parameter { name: name.into(), ty, offset: Some(0) });
        let told = |given: &[(&str, &str)]| {
            let given: Vec<_> = given.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect();
            values(&params, &given).map_err(|failure| (failure.exit_code(), render(&failure, "")))
        };
        let refused = |text: &str| Err((2, format!("error[parameter]: {text}\n")));
        assert_eq!(told(&[("limit", "1"), ("cpid", "2"), ("limit", "3")]), Ok(vec![Datum::Int(3), Datum::Int(2)]));
        assert_eq!(
            told(&[("limti", "1")]),
            refused("the query has no parameter \"limti\"\nhelp: did you mean \"limit\"?")
        );
        assert_eq!(told(&[("limit", "1")]), refused("the parameter \"cpid\" has no value\nhelp: -c COMMAND"));
        assert_eq!(told(&[("cpid", "1")]), refused("the parameter \"limit\" has no value\nhelp: --param limit=VALUE"));
        assert_eq!(
            told(&[("limit", "x"), ("cpid", "1")]),
            refused("\"x\" is no bigint, which the parameter \"limit\" is")
        );
        // A command's process id may go unused.
        assert_eq!(values(&[], &[("cpid".into(), "1".into())]), Ok(vec![]));
    }
}
