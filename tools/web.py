"""A page on this machine to try models on: pictures and the webcam, with the daemon's own parts.

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

import cv2
import gradio as gr
import PIL.Image
from PIL import ImageDraw, ImageFont

from edge.config import Config, load_config
from edge.errors import ConfigError, EdgeError, ModelError
from edge.host import is_loopback
from edge.sources import pictures
from edge.sources.demo import PEOPLE, Scene
from edge.sources.pictures import PictureError
from edge.types import UNKNOWN, Image
from edge.vision.classifier import Classifier
from tools.cli.exit import add_verbose, run_command
from tools.evaluation.inference import ClassifiedFace, FaceAnalyzer, open_model

MODELS = Path("models")
EXAMPLE_S = 53.0
"""A moment of the demo's scene with three people in view."""
FORGET_EVERY_S, FORGET_AFTER_S = 30, 270
"""How often the server looks for pictures to delete, and how old they are then."""
SHOWN_PX = 2048
"""Longer side of a picture on the page, at most: no JPEG is larger than 65 500 pixels."""
MOST = "50mb"
"""Largest file that may be sent."""
COLOURS = {"female": "#c2185b", "male": "#1565c0", UNKNOWN: "#616161"}
"""Of a box, by its label."""
AGED = "#2e7d32"
"""The same where only age is estimated."""
NO_GENDER = ". This model does not estimate gender."

ABOUT = """
# Edge Tally: try a model

The daemon's own code looks for faces and asks the model about each one. The daemon asks several
times about a person, this page once. Gender and age are **estimated from appearance**, and can be
wrong.

Pictures go to the program that serves this page and nowhere else. It keeps them in a folder of its
own, deletes them there after five minutes, and the whole folder when it ends.
"""


class Eye:
    """The daemon's detector with one or more models."""

    def __init__(self, config: Config, models: Sequence[Path]) -> None:
        """Open what can be opened and name the rest on stderr.

        Raises ModelError where no model is left, EdgeError where the detector cannot be made.
        """
        self._looker = FaceAnalyzer(config)
        self.models: dict[str, Classifier] = {}
        """By the path of the file."""
        for model in models:
            try:
                self.models[str(model)] = open_model(config, model)
            except ModelError as error:
                print(f"web: left out: {error}", file=sys.stderr)
        if not self.models:
            raise ModelError("no model can be used; tools/quantize.py makes one")

    def look(self, image: Image, model: str) -> list[ClassifiedFace]:
        """The faces of a B G R picture, left to right."""
        return self._looker(image, self.models[model])


def find_models(config: Config, folders: Sequence[Path]) -> list[Path]:
    """The configured model, then every .tflite file below `folders` with a JSON beside it.

    Raises ConfigError where one of `folders` holds none.
    """
    found = [config.classifier.model]
    for folder in folders:
        files = [file for file in folder.rglob("*.tflite") if file.with_suffix(".json").is_file()]
        if not files:
            raise ConfigError(f"--models {folder}: holds no .tflite file with a .json beside it")
        found += sorted(files)
    return list({file.resolve(): file for file in reversed(found)}.values())[::-1]


def read(path: Path) -> Image:
    """The picture in a file, as the daemon reads it. Raises EdgeError, to be shown on the page."""
    if not path.exists():
        raise EdgeError(f"{path.name} has been deleted by now. Choose it again.")
    try:
        return pictures.read(path)
    except PictureError as error:
        raise EdgeError(f"{path.name} {error}.") from error


