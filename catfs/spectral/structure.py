"""What the source files of a domain say of themselves: STRUCTURE.json, without contents.

For each source file: the first line of its documentation, what it imports and exports, and its symbols with
signature, line and first line of documentation. It is for finding one's way, not for proofs: another version
of a reader may see another structure in the same bytes, so the file names its readers, and the domain root
says nothing about it. A language that nobody here reads is named with the number of its files, never guessed.
"""

from collections.abc import Mapping
from dataclasses import field
from enum import Enum
from typing import Final, Self

from catfs.digest import Digest
from catfs.errors import FormatError, printable
from catfs.records import put_table
from catfs.records.fields import Fields
from catfs.records.names import check_relative
from catfs.values import dataclass

STRUCTURE_SCHEMA: Final = "structure.v1"

LINE_CHARACTERS_MAX: Final = 300
"""Longest signature or line of documentation that is kept, in characters; the rest is cut off."""


class SymbolKind(Enum):
    """What a symbol is; each language uses those that it has words for."""

    FUNCTION = "function"
    METHOD = "method"
    CLASS = "class"
    STRUCT = "struct"
    UNION = "union"
    ENUM = "enum"
    INTERFACE = "interface"
    TYPE = "type"
    CONSTANT = "constant"
    VARIABLE = "variable"
    MODULE = "module"
    MACRO = "macro"


@dataclass(frozen=True, slots=True)
class Symbol:
    """One thing that a source file defines.

    Args:
        kind: What it is.
        name: Its name, behind that of what holds it: `Parser.read`.
        signature: How it is declared, on one line, without its body.
        line: Where, counted from 1.
        doc: First line of its documentation; empty where there is none.
    """

    kind: SymbolKind
    name: str
    signature: str
    line: int
    doc: str = ""

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form."""
        return {
            "kind": self.kind.value,
            "name": self.name,
            "signature": self.signature,
            "line": self.line,
            "doc": self.doc,
        }

    @classmethod
    def take(cls, fields: Fields) -> Self:
        """Take the fields of a symbol out of an object.

        Raises:
            FormatError: when one is missing or of the wrong type.
        """
        return cls(
            fields.choice("kind", SymbolKind),
            fields.text("name"),
            fields.text("signature"),
            fields.number("line"),
            fields.text("doc"),
        )


@dataclass(frozen=True, slots=True)
class SourceStructure:
    """What one source file says of itself.

    Args:
        language: Its language, by its name.
        doc: First line of its documentation; empty where there is none.
        imports: What it imports, sorted.
        exports: What it offers to others, sorted.
        symbols: What it defines, in the order of the file.
        problem: Why it could not be read, or not in full; empty when it could.
    """

    language: str
    doc: str = ""
    imports: tuple[str, ...] = ()
    exports: tuple[str, ...] = ()
    symbols: tuple[Symbol, ...] = ()
    problem: str = ""

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form."""
        return {
            "language": self.language,
            "doc": self.doc,
            "imports": list(self.imports),
            "exports": list(self.exports),
            "symbols": [symbol.to_dict() for symbol in self.symbols],
            "problem": self.problem,
        }

    @classmethod
    def take(cls, fields: Fields) -> Self:
        """Take the fields of a file out of an object.

        Raises:
            FormatError: when one is missing or of the wrong type.
        """
        return cls(
            language=fields.text("language"),
            doc=fields.text("doc"),
            imports=fields.texts("imports"),
            exports=fields.texts("exports"),
            symbols=fields.parts("symbols", Symbol.take),
            problem=fields.text("problem"),
        )


@dataclass(frozen=True, slots=True)
class LanguageNote:
    """How the files of one language were read.

    Args:
        files: How many there are.
        reader: What read them, with its version; empty when nobody could.
        problem: Why nobody could; empty otherwise.
    """

    files: int
    reader: str
    problem: str = ""

    def __post_init__(self) -> None:
        if bool(self.reader) == bool(self.problem):
            raise FormatError("structure", "expected of each language either a reader or a problem")


@dataclass(frozen=True, slots=True)
class Structure:
    """What the source files of a domain say of themselves.

    Args:
        root: The domain root.
        languages: Each language that the domain has files of.
        files: Path to what it says; only files of languages that were read.
    """

    root: Digest
    languages: Mapping[str, LanguageNote]
    files: Mapping[bytes, SourceStructure] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for path, source in self.files.items():
            check_relative(path)
            note = self.languages.get(source.language)
            if note is None or not note.reader:
                problem = f"{printable(path)}: expected a language that is listed with a reader"
                raise FormatError("structure", f"{problem}, got {source.language!r}")

    def to_dict(self) -> dict[str, object]:
        """Give the JSON form (docs/formats/spectrum.md)."""
        record: dict[str, object] = {
            "schema": STRUCTURE_SCHEMA,
            "root": self.root.hex,
            "languages": {
                name: {"files": note.files, "reader": note.reader, "problem": note.problem}
                for name, note in self.languages.items()
            },
        }
        put_table(record, "files", {path: source.to_dict() for path, source in self.files.items()})
        return record

    @classmethod
    def from_dict(cls, value: object) -> Self:
        """Read the JSON form.

        Raises:
            FormatError: when a field is missing, unknown or of the wrong type.
        """
        fields = Fields(value, "structure")
        fields.schema(STRUCTURE_SCHEMA)
        root = fields.digest("root")
        languages = {}
        for name, item in fields.table("languages").items():
            note = Fields(item, f"structure, language {printable(name)}")
            languages[name.decode(errors="backslashreplace")] = LanguageNote(
                note.number("files"), note.text("reader"), note.text("problem")
            )
            note.end()
        files = {}
        for path, item in fields.table("files").items():
            source = Fields(item, f"structure, {printable(path)}")
            files[path] = SourceStructure.take(source)
            source.end()
        fields.end()
        return cls(root, languages, files)


def one_line(text: str) -> str:
    """Give a text on one line, spaces joined, what is no text escaped, cut off where it is too long."""
    joined = " ".join(text.split()).encode("utf-8", "backslashreplace").decode()
    return joined if len(joined) <= LINE_CHARACTERS_MAX else f"{joined[: LINE_CHARACTERS_MAX - 3]}..."
