"""A model's line between women and men, its certainty and its ages are set to labelled faces."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from edge.types import AGE_GROUPS, LABELS
from edge.vision.classifier import Classifier
from edge.vision.model_card import read_card
from edge.vision.tflite import RUNTIMES, Floats
from tests.conftest import MadeOnce
from tests.support import face_folder
from tests.support.commands import tool
from tests.support.paths import ROOT
from tools.calibrate import gender_scaling, log_odds_of, scaling_of
from tools.conversion.output_scaling import Scaling, scaled
from tools.datasets.archive import DataError
from tools.datasets.dataset import crops_of, load
from tools.training.calibration import MAX_COST, Ages, even_ages, platt_scaling

SHIPPED = ROOT / "models" / "gender.tflite"
AGES = len(AGE_GROUPS)


@pytest.fixture(scope="session")
def val_faces(made_once: MadeOnce) -> Path:
    """A folder of 320 labelled faces, all of them for validation."""
    return made_once("val", lambda f: face_folder.write(f / "faces", 1, {"val": 160})) / "faces"


def log_odds_of_faces(model: bytes, faces: Path) -> dict[int, Floats]:
    """By the number of an output's values n: float32 (40, n)."""
    card = read_card(SHIPPED)
    return log_odds_of(model, crops_of(load(faces).part("val")[:40], card.input), card.input)


def posterior(
    rng: np.random.Generator, numbers: list[int], prior: list[float], noise: float = 0.7
) -> Ages:
    """Faces of groups in a row, told by one noisy measure, by who expects groups as in `prior`."""
    groups = np.repeat(np.arange(len(numbers)), numbers)
    measure = groups + rng.normal(0, noise, len(groups))
    likelihood = -((measure[:, None] - np.arange(len(numbers))) ** 2) / 2 / noise**2
    return Ages(likelihood + np.log(prior), groups)


def test_log_odds_say_how_often_faces_are_men() -> None:
    rng = np.random.default_rng(1)
    true = rng.normal(0, 3, 20_000)
    male = (rng.random(len(true)) < 1 / (1 + np.exp(-true))).astype(float)
    fit = platt_scaling((true - 0.8) / 0.5, male, np.ones(len(true)))
    assert fit is not None
    assert fit.scale == pytest.approx(0.5, rel=0.05)
    assert fit.shift == pytest.approx(0.8, abs=0.08)


def test_women_and_men_weigh_what_they_are_said_to() -> None:
    """One woman in ten, each with nine times a man's weight: the line lies in the middle."""
    rng = np.random.default_rng(1)
    male = np.repeat([1.0, 0.0], [9000, 1000])
    log_odds = rng.normal(np.where(male == 1, 2, -2), 2)
    fit = platt_scaling(log_odds, male, np.where(male == 1, 1.0, 9.0))
    assert fit is not None
    assert fit.shift == pytest.approx(0, abs=0.15)


def test_faces_told_without_a_mistake_leave_the_scale_finite() -> None:
    male = np.repeat([0.0, 1.0], 50)
    fit = platt_scaling(np.where(male == 1, 1.0, -1.0), male, np.ones(100))
    assert fit is not None
    assert fit.scale == pytest.approx(np.log(51), rel=0.02)  # 1 / 52 is wrong, by Platt's labels


def test_a_model_that_takes_women_for_men_has_no_scaling() -> None:
    male = np.repeat([0.0, 1.0], 50)
    assert platt_scaling(np.where(male == 1, -1.0, 1.0), male, np.ones(100)) is None


def test_groups_that_were_seen_most_are_not_preferred() -> None:
    rng = np.random.default_rng(1)
    ages = posterior(rng, [1000, 1000, 1000, 1000], [0.1, 0.1, 0.7, 0.1])
    evenness, scaling = even_ages([ages])
    none = np.zeros(4)
    shift = scaling.shift / scaling.scale
    assert evenness > 0.3
    assert ages.share_error(shift) < ages.share_error(none) / 2
    assert ages.right(shift) > ages.right(none) - MAX_COST
    assert 0.7 < scaling.scale < 1.1


def test_groups_that_are_counted_rightly_stay() -> None:
    """Half of the people are of one group, and the model knows it; groups are told well."""
    rng = np.random.default_rng(1)
    numbers = np.array([2000, 500, 1000, 500])
    ages = posterior(rng, list(numbers), list(numbers / numbers.sum()), noise=0.3)
    evenness, scaling = even_ages([ages])
    assert evenness < 0.3
    assert ages.share_error(scaling.shift / scaling.scale) < 0.01
    assert scaling.scale == pytest.approx(1, abs=0.1)


def test_even_groups_cost_no_more_than_a_hundredth_of_the_ages() -> None:
    """Groups that one cannot tell apart: only the frequent one is often right."""
    rng = np.random.default_rng(1)
    groups = np.repeat([0, 1], [700, 300])
    log_odds = np.log([0.6, 0.4]) + rng.normal(0, 0.3, (1000, 2))
    ages = Ages(log_odds, groups)
    evenness, scaling = even_ages([ages])
    assert ages.right(scaling.shift / scaling.scale) >= ages.right(np.zeros(2)) - MAX_COST
    assert evenness < 0.2


