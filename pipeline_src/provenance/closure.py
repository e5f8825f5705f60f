"""Code identity of a job: a digest of the code that it can reach, and of nothing else.

Starting from a step's module, first-party imports are followed statically, through functions too.
What a module says is digested in `source.py`, which drops comments, formatting, docstrings and
positions, so that only what can change a result changes the digest. The single dynamic edge is the table
in `pipeline_src/components.py`, of which just the entries that the job names are followed and
hashed. Any other dynamic import in a reached module is refused, because it would be invisible.

The digest does not depend on the Python version. Standard library only: the planner imports this.
"""

import hashlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipeline_src.errors import InputError
from pipeline_src.provenance.source import COMPONENT_TABLE, Import, Source, digest_of_code

PACKAGE = "pipeline_src"
ROOT = Path(__file__).resolve().parents[2]
COMPONENT_MODULE = f"{PACKAGE}.components"
KEPT = Path("work", "code")
"""Where what source files say is kept, below the root."""

NO_RESULT = {
    f"{PACKAGE}.errors": "says in one line what is wrong with an input, and exits",
    f"{PACKAGE}.progress": "shows how far a job is",
    f"{PACKAGE}.provenance.environment": "records which packages and machine a job had",
    f"{PACKAGE}.provenance.git": "records which commit a job ran at",
}
"""Modules that cannot change a result, each with what it does: they are not followed (decision 0002)."""

DYNAMIC_MODULES = {"importlib", "imp", "pkgutil", "runpy", "pkg_resources"}
HARMLESS_IMPORTS = {"importlib.metadata", "importlib.resources"}


class ClosureError(Exception):
    """The code of a job cannot be identified statically."""


@dataclass(frozen=True)
class Module:
    """One parsed first-party module: digests of its definitions, what it imports, what it reads."""

    name: str
    path: str
    definitions: dict[str, str]
    imports: frozenset[str]
    packages: frozenset[str]

    @property
    def digest(self) -> str:
        """Digest over all definitions of the module."""
        return digest_of_code(sorted(self.definitions.items()))


def code_identity(entry: str, components: Iterable[str] = (), root: Path = ROOT) -> dict[str, Any]:
    """Identity of the code that module `entry` and the named `components` can reach.

    Returns `{"digest", "modules": {path: {"digest", "definitions": {name: digest}}}, "packages"}`
    with third-party package names (import names) that the reached modules import.

    A component from outside the package is named `kind=file.py:attribute`; its file is followed, and
    what that imports of the files beside it. The identity then lists these names under `outside`.

    Raises `ClosureError` for a dynamic import, an `__init__` with code, an import of a module that
    does not exist, or a component that the table does not hold.
    """
    names = tuple(sorted(set(components)))
    outside = dict(name.split("=", 1) for name in names if "=" in name)
    table = {**component_table(root), **outside}
    kinds = [name.split("=", 1)[0] for name in names]
    if missing := [kind for kind in kinds if kind not in table]:
        raise ClosureError(f"{COMPONENT_TABLE} has no entry {missing[0]!r}")
    entries = {kind: table[kind] for kind in kinds}
    reached = _reached([entry, *(target.rpartition(":")[0] for target in entries.values())], root)
    if COMPONENT_MODULE in reached:
        reached[COMPONENT_MODULE] = _with_entries(reached[COMPONENT_MODULE], entries)
    modules = {
        module.path: {"digest": module.digest, "definitions": module.definitions}
        for module in sorted(reached.values(), key=lambda module: module.path)
    }
    digest = digest_of_code([(path, entry["digest"]) for path, entry in modules.items()])
    imported = set().union(*(module.packages for module in reached.values()))
    packages = sorted(imported - sys.stdlib_module_names)
    found = {"digest": digest, "modules": modules, "packages": packages}
    return {**found, "outside": [name for name in names if "=" in name]} if outside else found


@cache
def reached_packages(module: str, root: Path = ROOT) -> frozenset[str]:
    """Import names of the third-party packages that a module can reach."""
    reached = _reached([module], root)
    packages = frozenset().union(*(one.packages for one in reached.values()))
    return packages - sys.stdlib_module_names


def _reached(entries: list[str], root: Path) -> dict[str, Module]:
    """The modules that `entries` can reach, themselves included, by name; a file's name is its path."""
    pending = [(entry, "") for entry in entries]
    reached: dict[str, Module] = {}
    while pending:
        name, importer = pending.pop()
        if importer and _existing_module(name, root) is None:
            raise ClosureError(f"{importer}: imports {name}, which does not exist")
        if name not in reached:
            reached[name] = _parse(name, root)
            followed = reached[name].imports - NO_RESULT.keys()
            pending.extend((imported, reached[name].path) for imported in followed)
    return reached


