"""What is measured of a model, and how it is reported."""

import itertools
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sources.pictures import read as read_picture
from edge.tracking.tracker import Tracker
from edge.types import LABELS, UNKNOWN, Box, Face
from edge.vision.classifier import Predictions
from edge.vision.model_card import read_card
from tests.support.commands import tool
from tests.support.paths import MODEL
from tools.datasets.archive import DataError, DataFiles
from tools.datasets.dataset import Sample
from tools.evaluation import confusion, metrics


def test_shipped_model_keeps_its_promise(shared: Path) -> None:
    data = shared / "datasets" / "utkface.zip"
    run = tool("evaluate", MODEL, "--data", data, "--min-accuracy", "0.93", "--json")
    assert run.returncode == 0, run.stdout + run.stderr
    result = json.loads(run.stdout)
    assert (result["data"], result["split"]) == ("utkface.zip (utkface)", "test")
    assert (result["n"], result["detection_rate"]) == (2154, 1)
    assert result["age"]["accuracy"] >= 0.68
    assert result["age"]["one_off"]["accuracy"] >= 0.94
    adults = [result["groups"]["age"][group] for group in ("12-19", "20-39", "40-59", "60+")]
    assert sum(group["n"] for group in adults) == 1833
    assert sum(group["n"] * group["accuracy"] for group in adults) / 1833 >= 0.96


def test_one_json_object_and_plots(few_faces: Path, tmp_path: Path) -> None:
    plots = tmp_path / "plots"
    run = tool("evaluate", MODEL, "--data", few_faces, "--json", "--plots", plots)
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    assert result["n"] == 40
    assert result["detection_rate"] == 1
    assert set(result["groups"]) == {"gender", "age", "ethnicity"}
    assert sum(sum(row.values()) for row in result["confusion"].values()) == 40
    assert sum(b["n"] for b in result["calibration"]) == 40
    low, high = result["interval"]
    assert low <= result["accuracy"] <= high
    assert result["abstention"][0]["accuracy"] == result["accuracy"]
    assert [point["n"] for point in result["abstention"]] == [40, 39, 38, 36, 34, 32, 28]
    wrong = round(40 * (1 - result["accuracy"]))
    assert len(result["mistakes"]) == min(wrong, 10)
    for folder in (plots, plots / "age"):
        drawn = sorted(folder.glob("*.png"))
        assert [file.stem for file in drawn] == [
            "abstention", "calibration", "confusion", "groups", "mistakes",
        ]  # fmt: skip
        for file in drawn:
            assert read_picture(file).shape[0] >= 250


def test_too_little_accuracy_is_an_error(few_faces: Path) -> None:
    run = tool("evaluate", MODEL, "--data", few_faces, "--face-px", "8", "--min-accuracy", "0.99")
    assert run.returncode == 1
    assert "accuracy is below 0.99" in run.stderr


def test_small_faces_are_harder(shared: Path) -> None:
    accuracy = {}
    for face_px in ("10", "1000"):
        args = ("--data", shared / "datasets" / "webfaces.zip", "--detect", "none", "--json")
        run = tool("evaluate", MODEL, *args, "--face-px", face_px)
        accuracy[face_px] = json.loads(run.stdout)["accuracy"]
    assert accuracy["10"] < accuracy["1000"] - 0.05


def test_a_folder_of_ones_own(few_faces: Path, tmp_path: Path) -> None:
    for gender in ("female", "male"):
        (tmp_path / "own" / gender).mkdir(parents=True)
    for number, file in enumerate(sorted(few_faces.glob("*"))[:60]):
        gender = "male" if file.name.split("_")[1] == "0" else "female"
        (tmp_path / "own" / gender / f"{number:03}.jpg").write_bytes(file.read_bytes())
    broken = tmp_path / "own" / "male" / "broken-7.jpg"
    broken.write_bytes(b"not a picture")
    data = tmp_path / "own"
    run = tool("evaluate", MODEL, "--data", data, "--detect", "haar", "--json")
    assert run.returncode == 0, run.stderr
    assert "left out: male/broken-7.jpg is not a picture" in run.stderr
    result = json.loads(run.stdout)
    assert result["split"] == "all"
    assert result["n"] == round(60 * result["detection_rate"])
    assert 0.5 < result["detection_rate"] < 1
    for number in range(10):
        broken.with_name(f"broken-{number}.jpg").write_bytes(b"not a picture")
    run = tool("evaluate", MODEL, "--data", data)
    assert run.returncode == 2
    assert "10 of 70 pictures cannot be read" in run.stderr
    with (tmp_path / "own.csv").open("w") as table:
        table.write("file,gender\n" + "".join(f"gone/{n}.jpg,male\n" for n in range(15)))
    run = tool("evaluate", MODEL, "--data", data, "--layout", "csv")
    assert run.returncode == 2
    *named, more, last = run.stderr.splitlines()[-12:]
    assert len(named) == 10
    assert more == "left out, and 5 more"
    assert f"data {data}: 15 of 15 pictures cannot be read; 15 are not there" in last


