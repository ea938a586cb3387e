"""The rooms of the addon: what lies in one uses only those below it."""

import ast
import pathlib

import pytest

ADDON = pathlib.Path(__file__).resolve().parents[2] / "reseller_billing"
# From the lowest up. Each may use itself and those before it; docs/architecture.md says why.
ROOMS = (
    "base",
    "client",
    "pricing",
    "usage",
    "billing",
    "documents",
    "prepaid",
    "lockout",
    "collection",
    "gate",
    "wholesale",
    "books",
    "commission",
    "portal",
)
# Models above that are asked for all the same; a new one is better a hook.
ASKED = {
    # What is billed, used or priced already, which a change of service must not touch.
    ("client", "reseller.statement"),
    ("client", "reseller.manual.charge"),
    ("client", "reseller.price.rule"),
    ("pricing", "reseller.usage.daily"),
    # What is kept how long, and what is told of a person.
    ("books", "reseller.login"),
}
# Definitions that stand instead of a hook's empty one below.
REPLACING = {
    ("reseller.client", "_get_oldest_day"),
    ("reseller.price.rule", "_guard_billed_days"),
    ("reseller.rating", "_find_lot_holders"),
    ("reseller.rating", "_load_prepaid"),
    ("reseller.reseller", "_invoice_to_sql"),
    ("reseller.usage.daily", "_of_statement_sql"),
    ("reseller.usage.line", "_rejected_from_sql"),
}
# Private names that Odoo has as well: who calls them need not mean a room above.
OF_ODOO = {"_get_report", "_name", "_reverse_moves", "_trigger"}

pytestmark = pytest.mark.rating


def get_files():
    """Return {path: (room, syntax tree)} of the rooms' Python files."""
    return {
        path: (path.parent.name, ast.parse(path.read_text()))
        for kind in ("models", "wizards")
        for path in sorted((ADDON / kind).glob("*/*.py"))
    }


def test_files_are_short_or_say_why():
    """A file is read as a whole: at most 500 lines, or its docstring has the reason (*One file*)."""
    roots = (ADDON, ADDON.parent / "tests", ADDON.parent / "tools")
    found = [
        path.relative_to(ADDON.parent)
        for root in roots
        for kind in ("py", "xml", "js", "scss")
        for path in root.rglob(f"*.{kind}")
        if len(text := path.read_text().splitlines()) > 500
        and "One file" not in "\n".join(text[:12])
    ]
    assert not found


def is_above(room, other):
    return ROOMS.index(room) > ROOMS.index(other)


def find_imports(path, tree):
    """Return the rooms that a file imports from."""
    own = ("odoo", "addons", ADDON.name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            places = [tuple(name.name.split(".")) for name in node.names]
            places = [place[3:] for place in places if place[:3] == own]
        elif isinstance(node, ast.ImportFrom):
            place = tuple(filter(None, (node.module or "").split(".")))
            if node.level:
                folder = path.parents[node.level - 1].relative_to(ADDON).parts
                place = (*folder, *place)
            elif place[:3] == own:
                place = place[3:]
            else:
                continue
            # What is imported may be a room itself.
            places = [(*place, name.name) for name in node.names]
        else:
            continue
        for place in places:
            if place[0] in ("models", "wizards") and place[1] in ROOMS:
                yield place[1]


def find_private(tree):
    """Return the private names that a file asks other objects for, but for calls of what it extends."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            called = getattr(node.value, "func", None)
            if getattr(called, "id", None) != "super":
                yield node.attr


def find_defined(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("_"):
            yield node.name


def find_model_names(tree):
    for cls in tree.body:
        for node in cls.body if isinstance(cls, ast.ClassDef) else ():
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "_name":
                yield ast.literal_eval(node.value)


def find_crossings(files):
    """Return lines that say which file uses what of a room above its own."""
    defined = {}
    for room, tree in files.values():
        for name in find_defined(tree):
            defined.setdefault(name, set()).add(room)
    found = []
    for path, (room, tree) in files.items():
        found += [
            f"{path.relative_to(ADDON)} imports from {other}"
            for other in find_imports(path, tree)
            if is_above(other, room)
        ]
        for name in sorted(set(find_private(tree)) & defined.keys() - OF_ODOO):
            if all(is_above(other, room) for other in defined[name]):
                found.append(f"{path.relative_to(ADDON)} uses {name} of {sorted(defined[name])}")
    return found


def test_all_files_lie_in_a_room():
    for kind in ("models", "wizards"):
        assert [path.name for path in (ADDON / kind).glob("*.py")] == ["__init__.py"]
        assert {path.name for path in (ADDON / kind).iterdir() if path.is_dir()} <= {
            *ROOMS,
            "__pycache__",
        }


def test_each_room_says_what_lives_in_it():
    for kind in ("models", "wizards"):
        for path in (ADDON / kind).glob("*/__init__.py"):
            assert ast.get_docstring(ast.parse(path.read_text())), path


def test_rooms_use_only_what_is_below():
    assert find_crossings(get_files()) == []


def test_a_crossing_is_seen():
    below = ast.parse("from ..books.x import y\ndef f(one):\n    one._open_shelf()\n")
    above = ast.parse("def _open_shelf(self):\n    pass\n")
    models = ADDON / "models"
    crossings = find_crossings(
        {models / "client" / "a.py": ("client", below), models / "books" / "b.py": ("books", above)}
    )
    assert crossings == [
        "models/client/a.py imports from books",
        "models/client/a.py uses _open_shelf of ['books']",
    ]


def test_rooms_ask_no_model_above_but_for_those_named_here():
    """Billing asks none: it calls hooks, which rooms above extend."""
    models = {}
    for room, tree in get_files().values():
        for name in find_model_names(tree):
            # An extension may repeat the name of what it extends.
            models[name] = min(room, models.get(name, room), key=ROOMS.index)
    asked = {
        (room, node.slice.value)
        for room, tree in get_files().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript)
        and getattr(node.value, "attr", "") == "env"
        and isinstance(node.slice, ast.Constant)
        and is_above(models.get(node.slice.value, room), room)
    }
    assert asked == ASKED


def find_methods(files):
    """Return {(model, method): whether each definition calls the one before, in the order of loading}."""
    found = {}
    order = {kind: number for number, kind in enumerate(("models", "wizards"))}
    places = sorted(
        files,
        key=lambda path: (order[path.parts[-3]], ROOMS.index(path.parent.name), path.name),
    )
    for path in places:
        for cls in files[path][1].body:
            if not isinstance(cls, ast.ClassDef):
                continue
            names = {
                target.id: ast.literal_eval(node.value)
                for node in cls.body
                if isinstance(node, ast.Assign)
                and isinstance(target := node.targets[0], ast.Name)
                and target.id in ("_name", "_inherit")
            }
            parents = names.get("_inherit")
            model = names.get("_name") or (
                parents if isinstance(parents, str) else parents and parents[0]
            )
            for node in cls.body:
                if isinstance(node, ast.FunctionDef) and isinstance(model, str):
                    calls = any(
                        isinstance(part, ast.Call) and getattr(part.func, "id", "") == "super"
                        for part in ast.walk(node)
                    )
                    found.setdefault((model, node.name), []).append(calls)
    return found


def test_what_overrides_comes_after_what_it_overrides():
    """Files of a room are loaded by their names: one that begins a method comes before its overrides."""
    methods = find_methods(get_files())
    replaced = {key for key, calls in methods.items() if False in calls[1:]}
    assert replaced == REPLACING
    assert {key for key in replaced if methods[key][0]} == set()
