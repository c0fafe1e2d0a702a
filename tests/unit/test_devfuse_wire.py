"""The description of the protocol's messages is that of the system's own header."""

import re
import subprocess
from pathlib import Path

from catfs.overlay.transports.devfuse.wire import MESSAGES, Init, Message, Notice, Opcode, SetAttr

_HEADER = Path("/usr/include/linux/fuse.h")
_NEWER_THAN_7_38 = {"copy_file_range_out"}
_FILLERS = re.compile(r"(.*\.)?(padding|dummy\d?|spare|unused\d?|rest)")
"""Fields without a meaning: a later version of the header may give them one, under another name."""


def _described() -> dict[str, Message]:
    """Give the messages that have the form of a struct of the header."""
    return {name: message for name, message in MESSAGES.items() if " " not in name}


def _header_structs() -> set[str]:
    return set(re.findall(r"^struct fuse_(\w+) \{", _HEADER.read_text(), re.MULTILINE))


def _program(messages: dict[str, Message], constants: dict[str, str]) -> str:
    """Give a C program that prints sizes, offsets and constants, one per line."""
    lines = ["#include <stddef.h>", "#include <stdio.h>", "#include <linux/fuse.h>", "int main(void) {"]
    for name, message in messages.items():
        struct = f"struct fuse_{name}"
        lines.append(f'printf("{name} %zu\\n", sizeof({struct}));')
        lines.extend(
            f'printf("{name}.{field} %zu\\n", offsetof({struct}, {field}));'
            for field in message.offsets
            if not _FILLERS.fullmatch(field)
        )
    for label, name in constants.items():
        lines.append(f'printf("{label} %llu\\n", (unsigned long long)(unsigned)({name}));')
    return "\n".join([*lines, "return 0; }"])


def _run(program: str, folder: Path) -> dict[str, int]:
    (folder / "sizes.c").write_text(program)
    subprocess.run(["cc", "-o", folder / "sizes", folder / "sizes.c"], check=True, timeout=60)
    printed = subprocess.run([folder / "sizes"], check=True, capture_output=True, timeout=10).stdout
    return {key: int(value) for key, value in (line.split() for line in printed.decode().splitlines())}


def test_layouts_and_constants_are_those_of_the_header(tmp_path: Path) -> None:
    """Size, offsets, operation codes, flags and notices agree with a C compiler's view of the header."""
    there = _header_structs()
    messages = {name: message for name, message in _described().items() if name in there}
    text = _HEADER.read_text()
    constants = {f"opcode {op.name}".replace(" ", ":"): f"FUSE_{op.name}" for op in Opcode}
    constants |= {f"init:{flag.name}": f"FUSE_{flag.name}" for flag in Init}
    constants |= {f"notice:{notice.name}": f"FUSE_NOTIFY_{notice.name}" for notice in Notice}
    constants |= {f"setattr:{flag.name}": f"FATTR_{flag.name}" for flag in SetAttr}
    constants = {key: name for key, name in constants.items() if re.search(rf"\b{name}\b", text)}
    expected = {f"opcode:{op.name}": int(op) for op in Opcode}
    expected |= {f"init:{flag.name}": int(flag) for flag in Init}
    expected |= {f"notice:{notice.name}": int(notice) for notice in Notice}
    expected |= {f"setattr:{flag.name}": int(flag) for flag in SetAttr}
    for name, message in messages.items():
        expected[name] = message.size
        expected |= {f"{name}.{field}": offset for field, offset in message.offsets.items()}
    found = _run(_program(messages, constants), tmp_path)
    assert found == {key: expected[key] for key in found}
    assert len(found) > 250


def test_every_message_of_the_header_is_described() -> None:
    """No message of the protocol is missing, and none is invented."""
    described = set(_described())
    assert _header_structs() - described == set()
    assert described - _header_structs() <= _NEWER_THAN_7_38


def test_messages_pack_what_they_unpack() -> None:
    """Each message gives back the values that were packed."""
    for message in MESSAGES.values():
        values = message.unpack_from(bytes(range(message.size)))
        assert message.pack(*values) == bytes(range(message.size))