def test_no_face_at_all(tmp_path: Path) -> None:
    for gender in ("female", "male"):
        (tmp_path / gender).mkdir()
        cv2.imwrite(str(tmp_path / gender / "grey.png"), np.full((200, 200, 3), 128, np.uint8))
    run = tool("evaluate", MODEL, "--data", tmp_path)
    assert run.returncode == 2
    assert "no face was found in any picture" in run.stderr


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--data", "none.zip"], "none.zip: does not exist"),
        (["--data", "README.md"], "is neither a folder nor a zip file"),
        (["--data", "models"], "is in no known layout"),
        (["--data", "models", "--layout", "folders"], "needs the folders female and male"),
        (["--data", "FACES", "--min-age", "130"], "nobody in split 'test' is 130 or older"),
        (
            ["--data", "FACES", "--min-accuracy", "95"],
            "--min-accuracy: 95: must be a number from 0 to 1",
        ),
        (["--data", "FACES", "--face-px", "0"], "--face-px: 0: must be a whole number, 1 or more"),
    ],
)
def test_data_that_cannot_be_used(args: list[str], expected: str, few_faces: Path) -> None:
    run = tool("evaluate", MODEL, *(str(few_faces) if arg == "FACES" else arg for arg in args))
    assert run.returncode == 2
    assert expected in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr


@given(
    st.lists(st.tuples(st.floats(0.5, 1), st.booleans()), min_size=1, max_size=200),
)
def test_calibration_and_abstention_lose_no_face(faces: list[tuple[float, bool]]) -> None:
    confidence = np.array([c for c, _ in faces])
    right = np.array([r for _, r in faces])
    bins = metrics.calibration_bins(confidence, right)
    assert sum(b["n"] for b in bins) == len(faces)
    mean = sum(b["n"] * b["accuracy"] for b in bins) / len(faces)
    assert mean == pytest.approx(right.mean())
    assert 0 <= metrics.calibration_error(bins) <= 1
    curve = metrics.abstention_curve(confidence, right)
    assert curve[0]["accuracy"] == right.mean()
    assert [p["n"] for p in curve] == sorted((p["n"] for p in curve), reverse=True)
    sure = [p["min_confidence"] for p in curve]
    assert sure == sorted(sure)


def test_a_calibrated_model_has_no_calibration_error() -> None:
    confidence = np.repeat([0.6, 0.8], 10)
    right = np.array([True] * 6 + [False] * 4 + [True] * 8 + [False] * 2)
    assert metrics.calibration_error(metrics.calibration_bins(confidence, right)) < 1e-9
    sure_and_wrong = metrics.calibration_bins(np.ones(4), np.zeros(4, bool))
    assert metrics.calibration_error(sure_and_wrong) == 1


