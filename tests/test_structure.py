"""The package is a house: rooms with arrows only downwards, in the order that CONTRIBUTING.md lists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = [*(ROOT / "kltransfer").rglob("*.py"), *(ROOT / "hydra_plugins").rglob("*.py")]
# An __init__.py is the entrance to its room: it may import from the room when something is first used.
MODULES = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts): file
    for file in FILES
    if not file.stem.startswith("__")
}
MOST_FLOORS = 7


def listed() -> list[str]:
    """Return the modules in the order of the tree in CONTRIBUTING.md, with dotted names."""
    text = (ROOT / "CONTRIBUTING.md").read_text().partition("## Modules in reading order")[2]
    modules = []
    folders: list[tuple[int, str]] = []
    for indent, name in re.findall(r"^( {4,})(\w+/|\w+\.py)", text, re.M):
        folders = [folder for folder in folders if folder[0] < len(indent)]
        if name.endswith("/"):
            folders.append((len(indent), name[:-1]))
        else:
            modules.append(".".join([*(folder for _, folder in folders), name.removesuffix(".py")]))
    return modules


def imports(module: str) -> Iterator[str]:
    """Yield the modules of this project that a module imports, at its top or later."""
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (name for name in names if name in MODULES)


def room(module: str) -> str | None:
    """Return the folder of a module; None for the files that belong to no room."""
    parts = module.split(".")
    return parts[1] if len(parts) > 2 else None


def test_contributing_lists_every_module_once() -> None:
    assert sorted(listed()) == sorted(MODULES)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_imports_only_modules_listed_above_it(module: str) -> None:
    order = listed()
    above = set(order[: order.index(module)])
    assert set(imports(module)) <= above


def test_rooms_import_only_from_rooms_below_and_stack_seven_floors_at_most() -> None:
    floors = room_floors()
    assert floors["envs"] == 1
    assert max(floors.values()) <= MOST_FLOORS


def room_floors() -> dict[str, int]:
    """Return the floor of each room: one more than the highest room that it imports from, 1 without any."""
    rooms = {name for module in MODULES if (name := room(module))}
    below = {name: set[str]() for name in rooms}
    for module in MODULES:
        if name := room(module):
            below[name] |= {other for found in imports(module) if (other := room(found)) and other != name}

    def floor(name: str, stack: tuple[str, ...] = ()) -> int:
        assert name not in stack, f"the rooms {' and '.join(stack)} import each other"
        return 1 + max((floor(other, (*stack, name)) for other in below[name]), default=0)

    return {name: floor(name) for name in rooms}
