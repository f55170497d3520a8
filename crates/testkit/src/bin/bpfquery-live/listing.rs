//! `information_schema` holds what BTF and tracefs hold: columns counted from bpftool's dump of BTF and from the files of formats, by
//! rules that are written down here once more.

use crate::lab::{Check, Lab, Verdict, ensure, output, passed, text};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The checks of this file.
pub(crate) const CHECKS: &[Check] = &[("listing/columns", columns), ("listing/list", list)];

/// Columns that every event has.
const BUILTINS: u64 = 11;
/// Those of information_schema's own two relations.
const OWN: u64 = 6 + 9;

/// Functions of which there is no fexit.
const NEVER_RETURN: [&str; 10] = [
    "__ia32_sys_exit",
    "__ia32_sys_exit_group",
    "__module_put_and_kthread_exit",
    "__x64_sys_exit",
    "__x64_sys_exit_group",
    "do_exit",
    "do_group_exit",
    "kthread_complete_and_exit",
    "kthread_exit",
    "make_task_dead",
];

/// Columns by the first word of the relation's name.
type Counts = BTreeMap<String, u64>;

fn columns(lab: &Lab) -> Verdict {
    let sql = "select table_schema, count(*) from information_schema.columns group by table_schema";
    let found = by_kind(&rows(lab, &["run", "--format", "csv", "-e", sql])?)?;
    let mut expected = Counts::from([("information_schema".to_string(), OWN)]);
    of_formats(&mut expected)?;
    of_btf(lab, &found, &mut expected)?;
    ensure(found == expected, || format!("found {found:?}, but there are {expected:?}"))?;
    let total: u64 = expected.values().sum();
    let count = rows(lab, &["run", "--format", "csv", "-e", "select count(*) from information_schema.columns"])?;
    ensure(count == [total.to_string()], || format!("count(*) is {count:?}, but there are {total}"))?;
    passed(format!("{total} columns: {expected:?}"))
}

/// What `list` shows is what `tables` has, but for timers, and for trampolines that do not work.
fn list(lab: &Lab) -> Verdict {
    let sql = "select table_schema, table_name from information_schema.tables";
    let tables: BTreeSet<String> =
        rows(lab, &["run", "--format", "csv", "-e", sql])?.into_iter().map(|row| row.replace(',', ".")).collect();
    let name = |row: String| row.split(',').next().unwrap_or_default().to_string();
    let listed: BTreeSet<String> = rows(lab, &["list", "--format", "csv"])?.into_iter().map(name).collect();
    let other: Vec<&String> = listed.difference(&tables).filter(|name| !name.contains('(')).collect();
    ensure(other.is_empty(), || format!("only listed: {:?}", &other[..other.len().min(5)]))?;
    let trampoline = |name: &&String| name.starts_with("fentry.") || name.starts_with("fexit.");
    let works = listed.iter().any(|name| trampoline(&name));
    let more: Vec<&String> = tables.difference(&listed).filter(|name| works || !trampoline(name)).collect();
    ensure(more.is_empty(), || format!("not listed: {:?}", &more[..more.len().min(5)]))?;
    passed(format!("{} relations, {} listed", tables.len(), listed.len()))
}

/// The lines behind the header of what bpfquery prints.
fn rows(lab: &Lab, args: &[&str]) -> Result<Vec<String>, String> {
    let output = output(Command::new(&lab.bin).args(args))?;
    ensure(output.status.success(), || format!("{args:?}: {}", String::from_utf8_lossy(&output.stderr)))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().skip(1).map(str::to_string).collect())
}

fn by_kind(rows: &[String]) -> Result<Counts, String> {
    let mut counts = Counts::new();
    for row in rows {
        let (schema, count) = row.rsplit_once(',').ok_or_else(|| format!("no count: {row}"))?;
        let kind = schema.split('.').next().unwrap_or_default().to_string();
        *counts.entry(kind).or_default() += count.parse::<u64>().map_err(|error| format!("{row}: {error}"))?;
    }
    Ok(counts)
}

/// Tracepoints and system calls.
fn of_formats(counts: &mut Counts) -> Result<(), String> {
    let events = Path::new("/sys/kernel/tracing/events");
    let mut calls: BTreeMap<String, [Option<u64>; 2]> = BTreeMap::new();
    for category in directories(events)?.into_iter().filter(|name| name != "ftrace") {
        for event in directories(&events.join(&category))? {
            let fields = fields(&text(&events.join(&category).join(&event).join("format"))?, category == "syscalls");
            *counts.entry("tracepoint".to_string()).or_default() += BUILTINS + fields;
            for (at, start) in ["sys_enter_", "sys_exit_"].into_iter().enumerate() {
                if let (Some(call), "syscalls") = (event.strip_prefix(start), category.as_str()) {
                    calls.entry(call.to_string()).or_default()[at] = Some(fields);
                }
            }
        }
    }
    for counted in calls.into_values() {
        if let [Some(enter), Some(exit)] = counted {
            // Both say which call it is, and the call has a latency.
            *counts.entry("syscall".to_string()).or_default() += BUILTINS + enter - 1 + exit - 1 + 1;
        }
    }
    Ok(())
}