@pytest.mark.parametrize("shift", [-4.0, -0.4, 0.0, 5.0])
def test_an_outputs_log_odds_are_scaled_and_shifted(val_faces: Path, shift: float) -> None:
    """Also where they leave the range of the int8 values before."""
    data = SHIPPED.read_bytes()
    before = log_odds_of_faces(data, val_faces)
    one, per_age = np.array([shift], np.float32), np.linspace(-1, 3, AGES, dtype=np.float32)
    after = log_odds_of_faces(scaled(data, [Scaling(1.3, one), Scaling(0.8, per_age)]), val_faces)
    for n, scale, shifts in ((1, 1.3, one), (AGES, 0.8, per_age)):
        # both are rounded, to steps of 0.07 at most
        assert np.abs(after[n] - before[n] * scale - shifts).max() < 0.12
    assert np.array_equal(log_odds_of_faces(scaled(data, []), val_faces)[1], before[1])


def test_a_line_beyond_all_faces_is_refused() -> None:
    with pytest.raises(DataError, match="would give all faces the same answer"):
        scaled(SHIPPED.read_bytes(), [Scaling(1.0, np.array([9.0], np.float32))])


@pytest.fixture(scope="session")
def softmax_model(few_faces: Path, made_once: MadeOnce) -> Path:
    """A small int8 model with two values for gender."""

    def make(folder: Path) -> None:
        network = folder / "ann.keras"
        for run in (
            tool(
                "train", "--arch", "ann48", "--data", few_faces, "--epochs", "2",
                "--out", network,
            ),
            tool(
                "quantize", network, "--calibrate", few_faces, "--max-drop", "100",
                "--out", folder / "ann.tflite",
            ),
        ):  # fmt: skip
            assert run.returncode == 0, run.stderr

    return made_once("softmax-model", make) / "ann.tflite"


def test_a_softmax_of_two_is_shifted(softmax_model: Path, val_faces: Path) -> None:
    card, data = read_card(softmax_model), softmax_model.read_bytes()
    crops = crops_of(load(val_faces).part("val")[:40], card.input)
    shift = np.array([-0.4, 0.4], np.float32)
    before, after = (
        log_odds_of(model, crops, card.input)[2]
        for model in (data, scaled(data, [Scaling(0.7, shift)]))
    )
    step = np.abs(np.diff(np.unique(before))).min()
    assert np.abs(after - before * 0.7 - shift).max() <= 1.5 * step