def component_table(root: Path = ROOT) -> dict[str, str]:
    """The static component table, read from the source without importing it."""
    table = _source(COMPONENT_MODULE, root).table
    if table is None:
        raise ClosureError(f"{COMPONENT_MODULE} has no literal {COMPONENT_TABLE}")
    return table


def explain_change(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Names of the definitions in which two code identities differ, such as `a/b.py: Net.forward`."""
    if before.get("digest") == after.get("digest"):
        return []
    changes = []
    old, new = before.get("modules", {}), after.get("modules", {})
    for path in sorted(old.keys() | new.keys()):
        if path not in new:
            changes.append(f"{path}: no longer used")
        elif path not in old:
            changes.append(f"{path}: newly used")
        elif old[path]["digest"] != new[path]["digest"]:
            was, now = old[path]["definitions"], new[path]["definitions"]
            names = [name for name in sorted(was.keys() | now.keys()) if was.get(name) != now.get(name)]
            changes.append(f"{path}: {', '.join(names)}")
    return changes


# --- one module ------------------------------------------------------------------------------


@cache
def _source(name: str, root: Path) -> Source:
    return Source.read(_source_path(name, root), root / KEPT)


def _source_path(name: str, root: Path) -> Path:
    if name.endswith(".py"):
        if not Path(name).is_file():
            raise InputError(f"{name}: no such file")
        return Path(name)
    base = root.joinpath(*name.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    raise ClosureError(f"module {name} does not exist")


@cache
def _parse(name: str, root: Path) -> Module:
    path = _source_path(name, root)
    source = _source(name, root)
    relative = name if name.endswith(".py") else path.relative_to(root).as_posix()
    if path.name == "__init__.py" and source.code:
        raise ClosureError(f"{relative}: package files hold no code")
    if source.dynamic and name != COMPONENT_MODULE:
        line, call = source.dynamic[0]
        raise ClosureError(
            f"{relative}:{line}: {call}() hides code from the job's identity; "
            f"name a kind in {COMPONENT_MODULE}"
        )
    imports: set[str] = set()
    packages: set[str] = set()
    for statement in source.imports:
        for imported in _imported(statement, name, relative, root):
            if imported == PACKAGE or imported.startswith(f"{PACKAGE}."):
                imports.add(imported)
            elif (beside := _beside(path, imported)) is not None and name.endswith(".py"):
                imports.add(beside)
            else:
                packages.add(imported.split(".")[0])
    definitions = dict(source.definitions)
    for file in source.package_files:
        definitions[file] = hashlib.sha256((path.parent / file).read_bytes()).hexdigest()[:16]
    return Module(name, relative, definitions, frozenset(imports), frozenset(packages))


def _imported(statement: Import, module: str, relative: str, root: Path) -> Iterator[str]:
    names, base = statement.names, statement.base
    if base is not None:
        if statement.level:
            raise ClosureError(f"{relative}:{statement.line}: relative import; write it in full")
        members = [f"{base}.{name}" for name in names]
        names = [base]
        if base == PACKAGE or base.startswith(f"{PACKAGE}."):
            # `from package import module` imports a module; `from module import name` does not.
            names = [_existing_module(member, root) or base for member in members]
        elif base in DYNAMIC_MODULES:
            names = members
    for name in names:
        dynamic = name.split(".")[0] in DYNAMIC_MODULES and name not in HARMLESS_IMPORTS
        if dynamic and module != COMPONENT_MODULE:
            raise ClosureError(
                f"{relative}:{statement.line}: dynamic import ({name}); name a kind in {COMPONENT_MODULE}"
            )
        yield name


def _beside(path: Path, module: str) -> str | None:
    """The file beside a user's own that an import of it names."""
    name = module.split(".")[0]
    file = path.with_name(f"{name}.py")
    if not file.is_file() and path.with_name(name).is_dir() and any(path.with_name(name).glob("*.py")):
        raise ClosureError(f"{path}: imports the folder {name} beside it; use files beside it, not folders")
    return file.as_posix() if file.is_file() else None


def _existing_module(name: str, root: Path) -> str | None:
    try:
        _source_path(name, root)
    except ClosureError:
        return None
    return name


def _with_entries(module: Module, entries: dict[str, str]) -> Module:
    """The component module as a job sees it: its code, and of the table only the named entries."""
    definitions = {name: value for name, value in module.definitions.items() if name != "<module>"}
    definitions.update({f"{COMPONENT_TABLE}[{key}]": digest_of_code(value) for key, value in entries.items()})
    return Module(module.name, module.path, definitions, module.imports, module.packages)
