//! Stands between a program and the C library (`LD_PRELOAD`), and lets it come to harm at a chosen call that changes
//! files below a directory. Such calls are counted from 1; `LOCKGATE_FAULT_*` say what happens at which of them:
//!
//! - `BELOW`: the directory, an absolute path.
//! - `AT`: the number of the call. `LASTS`: every later call meets the same; with `room`, every one that needs room on the
//!   disk.
//! - `KIND`: `before` or `after` (the process is killed there), `tear` (killed when half of what is written is), or an
//!   error number, with which the call fails. To open a file for reading is a call to fail, too.
//! - `TRACE`: a file that is told of every call, in order: [`Call`](../src/faults.rs) reads it back.
//!
//! Without the standard library, whose own calls would come back here. Compiled by `build.rs`.
#![no_std]

use core::ffi::{CStr, c_char, c_int, c_uint, c_void};
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering::Relaxed};

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    fn getenv(name: *const c_char) -> *const c_char;
    fn getpid() -> c_int;
    fn kill(process: c_int, signal: c_int) -> c_int;
    fn __errno_location() -> *mut c_int;
}

const NEXT: *mut c_void = -1isize as *mut c_void;
const CREATE: c_int = 0o100;
const TRUNCATE: c_int = 0o1000;
const APPEND: c_int = 0o2000;
const WRITE_ONLY: c_int = 1;
const NO_SPACE: c_int = 28;
const KILL: c_int = 9;

/// Calls so far.
static CALLS: AtomicUsize = AtomicUsize::new(0);
/// Where calls are told; 0: not opened yet.
static TRACE: AtomicI32 = AtomicI32::new(0);
/// Open files below the directory, by their descriptors.
static OPEN: [AtomicBool; 1024] = [const { AtomicBool::new(false) }; 1024];

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    die()
}

/// The function that ours stands before.
macro_rules! real {
    ($name:literal, fn($($argument:ty),*) -> $result:ty) => {
        // SAFETY: the C library has a function of this name and type.
        unsafe { core::mem::transmute::<*mut c_void, unsafe extern "C" fn($($argument),*) -> $result>(dlsym(NEXT, $name.as_ptr())) }
    };
}

fn die() -> ! {
    // SAFETY: takes plain numbers.
    unsafe { kill(getpid(), KILL) };
    loop {
        core::hint::spin_loop();
    }
}

fn setting(name: &CStr) -> Option<&'static [u8]> {
    // SAFETY: what `getenv` gives ends with a 0, and stays: the program changes no environment.
    unsafe {
        let value = getenv(name.as_ptr());
        if value.is_null() { None } else { Some(CStr::from_ptr(value).to_bytes()) }
    }
}

fn number(text: &[u8]) -> usize {
    text.iter().fold(0, |number, digit| number * 10 + usize::from(digit.wrapping_sub(b'0')))
}

/// # Safety
/// `path` is a text that ends with a 0, or null.
unsafe fn text<'a>(path: *const c_char) -> &'a [u8] {
    if path.is_null() { &[] } else { unsafe { CStr::from_ptr(path) }.to_bytes() }
}

fn is_below(path: &[u8]) -> bool {
    let Some(rest) = setting(c"LOCKGATE_FAULT_BELOW").and_then(|below| path.strip_prefix(below)) else { return false };
    rest.is_empty() || rest.starts_with(b"/")
}

fn is_open(fd: c_int) -> bool {
    usize::try_from(fd).ok().and_then(|fd| OPEN.get(fd)).is_some_and(|open| open.load(Relaxed))
}

fn note_open(fd: c_int, below: bool) {
    if let Some(open) = usize::try_from(fd).ok().and_then(|fd| OPEN.get(fd)) {
        open.store(below, Relaxed);
    }
}

fn raw_write(fd: c_int, bytes: &[u8]) {
    let real = real!(c"write", fn(c_int, *const c_void, usize) -> isize);
    // SAFETY: the slice is readable.
    unsafe { real(fd, bytes.as_ptr().cast(), bytes.len()) };
}

/// Tells of a call: its words, separated by tabs, on a line.
fn tell(words: &[&[u8]]) {
    let Some(path) = setting(c"LOCKGATE_FAULT_TRACE") else { return };
    if TRACE.load(Relaxed) == 0 {
        let real = real!(c"open", fn(*const c_char, c_int, c_uint) -> c_int);
        // SAFETY: the path comes from the environment, where it ends with a 0.
        TRACE.store(unsafe { real(path.as_ptr().cast(), CREATE | APPEND | WRITE_ONLY, 0o600) }, Relaxed);
    }
    let fd = TRACE.load(Relaxed);
    for (i, word) in words.iter().enumerate() {
        raw_write(fd, if i == 0 { b"" } else { b"\t" });
        raw_write(fd, word);
    }
    raw_write(fd, b"\n");
}

