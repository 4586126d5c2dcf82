"""Runs a program on a machine that limits io_uring, by a seccomp filter on io_uring_setup(2). Arguments: how many entries
a ring may have, the program, and its own arguments. 0 forbids io_uring as the default profiles of containers do (EPERM);
larger rings than may be are answered as by a kernel that finds no room for them (ENOMEM)."""

import ctypes
import errno
import os
import struct
import sys

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
LOAD_WORD, JUMP_IF_EQUAL, JUMP_IF_GREATER, RETURN = 0x20, 0x15, 0x25, 0x06
ALLOW, ERROR = 0x7FFF0000, 0x00050000
NUMBER, FIRST_ARGUMENT = 0, 16  # in struct seccomp_data, little-endian
IO_URING_SETUP = 425  # on every architecture

entries = int(sys.argv[1])
instructions = [
    (LOAD_WORD, 0, 0, NUMBER),
    (JUMP_IF_EQUAL, 0, 3, IO_URING_SETUP),
    (LOAD_WORD, 0, 0, FIRST_ARGUMENT),
    (JUMP_IF_GREATER, 0, 1, entries),
    (RETURN, 0, 0, ERROR | (errno.ENOMEM if entries else errno.EPERM)),
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
os.execv(sys.argv[2], sys.argv[2:])
