"""Every language has every text, with the same placeholders and tags."""

import pathlib
import re

import polib
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEMPLATES = sorted(ROOT.glob("reseller_billing*/i18n/*.pot"))
LANGUAGES = ("ar", "de", "es", "fr", "it", "nl", "pt_BR")
PLACEHOLDER = re.compile(r"%\([a-z_0-9]+\)[sdr]|%[sdr%]|\$\{[^}]*\}|\{\{.*?\}\}|\{[a-z_0-9]*\}")
TAG = re.compile(r"</?[a-zA-Z][^>]*>")
# Of a tag, what may be another in another language.
WORDS = re.compile(r'(aria-label|title|placeholder|alt)="[^"]*"')
WORD = re.compile(r"[A-Za-z]{2,}[,.;:]?")
# Values of code that the export takes for texts.
VALUE = re.compile(r"[a-z]+(_[a-z]+)*")


def tags_of(text):
    return sorted(WORDS.sub(r"\1", tag) for tag in TAG.findall(text))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_complete_with_the_same_placeholders(template, language):
    texts = {entry.msgid: entry for entry in polib.pofile(str(template))}
    translations = polib.pofile(str(template.with_name(f"{language}.po")))
    assert {entry.msgid for entry in translations} == texts.keys(), "run ./dev pot"
    found = []
    for entry in translations:
        source, text = entry.msgid, entry.msgstr
        if not text:
            found.append(f"not translated: {source[:80]!r}")
        elif sorted(PLACEHOLDER.findall(source)) != sorted(PLACEHOLDER.findall(text)):
            found.append(f"other placeholders: {source[:80]!r}: {text[:80]!r}")
        elif tags_of(source) != tags_of(text):
            found.append(f"other tags: {source[:80]!r}: {text[:80]!r}")
        elif [source[:1].isspace(), source[-1:].isspace()] != [
            text[:1].isspace(),
            text[-1:].isspace(),
        ]:
            found.append(f"other blanks at an end: {source[:80]!r}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_sentences_are_not_left_in_english(template, language):
    """Names and codes may be the same in two languages; of whole sentences nearly none are."""
    translations = polib.pofile(str(template.with_name(f"{language}.po")))
    same = [
        entry.msgid
        for entry in translations
        if entry.msgid == entry.msgstr
        and not VALUE.fullmatch(entry.msgid)
        and sum(bool(WORD.fullmatch(word)) for word in entry.msgid.split()) > 3
    ]
    assert not same, same
