"""The shape of the project: what may import what, what stays out, how large files may be."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import schedplan

ROOT = Path(schedplan.__file__).parent

ORDER = [
    *(
        "errors",
        "checks",
        "yaml_file",
        "space",
        "axis_kinds",
        "rules",
        "graph",
        "curves",
        "knees",
        "trainer",
        "journal",
        "transition",
    ),
    *(
        "executors",
        "crew",
        "plan",
        "course",
        "frontier",
        "pruning",
        "solver",
        "baselines",
        "simulator",
        "report",
        "trackers",
        "adapters",
    ),
    *("hookspecs", "plugins", "config", "cli", "testing", "__main__"),
]
"""A room imports only rooms before it."""

FRAMEWORKS = {"torch", "torchvision", "av", "lightning", "transformers"}

ROOMS = sorted({path.relative_to(ROOT).parts[0].removesuffix(".py") for path in ROOT.rglob("*.py")})


def rooms_imported(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            raise AssertionError(f"{file}: relative import")
    parts = (name.split(".") for name in names)
    return {part[1] for part in parts if part[0] == "schedplan" and len(part) > 1}


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "__init__"])
def test_a_room_imports_only_rooms_above_it(room):
    allowed = set(ORDER[: ORDER.index(room) + 1])
    files = [ROOT / f"{room}.py"] if (ROOT / f"{room}.py").exists() else (ROOT / room).rglob("*.py")
    for file in files:
        imported = rooms_imported(file) & set(ORDER)
        assert imported <= allowed, f"{file} imports {imported - allowed}"


def test_the_core_needs_no_framework():
    for file in set(ROOT.rglob("*.py")) - set((ROOT / "adapters").iterdir()):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            heads = {name.split(".")[0] for name in names}
            assert not heads & {*FRAMEWORKS, "schedplan_video"}, file


@pytest.mark.parametrize("modules", ["schedplan", "schedplan.cli, schedplan_video.plugin"])
def test_importing_brings_in_nothing_heavy(modules):
    program = f"import sys, {modules}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert loaded.returncode == 0, loaded.stderr
    heads = {name.split(".")[0] for name in loaded.stdout.split()}
    assert not heads & {*FRAMEWORKS, "matplotlib", "distributed", "sklearn"}


@pytest.mark.parametrize(
    "file", [*ROOT.rglob("*.py"), *ROOT.with_name("schedplan_video").rglob("*.py")], ids=str
)
def test_files_and_functions_stay_small(file):
    text = file.read_text()
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            docstring = ast.get_docstring(node, clean=False) or ""
            length = node.end_lineno - node.lineno + 1 - docstring.count("\n")
            assert length <= 45, f"{node.name} has {length} lines"


def test_the_package_is_found_beside_a_clone_of_its_name(tmp_path):
    (tmp_path / "schedplan").mkdir()
    told = "import schedplan; print(schedplan.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", told], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip().endswith("__init__.py")