fn directories(path: &Path) -> Result<Vec<String>, String> {
    let entries = fs::read_dir(path).map_err(|error| format!("{}: {error}", path.display()))?.filter_map(Result::ok);
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    Ok(directories.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

/// The fields of a format that a program can load, but for those that all events have.
fn fields(format: &str, is_syscall: bool) -> u64 {
    let number = |line: &str, what: &str| -> u64 {
        let rest = line.split(what).nth(1).unwrap_or_default();
        rest.split(';').next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
    };
    let is_column = |line: &&str| {
        let declared = line.split(';').next().unwrap_or_default();
        let (offset, size) = (number(line, "offset:"), number(line, "size:"));
        let name = declared.split_whitespace().last().unwrap_or_default();
        if name.starts_with("common_") || is_syscall && name.starts_with("__") && name.ends_with("_val") {
            false
        } else if declared.contains("__data_loc") {
            size == 4 && offset % 4 == 0
        } else if declared.contains('[') {
            size > 0
        } else {
            !declared.contains("__rel_loc") && matches!(size, 1 | 2 | 4 | 8) && offset % size == 0
        }
    };
    format.lines().filter_map(|line| line.trim().strip_prefix("field:")).filter(is_column).count() as u64
}

/// A type of bpftool's dump.
#[derive(Default)]
struct Type {
    kind: String,
    name: String,
    to: u32,
    size: u64,
    params: Vec<u32>,
}

/// Raw tracepoints and functions, of the kernel and its modules; of functions the kinds that were found.
fn of_btf(lab: &Lab, found: &Counts, counts: &mut Counts) -> Result<(), String> {
    let version = version()?;
    let traceable = traceable()?;
    let blacklist = names(Path::new("/sys/kernel/debug/kprobes/blacklist"), 1).unwrap_or_default();
    let vmlinux = "/sys/kernel/btf/vmlinux";
    let mut types: BTreeMap<u32, Type> = BTreeMap::new();
    parse(&lab.bpftool(&["btf", "dump", "file", vmlinux])?, &mut types);
    let base = types.keys().next_back().copied().unwrap_or(0);
    count(&types, 0, version, (&traceable, &blacklist), found, counts);
    for entry in fs::read_dir("/sys/kernel/btf").map_err(|error| error.to_string())?.filter_map(Result::ok) {
        let path = entry.path().to_string_lossy().into_owned();
        if path == vmlinux {
            continue;
        }
        types.split_off(&(base + 1));
        parse(&lab.bpftool(&["-B", vmlinux, "btf", "dump", "file", &path])?, &mut types);
        count(&types, base, version, (&traceable, &blacklist), found, counts);
    }
    Ok(())
}

/// `[5] FUNC_PROTO '(anon)' ret_type_id=1 vlen=2`, and a line for each parameter.
fn parse(dump: &str, types: &mut BTreeMap<u32, Type>) {
    let number = |line: &str, key: &str| -> Option<u64> {
        line.split(' ').find_map(|word| word.strip_prefix(key))?.parse().ok()
    };
    let mut last = 0;
    for line in dump.lines() {
        if let Some((id, rest)) = line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
            last = id.parse().unwrap_or(0);
            let to = number(rest, "type_id=").or_else(|| number(rest, "ret_type_id=")).unwrap_or(0);
            let size = number(rest, "size=").unwrap_or(0);
            let kind = rest.split(' ').next().unwrap_or_default().to_string();
            let name = rest.split('\'').nth(1).unwrap_or_default().to_string();
            types.insert(last, Type { kind, name, to: to as u32, size, params: Vec::new() });
        } else if let Some(known) = types.get_mut(&last).filter(|known| known.kind == "FUNC_PROTO") {
            known.params.extend(number(line, "type_id=").map(|id| id as u32));
        }
    }
}

/// The types from `base` on, whose own relations are counted.
fn count(
    types: &BTreeMap<u32, Type>,
    base: u32,
    version: (u32, u32),
    (traceable, blacklist): (&BTreeSet<String>, &BTreeSet<String>),
    found: &Counts,
    counts: &mut Counts,
) {
    let (mut events, mut functions) = (BTreeSet::new(), BTreeSet::new());
    for (_, ty) in types.range(base + 1..) {
        if let ("TYPEDEF", Some(event)) = (ty.kind.as_str(), ty.name.strip_prefix("btf_trace_")) {
            let proto = types.get(&ty.to).and_then(|pointer| types.get(&pointer.to));
            if let (true, Some(proto)) = (events.insert(event), proto) {
                *counts.entry("rawtracepoint".to_string()).or_default() +=
                    BUILTINS + (proto.params.len() as u64).saturating_sub(1).min(12);
            }
        }
        let Some(proto) = types.get(&ty.to).filter(|_| ty.kind == "FUNC") else { continue };
        if !functions.insert(ty.name.as_str()) || !traceable.contains(&ty.name) {
            continue;
        }
        for (kind, own) in of_function(types, version, &ty.name, proto, blacklist) {
            if found.contains_key(kind) {
                *counts.entry(kind.to_string()).or_default() += BUILTINS + own;
            }
        }
    }
}

/// How many columns each kind of probe of a function has of its own.
fn of_function(
    types: &BTreeMap<u32, Type>,
    version: (u32, u32),
    name: &str,
    proto: &Type,
    blacklist: &BTreeSet<String>,
) -> Vec<(&'static str, u64)> {
    let bare = |mut id: u32| {
        while let Some(ty) = types
            .get(&id)
            .filter(|ty| matches!(ty.kind.as_str(), "TYPEDEF" | "CONST" | "VOLATILE" | "RESTRICT" | "TYPE_TAG"))
        {
            id = ty.to;
        }
        id
    };
    let kind = |id: u32| types.get(&bare(id)).map_or("VOID", |ty| ty.kind.as_str());
    let is_struct = |id: u32| matches!(kind(id), "STRUCT" | "UNION");
    let size = |id: u32| if kind(id) == "PTR" { 8 } else { types.get(&bare(id)).map_or(0, |ty| ty.size) };
    let params: Vec<u32> = proto.params.iter().copied().filter(|id| *id != 0).collect();
    let is_variadic = params.len() < proto.params.len();
    // From the first one on that is no word, places are not known.
    let words = match is_struct(proto.to) {
        true => 0,
        false => params.iter().take_while(|id| !is_struct(**id) && size(**id) <= 8).count(),
    };
    // What a trampoline's program may load.
    let loads = |id: u32| {
        let to = types.get(&bare(id)).map_or(0, |pointer| pointer.to);
        kind(id) != "PTR" || matches!(kind(to), "VOID" | "STRUCT" | "UNION") || kind(to) == "INT" && version >= (5, 17)
    };
    let returns = kind(proto.to) != "VOID" && !is_struct(proto.to);
    let mut list = Vec::new();
    if !blacklist.contains(name) {
        list.push(("kprobe", words.min(6) as u64));
        list.push(("kretprobe", u64::from(returns)));
    }
    let registers: u64 = params.iter().map(|id| size(*id).div_ceil(8).max(1)).sum();
    let follows = !is_variadic
        && params.len() <= 12
        && !is_struct(proto.to)
        && params.iter().all(|id| size(*id) <= 16)
        && (version >= (6, 1) || !params.iter().any(|id| is_struct(*id)))
        && (version >= (6, 6) || registers <= 6);
    if follows {
        let loaded = params[..words].iter().filter(|id| loads(**id)).count() as u64;
        list.push(("fentry", loaded));
        let never_returns = NEVER_RETURN.contains(&name);
        if !never_returns {
            list.push(("fexit", loaded + u64::from(returns && words == params.len() && loads(proto.to))));
        }
    }
    list
}

/// What ftrace can trace; where it does not tell, what is there at all.
fn traceable() -> Result<BTreeSet<String>, String> {
    if let Ok(names) = names(Path::new("/sys/kernel/tracing/available_filter_functions"), 0) {
        return Ok(names);
    }
    let symbols = text(Path::new("/proc/kallsyms"))?;
    let function = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        matches!(words.next(), Some("t" | "T" | "w" | "W")).then(|| words.next().map(str::to_string))?
    };
    Ok(symbols.lines().filter_map(function).collect())
}

/// A word of each line.
fn names(path: &Path, word: usize) -> Result<BTreeSet<String>, String> {
    Ok(text(path)?.lines().filter_map(|line| line.split_whitespace().nth(word)).map(str::to_string).collect())
}

fn version() -> Result<(u32, u32), String> {
    let release = text(Path::new("/proc/sys/kernel/osrelease"))?;
    let mut numbers = release.split(['.', '-']).map(|number| number.parse().unwrap_or(0));
    Ok((numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)))
}
