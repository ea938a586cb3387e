"""Private methods of Odoo that the addons use are named in docs/compatibility.md, and are there."""

import ast
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ADDONS = ("reseller_billing", "reseller_billing_ubl_cii", "reseller_billing_queue_job")
PAGE = (ROOT / "docs" / "compatibility.md").read_text()
ROW = re.compile(r"^\| (\w+) \| (`_\w+`(?:, `_\w+`)*) \|$", re.MULTILINE)
DEFINED = re.compile(r"^\s*(?:(?:async )?def (_\w+)\(|(_\w+)\s*[=:])", re.MULTILINE)
# Of translations, and of named tuples.
NOT_MEANT = {"_", "_replace", "_make", "_asdict"}


def find_used():
    """Return the private names that our code uses of what is not ours: called and not defined by us, or
    defined by us over what `super()` has.
    """
    used, defined, overridden = set(), set(), set()
    for addon in ADDONS:
        for file in sorted((ROOT / addon).rglob("*.py")):
            if {"tests", "rating", "migrations"} & set(file.relative_to(ROOT / addon).parts):
                continue
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.FunctionDef):
                    defined.add(node.name)
                elif isinstance(node, ast.Assign):
                    targets = [one for target in node.targets for one in ast.walk(target)]
                    defined.update(
                        getattr(one, "id", getattr(one, "attr", None)) for one in targets
                    )
                elif isinstance(node, ast.ClassDef):
                    defined.update(
                        one.target.id for one in node.body if isinstance(one, ast.AnnAssign)
                    )
                elif isinstance(node, ast.Attribute) and re.match("_(?!_)", node.attr):
                    used.add(node.attr)
                    of_super = isinstance(node.value, ast.Call) and (
                        getattr(node.value.func, "id", None) == "super"
                    )
                    if of_super:
                        overridden.add(node.attr)
    return used - NOT_MEANT, defined, overridden


def find_defined(of):
    """Return the private names that an addon of others defines; "odoo": what is in no addon."""
    homes = [pathlib.Path(path) / "odoo" for path in sys.path]
    if of == "odoo":
        folders = [path for home in homes for path in home.glob("*") if path.name != "addons"]
    else:
        folders = [home / "addons" / of for home in homes]
    found = set()
    for folder in folders:
        for file in folder.rglob("*.py") if folder.is_dir() else [folder]:
            if file.suffix == ".py" and file.exists() and "tests" not in file.parts:
                found.update(one or two for one, two in DEFINED.findall(file.read_text()))
    return found


def test_private_methods_that_are_used_are_named_and_there():
    named = {of: set(re.findall(r"_\w+", names)) for of, names in ROW.findall(PAGE)}
    assert len(named) > 5
    theirs = {}
    for of, names in named.items():
        theirs[of] = find_defined(of)
        assert not names - theirs[of], f"not in {of} any more"
    used, defined, overridden = find_used()
    known = set().union(*named.values())
    assert not known - used, "named, and not used any more"
    unknown = used - defined - known
    assert not unknown, "used, and not named in docs/compatibility.md"
    # What we define over another's is named with it.
    everywhere = set().union(*theirs.values())
    assert not (overridden & everywhere) - known
