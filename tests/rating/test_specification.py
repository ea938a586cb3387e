"""What code and documents cite of the specification is there."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CITED = re.compile(r"\b(rating|design|wholesale) (W?\d+[a-z]?)\b(?![,.]?\d)")
# Where the numbers begin lines: rules of the one, sections of the other.
NUMBERS = {
    "rating": re.compile(r"^(\d+[a-z]?)\. ", re.M),
    "design": re.compile(r"^## (\d+)\. ", re.M),
    "wholesale": re.compile(r"^(W\d+)\. ", re.M),
}
FOLDERS = (
    "reseller_billing",
    "reseller_billing_ubl_cii",
    "reseller_billing_queue_job",
    "tests",
    "tools",
    "docs",
)

pytestmark = pytest.mark.rating


def find_citations():
    """Return {(page, number): files that cite it}."""
    found = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".md", ".xml", ".js") and path.is_file():
                for cited in CITED.findall(path.read_text()):
                    found.setdefault(cited, []).append(path.name)
    return found


def test_each_cited_number_is_in_the_specification():
    there = {
        (page, number)
        for page, pattern in NUMBERS.items()
        for number in pattern.findall((ROOT / "docs" / f"{page}.md").read_text())
    }
    cited = find_citations()
    assert len(cited) > 15  # the pattern finds them
    assert {key: files for key, files in cited.items() if key not in there} == {}


def test_no_number_stands_twice():
    for page, pattern in NUMBERS.items():
        numbers = pattern.findall((ROOT / "docs" / f"{page}.md").read_text())
        assert len(numbers) == len(set(numbers)), page
