"""Predictions for every image of a folder, as files."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline_src.errors import InputError
from pipeline_src.files import write_json
from pipeline_src.options import to_json
from pipeline_src.predicting.images import decode, stems_of
from pipeline_src.predicting.trained_model import TrainedModel
from pipeline_src.progress import say, track

INDEX = "predictions.json"


@dataclass
class Predicted:
    """What came of a folder: an entry of the index for each image, and a line for each that failed."""

    images: list[dict[str, Any]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def predict_folder(model: TrainedModel, folder: str | Path, names: list[str], out: str | Path) -> Predicted:
    """Predict the images `names` of `folder`, and write masks or boxes, pictures and an index below `out`.

    An image that cannot be decoded, or that the network refuses, is named at once, and the others go on.
    predictions.json: `{"run", "scale", "task", "classes", "evaluation", "images": [{"image", "size" (height,
    width), the task's files}], "failed"}`. It is written last.
    """
    out = Path(out)
    writer = model.prediction.writer(out, stems_of(names))
    done = Predicted()
    for name in track(names, len(names), f"{model.run.name}: predict"):
        try:
            image = decode(Path(folder) / name)
            found = model.predict(image, name)
        except InputError as error:
            done.failed.append(str(error))
            say(f"error: {error}")
            continue
        entry = {"image": name, "size": list(image.shape[:2])}
        done.images.append(entry | writer.add(name, image, found))
    writer.finish()
    said = {
        "run": model.run.name,
        "scale": model.run.scale,
        "task": model.task,
        "classes": list(model.classes),
        "evaluation": {key: value for key, value in to_json(model.evaluation).items() if key != "overlays"},
        "images": done.images,
        "failed": done.failed,
    }
    write_json(out / INDEX, said)
    return done