def annotated(image: Image, seen: Sequence[ClassifiedFace]) -> PIL.Image.Image:
    """The B G R picture with a numbered box around each face, shrunk to `SHOWN_PX`."""
    drawn = PIL.Image.fromarray(image[:, :, ::-1])
    drawn.thumbnail((SHOWN_PX, SHOWN_PX))
    scale = drawn.width / image.shape[1]
    pen = ImageDraw.Draw(drawn)
    line = max(2, round(max(drawn.size) / 300))
    font = ImageFont.load_default(6 * line)
    for number, face in enumerate(seen, start=1):
        colour = COLOURS.get(face.prediction.primary.label, AGED)
        x, y = face.box.x * scale, face.box.y * scale
        corner = x + face.box.w * scale, y + face.box.h * scale
        pen.rectangle((x, y, *corner), outline=colour, width=line)
        # above the box where there is room, else at its top
        at = x + line, max(y - line, 8 * line)
        text = f"{number} {', '.join(face.prediction.by_text)}"
        left, top, right, _ = pen.textbbox(at, text, font, anchor="ls")
        pen.rectangle((left - line, top - line, right + line, at[1] + line), fill=colour)
        pen.text(at, text, "white", font, anchor="ls")
    return drawn


def page(eye: Eye, examples: Sequence[Path]) -> gr.Blocks:
    """All that the browser shows."""
    choices = [(f"{name} ({model.card.id})", name) for name, model in eye.models.items()]
    blocks = gr.Blocks(
        title="Edge Tally: try a model",
        analytics_enabled=False,
        delete_cache=(FORGET_EVERY_S, FORGET_AFTER_S),
    )
    with blocks:
        gr.Markdown(ABOUT)
        with gr.Row():
            with gr.Column():
                model = gr.Dropdown(choices, label="Model", elem_id="model")
                with gr.Tab("Picture"):
                    # any file is taken, so that `read` can say what is wrong with it
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
                # one at a time: an interpreter cannot do two things at once
                @gr.render([picture, model], concurrency_limit=1)  # type: ignore[untyped-decorator]
                def result(file: str | None, name: str) -> None:
                    show(eye, None if file is None else Path(file), name)

        example.click(lambda index: str(examples[index]), example, picture)
        webcam.input(lambda file: file, webcam, picture)
    return blocks


def show(eye: Eye, file: Path | None, model: str) -> None:
    """The column of results: a line of text, the picture with its boxes, and bars for each face."""
    if file is None:
        gr.Markdown("Choose a picture, or an example.")
        return
    try:
        image = read(file)
    except EdgeError as error:
        gr.Markdown(f"**{error}**")
        return
    seen = eye.look(image, model)
    gr.Markdown(
        f"Faces: {len(seen)}" + ("" if eye.models[model].card.labels else NO_GENDER)
        if seen
        else "**No face was found.** The daemon sees faces that look into the camera, upright and "
        "not too small."
    )
    gr.Image(annotated(image, seen), label="Faces", format="jpeg", buttons=["fullscreen"])
    for number, face in enumerate(seen, start=1):
        with gr.Row():
            for name, told in face.prediction.by_text.items():
                gr.Label(told.probabilities, label=f"{number} {name}", show_heading=False)


def serve(eye: Eye, host: str, port: int) -> None:
    """Serve the page until it is told to stop."""
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: done.set())
    with tempfile.TemporaryDirectory(prefix="edge-tally-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = f"{folder}/pictures"
        group = Path(folder) / "group.png"
        cv2.imwrite(str(group), Scene().draw(EXAMPLE_S))
        blocks = page(eye, [group, *sorted(PEOPLE.glob("*.jpg"))])
        # Gradio calls itself to see whether it is up; that must not go through a proxy
        os.environ["NO_PROXY"] = "*"
        _, url, _ = blocks.launch(
            server_name=host,
            server_port=port,
            share=False,
            run_history=False,
            enable_monitoring=False,
            mcp_server=False,
            ssr_mode=False,
            max_file_size=MOST,
            footer_links=[],
            allowed_paths=[str(PEOPLE)],
            quiet=True,
            prevent_thread_lock=True,
        )
        print(f"{url}   Ctrl-C ends it", flush=True)
        # in slices: a signal that comes to another thread does not end a wait
        while not done.wait(0.5):
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
        help="more models, besides those in models/; may be given several times",
    )
    parser.add_argument("--host", default="127.0.0.1", help="default: this machine alone")
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
        eye = Eye(config, find_models(config, [MODELS, *args.models]))
        serve(eye, args.host, args.port)
    except EdgeError as error:
        print(f"web: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    run_command(main)
