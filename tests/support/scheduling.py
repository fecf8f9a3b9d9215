"""Which test process runs which files: some take those that import TensorFlow from the start.

tflite-runtime fails in a process that has TensorFlow ("vector::reserve"). Ran last, those files
would keep all processors busy, while before them most tests wait for a broker or a clock.
"""

from pathlib import PurePath
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

WITH_TENSORFLOW = (
    "train", "make_model", "quantize", "networks", "ages", "distill", "view_teacher", "caffe",
    "batches", "card",
)  # fmt: skip
"""Files that import it or start programs that do, the longest first."""
LONG = (
    "storm", "walkthrough", "program", "small_tools", "mqtt_publisher", "reload", "install",
)  # fmt: skip
"""Of the others those that take longest: begun at the end, each would keep one process alone."""


def _name(path: str) -> str:
    return PurePath(path).stem.removeprefix("test_")


def _imports_tensorflow(file: str) -> bool:
    return _name(file) in WITH_TENSORFLOW


def sort(items: list[pytest.Item]) -> None:
    """Put the long files first and those with TensorFlow last, each in the order above."""
    names = (*LONG, "", *WITH_TENSORFLOW)

    def position(item: pytest.Item) -> int:
        name = _name(item.path.name)
        return names.index(name if name in names else "")

    items.sort(key=position)


class Scheduling(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """By file: the first process begins with those with TensorFlow, the second ends with them.

    In each further process that takes such files, the imports would take ten seconds again.
    """

    def _files(self, node: Any) -> list[str]:
        """The files that a process may take, the next one first."""
        files = list(self.workqueue)
        others = [file for file in files if not _imports_tensorflow(file)]
        tensorflow = [file for file in files if _imports_tensorflow(file)]
        if any(map(_imports_tensorflow, self.assigned_work[node])):
            return tensorflow
        if node is self.nodes[0] and len(self.nodes) > 1:
            return tensorflow or others
        return others or (tensorflow if node in self.nodes[:2] else [])

    def _assign_work_unit(self, node: Any) -> None:
        if files := self._files(node):
            self.workqueue.move_to_end(files[0], last=False)
            super()._assign_work_unit(node)

    def _reschedule(self, node: Any) -> None:
        if self.workqueue and not node.shutting_down and not self._files(node):
            node.shutdown()
        else:
            super()._reschedule(node)
