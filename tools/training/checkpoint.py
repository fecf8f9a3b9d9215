"""Where a training stands on disk, so that one that was stopped can go on."""

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

FREE = ("out", "epochs", "patience", "resume", "force", "verbose")
"""Settings with which a training may go on that began with others."""


class Checkpoint:
    """The folder and the log beside the weights of one training."""

    def __init__(self, out: Path, settings: Mapping[str, Any], *, resume: bool) -> None:
        """Nothing is changed before `begin`. `settings` are what JSON can hold, by their option.

        Raises DataError where a training was stopped that is not to be resumed, where there is
        none to resume, or where it had other settings.
        """
        self.log = out.with_suffix(".csv")
        self._settings = settings
        self._folder = out.with_suffix(".checkpoint")
        self._first = self._folder / "settings.json"
        self.epochs = self._epochs()
        """Those that have ended of the training that goes on; 0 of a new one."""
        if self.epochs and not resume:
            raise DataError(
                f"{self._folder}: a training was stopped here after epoch {self.epochs}; go on "
                "with --resume, or delete the folder to begin anew"
            )
        if resume and not self.epochs and len(self.rows()):
            raise DataError(
                f"--resume: {self.log} is of a training that has ended; begin anew with --force "
                "in place of --resume"
            )
        if self.epochs:
            self._compare()

    def _epochs(self) -> int:
        try:
            return int(json.loads((self._folder / "training_metadata.json").read_text())["epoch"])
        except FileNotFoundError:
            return 0
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{self._folder}: cannot be read ({error}); delete it to begin anew"
            ) from error

    def _compare(self) -> None:
        try:
            before = dict(json.loads(self._first.read_text()))
        except FileNotFoundError:  # of a training from before there was this file
            return
        except (OSError, ValueError, TypeError) as error:
            raise DataError(
                f"{self._first}: cannot be read ({error}); delete {self._folder} to begin anew"
            ) from error
        for name, value in self._settings.items():
            if name not in FREE and before.get(name, value) != value:
                raise DataError(
                    f"--{name.replace('_', '-')} {value}: the training that was stopped had "
                    f"{before[name]}; resume it with that, or delete {self._folder}"
                )

    def begin(self) -> None:
        """Make room for a new training; leave one that goes on as it is."""
        if self.epochs:
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        self.log.unlink(missing_ok=True)
        self._folder.mkdir()
        self._first.write_text(json.dumps(dict(self._settings)) + "\n")

    def rows(self) -> pd.DataFrame:
        """The figures of the epochs that have ended; no rows where none has."""
        return pd.read_csv(self.log) if self.log.exists() and self.log.stat().st_size else NO_ROWS

    def callbacks(self, patience: int) -> list[Any]:
        """For a training whose weights are averaged: keep, average, stop in time, log."""
        return [
            keras.callbacks.BackupAndRestore(
                str(self._folder), double_checkpoint=True, delete_checkpoint=False
            ),
            keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
            # after the swap, so that the averaged weights are kept
            BestEpoch(self._folder / "best.npz", self.epochs, patience),
            keras.callbacks.CSVLogger(str(self.log), append=True),
        ]

    def end(self) -> None:
        """The weights are saved elsewhere."""
        shutil.rmtree(self._folder, ignore_errors=True)


NO_ROWS = pd.DataFrame()


class BestEpoch(keras.callbacks.EarlyStopping):  # type: ignore[misc]  # Keras carries no types
    """Early stopping that keeps the best epoch on disk, for a training that is resumed."""

    def __init__(self, file: Path, epochs: int, patience: int) -> None:
        """`epochs` have ended before."""
        super().__init__(
            "val_loss", mode="min", patience=patience, restore_best_weights=True, verbose=1
        )
        self._file, self._epochs = file, epochs

    def on_train_begin(self, logs: object = None) -> None:
        super().on_train_begin(logs)
        if not self._file.exists():
            return
        with np.load(self._file) as kept:
            self.best, self.best_epoch = float(kept["best"]), int(kept["epoch"])
            self.best_weights = [kept[f"weights{n}"] for n in range(len(kept) - 2)]
        self.wait = max(0, self._epochs - 1 - self.best_epoch)

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        super().on_epoch_end(epoch, logs)
        if self.best_epoch == epoch:
            weights = {f"weights{n}": value for n, value in enumerate(self.best_weights)}
            archive = io.BytesIO()
            np.savez(archive, best=self.best, epoch=epoch, **weights)
            write_atomically(self._file, archive.getvalue())
