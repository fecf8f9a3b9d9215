"""Serve a page on this machine to try models on pictures and the webcam, as the daemon would.

python tools/web.py
"""

import argparse
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import PIL.Image

from edge.config import Config, load_config
from edge.errors import ConfigError, EdgeError, ModelError
from edge.host import is_loopback
from edge.sources import pictures
from edge.sources.demo import PEOPLE, Scene
from edge.sources.pictures import PictureError
from edge.types import Image
from edge.vision.classifier import Classifier
from tools.cli.exit import add_verbose, run_command
from tools.evaluation.inference import ClassifiedFace, FaceAnalyzer, open_model
from tools.plotting.boxes import READABLE_PX, draw_labels, face_label

if TYPE_CHECKING:
    import gradio as gr

MODELS = Path("models")
EXAMPLE_S = 53.0
"""A moment of the demo's scene with three people in view, seconds."""
DELETE_EVERY_S, DELETE_AFTER_S = 30, 270
"""How often the server looks for pictures to delete, and their age then, seconds."""
MAX_PICTURE_PX = 2048
"""Longest side of a picture on the page; a JPEG cannot have more than 65 500 pixels."""
MAX_UPLOAD = "50mb"
"""Largest file that may be sent."""
NO_GENDER = ". This model does not estimate gender."

ABOUT = """
# Edge Tally: try a model

The daemon's own code looks for faces and asks the model about each one. The daemon asks several
times about a person, this page once. Gender and age are **estimated from appearance** and can be
wrong.

Pictures go to the program that serves this page and nowhere else. It keeps them in a folder of its
own, deletes them after five minutes, and removes the folder when it stops.
"""


class ModelSet:
    """The daemon's detector with one or more models."""

    def __init__(self, config: Config, models: Sequence[Path]) -> None:
        """Open all models that can be used; the others are named on stderr.

        Raises ModelError if no model is left, EdgeError if the detector cannot be built.
        """
        self._analyzer = FaceAnalyzer(config)
        self.classifiers: dict[str, Classifier] = {}
        """By path."""
        for model in models:
            try:
                self.classifiers[str(model)] = open_model(config, model)
            except ModelError as error:
                print(f"web: left out: {error}", file=sys.stderr)
        if not self.classifiers:
            raise ModelError("no model can be used; tools/quantize.py makes one")

    def analyze(self, image: Image, model: str) -> list[ClassifiedFace]:
        """The faces of a B G R picture, left to right."""
        return self._analyzer(image, self.classifiers[model])


def find_models(config: Config, folders: Sequence[Path]) -> list[Path]:
    """The configured model, then every .tflite file below `folders` with a JSON beside it.

    Raises ConfigError if one of `folders` holds none.
    """
    models = [config.classifier.model]
    for folder in folders:
        files = [file for file in folder.rglob("*.tflite") if file.with_suffix(".json").is_file()]
        if not files:
            raise ConfigError(f"--models {folder}: holds no .tflite file with a .json beside it")
        models += sorted(files)
    distinct: dict[Path, Path] = {}
    for file in models:
        distinct.setdefault(file.resolve(), file)
    return list(distinct.values())


def read(path: Path) -> Image:
    """A picture, B G R, as the daemon reads it. Raises EdgeError, to be shown on the page."""
    if not path.exists():
        raise EdgeError(f"{path.name} has been deleted. Choose it again.")
    try:
        return pictures.read(path)
    except PictureError as error:
        raise EdgeError(f"{path.name} {error}.") from error


def annotated(image: Image, faces: Sequence[ClassifiedFace]) -> PIL.Image.Image:
    """The B G R picture with a numbered box around each face, shrunk to `MAX_PICTURE_PX`."""
    labels = [
        face_label(face, f"{number} {', '.join(face.prediction.by_text)}")
        for number, face in enumerate(faces, start=1)
    ]
    drawn = draw_labels(image, labels, min_width=READABLE_PX)
    picture = PIL.Image.fromarray(drawn[:, :, ::-1])
    picture.thumbnail((MAX_PICTURE_PX, MAX_PICTURE_PX))
    return picture


