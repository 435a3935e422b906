//! What a container of `orchestrator demo --cluster` runs: one static program without a C library, a few kilobytes.
//!
//! Without arguments it answers every HTTP request on port 8080. With an argument it prints why it cannot start, and ends
//! with 3: the version that the demo breaks its shop with. `build.rs` makes it for the machine that orchestrator is built
//! for.

#![no_std]
#![no_main]

use core::arch::{asm, global_asm};
use core::mem::MaybeUninit;
use core::panic::PanicInfo;

/// Numbers of the calls that Linux gives them.
#[cfg(target_arch = "x86_64")]
mod number {
    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const CLOSE: usize = 3;
    pub const SOCKET: usize = 41;
    pub const ACCEPT: usize = 43;
    pub const BIND: usize = 49;
    pub const LISTEN: usize = 50;
    pub const EXIT: usize = 231;
}

#[cfg(target_arch = "aarch64")]
mod number {
    pub const READ: usize = 63;
    pub const WRITE: usize = 64;
    pub const CLOSE: usize = 57;
    pub const SOCKET: usize = 198;
    pub const ACCEPT: usize = 202;
    pub const BIND: usize = 200;
    pub const LISTEN: usize = 201;
    pub const EXIT: usize = 94;
}

// The stack at the start of a process: the number of its words, the words.
#[cfg(target_arch = "x86_64")]
global_asm!(".globl _start", "_start:", "mov rdi, rsp", "and rsp, -16", "call {begin}", begin = sym begin);
#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "mov x0, sp", "bl {begin}", begin = sym begin);

/// One call of the system; a negative answer is an error.
#[cfg(target_arch = "x86_64")]
fn call(number: usize, one: usize, two: usize, three: usize) -> isize {
    let answer;
    // SAFETY: what is passed are numbers, and addresses of memory that lives longer than the call.
    unsafe {
        asm!("syscall", inlateout("rax") number => answer, in("rdi") one, in("rsi") two, in("rdx") three,
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    answer
}

/// One call of the system; a negative answer is an error.
#[cfg(target_arch = "aarch64")]
fn call(number: usize, one: usize, two: usize, three: usize) -> isize {
    let answer;
    // SAFETY: what is passed are numbers, and addresses of memory that lives longer than the call.
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") one => answer, in("x1") two, in("x2") three, options(nostack));
    }
    answer
}

const ANSWER: &[u8] = b"HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\nThis is a service of orchestrator's.\n";
const CAUSE: &[u8] = b"the price list has no column `currency`: this version needs schema 7\n";

/// A socket address of IPv4: the family, port 8080 in the order of the network, any address.
const ADDRESS: [u8; 16] = [2, 0, 0x1f, 0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

extern "C" fn begin(stack: *const usize) -> ! {
    // SAFETY: `_start` passes where the number of the process's words is.
    let words = unsafe { *stack };
    if words > 1 {
        write(2, CAUSE);
        exit(3);
    }
    let (internet, stream) = (2, 1);
    let Ok(listener) = usize::try_from(call(number::SOCKET, internet, stream, 0)) else { exit(1) };
    if call(number::BIND, listener, ADDRESS.as_ptr() as usize, ADDRESS.len()) < 0
        || call(number::LISTEN, listener, 16, 0) < 0
    {
        exit(1);
    }
    // Never read here: it only has to be taken off the connection.
    let mut request = MaybeUninit::<[u8; 4096]>::uninit();
    loop {
        let Ok(client) = usize::try_from(call(number::ACCEPT, listener, 0, 0)) else { continue };
        call(number::READ, client, request.as_mut_ptr() as usize, 4096);
        write(client, ANSWER);
        call(number::CLOSE, client, 0, 0);
    }
}

fn write(file: usize, bytes: &[u8]) {
    call(number::WRITE, file, bytes.as_ptr() as usize, bytes.len());
}

fn exit(code: usize) -> ! {
    loop {
        call(number::EXIT, code, 0, 0);
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    exit(101)
}