fn digits(number: usize, buffer: &mut [u8; 20]) -> &[u8] {
    let (mut rest, mut start) = (number, buffer.len());
    loop {
        start -= 1;
        buffer[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return &buffer[start..];
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum What {
    /// Takes room on the disk.
    Grows,
    Changes,
    /// Fails where errors are wanted, and is no place to die at.
    Reads,
}

enum Then {
    Go,
    /// It happens, and the process dies.
    After,
    /// Half of it happens, and the process dies.
    Tear,
    Fail(c_int),
}

/// Counts a call, and says what becomes of it.
fn point(what: What) -> Then {
    let Some(kind) = setting(c"LOCKGATE_FAULT_KIND") else { return Then::Go };
    let fails = kind.first().is_some_and(u8::is_ascii_digit);
    if what == What::Reads && !fails {
        return Then::Go;
    }
    let call = CALLS.fetch_add(1, Relaxed) + 1;
    let at = setting(c"LOCKGATE_FAULT_AT").map_or(0, number);
    let lasts = call > at && setting(c"LOCKGATE_FAULT_LASTS").is_some_and(|which| which != b"room" || what == What::Grows);
    match kind {
        _ if call != at && !lasts => Then::Go,
        b"before" => die(),
        b"after" => Then::After,
        b"tear" => Then::Tear,
        error => Then::Fail(number(error) as c_int),
    }
}

fn fail(error: c_int) -> c_int {
    // SAFETY: the place of this thread's error number.
    unsafe { *__errno_location() = error };
    -1
}

/// A call that changes something: told by `words` if it succeeds.
fn change(below: bool, what: What, words: &[&[u8]], call: impl FnOnce() -> c_int) -> c_int {
    if !below {
        return call();
    }
    let then = point(what);
    if let Then::Fail(error) = then {
        return fail(error);
    }
    let done = call();
    // What is told may change the error number.
    // SAFETY: the place of this thread's error number.
    let error = unsafe { *__errno_location() };
    tell(if done < 0 { &[b"none"] } else { words });
    if matches!(then, Then::After | Then::Tear) {
        die();
    }
    if done < 0 { fail(error) } else { done }
}

unsafe fn opened(name: &CStr, path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    // SAFETY: `open` and `open64` have this type, where arguments that vary are passed as others are (as on x86-64 and AArch64).
    let real: unsafe extern "C" fn(*const c_char, c_int, c_uint) -> c_int =
        unsafe { core::mem::transmute(dlsym(NEXT, name.as_ptr())) };
    // SAFETY: the path is the caller's.
    let (path_text, call) = (unsafe { text(path) }, || unsafe { real(path, flags, mode) });
    let below = is_below(path_text);
    let changes = flags & (CREATE | TRUNCATE) != 0;
    let mut buffer = [0; 20];
    let fd = if changes {
        // Its descriptor is told by the line after.
        let how: &[u8] = if flags & TRUNCATE != 0 { b"truncate" } else { b"create" };
        change(below, What::Grows, &[how, path_text], call)
    } else {
        match if below { point(What::Reads) } else { Then::Go } {
            Then::Fail(error) => fail(error),
            _ => call(),
        }
    };
    if fd >= 0 {
        note_open(fd, below);
    }
    if below && fd >= 0 {
        tell(&[b"open", digits(fd as usize, &mut buffer), path_text]);
    } else if below && !changes {
        // SAFETY: the place of this thread's error number.
        let error = unsafe { *__errno_location() };
        tell(&[b"missing"]);
        fail(error);
    }
    fd
}

/// # Safety
/// As of `open(2)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    unsafe { opened(c"open", path, flags, mode) }
}

/// # Safety
/// As of `open(2)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    unsafe { opened(c"open64", path, flags, mode) }
}

#[unsafe(no_mangle)]
pub extern "C" fn close(fd: c_int) -> c_int {
    if is_open(fd) {
        note_open(fd, false);
        tell(&[b"close", digits(fd as usize, &mut [0; 20])]);
    }
    let real = real!(c"close", fn(c_int) -> c_int);
    // SAFETY: takes a plain number.
    unsafe { real(fd) }
}

/// # Safety
/// As of `write(2)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(fd: c_int, bytes: *const c_void, count: usize) -> isize {
    let real = real!(c"write", fn(c_int, *const c_void, usize) -> isize);
    if !is_open(fd) {
        return unsafe { real(fd, bytes, count) };
    }
    let then = point(What::Grows);
    // A disk that is full takes what there is room for.
    let torn = matches!(then, Then::Tear | Then::Fail(NO_SPACE));
    let count = match then {
        Then::Fail(error) if !torn => return fail(error) as isize,
        _ if torn => count / 2,
        _ => count,
    };
    let written = unsafe { real(fd, bytes, count) };
    if let Ok(length) = usize::try_from(written) {
        tell(&[b"write", digits(fd as usize, &mut [0; 20]), digits(length, &mut [0; 20])]);
        // SAFETY: so many bytes have just been read from there.
        tell(&[unsafe { core::slice::from_raw_parts(bytes.cast(), length) }]);
    }
    match then {
        Then::After | Then::Tear => die(),
        Then::Fail(error) => fail(error) as isize,
        Then::Go => written,
    }
}

