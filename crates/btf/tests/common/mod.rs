//! A small BTF with every kind in it.

use bpfquery_btf::{Builder, CoreKind, CoreRelo, Ext, FuncInfo, LineInfo, Linkage, MapDef, MapPart, NewMember, TypeId};

/// The types of a small program, and the `.BTF.ext` that goes with it.
pub(crate) fn sample() -> (Vec<u8>, Vec<u8>) {
    let mut b = Builder::new();
    let int = b.plain_int(4, true);
    let u64 = b.plain_int(8, false);
    let char = b.char();
    let tagged = b.type_tag("user", char);
    let text = b.ptr(tagged);
    let comm = b.array(char, 16);
    let state = b.enumeration("state", 4, true, &[("RUNNING", 0), ("STOPPED", -1)]);
    b.enumeration("wide", 8, false, &[("LOW", 1), ("HIGH", 1 << 40)]);
    let inner = b.structure(
        "",
        8,
        &[
            NewMember { name: "flag".into(), ty: int, bit_offset: 0, bits: 1 },
            NewMember { name: "rest".into(), ty: int, bit_offset: 1, bits: 31 },
            NewMember { name: "code".into(), ty: int, bit_offset: 32, bits: 0 },
        ],
    );
    let either = b.union("", 8, &[NewMember::new("", inner, 0), NewMember::new("whole", u64, 0)]);
    let task = b.structure(
        "task",
        48,
        &[
            NewMember::new("comm", comm, 0),
            NewMember::new("", either, 16),
            NewMember::new("text", text, 24),
            NewMember::new("state", state, 32),
            NewMember::new("total", u64, 40),
        ],
    );
    let constant = b.constant(task);
    let volatile = b.volatile(constant);
    let task_ptr = b.ptr(volatile);
    let alias = b.typedef("task_t", task_ptr);
    b.forward("unknown", false);
    b.forward("unknown_union", true);
    b.float("double", 8);
    b.bool();
    b.decl_tag("note", task, None);
    b.decl_tag("note", task, Some(2));
    let proto = b.func_proto(int, &[("task", alias), ("n", u64)]);
    let func = b.func("handler", proto, Linkage::Global);
    b.maps(&[MapDef {
        name: "counts".into(),
        map_type: 1,
        key: MapPart::Type(comm),
        value: MapPart::Type(u64),
        max_entries: 1024,
        map_flags: 1,
        pinned: true,
    }]);
    let ext = sample_ext(&mut b, func, task);
    (b.finish().expect("the sample is small"), ext.write())
}

fn sample_ext(b: &mut Builder, func: TypeId, task: TypeId) -> Ext {
    let mut ext = Ext::default();
    let (file, text, access) = (b.string("q.sql"), b.string("SELECT 1"), b.string("0:1"));
    let section = ext.section(b.string("raw_tp"));
    section.funcs.push(FuncInfo { insn_off: 0, func });
    section.lines.push(LineInfo { insn_off: 8, file, text, line: 2, column: 5 });
    section.lines.push(LineInfo { insn_off: 0, file, text, line: 1, column: 1 });
    section.relos.push(CoreRelo { insn_off: 0, ty: task, access, kind: CoreKind::FieldByteOffset });
    ext
}
