"""Bring the translations of addons to the state of their templates. See ./dev pot.

What is translated stays, what is new is added empty, what is gone is taken out. Then the texts that are left
to translate are named, by file.
"""

import pathlib
import sys

import polib

LANGUAGES = ("ar", "de", "es", "fr", "it", "nl", "pt_BR")


def bring_up(template, path):
    """Write the translations of a language anew; return what is left to translate.

    :param template: polib.POFile of the texts
    :param path: of the translations, which need not be there
    :return: the texts without a translation
    """
    before = {}
    if path.exists():
        before = {entry.msgid: entry.msgstr for entry in polib.pofile(str(path), wrapwidth=78)}
    made = polib.POFile(wrapwidth=78)
    made.header = template.header
    # Dates would change with every run.
    made.metadata = {
        name: value for name, value in template.metadata.items() if not name.endswith("-Date")
    }
    made.metadata["Language"] = path.stem
    for entry in template:
        made.append(
            polib.POEntry(
                msgid=entry.msgid,
                msgstr=before.get(entry.msgid, ""),
                comment=entry.comment,
                occurrences=entry.occurrences,
                flags=entry.flags,
            )
        )
    made.save(str(path))
    return [entry.msgid for entry in made if not entry.msgstr]


def main():
    for folder in map(pathlib.Path, sys.argv[1:]):
        template = polib.pofile(str(folder / "i18n" / f"{folder.name}.pot"))
        for language in LANGUAGES:
            path = folder / "i18n" / f"{language}.po"
            left = bring_up(template, path)
            if left:
                print(f"{folder.name}/i18n/{path.name}: {len(left)} texts to translate")


if __name__ == "__main__":
    main()