/// Calls on an open file.
macro_rules! of_file {
    ($($name:ident($real:literal, $what:ident, $word:literal $(, $argument:ident: $type:ty)*);)*) => {$(
        #[unsafe(no_mangle)]
        pub extern "C" fn $name(fd: c_int $(, $argument: $type)*) -> c_int {
            let real = real!($real, fn(c_int $(, $type)*) -> c_int);
            let below = is_open(fd);
            // SAFETY: takes plain numbers.
            let call = || unsafe { real(fd $(, $argument)*) };
            change(below, What::$what, &[$word, digits(fd as usize, &mut [0; 20]), $(digits($argument as usize, &mut [0; 20]),)*], call)
        }
    )*};
}
of_file! {
    fsync(c"fsync", Grows, b"sync");
    fdatasync(c"fdatasync", Grows, b"sync");
    syncfs(c"syncfs", Grows, b"sync-all");
    ftruncate(c"ftruncate", Grows, b"resize", length: i64);
    ftruncate64(c"ftruncate64", Grows, b"resize", length: i64);
    fchmod(c"fchmod", Changes, b"mode", mode: c_uint);
}

/// Says what went wrong by what it returns, and not by the error number.
#[unsafe(no_mangle)]
pub extern "C" fn posix_fallocate(fd: c_int, offset: i64, length: i64) -> c_int {
    let real = real!(c"posix_fallocate", fn(c_int, i64, i64) -> c_int);
    let (mut fd_buffer, mut length_buffer) = ([0; 20], [0; 20]);
    let words: &[&[u8]] = &[b"resize", digits(fd as usize, &mut fd_buffer), digits(length as usize, &mut length_buffer)];
    let mut result = 0;
    let done = change(is_open(fd), What::Grows, words, || {
        // SAFETY: takes plain numbers.
        result = unsafe { real(fd, offset, length) };
        if result == 0 { 0 } else { -1 }
    });
    match (done, result) {
        (0, _) => 0,
        // SAFETY: the place of this thread's error number.
        (_, 0) => unsafe { *__errno_location() },
        (_, error) => error,
    }
}

/// Calls on a path.
macro_rules! of_path {
    ($($name:ident($real:literal, $what:ident, $word:literal $(, $argument:ident: $type:ty)?);)*) => {$(
        /// # Safety
        /// As of the call of this name.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(path: *const c_char $(, $argument: $type)?) -> c_int {
            let real = real!($real, fn(*const c_char $(, $type)?) -> c_int);
            let path_text = unsafe { text(path) };
            change(is_below(path_text), What::$what, &[$word, path_text], || unsafe { real(path $(, $argument)?) })
        }
    )*};
}
of_path! {
    unlink(c"unlink", Changes, b"unlink");
    rmdir(c"rmdir", Changes, b"rmdir");
    mkdir(c"mkdir", Grows, b"mkdir", mode: c_uint);
}

/// # Safety
/// As of `rename(2)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    let real = real!(c"rename", fn(*const c_char, *const c_char) -> c_int);
    let (from_text, to_text) = unsafe { (text(from), text(to)) };
    change(is_below(to_text), What::Changes, &[b"rename", from_text, to_text], || unsafe { real(from, to) })
}

/// # Safety
/// As of `linkat(2)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkat(
    from_directory: c_int,
    from: *const c_char,
    to_directory: c_int,
    to: *const c_char,
    flags: c_int,
) -> c_int {
    let real = real!(c"linkat", fn(c_int, *const c_char, c_int, *const c_char, c_int) -> c_int);
    let (from_text, to_text) = unsafe { (text(from), text(to)) };
    change(is_below(to_text), What::Grows, &[b"link", from_text, to_text], || unsafe {
        real(from_directory, from, to_directory, to, flags)
    })
}