def page(models: ModelSet, examples: Sequence[Path]) -> "gr.Blocks":
    """The whole page."""
    import gradio as gr  # takes seconds

    choices = [
        (f"{name} ({classifier.card.id})", name) for name, classifier in models.classifiers.items()
    ]
    blocks = gr.Blocks(
        title="Edge Tally: try a model",
        analytics_enabled=False,
        delete_cache=(DELETE_EVERY_S, DELETE_AFTER_S),
    )
    with blocks:
        gr.Markdown(ABOUT)
        with gr.Row():
            with gr.Column():
                model = gr.Dropdown(choices, label="Model", elem_id="model")
                with gr.Tab("Picture"):
                    # any file is accepted, so that `read` can report what is wrong with it
                    picture = gr.File(label="Picture", elem_id="picture", height=150)
                with gr.Tab("Webcam"):
                    webcam = gr.Image(
                        label="Webcam",
                        sources=["webcam"],
                        type="filepath",
                        buttons=[],
                        webcam_options=gr.WebcamOptions(mirror=False),
                    )
                example = gr.Dataset(
                    components=[gr.Image(render=False)],
                    samples=[[str(file)] for file in examples],
                    samples_per_page=len(examples),
                    type="index",
                    label="Examples: averages of many faces, so nobody's",
                    elem_id="examples",
                )
            with gr.Column(elem_id="result"):
                # one at a time: a TFLite interpreter cannot run twice at once
                @gr.render([picture, model], concurrency_limit=1)  # type: ignore[untyped-decorator]
                def result(file: str | None, name: str) -> None:
                    render_result(models, None if file is None else Path(file), name)

        example.click(lambda index: str(examples[index]), example, picture)
        webcam.input(lambda file: file, webcam, picture)
    return blocks


def render_result(models: ModelSet, file: Path | None, model: str) -> None:
    """The column of results: a line of text, the picture with boxes, and bars for each face."""
    import gradio as gr

    if file is None:
        gr.Markdown("Choose a picture, or an example.")
        return
    try:
        image = read(file)
    except EdgeError as error:
        gr.Markdown(f"**{error}**")
        return
    faces = models.analyze(image, model)
    gr.Markdown(
        f"Faces: {len(faces)}" + ("" if models.classifiers[model].card.labels else NO_GENDER)
        if faces
        else "**No face was found.** The daemon finds upright faces that look into the camera and "
        "are not too small."
    )
    gr.Image(annotated(image, faces), label="Faces", format="jpeg", buttons=["fullscreen"])
    for number, face in enumerate(faces, start=1):
        with gr.Row():
            for text, head in face.prediction.by_text.items():
                gr.Label(head.probabilities, label=f"{number} {text}", show_heading=False)


def serve(models: ModelSet, host: str, port: int) -> None:
    """Serve the page until SIGINT, SIGTERM or SIGHUP."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopped.set())
    with tempfile.TemporaryDirectory(prefix="edge-tally-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = f"{folder}/pictures"
        group = Path(folder) / "group.png"
        cv2.imwrite(str(group), Scene().draw(EXAMPLE_S))
        blocks = page(models, [group, *sorted(PEOPLE.glob("*.jpg"))])
        # Gradio calls itself to check that it is up; that must not go through a proxy
        os.environ["NO_PROXY"] = "*"
        _, url, _ = blocks.launch(
            server_name=host,
            server_port=port,
            share=False,
            run_history=False,
            enable_monitoring=False,
            mcp_server=False,
            ssr_mode=False,
            max_file_size=MAX_UPLOAD,
            footer_links=[],
            allowed_paths=[str(PEOPLE)],
            quiet=True,
            prevent_thread_lock=True,
        )
        print(f"{url}   Ctrl-C ends it", flush=True)
        # in slices: a signal delivered to another thread does not end a wait
        while not stopped.wait(0.5):
            pass
        blocks.close(verbose=False)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, default=Path("config.yaml"))
    parser.add_argument(
        "--models",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="a folder with more models, besides models/; may be repeated",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; default: this machine only"
    )
    parser.add_argument("--port", type=int, default=7860)
    add_verbose(parser)
    args = parser.parse_args()
    if not is_loopback(args.host):
        print(
            "web: WARNING: anyone on the network can send pictures to this program, unencrypted",
            file=sys.stderr,
        )
    try:
        socket.create_server((args.host, args.port)).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        print(f"web: cannot listen on {args.host} port {args.port} ({reason})", file=sys.stderr)
        return 2
    try:
        config = load_config(args.config)
        cv2.setNumThreads(config.detector.threads)
        models = ModelSet(config, find_models(config, [MODELS, *args.models]))
        serve(models, args.host, args.port)
    except EdgeError as error:
        print(f"web: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    run_command(main)
