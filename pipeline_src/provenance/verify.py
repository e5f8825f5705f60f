"""Whether results are still what their records say: every digest of every file, whatever its size."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline_src.errors import InputError
from pipeline_src.files import content_of
from pipeline_src.provenance.sidecar import FileRecord, Sidecar, as_list


@dataclass
class Checked:
    """What was looked at, and in one line each what is wrong."""

    files: int = 0
    bytes: int = 0
    absent: int = 0
    """Inputs that are not here, such as archives of results that were pulled: no fault."""

    faults: tuple[str, ...] = ()


def check_record(path: str | Path) -> Checked:
    """Compare a sidecar with the files that it describes, and with what is there of what it says was read."""
    try:
        sidecar = Sidecar.load(path)
    except InputError as error:
        return Checked(faults=(str(error),))
    found = Checked()
    faults = [*_outputs(path, sidecar, found), *_inputs(path, sidecar, found)]
    found.faults = tuple(faults)
    return found


def _outputs(path: str | Path, sidecar: Sidecar, found: Checked) -> Iterator[str]:
    for one in sidecar.outputs.values():
        try:
            now = FileRecord.of(one.path)
        except OSError:
            yield f"{one.path}: is missing; {path} describes it"
            continue
        found.files += 1
        found.bytes += now.bytes
        if now != one:
            yield f"{one.path}: is not the file that {path} describes"


def _inputs(path: str | Path, sidecar: Sidecar, found: Checked) -> Iterator[str]:
    for record in [one for entry in sidecar.inputs.values() for one in as_list(entry)]:
        try:
            content = content_of(record.path)
        except FileNotFoundError:
            found.absent += 1
            continue
        except (InputError, OSError) as error:
            if Path(record.path).exists():
                yield f"{path}: its input cannot be read ({error})"
            else:
                found.absent += 1
            continue
        if content != record.content:
            yield f"{path}: was made from another {record.path} than is here now"
