"""Runs a program on a machine that forbids io_uring: a seccomp filter answers io_uring_setup(2) with EPERM, as the
default profiles of containers do. Arguments: the program and its own."""

import ctypes
import os
import struct
import sys

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERROR_EPERM = 0x7FFF0000, 0x00050000 | 1
IO_URING_SETUP = 425  # on every architecture

instructions = [
    (LOAD_WORD, 0, 0, 0),
    (JUMP_IF_EQUAL, 0, 1, IO_URING_SETUP),
    (RETURN, 0, 0, ERROR_EPERM),
    (RETURN, 0, 0, ALLOW),
]
code = b"".join(struct.pack("HBBI", *instruction) for instruction in instructions)
kept = ctypes.create_string_buffer(code, len(code))


class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


program = Program(len(instructions), ctypes.addressof(kept))
libc = ctypes.CDLL(None, use_errno=True)
zero = ctypes.c_ulong(0)
for call in (
    (PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero),
    (PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), ctypes.byref(program), zero, zero),
):
    if libc.prctl(*call) != 0:
        sys.exit("seccomp: " + os.strerror(ctypes.get_errno()))
os.execv(sys.argv[1], sys.argv[1:])