def test_figures_of_known_predictions(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    pictures = DataFiles(tmp_path)
    faces = [
        Sample(f"{number}.jpg", label, "test", True, pictures, "a.jpg", age=age, ethnicity="asian")
        for number, (label, age) in enumerate([(0, 2), (0, 5), (0, 30), (1, 70), (1, None)])
    ]
    gender = np.array([[0.9, 0.1], [0.3, 0.7], [0.2, 0.8], [0.02, 0.98], [0.55, 0.45]], np.float32)
    age = np.full((5, 8), 0.01, np.float32)
    age[range(5), [0, 3, 5, 7, 0]] = 0.93
    heads = metrics.by_head(faces, Predictions(gender, age))
    figures = metrics.summarize(heads["gender"])
    assert figures["confusion"] == {
        "female": {"female": 1, "male": 2}, "male": {"female": 1, "male": 1},
    }  # fmt: skip
    assert [mistake["file"] for mistake in figures["mistakes"]] == ["2.jpg", "1.jpg", "4.jpg"]
    assert figures["mistakes"][0] == {"file": "2.jpg", "called": "male", "confidence": 0.8}
    assert {name: group["n"] for name, group in figures["groups"]["age"].items()} == {
        "0-11": 2, "20-39": 1, "60+": 1,
    }  # fmt: skip
    assert figures["groups"]["gender"]["male"]["accuracy"] == 0.5
    assert [b["n"] for b in figures["calibration"]] == [1, 1, 1, 1, 1]
    # the face of unknown age is left out; 5 years are predicted as 14-20, 30 as 36-45
    by_age = metrics.summarize(heads["age"])
    assert (by_age["n"], by_age["accuracy"], by_age["one_off"]["accuracy"]) == (4, 0.5, 0.75)
    assert by_age["confusion"]["4-7"]["14-20"] == 1
    assert list(metrics.by_head(faces[4:], Predictions(gender[4:], age[4:]))) == ["gender"]


def test_a_file_where_the_plots_should_go(few_faces: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    run = tool("evaluate", MODEL, "--data", few_faces, "--plots", tmp_path / "taken")
    assert run.returncode == 2
    assert "taken: cannot be made (File exists)" in run.stderr.splitlines()[-1]


def copy_of_model(folder: Path) -> Path:
    """The shipped model, with a card on which nothing is recorded."""
    card = json.loads(MODEL.with_suffix(".json").read_text())
    card.pop("confusion", None)
    (folder / "gender.json").write_text(json.dumps(card))
    return Path(shutil.copy(MODEL, folder))


def test_the_confusion_matrix_is_recorded(few_faces: Path, tmp_path: Path) -> None:
    model = copy_of_model(tmp_path)
    file, before = tmp_path / "gender.json", model.stat()
    card = json.loads(file.read_text())
    run = tool("evaluate", model, "--data", few_faces, "--min-age", "12", "--record")
    assert run.returncode == 0, run.stderr
    assert run.stdout.endswith(f"recorded  confusion matrix of faces, in {file}\n")
    assert "recorded" not in tool("evaluate", model, "--data", few_faces).stdout
    first = json.loads(file.read_text())
    assert first | {"confusion": card.get("confusion")} == card | {"confusion": None}
    (measured,) = first["confusion"]
    assert (measured["data"], measured["split"], measured["min_age"]) == ("faces", "test", 12)
    assert "face_px" not in measured
    assert [each["min_confidence"] for each in measured["thresholds"]] == [
        0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95
    ]  # fmt: skip
    unknown = []
    for threshold in measured["thresholds"]:
        assert sum(threshold["female"].values()) == sum(threshold["male"].values()) == 20
        assert threshold["female"]["female"] > 10 < threshold["male"]["male"]
        unknown.append(threshold["female"]["unknown"] + threshold["male"]["unknown"])
    assert unknown == sorted(unknown)
    assert unknown[0] < unknown[-1]

    # other data is added, the same data replaced; what was recorded last is used
    others = tmp_path / "others"
    shutil.copytree(few_faces, others)
    shutil.copy(few_faces.with_suffix(".csv"), tmp_path / "others.csv")
    for data, more in ((others, ["--split", "all", "--json"]), (few_faces, ["--face-px", "20"])):
        run = tool("evaluate", model, "--data", data, "--record", *more)
        assert run.returncode == 0, run.stderr
        newest = read_card(model).confusion_at(0.6)
        assert newest is not None
        assert newest["data"] == data.name
    assert newest is not None
    assert newest["face_px"] == 20
    both = json.loads(file.read_text())["confusion"]
    assert [(each["data"], each["split"]) for each in both] == [
        ("others", "all"),
        ("faces", "test"),
    ]
    assert (model.stat().st_mtime_ns, model.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_with_json_the_record_leaves_one_object(few_faces: Path, tmp_path: Path) -> None:
    model = copy_of_model(tmp_path)
    run = tool("evaluate", model, "--data", few_faces, "--record", "--json")
    assert json.loads(run.stdout)["n"] == 40
    assert read_card(model).confusion_at(0.6) is not None


def test_what_cannot_be_recorded(few_faces: Path, age_models: Path, tmp_path: Path) -> None:
    model = copy_of_model(tmp_path)
    card = (tmp_path / "gender.json").read_bytes()
    run = tool("evaluate", age_models / "age.tflite", "--data", few_faces, "--record")
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == f"evaluate: --record: {age_models}/age.tflite estimates only age\n"
    (tmp_path / "gender.json.new").mkdir()
    run = tool("evaluate", model, "--data", few_faces, "--record")
    assert run.returncode == 2
    assert "gender.json: cannot be written (Is a directory)" in run.stderr.splitlines()[-1]
    assert (tmp_path / "gender.json").read_bytes() == card


def test_a_matrix_needs_both_genders() -> None:
    sample = Sample("", 0, "test", True, DataFiles(Path(__file__).parent), "")
    women = metrics.HeadResult([sample], np.array([0]), np.array([[0.9, 0.1]]), LABELS)
    with pytest.raises(DataError, match="no face is labelled male"):
        confusion.matrices(women)


def test_faces_are_called_what_the_daemon_calls_them() -> None:
    """A person seen once, by a real tracker at the same certainty."""
    male = np.array([0.0, 0.2, 0.399, 0.4, 0.45, 0.5, 0.501, 0.6, 0.75, 0.8, 0.95, 1.0], np.float32)
    truth = np.array([0, 1] * 6)
    sample = Sample("", 0, "test", True, DataFiles(Path(__file__).parent), "")
    result = metrics.HeadResult(
        [sample] * len(male), truth, np.stack([1 - male, male], axis=1), LABELS
    )
    for matrix in confusion.matrices(result):
        expected = dict.fromkeys(itertools.product(LABELS, (*LABELS, UNKNOWN)), 0)
        for actual, probability in zip(truth, male, strict=True):
            tracker = Tracker(min_sightings=1, min_seconds=0, min_confidence=matrix.min_confidence)
            (track,), _ = tracker.update([Face(Box(300, 150, 50, 50), 1.0)], 0, (640, 360))
            tracker.vote(track, float(probability))
            (visit,) = tracker.finish()
            expected[LABELS[actual], visit.label] += 1
        rows = {"female": matrix.female, "male": matrix.male}
        calls = {(row, call): n for row, calls in rows.items() for call, n in calls}
        assert calls == expected, matrix.min_confidence
