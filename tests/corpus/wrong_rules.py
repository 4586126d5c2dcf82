#!/usr/bin/env python3
"""Breaks each rule of src/http, one at a time, in a checkout of its own, and shows that the tests over sockets notice.

    tests/corpus/wrong_rules.py [--check] [--target DIRECTORY] [PART OF A NAME ...]

--check only looks whether the rules are still there to be broken. Prints a row a rule; exit code 1 when one is not noticed.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
FRAMING, PARSE, CHUNKED = "src/http/framing.rs", "src/http/head/parse.rs", "src/http/chunked.rs"

# What is broken; then for each place its file, the text that is there, and the text in its stead.
RULES = [
    ("`Content-Length: +5` is 5", [(
        FRAMING,
        "    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {",
        "    let value = value.strip_prefix(b\"+\").unwrap_or(value);\n    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {",
    )]),
    ("the first of two `Content-Length` counts", [(
        FRAMING,
        "(None, Some(_)) if fields.is_repeated(FieldId::ContentLength) => {",
        "(None, Some(_)) if fields.len() > 1000 => {",
    )]),
    ("`Content-Length` beats `Transfer-Encoding`", [(
        FRAMING,
        "(Some(_), Some(_)) => Err(HeadError::BadTransferEncoding(\"stands beside Content-Length\")),",
        "(Some(_), Some(length)) => content_length(length.value.of(buffer)).map(Declared::Length),",
    )]),
    ("the last transfer coding counts, over lines and lists", [
        (
            FRAMING,
            "(Some(_), None) if fields.is_repeated(FieldId::TransferEncoding) => {",
            "(Some(_), None) if fields.len() > 1000 => {",
        ),
        (
            FRAMING,
            "(Some(coding), None) => transfer_encoding(coding.value.of(buffer)).map(|()| Declared::Chunked),",
            "(Some(coding), None) => {\n            let last = fields.iter().rfind(|f| f.id == FieldId::TransferEncoding).unwrap_or(coding);\n"
            "            transfer_encoding(last.value.of(buffer)).map(|()| Declared::Chunked)\n        }",
        ),
        (
            FRAMING,
            "    if value.eq_ignore_ascii_case(b\"chunked\") {",
            "    if value.rsplit(|&b| b == b',').next().is_some_and(|last| trim(last).eq_ignore_ascii_case(b\"chunked\")) {",
        ),
    ]),
    ("a bare LF ends a line", [
        (
            PARSE,
            "Ok(self.byte()? == b'\\r' && self.byte()? == b'\\n')",
            "Ok(match self.byte()? {\n            b'\\n' => true,\n            byte => byte == b'\\r' && self.byte()? == b'\\n',\n        })",
        ),
        (PARSE, "            b'\\n' => return refuse(\"a bare LF\"),", "            b'\\n' => {}"),
    ]),
    ("white space before the colon", [(
        PARSE,
        "            b' ' | b'\\t' => return refuse(\"white space between a name and its colon\"),",
        "            b' ' | b'\\t' => {\n                self.skip(|byte| byte == b' ' || byte == b'\\t');\n"
        "                if self.byte()? != b':' {\n                    return refuse(\"a line without a colon\");\n                }\n            }",
    )]),
    ("folded lines are sent on as they came", [
        (
            PARSE,
            "            let field = match plain_line(self.bytes, self.at) {",
            "            let folded = |next: usize| matches!(self.bytes.get(next), Some(b' ' | b'\\t'));\n"
            "            let field = match plain_line(self.bytes, self.at).filter(|(_, next)| !folded(*next)) {",
        ),
        (
            PARSE,
            "            b'\\r' if self.byte()? == b'\\n' => {}",
            "            b'\\r' if self.byte()? == b'\\n' => {\n                while let Some(b' ' | b'\\t') = self.bytes.get(self.at) {\n"
            "                    self.skip_value();\n                    value = self.span(start);\n                    self.line_end()?;\n                }\n            }",
        ),
    ]),
    ("a chunk size may begin with `0x`", [(
        CHUNKED,
        "            State::Size { digits } => match (hex(byte), byte) {",
        "            State::Size { digits } => match (hex(byte), byte) {\n                (None, b'x') if digits == 1 && self.remaining == 0 => State::Size { digits: 0 },",
    )]),
]


def broken(root, places):
    """The files of a rule, broken."""
    texts = {}
    for file, old, new in places:
        text = texts.get(file) or (root / file).read_text()
        if text.count(old) != 1:
            sys.exit(f"{file} has {text.count(old)} times, and not once:\n{old}\nThe rule is written otherwise now: mend this table.")
        texts[file] = text.replace(old, new)
    return texts


def noticed(checkout, target):
    """The cases in which the tests notice."""
    command = ["cargo", "test", "--locked", "--test", "corpus", "--target-dir", target, "--no-fail-fast"]
    # The corpora that lie beside this checkout, and not beside that one.
    corpora = {"LOCKGATE_CORPUS": str(ROOT.parent / "shared" / "http1-corpus"), **os.environ}
    run = subprocess.run(command, cwd=checkout, capture_output=True, text=True, env=corpora)
    if "test result:" not in run.stdout:
        sys.exit(run.stderr)
    return sorted(set(re.findall(r"^([\w/.-]+) \([\w-]+\): ", run.stdout + run.stderr, re.M)))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--check", action="store_true")
    arguments.add_argument("--target", default=str(ROOT / "target" / "wrong-rules"))
    arguments.add_argument("names", nargs="*")
    arguments = arguments.parse_args()
    chosen = [(name, places) for name, places in RULES if all(part in name for part in arguments.names)]
    for _, places in chosen:
        broken(ROOT, places)
    if arguments.check:
        return 0
    missed = False
    with tempfile.TemporaryDirectory() as directory:
        checkout = pathlib.Path(directory) / "checkout"
        # What is committed, and nothing else.
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(checkout)], cwd=ROOT, check=True)
        try:
            for name, places in chosen:
                right = {file: (checkout / file).read_text() for file, _, _ in places}
                for file, text in broken(checkout, places).items():
                    (checkout / file).write_text(text)
                cases = noticed(checkout, arguments.target)
                for file, text in right.items():
                    (checkout / file).write_text(text)
                missed |= not cases
                shown = ", ".join(cases[:4]) + (f" and {len(cases) - 4} more" if len(cases) > 4 else "")
                print(f"| {name} | {shown or 'NOT NOTICED'} |", flush=True)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(checkout)], cwd=ROOT, check=True)
    return int(missed)


sys.exit(main())
