"""A segmentation network as a file that needs nothing of this project: torch.export's, or ONNX.

An exporter writes a file for the sizes that it is told; `run` runs a file on images, as a user would.
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from pipeline_src.errors import InputError
from pipeline_src.exporting.sizes import Sizes

INPUT, OUTPUT = "images", "logits"
ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")

Run = Callable[[Tensor], Tensor]
"""From images `(N, 3, H, W)` to logits `(N, C, H, W)`, by a file that was written."""


@dataclass(frozen=True)
class Format:
    """How a format is written and run; `packages` are those that it needs beside torch."""

    suffix: str
    write: Callable[[nn.Module, Sizes, Path], None]
    open: Callable[[Path], Run]
    packages: tuple[str, ...] = ()


def export_program(network: nn.Module, sizes: Sizes) -> ExportedProgram:
    """The network, in evaluation mode, for images of `sizes`."""
    with quiet():
        return torch.export.export(
            Logits(network),
            (torch.zeros(sizes.example),),
            dynamic_shapes={INPUT: sizes.dynamic},
            strict=False,
        )


class Logits(nn.Module):
    """A network under the names of a file's input and output."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """`logits` `(N, C, H, W)` of normalised `images` `(N, 3, H, W)`."""
        return {OUTPUT: self.network(images)}


def _write_torch(network: nn.Module, sizes: Sizes, path: Path) -> None:
    program = export_program(network, sizes)
    with quiet():
        torch.export.save(program, path)


def _open_torch(path: Path) -> Run:
    with quiet():
        module = torch.export.load(path).module()
    return lambda images: module(images)[OUTPUT]


def _write_onnx(network: nn.Module, sizes: Sizes, path: Path) -> None:
    program = export_program(network, sizes)
    with quiet():
        torch.onnx.export(
            program,
            (),
            str(path),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _open_onnx(path: Path) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run([OUTPUT], {INPUT: images.numpy()})[0])


FORMATS = {
    "torch": Format(".pt2", _write_torch, _open_torch),
    "onnx": Format(".onnx", _write_onnx, _open_onnx, ONNX_PACKAGES),
}


def require(name: str) -> None:
    """Raise `InputError` for a format that needs packages that are not installed."""
    missing = [one for one in FORMATS[name].packages if not _installed(one)]
    if missing:
        raise InputError(
            f"--format {name}: needs {', '.join(missing)}, not installed here; pip install -e '.[export]'"
        )


def _installed(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what exporters say of their steps, which a user can do nothing about."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
