//! What a program can say to valgrind that it runs under: "client requests", an instruction sequence that does nothing
//! elsewhere (valgrind.h and memcheck.h, whose numbers these are).

// The sequence is written in assembler, and there is no other way to say it.
#![allow(unsafe_code)]

use std::arch::asm;

const RUNNING_ON_VALGRIND: usize = 0x1001;
const COUNT_ERRORS: usize = 0x1201;
const MAKE_MEM_UNDEFINED: usize = 0x4d43_0001;

/// Whether this process runs under valgrind.
pub fn is_running() -> bool {
    request(RUNNING_ON_VALGRIND, 0, 0) != 0
}

/// From now on `bytes`, and whatever is computed from them, is secret to memcheck.
pub fn undefined(bytes: &[u8]) {
    request(MAKE_MEM_UNDEFINED, bytes.as_ptr().addr(), bytes.len());
}

/// How many branches and addresses in `work` depend on secrets.
pub fn dependent<T>(work: impl FnOnce() -> T) -> usize {
    let before = request(COUNT_ERRORS, 0, 0);
    let result = work();
    let after = request(COUNT_ERRORS, 0, 0);
    drop(result);
    after - before
}

#[cfg(target_arch = "x86_64")]
fn request(number: usize, first: usize, second: usize) -> usize {
    let arguments = [number, first, second, 0, 0, 0];
    let mut result = 0_usize;
    // SAFETY: the rotations cancel out, and the exchange is of a register with itself. valgrind reads the arguments.
    unsafe {
        asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") arguments.as_ptr(),
            inout("rdx") result,
        );
    }
    result
}

#[cfg(target_arch = "aarch64")]
fn request(number: usize, first: usize, second: usize) -> usize {
    let arguments = [number, first, second, 0, 0, 0];
    let mut result = 0_usize;
    // SAFETY: the rotations cancel out, and the last instruction changes nothing. valgrind reads the arguments.
    unsafe {
        asm!(
            "ror x12, x12, #3",
            "ror x12, x12, #13",
            "ror x12, x12, #51",
            "ror x12, x12, #61",
            "orr x10, x10, x10",
            in("x4") arguments.as_ptr(),
            inout("x3") result,
        );
    }
    result
}
