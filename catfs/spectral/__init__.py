"""Domains as spectra: path to content hash, structure and roots; contents in a store; back again, compared.

Reading sources (`catfs.spectral.sources`) is imported where it is used: it loads parsers.
"""

from catfs.spectral.compare import (
    ContentProblem,
    DomainCheck,
    diff,
    read_hash,
    verify_contents,
    verify_domain,
)
from catfs.spectral.decode import Decoded, DecodeError, Permitted, decode_domain
from catfs.spectral.encode import ChangedPathError, encode_domain
from catfs.spectral.folder import (
    ROOT_FILE,
    ROOTS_FILE,
    SPECTRUM_FILE,
    STRUCTURE_FILE,
    is_finished,
    read_spectrum,
    read_structure,
    write_spectrum,
)
from catfs.spectral.spectrum import Device, Spectrum
from catfs.spectral.structure import LanguageNote, SourceStructure, Structure, Symbol, SymbolKind

__all__ = [
    "ROOTS_FILE",
    "ROOT_FILE",
    "SPECTRUM_FILE",
    "STRUCTURE_FILE",
    "ChangedPathError",
    "ContentProblem",
    "DecodeError",
    "Decoded",
    "Device",
    "DomainCheck",
    "LanguageNote",
    "Permitted",
    "SourceStructure",
    "Spectrum",
    "Structure",
    "Symbol",
    "SymbolKind",
    "decode_domain",
    "diff",
    "encode_domain",
    "is_finished",
    "read_hash",
    "read_spectrum",
    "read_structure",
    "verify_contents",
    "verify_domain",
    "write_spectrum",
]
