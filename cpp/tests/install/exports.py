"""Fails unless libgru_native.so exports exactly what the public headers declare.

    exports.py NM LIBRARY HEADERS

Compared are qualified names, without arguments: for a class marked GRU_NATIVE_API its public member
functions (those of templates for float and double), free functions marked so, and the C API. Inline
functions may be exported and need not.
"""

import re
import subprocess
import sys
from pathlib import Path

CLASS = re.compile(
    r"^(template <class T>\n)?(?:class|struct) (GRU_NATIVE_API )?(\w+)[^;{]*\{\n(.*?)^\};",
    re.MULTILINE | re.DOTALL,
)
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
FUNCTION = re.compile(r"(operator=|operator\[\]|~?\w+)\((?!\*)[^;{]*?\)([^;{()]*)(;|\{|:)")


def public_part(body):
    return re.split(r"^ private:", body, flags=re.MULTILINE)[0]


def declared(header):
    """Pairs (qualified name, whether it must be exported)."""
    text = COMMENT.sub("", header.read_text("utf-8")).replace(" = {}", "")  # of an argument
    for template, exported, name, body in CLASS.findall(text):
        forms = [f"{name}<{t}>" for t in ("float", "double")] if template else [name]
        functions = FUNCTION.finditer(public_part(body))
        for member, after, end in (m.groups() for m in functions):
            marked = exported or re.search(rf"GRU_NATIVE_API [\w:]+ {re.escape(member)}\(", body)
            if marked and "= delete" not in after and member not in ("static_cast", "if", "return"):
                for form in forms:
                    yield f"gru_native::{form}::{member}", end == ";"
    outside = CLASS.sub("", text)
    for template, name in re.findall(
        r"^(template <class T>\n)?GRU_NATIVE_API [^;]*?(\w+)\(", outside, re.MULTILINE
    ):
        for form in ("<float>", "<double>") if template else ("",):
            yield f"gru_native::{name}{form}", True
    for name in re.findall(r"^GRU_NATIVE_C_API [^;]*?(\w+)\(", outside, re.MULTILINE):
        yield name, True


def exported(nm, library):
    listing = subprocess.run(
        [nm, "-DC", "--defined-only", library], check=True, capture_output=True, text=True
    ).stdout
    for line in listing.splitlines():
        symbol = line.split(maxsplit=2)[2]
        symbol = re.sub(r"^(vtable|typeinfo( name)?) for ", "", symbol)
        # Functions made of templates have what they return before their name.
        symbol = re.sub(r"^\w+ (?=gru_native::)", "", symbol)
        if symbol.startswith("std::"):
            symbol = symbol.split("(", 1)[0].rsplit(" ", 1)[-1]
        symbol = re.sub(r"\[abi:\w+\]", "", symbol)
        yield re.match(r"[\w:~=]+(<(float|double)>[\w:~=\[\]]*)?", symbol)[0]


nm, library, headers = sys.argv[1:]
names = {}
for header in sorted(Path(headers).glob("*.h")):
    names |= dict(declared(header))
found = set(exported(nm, library))
thrown = {"gru_native::FileError", "gru_native::Interrupted"}
surplus = sorted(found - set(names) - thrown)
missing = sorted(name for name, needed in names.items() if needed and name not in found)
print(f"{len(found)} names exported, {len(names)} declared")
for name in surplus:
    print(f"exported, but in no public header: {name}")
for name in missing:
    print(f"declared, but not exported: {name}")
sys.exit(bool(surplus or missing or len(found) < 100))
