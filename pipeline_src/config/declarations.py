"""What a component declares, read without importing torch: its class, with stand-ins for heavy packages.

A component is one class that says its options, what it needs and what it offers (static methods and
class attributes of its contract), and that holds its code. Planning needs the former only. So its module
is executed here a second time, under a private name, with a stand-in for everything that comes from
neither the standard library nor a module of this project that needs nothing else (Sphinx's
`autodoc_mock_imports` does the same for documentation). A stand-in can be named, called and inherited
from, and does nothing. The modules that the program itself has imported are not touched.
"""

import ast
import builtins
import dataclasses
import importlib
import inspect
import re
import sys
import types
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, get_args

from pipeline_src.components import COMPONENTS, split_target
from pipeline_src.errors import InputError
from pipeline_src.provenance.closure import PACKAGE, ROOT, ClosureError, reached_packages

CONTRACTS = {
    "backbone": "pipeline_src.models.backbones.base:StagedBackbone",
    "pyramid": "pipeline_src.models.pyramid:WrappingPyramid",
    "merge": "pipeline_src.models.fusion.merge:PairwiseMerge",
    "decoder": "pipeline_src.models.decoders.head:DecodeHead",
    "detector": "pipeline_src.models.detectors.detector:Detector",
    "reader": "pipeline_src.data.readers.reader:Reader",
    "figure": "pipeline_src.reporting.figures.kind:FigureKind",
    "metric": "pipeline_src.reporting.metrics:Metric",
}
"""What a component of a kind must be: a subclass of this class, or an instance of it."""

NAME = r"^[a-z]+\.[A-Za-z0-9][A-Za-z0-9_-]*$"


def declaration(target: str) -> Any:
    """The component that `module:attribute` or `file.py:attribute` names, as planning may use it.

    Raises `InputError` for a file, attribute or import that is not there.
    """
    module, attribute = split_target(target)
    namespace = _executed(module)
    try:
        return vars(namespace)[attribute]
    except KeyError:
        raise InputError(f"{module} has no {attribute}{_close(attribute, vars(namespace))}") from None


def component(kind: str, outside: Mapping[str, str] | None = None) -> Any:
    """The declaration of a component such as `decoder.uper`; `outside` are those of `components:`."""
    return declaration(COMPONENTS.get(kind) or (outside or {})[kind])


def check_outside(kind: str, target: str) -> None:
    """Refuse an entry of `components:` that is not there or breaks its contract (`InputError`)."""
    family = kind.partition(".")[0]
    if not re.fullmatch(NAME, kind):
        raise InputError("is no name of a component; use a kind and a name, such as decoder.mine")
    if family not in CONTRACTS:
        raise InputError(f"{family!r} is no kind of component; use {', '.join(CONTRACTS)}")
    if kind in COMPONENTS:
        raise InputError(f"{kind} is there already ({COMPONENTS[kind]}); use another name")
    module, _ = split_target(target)
    if not module.endswith(".py"):
        raise InputError(f"{target!r} is not allowed; use file.py:Name, such as my_ideas/unet.py:UNetHead")
    try:
        reached_packages(module)
    except ClosureError as error:
        raise InputError(str(error)) from None
    check_contract(declaration(target), CONTRACTS[family])


def check_contract(found: Any, contract: str) -> None:
    """Refuse what is no complete subclass (or instance of a subclass) of `contract` (`InputError`)."""
    base = declaration(contract)
    cls = found if isinstance(found, type) else type(found)
    name = getattr(found, "__name__", type(found).__name__)
    if not issubclass(cls, base):
        raise InputError(f"{name} must inherit from {base.__name__} ({contract.replace(':', '.')})")
    for missing in sorted(getattr(cls, "__abstractmethods__", ())):
        wanted = inspect.getdoc(getattr(base, missing)) or ""
        raise InputError(f"{name} lacks {missing}, which every {base.__name__} has: {wanted.splitlines()[0]}")
    for wanted, kind in inspect.get_annotations(base).items():
        if wanted != "Options":
            continue
        options = getattr(cls, wanted, None)
        if not dataclasses.is_dataclass(options):
            raise InputError(f"{name} lacks Options, a frozen dataclass of its options ({kind})")
        # such as ClassVar[type[DetectorOptions]]
        least = get_args(next(iter(get_args(kind)), None))
        if least and isinstance(least[0], type) and not issubclass(options, least[0]):  # type: ignore[arg-type]
            raise InputError(f"{name}.Options must extend {least[0].__module__}.{least[0].__name__}")


