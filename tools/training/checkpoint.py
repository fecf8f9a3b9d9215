"""The progress of a training on disk, so that a stopped one can be resumed."""

import io
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from edge.atomic_file import write_atomically
from tools.datasets.archive import DataError

MAY_DIFFER_ON_RESUME = ("out", "epochs", "patience", "resume", "force", "verbose", "face_cache")
"""Options that may change when a training is resumed."""


class Checkpoint:
    """The folder of checkpoints and the log beside the weights of one training."""

    def __init__(self, out: Path, settings: Mapping[str, Any], *, resume: bool) -> None:
        """Nothing is written before `begin`. `settings` maps options to JSON values.

        Raises DataError if a stopped training would be lost, if `resume` finds none, or if the
        stopped one had other settings.
        """
        self.log = out.with_suffix(".csv")
        self._settings = settings
        self._folder = out.with_suffix(".checkpoint")
        self._settings_file = self._folder / "settings.json"
        self.epochs = self._epochs()
        """Number of completed epochs of the training that is resumed; 0 for a new one."""
        if self.epochs and not resume:
            raise DataError(
                f"{self._folder}: a training was stopped here after epoch {self.epochs}; continue "
                "it with --resume, or delete the folder to start over"
            )
        if resume and not self.epochs and len(self.rows()):
            raise DataError(
                f"--resume: {self.log} belongs to a completed training; start over with --force "
                "in place of --resume"
            )
        if self.epochs:
            self._check_settings()

    def _epochs(self) -> int:
        try:
            return int(json.loads((self._folder / "training_metadata.json").read_text())["epoch"])
        except FileNotFoundError:
            return 0
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{self._folder}: cannot be read ({error}); delete it to start over"
            ) from error

    def _check_settings(self) -> None:
        try:
            before = dict(json.loads(self._settings_file.read_text()))
        except FileNotFoundError:  # a checkpoint of an earlier version
            return
        except (OSError, ValueError, TypeError) as error:
            raise DataError(
                f"{self._settings_file}: cannot be read ({error}); delete {self._folder} to start "
                "over"
            ) from error
        for name, value in self._settings.items():
            if name not in MAY_DIFFER_ON_RESUME and before.get(name, value) != value:
                raise DataError(
                    f"--{name.replace('_', '-')} {value}: the stopped training had "
                    f"{before[name]}; resume it with that, or delete {self._folder}"
                )

    def begin(self) -> None:
        """Remove what an earlier training left, unless that is the one to resume."""
        if self.epochs:
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        self.log.unlink(missing_ok=True)
        self._folder.mkdir()
        self._settings_file.write_text(json.dumps(dict(self._settings)) + "\n")

    def rows(self) -> pd.DataFrame:
        """The log: one row for each completed epoch."""
        return pd.read_csv(self.log) if self.log.exists() and self.log.stat().st_size else NO_ROWS

    def callbacks(self, patience: int) -> list[Any]:
        """For a training with averaged weights: back up, average, stop early, log."""
        return [
            keras.callbacks.BackupAndRestore(
                str(self._folder), double_checkpoint=True, delete_checkpoint=False
            ),
            keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
            # after the swap, so that it saves the averaged weights
            BestEpoch(self._folder / "best.npz", self.epochs, patience),
            keras.callbacks.CSVLogger(str(self.log), append=True),
        ]

    def end(self) -> None:
        """Delete the checkpoint: the weights are saved elsewhere."""
        shutil.rmtree(self._folder, ignore_errors=True)


NO_ROWS = pd.DataFrame()


class BestEpoch(keras.callbacks.EarlyStopping):  # type: ignore[misc]  # Keras carries no types
    """Early stopping that keeps the best weights on disk, so that a resumed training has them."""

    def __init__(self, file: Path, epochs: int, patience: int) -> None:
        """`epochs` were completed before the training was resumed."""
        super().__init__(
            "val_loss", mode="min", patience=patience, restore_best_weights=True, verbose=1
        )
        self._file, self._epochs = file, epochs

    def on_train_begin(self, logs: object = None) -> None:
        super().on_train_begin(logs)
        if not self._file.exists():
            return
        with np.load(self._file) as arrays:
            self.best, self.best_epoch = float(arrays["best"]), int(arrays["epoch"])
            self.best_weights = [arrays[f"weights{n}"] for n in range(len(arrays) - 2)]
        self.wait = max(0, self._epochs - 1 - self.best_epoch)

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        super().on_epoch_end(epoch, logs)
        if self.best_epoch == epoch:
            weights = {f"weights{n}": value for n, value in enumerate(self.best_weights)}
            archive = io.BytesIO()
            np.savez(archive, best=self.best, epoch=epoch, **weights)
            write_atomically(self._file, archive.getvalue())
