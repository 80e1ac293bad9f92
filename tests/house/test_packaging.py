from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from project import PACKAGES, ROOT, kept_files, sources

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROVIDED_BY = {  # by its parts
    "starlette": "fastapi",
    "anyio": "fastapi",
    "argon2": "argon2-cffi",
    "kafka": "kafka-python",
}
EXTRA = {"aiokafka", "uvloop"}  # of the extra `fast`; imported where they are installed
PINS = (ROOT / "constraints.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("package", PACKAGES)
def test_each_of_our_packages_resolves_inside_this_project(package: str) -> None:
    found = importlib.util.find_spec(package)
    assert found is not None
    assert found.origin == str(ROOT / package / "__init__.py")


def test_the_wheel_names_every_package() -> None:
    shipped = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert shipped == [*PACKAGES, "runbooks"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of what git keeps."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for path in kept_files():
        target = source / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_what_the_product_needs_and_no_tests(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {n.partition("/")[0] for n in names if ".dist-info/" not in n}
    assert tops == {*PACKAGES, "runbooks"}
    ours = [p.relative_to(ROOT) for p in kept_files() if p.relative_to(ROOT).parts[0] in tops]
    assert {str(p) for p in ours} - names == set()
    assert {str(p.with_suffix(".mo")) for p in ours if p.suffix == ".po"} - names == set()
    (licence,) = [n for n in names if n.endswith("licenses/LICENSE")]
    assert b"EUROPEAN UNION PUBLIC LICENCE v. 1.2" in zipfile.ZipFile(wheel).read(licence)


@pytest.mark.slow
def test_from_the_wheel_each_package_resolves_and_the_terminal_starts_without_any_library(
    wheel: Path, tmp_path: Path
) -> None:
    home = tmp_path / "bare"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "-q", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, cwd=tmp_path)
    where = "import importlib.util as u; print(*[u.find_spec(n).origin for n in %r], sep='\\n')"
    found = subprocess.run(
        [python, "-I", "-c", where % (PACKAGES,)],  # whatever PYTHONPATH the tester has
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert all(Path(line).is_relative_to(home) for line in found.stdout.split())
    done = subprocess.run(
        [home / "bin" / "kontaktcenter-reserve", "--rad", "--folder", tmp_path / "journal"],
        input="1\n\n1\n\n",
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "nummer och anteckning kan inte sparas här" in done.stdout
    assert "Sparad på datorn. Reservnummer R-000-0001-95" in done.stdout


def test_every_package_that_is_asked_for_is_pinned() -> None:
    pinned = {_name(line) for line in PINS.splitlines() if "==" in line}
    extras = PROJECT["project"]["optional-dependencies"]
    asked = [*PROJECT["project"]["dependencies"], *(r for e in extras.values() for r in e)]
    assert {_name(r) for r in [*asked, *PROJECT["build-system"]["requires"]]} - pinned == set()


def test_what_the_product_imports_is_what_it_asks_for() -> None:
    asked = {_name(r) for r in PROJECT["project"]["dependencies"]}
    found = {
        _name(PROVIDED_BY.get(top, top)): top
        for path in sources(*PACKAGES)
        for top in _imports(path)
        if top not in {*sys.stdlib_module_names, *PACKAGES, *EXTRA}
    }
    assert set(found) - asked == set()
    assert asked - set(found) == set()


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_the_pins_are_exact_and_carry_no_address() -> None:
    lines = [line for line in PINS.splitlines() if line and not line.startswith("#")]
    assert [
        line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][^\s@/]*", line)
    ] == []
    for word in ("index-url", "find-links", "trusted-host", "://"):
        assert word not in PINS


def test_the_version_stands_in_one_place() -> None:
    import kontaktcenter

    assert PROJECT["project"]["dynamic"] == ["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", kontaktcenter.__version__)


def test_the_wheel_can_not_be_uploaded_by_mistake() -> None:
    assert "Private :: Do Not Upload" in PROJECT["project"]["classifiers"]


def _name(requirement: str) -> str:
    return re.split(r"[<>=!~\[; ]", requirement)[0].lower().replace("_", "-").replace(".", "-")