class StandIn:
    """Takes the place of what planning does not import: it can be named, called and inherited from."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> "StandIn":
        if name.startswith("__"):
            raise AttributeError(name)
        return StandIn(f"{self._name}.{name}")

    def __call__(self, *arguments: Any, **_options: Any) -> Any:
        """What is decorated comes back as it is."""
        if len(arguments) == 1 and isinstance(arguments[0], type | types.FunctionType):
            return arguments[0]
        return StandIn(f"{self._name}()")

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return ()

    def __getitem__(self, key: Any) -> "StandIn":
        return self

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def _again(self, *_others: Any) -> "StandIn":
        return self

    __or__ = __ror__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _again
    __truediv__ = __rtruediv__ = __floordiv__ = __mod__ = __pow__ = __neg__ = _again

    def __repr__(self) -> str:
        return f"<{self._name}, which planning does not import>"


@cache
def _executed(module: str) -> types.ModuleType:
    """A module of this project or a file outside it, executed with stand-ins; or the module itself."""
    if not module.endswith(".py") and _is_light(module):
        return importlib.import_module(module)
    path = Path(module) if module.endswith(".py") else _path_of(module)
    try:
        source = path.read_text(encoding="utf-8")
        code = compile(ast.parse(source), str(path), "exec", dont_inherit=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    except SyntaxError as error:
        raise InputError(f"{path}:{error.lineno}: {error.msg}") from None
    made = types.ModuleType(f"declared:{module}")

    def imported(name: str, scope: Any = None, local: Any = None, wanted: Any = (), level: int = 0) -> Any:
        return _import(name, tuple(wanted or ()), level, path)

    vars(made)["__builtins__"] = {**vars(builtins), "__import__": imported}
    # dataclasses look their module up by name
    sys.modules[made.__name__] = made
    try:
        exec(code, vars(made))
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path}: cannot be read by planning: {type(error).__name__}: {error}") from None
    return made


def _import(name: str, wanted: tuple[str, ...], level: int, importer: Path) -> Any:
    """What `import name` or `from name import wanted` gives in a module that planning reads."""
    top = name.split(".")[0]
    if level:
        raise InputError(f"{importer}: relative import; write it in full")
    if top == PACKAGE:
        return _first_party(name, wanted)
    if top in sys.stdlib_module_names:
        return builtins.__import__(name, None, None, wanted)
    beside = importer.with_name(f"{top}.py")
    if not importer.is_relative_to(ROOT / PACKAGE) and beside.is_file():
        return _executed(str(beside))
    return StandIn(name if wanted else top)


def _first_party(name: str, wanted: tuple[str, ...]) -> Any:
    if not wanted:
        return StandIn(PACKAGE)
    found = types.SimpleNamespace()
    for entry in wanted:
        below = f"{name}.{entry}"
        is_module = _path_of(below).is_file() and not hasattr(found, entry)
        setattr(found, entry, _executed(below) if is_module else vars(_executed(name)).get(entry))
    return found


def _is_light(module: str) -> bool:
    """Whether a module of this project needs the standard library only, so that planning may import it."""
    return not reached_packages(module)


def _path_of(module: str) -> Path:
    return ROOT.joinpath(*module.split(".")).with_suffix(".py")


def _close(name: str, known: Any) -> str:
    classes = [key for key, value in known.items() if isinstance(value, type) and not key.startswith("_")]
    return f"; it has {', '.join(classes)}" if classes else ""
