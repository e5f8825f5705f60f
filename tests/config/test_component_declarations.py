"""Planning reads what a component declares without importing what its code needs."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline_src.components import COMPONENTS, load, use_outside
from pipeline_src.config.component_contracts import check_contract
from pipeline_src.config.component_declarations import component, declaration
from pipeline_src.errors import InputError
from pipeline_src.provenance.closure import ROOT, code_identity

UNET = '''
import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from pipeline_src.options import option
from widths import WIDTH


@dataclass(frozen=True)
class Options:
    """A head of my own."""

    channels: int = option(WIDTH, "Channels.")


class Head(nn.Module):
    """My head."""

    Options = Options

    @staticmethod
    def levels(options: Options) -> list[int]:
        return [2, math.isqrt(25)]

    @torch.no_grad()
    def forward(self, x: Tensor | None) -> "dict[str, Tensor]":
        return {"x": x.relu()}
'''


def _run(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def unet(tmp_path: Path) -> str:
    (tmp_path / "widths.py").write_text("WIDTH = 7\n")
    (tmp_path / "unet.py").write_text(UNET)
    return f"{tmp_path / 'unet.py'}:Head"


@pytest.mark.parametrize("kind", [kind for kind in COMPONENTS if not kind.startswith("equalizer.")])
def test_every_component_can_be_read(kind: str) -> None:
    assert getattr(component(kind), "__name__", None) == getattr(load(kind), "__name__", None)


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys\n"
        "from pipeline_src.components import COMPONENTS\n"
        "from pipeline_src.config.component_declarations import component\n"
        "for kind in COMPONENTS: component(kind)\n"
        "print([name for name in ('torch', 'torchvision', 'timm', 'numpy', 'matplotlib', 'PIL', 'pandas')"
        " if name in sys.modules])"
    )
    assert _run(code).strip() == "[]"


def test_a_file_outside_declares_and_runs(unet: str) -> None:
    declared = declaration(unet)
    assert declared.levels(declared.Options()) == [2, 5]
    assert declared.Options().channels == 7
    use_outside([f"decoder.test_declarations={unet}"])
    import torch

    real = load("decoder.test_declarations")()
    assert isinstance(real, torch.nn.Module)
    assert real(torch.tensor([-1.0, 2.0]))["x"].tolist() == [0.0, 2.0]


def test_errors_are_the_programs_own(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        "import torch\nfrom pipeline_src.errors import InputError\n"
        "def check():\n    raise InputError('wrong')\n"
    )
    with pytest.raises(InputError, match="wrong"):
        declaration(f"{tmp_path / 'a.py'}:check")()


@pytest.mark.parametrize(
    ("text", "target", "said"),
    [
        (None, "gone.py:Head", "gone.py: no such file"),
        ("x = 1\n", "a.py:Head", "a.py has no Head"),
        ("class Heed: pass\n", "a.py:Head", "it has Heed"),
        ("def f(:\n", "a.py:Head", "a.py:1: "),
        ("from . import b\n", "a.py:Head", "relative import"),
        ("1 / 0\n", "a.py:Head", "ZeroDivisionError"),
        ("x = 1\n", "a.py", "use file.py:Name"),
    ],
)
def test_what_is_not_there_is_one_line(tmp_path: Path, text: str | None, target: str, said: str) -> None:
    if text is not None:
        (tmp_path / "a.py").write_text(text)
    with pytest.raises(InputError) as caught:
        declaration(f"{tmp_path}/{target}")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_identity_follows_the_file_and_what_it_imports_beside_it(unet: str, tmp_path: Path) -> None:
    def digest() -> str:
        code = (
            "from pipeline_src.provenance.closure import code_identity\n"
            f"print(code_identity('pipeline_src.steps.train', ['decoder.mine={unet}'])['digest'])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        )
        return done.stdout

    first = digest()
    (tmp_path / "other.py").write_text("x = 1\n")
    (tmp_path / "widths.py").write_text("WIDTH = 7  # a comment\n")
    assert digest() == first
    (tmp_path / "widths.py").write_text("WIDTH = 8\n")
    second = digest()
    assert second != first
    (tmp_path / "unet.py").write_text(UNET.replace("relu", "tanh"))
    assert digest() not in (first, second)


def test_identity_of_other_jobs_does_not_change(unet: str) -> None:
    plain = code_identity("pipeline_src.steps.train", ["decoder.fcn"])
    mine = code_identity("pipeline_src.steps.train", ["decoder.fcn", f"decoder.mine={unet}"])
    assert plain["digest"] != mine["digest"]
    assert "outside" not in plain
    assert mine["outside"] == [f"decoder.mine={unet}"]


def test_contract_names_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "base.py").write_text(
        "from abc import ABC, abstractmethod\nfrom torch import nn\n"
        "class Base(nn.Module, ABC):\n"
        "    @abstractmethod\n    def levels(self):\n        'The levels that it reads.'\n"
    )
    (tmp_path / "own.py").write_text(
        "from base import Base\nclass Own(Base):\n    pass\nclass Other:\n    pass\n"
    )
    contract = f"{tmp_path / 'base.py'}:Base"
    with pytest.raises(InputError, match="Own lacks levels, which every Base has: The levels that it reads"):
        check_contract(declaration(f"{tmp_path / 'own.py'}:Own"), declaration(contract))
    with pytest.raises(InputError, match="Other must inherit from Base"):
        check_contract(declaration(f"{tmp_path / 'own.py'}:Other"), declaration(contract))
