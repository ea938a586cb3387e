"""Writes an addon's README.rst and its page under Apps from the fragments in its folder `readme`.

Run by `./dev readme`. Fragments are Markdown with paragraphs, lists and *emphasis*; a test holds that what is written is
what they say.
"""

import html
import pathlib
import re
import sys
import textwrap

from markdown_it import MarkdownIt

SECTIONS = (("DESCRIPTION", None), ("CONFIGURE", "Configuration"), ("USAGE", "Usage"))
# Pictures of the page under Apps, with what they show.
PICTURES = (
    ("dashboard.png", "The dashboard: what is due, unbilled and owed"),
    ("price-form.png", "A price, with every option"),
    ("portal-clients.png", "A reseller's clients in the portal"),
    ("statement.png", "A statement"),
)


def read_blocks(text):
    """Return the paragraphs and lists of Markdown, as (kind, texts): kind "p", "ul" or "ol"."""
    blocks = []
    for part in re.split(r"\n\s*\n", text.strip()):
        kind = "ul" if part.startswith("- ") else "ol" if re.match(r"\d+\. ", part) else "p"
        texts = [part] if kind == "p" else re.split(r"\n(?=- |\d+\. )", part)
        texts = [re.sub(r"^(- |\d+\. )", "", one) for one in texts]
        blocks.append((kind, [" ".join(one.split()) for one in texts]))
    return blocks


def write_rst(title, blocks):
    """Return blocks, by heading, as reStructuredText."""
    lines = ["=" * len(title), title, "=" * len(title), ""]
    for heading, found in blocks:
        if heading:
            lines += [heading, "=" * len(heading), ""]
        for kind, texts in found:
            mark = {"p": "", "ul": "- ", "ol": "#. "}[kind]
            for text in texts:
                lines += textwrap.wrap(
                    mark + text.replace("`", "``"), 100, subsequent_indent=" " * len(mark)
                )
            lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def write_html(title, texts):
    """Return the page that Odoo shows under Apps: Markdown by heading, and the pictures."""
    lines = ['<section class="oe_container">', f"<h1>{html.escape(title)}</h1>"]
    for heading, text in texts:
        if heading:
            lines.append(f"<h2>{html.escape(heading)}</h2>")
        lines.append(MarkdownIt().render(text).rstrip("\n"))
        if not heading:
            lines += [
                f'<p><img src="{name}" alt="{html.escape(says)}" style="max-width: 100%"/></p>'
                for name, says in PICTURES
            ]
    return "\n".join([*lines, "</section>", ""])


def render(addon, title):
    """Return {path: text} of what an addon's fragments make.

    :param addon: the addon's folder
    """
    addon = pathlib.Path(addon)
    texts = [(heading, (addon / "readme" / f"{name}.md").read_text()) for name, heading in SECTIONS]
    return {
        addon / "README.rst": write_rst(title, [(one, read_blocks(text)) for one, text in texts]),
        addon / "static" / "description" / "index.html": write_html(title, texts),
    }


if __name__ == "__main__":
    for path, text in render(sys.argv[1], sys.argv[2]).items():
        path.write_text(text)
