"""A run as one page that opens in a browser without a network."""

from catfs.forensics.report.collect import RECORDS_MAX
from catfs.forensics.report.diffs import Content, TextDiff, compare_texts
from catfs.forensics.report.facts import RunFacts, StepFacts
from catfs.forensics.report.page import make_page

__all__ = ["RECORDS_MAX", "Content", "RunFacts", "StepFacts", "TextDiff", "compare_texts", "make_page"]
