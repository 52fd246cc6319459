"""The demo: real solar cells, from labels to a model that was checked in LiteRT."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kerastl.cli.console import loading, say, title
from kerastl.cli.networks import PANEL
from kerastl.cli.options import Resume
from kerastl.cli.train import say_written, train_run

if TYPE_CHECKING:
    import keras

BACKBONE = "EfficientNetLite0"
MODEL_OPTIONS: dict[str, Any] = {
    "trainable": "stage4",
    "image_size": 300,
    "dropout": 0.3,
    "loss_weights": {"defect": 1.0, "type": 0.3},
}
FORMATS = ("saved_model", "float32", "int8")
FIT_OPTIONS: dict[str, Any] = {
    "epochs": 12,
    "head_epochs": 20,
    "views": 8,
    "learning_rate": 3e-4,
    "head_learning_rate": 2e-3,
    "depth_decay": 0.8,
    "weight_decay": 0.05,
    "patience": 12,
}

app = typer.Typer()


@app.command(rich_help_panel=PANEL, epilog="Example: kerastl demo")
def demo(
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="The run's folder; by default saved_models/solar-cells/NUMBER."
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Epochs, for a shorter run.")
    ] = None,
    resume: Resume = False,
) -> None:
    """Run the whole path on real pictures of solar cells, from labels to checked exports."""
    with loading():
        from kerastl.cli.runs import run_folder
        from kerastl.data.readers.solar_cells import (
            LICENCE,
            SOURCE,
            read_solar_cells,
            solar_cells_folder,
        )
        from kerastl.deploy.exporting import export
        from kerastl.models.factories import create_model

    title("Solar cells: 2,624 electroluminescence pictures, two tasks from one network")
    say(SOURCE)
    say(f"Licence: {LICENCE}")
    folder = run_folder("solar-cells", out, resume=resume)
    data = read_solar_cells()
    title("Data")
    say(data.summary())
    fit = {**FIT_OPTIONS, "epochs": epochs or FIT_OPTIONS["epochs"]}
    model = create_model(BACKBONE, data.tasks, **MODEL_OPTIONS)
    settings = {"backbone": BACKBONE, **MODEL_OPTIONS, **fit}
    fit["augment"] = _augmentation()
    train_run(model, data, folder, fit, settings=settings, root=solar_cells_folder())
    title("Export, checked on the held-out pictures from their PNG files")
    report = export(model, folder, FORMATS, calibration=data, evaluation=data.split("test"))
    say(report)
    _compare(report)
    _next(folder)


def _augmentation() -> list[keras.layers.Layer]:
    """What may happen to a picture of a cell without changing what it shows."""
    import keras

    pixels = {"value_range": (0, 255)}
    return [
        keras.layers.RandomFlip("horizontal_and_vertical"),
        keras.layers.RandomTranslation(0.05, 0.05, fill_mode="reflect"),
        keras.layers.RandomZoom((-0.12, 0.12), fill_mode="reflect"),
        keras.layers.RandomContrast(0.2, **pixels),
        keras.layers.RandomBrightness(0.1, **pixels),
    ]


def _compare(report: Any) -> None:
    from kerastl.data.readers.solar_cells import PUBLISHED

    title("Accuracy of defect on held-out cells")
    for name, accuracy in PUBLISHED.items():
        say(f"  {name:<36} {accuracy:.4f}  (published, Deitsch et al. 2019, another 75/25 split)")
    for file in report.files:
        say(f"  {Path(file.file).name:<36} {file.tasks['defect'].accuracy}")


def _next(folder: Path) -> None:
    from kerastl.data.readers.solar_cells import solar_cells_folder

    pictures = solar_cells_folder() / "images"
    say_written(folder)
    title("What to type next")
    say(f"  .venv/bin/kerastl predict {folder}/model_int8.tflite {pictures}/cell0001.png")
    say("  .venv/bin/kerastl train YOUR_PICTURES/     a folder with a folder for each class")
    say("  .venv/bin/kerastl recipes")
