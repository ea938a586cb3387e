"""The addon's README and its page under Apps say what the fragments in `readme` say."""

import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import readme  # noqa: E402

pytestmark = pytest.mark.rating


def test_readme_and_page_are_made_of_the_fragments():
    for path, text in readme.render(ROOT / "reseller_billing", "Reseller Billing").items():
        assert path.read_text() == text, f"run ./dev readme: {path.name}"


def test_all_pictures_are_there():
    folder = ROOT / "reseller_billing" / "static" / "description"
    page = (folder / "index.html").read_text()
    names = re.findall(r'src="([^"]+)"', page)
    assert names
    assert [name for name in names if not (folder / name).exists()] == []


def test_paragraphs_and_lists_become_restructured_text():
    blocks = readme.read_blocks("A *word*\nand `code`.\n\n- **one** & two\n- three\n")
    assert blocks == [("p", ["A *word* and `code`."]), ("ul", ["**one** & two", "three"])]
    assert readme.write_rst("T", [(None, blocks)]) == (
        "=\nT\n=\n\nA *word* and ``code``.\n\n- **one** & two\n- three\n"
    )
