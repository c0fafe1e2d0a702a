"""Reports of findings in the formats that continuous integration reads: JUnit XML and SARIF 2.1.0."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import quote

import orjson

import catfs
from catfs.records.validation import Finding


class Case(NamedTuple):
    """One thing that was checked: its name, the folder that places count from, and what was found."""

    name: str
    folder: str
    findings: Sequence[Finding]


Cases = Sequence[Case]

REPORT_FORMATS: Final = ("junit", "sarif")

_SUITE: Final = "catfs verify"


def report_bytes(form: str, cases: Cases) -> bytes:
    """Give a report.

    Args:
        form: One of REPORT_FORMATS.
        cases: What was checked.
    """
    return _junit(cases) if form == "junit" else _sarif(cases)


def _junit(cases: Cases) -> bytes:
    failed = sum(any(not finding.code.is_warning for finding in findings) for _, _, findings in cases)
    suite = ET.Element(
        "testsuite", name=_SUITE, tests=str(len(cases)), failures=str(failed), errors="0", skipped="0"
    )
    for name, _, findings in cases:
        case = ET.SubElement(suite, "testcase", classname=_SUITE, name=_xml(name))
        errors = [finding for finding in findings if not finding.code.is_warning]
        warnings = [finding for finding in findings if finding.code.is_warning]
        if errors:
            first = errors[0]
            failure = ET.SubElement(case, "failure", type=first.code.value, message=_xml(first.message))
            failure.text = "\n".join(map(_line, errors))
        if warnings:
            ET.SubElement(case, "system-out").text = "\n".join(map(_line, warnings))
    suites = ET.Element("testsuites", tests=suite.get("tests", ""), failures=suite.get("failures", ""))
    suites.append(suite)
    ET.indent(suites)
    text: bytes = ET.tostring(suites, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _line(finding: Finding) -> str:
    return _xml(f"{finding.code.value} {finding.pointer}: {finding.message}")


def _xml(text: str) -> str:
    """Escape what XML cannot hold at all."""
    return "".join(character if _is_of_xml(character) else "?" for character in text)


def _is_of_xml(character: str) -> bool:
    number = ord(character)
    return character in "\t\n" or 0x20 <= number < 0xD800 or 0xE000 <= number < 0xFFFE or number > 0xFFFF


def _sarif(cases: Cases) -> bytes:
    codes = sorted({finding.code.value for case in cases for finding in case.findings})
    driver: Mapping[str, object] = {
        "name": "catfs",
        "version": catfs.__version__,
        "rules": [{"id": code} for code in codes],
    }
    results = [_sarif_result(case, finding) for case in cases for finding in case.findings]
    record = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }
    return orjson.dumps(record, option=orjson.OPT_INDENT_2) + b"\n"


def _sarif_result(case: Case, finding: Finding) -> Mapping[str, object]:
    place = f"{case.folder}/{finding.pointer.partition('#')[0]}".rstrip("/")
    return {
        "ruleId": finding.code.value,
        "level": "warning" if finding.code.is_warning else "error",
        "message": {"text": _xml(f"{case.name}: {finding.message}")},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": quote(place)}}}],
    }
