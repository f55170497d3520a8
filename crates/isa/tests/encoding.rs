//! One literal line per form: the text and the bytes. clang 19's assembler made these bytes from these texts.

use bpfquery_isa::Size::{B, DW, H, W};
use bpfquery_isa::Width::{W32, W64};
use bpfquery_isa::*;

const R0: Reg = Reg::R0;
const R1: Reg = Reg::R1;
const R2: Reg = Reg::R2;
const R7: Reg = Reg::R7;
const R10: Reg = Reg::R10;

#[track_caller]
fn check(insn: Insn, text: &str, bytes: &str) {
    assert_eq!(insn.to_string(), text);
    let mut program = Program::new();
    program.emit(insn);
    program.label(Label(1));
    program.emit(exit());
    let code = assemble(&program, 1).unwrap().code;
    let (code, end) = code.split_at(code.len() - 8);
    assert_eq!(hex(code), bytes, "{text}");
    assert_eq!(hex(end), "9500000000000000");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn arithmetic() {
    check(alu64(AluOp::Add, R1, R2), "r1 += r2", "0f21000000000000");
    check(alu64(AluOp::Add, R2, -4), "r2 += -4", "07020000fcffffff");
    check(alu32(AluOp::Add, R1, R2), "w1 += w2", "0c21000000000000");
    check(alu32(AluOp::Add, R1, 9), "w1 += 9", "0401000009000000");
    check(alu64(AluOp::Sub, R1, R2), "r1 -= r2", "1f21000000000000");
    check(alu64(AluOp::Mul, R1, R2), "r1 *= r2", "2f21000000000000");
    check(alu64(AluOp::Div, R1, R2), "r1 /= r2", "3f21000000000000");
    check(alu64(AluOp::Or, R1, R2), "r1 |= r2", "4f21000000000000");
    check(alu64(AluOp::And, R1, R2), "r1 &= r2", "5f21000000000000");
    check(alu64(AluOp::Lsh, R1, R2), "r1 <<= r2", "6f21000000000000");
    check(alu64(AluOp::Rsh, R1, 63), "r1 >>= 63", "770100003f000000");
    check(alu64(AluOp::Mod, R1, R2), "r1 %= r2", "9f21000000000000");
    check(alu32(AluOp::Mod, R1, 10), "w1 %= 10", "940100000a000000");
    check(alu64(AluOp::Xor, R1, R2), "r1 ^= r2", "af21000000000000");
    check(alu32(AluOp::Arsh, R1, 31), "w1 s>>= 31", "c40100001f000000");
    check(alu64(AluOp::SDiv, R1, R2), "r1 s/= r2", "3f21010000000000");
    check(alu32(AluOp::SMod, R1, 3), "w1 s%= 3", "9401010003000000");
    check(neg(W64, R1), "r1 = -r1", "8701000000000000");
    check(neg(W32, R7), "w7 = -w7", "8407000000000000");
}

#[test]
fn moves() {
    check(mov64(R2, R10), "r2 = r10", "bfa2000000000000");
    check(mov64(R0, -1), "r0 = -1", "b7000000ffffffff");
    check(mov32(R1, R2), "w1 = w2", "bc21000000000000");
    check(mov32(R1, 7), "w1 = 7", "b401000007000000");
    check(mov_sx(Extend::W32From8, R1, R2), "w1 = (s8)w2", "bc21080000000000");
    check(mov_sx(Extend::W32From16, R1, R2), "w1 = (s16)w2", "bc21100000000000");
    check(mov_sx(Extend::W64From8, R1, R2), "r1 = (s8)r2", "bf21080000000000");
    check(mov_sx(Extend::W64From16, R1, R2), "r1 = (s16)r2", "bf21100000000000");
    check(mov_sx(Extend::W64From32, R1, R2), "r1 = (s32)r2", "bf21200000000000");
    check(endian(Swap::ToLe, SwapBits::B64, R1), "r1 = le64 r1", "d401000040000000");
    check(endian(Swap::ToBe, SwapBits::B16, R1), "r1 = be16 r1", "dc01000010000000");
    check(endian(Swap::Always, SwapBits::B32, R1), "r1 = bswap32 r1", "d701000020000000");
    check(load_imm64(R1, 5), "r1 = 5 ll", "18010000050000000000000000000000");
    check(load_imm64(R7, 0x1234_5678_9abc_def0), "r7 = 0x123456789abcdef0 ll", "18070000f0debc9a0000000078563412");
    check(load_map(R1, MapRef(0)), "r1 = map[m0] ll", "18010000000000000000000000000000");
    check(load_map_value(R1, MapRef(0), 24), "r1 = map[m0][0]+24 ll", "18010000180000000000000000000000");
}

#[test]
fn memory() {
    check(load(W, R1, R1, 32), "r1 = *(u32 *)(r1 +32)", "6111200000000000");
    check(load(B, R1, R7, 0), "r1 = *(u8 *)(r7 +0)", "7171000000000000");
    check(load(H, R1, R7, -2), "r1 = *(u16 *)(r7 -2)", "6971feff00000000");
    check(load(DW, R0, R10, -512), "r0 = *(u64 *)(r10 -512)", "79a000fe00000000");
    check(load_sx(Narrow::B, R1, R2, 1), "r1 = *(s8 *)(r2 +1)", "9121010000000000");
    check(load_sx(Narrow::H, R1, R2, 2), "r1 = *(s16 *)(r2 +2)", "8921020000000000");
    check(load_sx(Narrow::W, R1, R2, 4), "r1 = *(s32 *)(r2 +4)", "8121040000000000");
    check(store(B, R10, -1, R2), "*(u8 *)(r10 -1) = r2", "732affff00000000");
    check(store(H, R1, 2, R2), "*(u16 *)(r1 +2) = r2", "6b21020000000000");
    check(store(W, R1, 4, R2), "*(u32 *)(r1 +4) = r2", "6321040000000000");
    check(store(DW, R1, 8, R2), "*(u64 *)(r1 +8) = r2", "7b21080000000000");
    check(store_imm(W, R10, -4, 0), "*(u32 *)(r10 -4) = 0", "620afcff00000000");
    check(store_imm(DW, R10, -8, -1), "*(u64 *)(r10 -8) = -1", "7a0af8ffffffffff");
}

#[test]
fn atomics() {
    check(atomic(AtomicOp::Add, W64, R0, 0, R1), "lock *(u64 *)(r0 +0) += r1", "db10000000000000");
    check(atomic(AtomicOp::Or, W32, R0, 4, R1), "lock *(u32 *)(r0 +4) |= w1", "c310040040000000");
    check(atomic(AtomicOp::And, W64, R0, 0, R1), "lock *(u64 *)(r0 +0) &= r1", "db10000050000000");
    check(atomic(AtomicOp::Xor, W64, R0, 0, R1), "lock *(u64 *)(r0 +0) ^= r1", "db100000a0000000");
    let text = "r1 = atomic_fetch_add((u64 *)(r0 +0), r1)";
    check(atomic_fetch(AtomicOp::Add, W64, R0, 0, R1), text, "db10000001000000");
    let text = "w1 = atomic_fetch_xor((u32 *)(r0 -8), w1)";
    check(atomic_fetch(AtomicOp::Xor, W32, R0, -8, R1), text, "c310f8ffa1000000");
    check(exchange(W64, R0, 8, R1), "r1 = xchg_64(r0 +8, r1)", "db100800e1000000");
    check(exchange(W32, R2, 0, R1), "w1 = xchg32_32(r2 +0, w1)", "c3120000e1000000");
    check(compare_exchange(W64, R2, -8, R1), "r0 = cmpxchg_64(r2 -8, r0, r1)", "db12f8fff1000000");
    check(compare_exchange(W32, R2, 0, R1), "w0 = cmpxchg32_32(r2 +0, w0, w1)", "c3120000f1000000");
}

#[test]
fn control() {
    let to = Label(1);
    check(jump(to), "goto b1", "0500000000000000");
    check(jump_if64(Cond::Ne, R1, 0, to), "if r1 != 0 goto b1", "5501000000000000");
    check(jump_if64(Cond::Eq, R1, R2, to), "if r1 == r2 goto b1", "1d21000000000000");
    check(jump_if64(Cond::Ugt, R1, R2, to), "if r1 > r2 goto b1", "2d21000000000000");
    check(jump_if64(Cond::Uge, R1, R2, to), "if r1 >= r2 goto b1", "3d21000000000000");
    check(jump_if64(Cond::Ult, R1, R2, to), "if r1 < r2 goto b1", "ad21000000000000");
    check(jump_if64(Cond::Ule, R1, R2, to), "if r1 <= r2 goto b1", "bd21000000000000");
    check(jump_if64(Cond::Sgt, R1, -3, to), "if r1 s> -3 goto b1", "65010000fdffffff");
    check(jump_if64(Cond::Sge, R1, R2, to), "if r1 s>= r2 goto b1", "7d21000000000000");
    check(jump_if32(Cond::Slt, R1, R2, to), "if w1 s< w2 goto b1", "ce21000000000000");
    check(jump_if32(Cond::Sle, R1, 5, to), "if w1 s<= 5 goto b1", "d601000005000000");
    check(jump_if64(Cond::Set, R1, 7, to), "if r1 & 7 goto b1", "4501000007000000");
    check(jump_if32(Cond::Set, R1, R2, to), "if w1 & w2 goto b1", "4e21000000000000");
    check(call(Helper::MapLookupElem), "call bpf_map_lookup_elem", "8500000001000000");
    check(call(Helper::ProbeReadKernelStr), "call bpf_probe_read_kernel_str", "8500000073000000");
    check(exit(), "exit", "9500000000000000");
}