def test_the_tool_writes_a_model_that_says_all_else_as_before(
    val_faces: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "gender.tflite"
    command = "calibrate", SHIPPED, "--data", val_faces, "--out", out
    run = tool(*command)
    assert run.returncode == 0, run.stderr
    assert "gender    320 faces: log odds of a man x " in run.stdout
    assert "age       320 faces: groups evened by " in run.stdout
    card, old = (json.loads(path.with_suffix(".json").read_text()) for path in (out, SHIPPED))
    changed = {key for key in old if card.get(key) != old[key]}
    # how often it errs is to be measured again
    assert changed == {"sha256", "confusion", "calibrated"}
    assert {head: how["data"] for head, how in card["calibrated"].items()} == {
        "age": ["faces"],
        "gender": ["faces"],
    }
    before, after = Classifier(SHIPPED), Classifier(out)
    crops = crops_of(load(val_faces).part("val"), before.preprocessing)
    was, now = before(crops), after(crops)
    assert was.face is not None and now.face is not None
    assert np.array_equal(was.face, now.face)
    assert was.age is not None and now.age is not None
    assert not np.array_equal(was.age, now.age)
    if sys.version_info < (3, 12):  # tflite-runtime has no build for later ones
        litert, tflite = (
            Classifier(out, runtime=runtime, xnnpack=False).genders(crops[:20])
            for runtime in RUNTIMES
        )
        assert np.array_equal(litert, tflite)
    again = tool(*command)
    assert again.returncode == 2
    assert "--force replaces it" in again.stderr


def test_one_output_alone_is_set(val_faces: Path, tmp_path: Path) -> None:
    out = tmp_path / "gender.tflite"
    run = tool("calibrate", SHIPPED, "--data", val_faces, "--only", "age", "--out", out)
    assert run.returncode == 0, run.stderr
    assert "gender" not in run.stdout.replace(str(out), "")
    second = tmp_path / "second.tflite"
    run = tool("calibrate", out, "--data", val_faces, "--only", "gender", "--out", second)
    assert run.returncode == 0, run.stderr
    first, both = (json.loads(m.with_suffix(".json").read_text()) for m in (out, second))
    assert both["calibrated"]["age"] == first["calibrated"]["age"]  # what was done is kept
    assert "gender" in both["calibrated"]
    before, after = Classifier(SHIPPED), Classifier(out)
    crops = crops_of(load(val_faces).part("val")[:40], before.preprocessing)
    was, now = before(crops), after(crops)
    assert was.gender is not None and now.gender is not None
    assert np.array_equal(was.gender, now.gender)
    assert was.age is not None and now.age is not None
    assert not np.array_equal(was.age, now.age)


def test_an_output_that_a_model_lacks(val_faces: Path, tmp_path: Path) -> None:
    model = SHIPPED.with_name("gender-free.tflite")
    run = tool(
        "calibrate", model, "--data", val_faces, "--only", "age", "--out", tmp_path / "o.tflite"
    )
    assert run.returncode == 2
    assert run.stderr == f"calibrate: --only age: {model} does not estimate it\n"


def test_a_model_that_is_drawn_by_lot_is_left(
    val_faces: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = load(val_faces).part("val")
    for seed in range(20):
        lots = np.random.default_rng(seed).normal(0, 3, (len(faces), 1)).astype(np.float32)
        assert gender_scaling(LABELS, faces, lots) is None
    assert "gender    left as it is: hardly better than chance" in capsys.readouterr().out


@pytest.mark.parametrize("labels", [LABELS, LABELS[::-1]])
@pytest.mark.parametrize("width", [1, 2])
def test_genders_in_either_order(labels: tuple[str, str], width: int, val_faces: Path) -> None:
    """A model that takes women for men: log odds of a man lie 1.5 too high."""
    faces = load(val_faces).part("val")
    noise = np.random.default_rng(1).normal(0, 1.5, len(faces))
    of_man = np.array([2.0 if LABELS[face.label] == "male" else -2.0 for face in faces]) + noise
    of_second = (of_man + 1.5) * (1 if labels[1] == "male" else -1)
    columns = [of_second] if width == 1 else [np.full(len(faces), 0.7), of_second + 0.7]
    log_odds = np.column_stack(columns).astype(np.float32)
    scaling = gender_scaling(labels, faces, log_odds)
    assert scaling is not None
    new = log_odds * scaling.scale + scaling.shift
    second = new[:, 0] if width == 1 else new[:, 1] - new[:, 0]
    called_man = (second > 0) == (labels[1] == "male")
    wrong = called_man != (of_man - noise > 0)
    assert wrong.mean() < 0.15
    assert (called_man & wrong).sum() == pytest.approx((~called_man & wrong).sum(), abs=12)


def test_men_do_not_move_the_line_by_being_many(val_faces: Path) -> None:
    faces = load(val_faces).part("val")
    men = [face for face in faces if LABELS[face.label] == "male"]
    faces = [*faces, *men, *men]
    noise = np.random.default_rng(1).normal(0, 2, len(faces))
    of_man = np.array([2.0 if LABELS[face.label] == "male" else -2.0 for face in faces]) + noise
    scaling = gender_scaling(LABELS, faces, of_man[:, None].astype(np.float32))
    assert scaling is not None
    assert scaling.shift == pytest.approx(0, abs=0.4)  # 1.1 if each face counts the same


def test_faces_that_are_too_young_are_left_out(
    val_faces: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = load(val_faces).part("val")
    young = sum(face.age is not None and face.age < 30 for face in faces)
    log_odds = {1: np.zeros((len(faces), 1), np.float32)}
    assert 0 < young < len(faces)
    assert scaling_of("gender", read_card(SHIPPED), faces, log_odds, 30) is None
    women, men = map(int, re.findall(r"(\d+) (?:female|male)", capsys.readouterr().out))
    assert women + men == len(faces) - young


def test_women_alone_do_not_say_where_the_line_is(val_faces: Path) -> None:
    women = [face for face in load(val_faces).part("val") if LABELS[face.label] == "female"]
    assert (
        gender_scaling(LABELS, [*women, *women], np.zeros((2 * len(women), 1), np.float32)) is None
    )


def test_only_an_int8_model_is_scaled(age_models: Path, val_faces: Path, tmp_path: Path) -> None:
    model = age_models / "gender.tflite"
    run = tool("calibrate", model, "--data", val_faces, "--out", tmp_path / "out.tflite")
    assert run.returncode == 2
    assert run.stderr == (
        f"calibrate: model {model}: has no last layer in int8; make the file with "
        "tools/quantize.py\n"
    )


def test_too_few_faces_change_nothing(few_faces: Path, tmp_path: Path) -> None:
    out = tmp_path / "gender.tflite"
    run = tool("calibrate", SHIPPED, "--data", few_faces, "--out", out)
    assert run.returncode == 0, run.stderr
    assert "gender    left as it is: 20 female, 20 male; at least 150 of each" in run.stdout
    assert "age       left as it is: 40 ages known; at least 300" in run.stdout
    assert out.read_bytes() == SHIPPED.read_bytes()
    card, old = (json.loads(path.with_suffix(".json").read_text()) for path in (out, SHIPPED))
    assert card == old


def test_a_file_that_cannot_be_written(few_faces: Path) -> None:
    run = tool("calibrate", SHIPPED, "--data", few_faces, "--out", "/proc/x.tflite")
    assert run.returncode == 2
    assert run.stderr.splitlines()[-1].startswith(
        "calibrate: --out /proc/x.tflite: cannot be written"
    )
