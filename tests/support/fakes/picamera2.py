"""A Raspberry Pi's camera that is not here: picamera2 0.3.38 as far as the daemon goes.

The same calls, shapes, strides and errors, and the same way to hang: jobs that wait for a picture
stand in one queue, where a job whose caller timed out stays, and `stop` waits behind it. Each
picture is a buffer of a pool, which is empty where they are not released.

The folder named by FAKE_CAMERA holds `state`, one word that a test may change at any time (ok,
usb, silent, sleepy: silent until started again, frozen, gone, busy, hangs), and gets `calls`.
"""

import atexit
import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from libcamera import Transform

Function = Callable[[], tuple[bool, Any]]


def state() -> str:
    return (Path(os.environ["FAKE_CAMERA"]) / "state").read_text()


def called(name: str) -> None:
    with (Path(os.environ["FAKE_CAMERA"]) / "calls").open("a") as calls:
        calls.write(f"{name}\n")


class Job:
    """Functions that are tried with each picture until they are done."""

    def __init__(self, functions: list[Function]) -> None:
        self._functions = functions
        self._future: Future[Any] = Future()
        self._future.set_running_or_notify_cancel()

    def execute(self) -> bool:
        result = None
        while self._functions:
            done, result = self._functions[0]()
            if not done:
                return False
            self._functions.pop(0)
        self._future.set_result(result)
        return True

    def get_result(self, timeout: float | None = None) -> Any:
        return self._future.result(timeout=timeout)

    def cancel(self) -> None:
        self._future.set_exception(CancelledError())


class CompletedRequest:
    """One picture in both of its streams; holds a buffer until it is released."""

    def __init__(self, camera: "Picamera2") -> None:
        self._camera = camera
        self._seed = 0 if state() == "frozen" else time.monotonic_ns()
        self._held = True

    def make_array(self, name: str) -> Any:
        config = self._camera.camera_configuration()[name]
        (width, height), stride = config["size"], config["stride"]
        noise = np.random.default_rng(self._seed).integers(0, 8, (height, width), np.uint8)
        noise[: height // 4, : width // 4] += 200  # the top left corner is bright
        transform = self._camera.camera_configuration()["transform"]
        picture = noise[:: -1 if transform.vflip else 1, :: -1 if transform.hflip else 1]
        if config["format"] == "RGB888":  # B, G, R in memory; the padding is cut off
            return np.stack([picture, picture + 1, picture + 2], axis=2)
        planes = np.full((height * 3 // 2, stride), 99, np.uint8)  # the padding is not
        planes[:height, :width] = picture
        return planes

    def release(self) -> None:
        if not self._held:
            raise RuntimeError("CompletedRequest: lock now has negative ref_count")
        self._held = False
        self._camera.buffers.release()


class Picamera2:
    """One camera with an event loop on a thread of its own."""

    opened = 0

    @staticmethod
    def global_camera_info() -> list[dict[str, Any]]:
        if state() == "gone":
            return []
        path = "/base/soc/usb@7/1-1" if state() == "usb" else "/base/soc/i2c0mux/imx708@1a"
        return [{"Model": "imx708", "Location": 2, "Rotation": 180, "Id": path, "Num": 0}]

    def __init__(
        self,
        camera_num: int = 0,
        verbose_console: None = None,
        tuning: None = None,
        allocator: None = None,
    ) -> None:
        called("open")
        self.is_open = False
        if camera_num >= len(self.global_camera_info()):
            raise RuntimeError(f"No camera number {camera_num} found")
        if state() == "busy" or Picamera2.opened:
            raise RuntimeError("Camera __init__ sequence did not complete.")
        Picamera2.opened += 1
        self.is_open = True
        self.sensor_resolution = (4608, 2592)
        self.started = False
        self.lock = threading.Lock()
        self._jobs: list[Job] = []
        self._completed: list[CompletedRequest] = []
        self._config: dict[str, Any] = {}
        self._loop: threading.Thread | None = None
        self._over = threading.Event()
        atexit.register(self.close)

    def create_video_configuration(
        self,
        main: dict[str, Any] = {},  # noqa: B006  # as the real one
        lores: dict[str, Any] | None = None,
        raw: dict[str, Any] = {},  # noqa: B006  # as the real one
        transform: Transform = Transform(),  # noqa: B008  # as the real one
        colour_space: None = None,
        buffer_count: int = 6,
        controls: dict[str, Any] = {},  # noqa: B006  # as the real one
        display: str = "main",
        encode: str = "main",
        queue: bool = True,
        sensor: dict[str, Any] = {},  # noqa: B006
        use_case: str = "video",
    ) -> dict[str, Any]:
        return {
            "main": {"format": "XBGR8888", "size": (1280, 720)} | main,
            "lores": None if lores is None else {"format": "YUV420"} | lores,
            "transform": transform,
            "buffer_count": buffer_count,
            "controls": {"FrameDurationLimits": (33333, 33333)} | controls,
            "queue": queue,
            "sensor": sensor,
        }

    def configure(self, camera_config: dict[str, Any]) -> None:
        called("configure")
        if self.started:
            raise RuntimeError("Camera must be stopped before configuring")
        if not isinstance(camera_config["transform"], Transform):
            raise RuntimeError("Transform has incorrect type")
        if set(camera_config["sensor"]) - {"bit_depth", "output_size"}:
            raise RuntimeError("Unexpected keys in sensor configuration")
        main, lores = camera_config["main"], camera_config["lores"]
        for stream in (main, lores):
            width, height = stream["size"]
            if width % 2 or height % 2:
                raise RuntimeError("width and height should be even")
            stream["stride"] = width * 3 if stream is main else (width + 63) // 64 * 64 + 64
        if any(small > large for small, large in zip(lores["size"], main["size"], strict=True)):
            raise RuntimeError("lores stream dimensions may not exceed main stream")
        if lores["format"] != "YUV420":
            raise RuntimeError("lores stream must be YUV")
        self._config, self._controls = camera_config, dict(camera_config["controls"])
        self._queue_len = 1 if camera_config["queue"] else 0
        self.buffers = threading.Semaphore(camera_config["buffer_count"])

    def camera_configuration(self) -> dict[str, Any]:
        return self._config

    def start(self, config: None = None, show_preview: bool = False) -> None:
        called("start")
        self._frame_s = self._controls.get("FrameDurationLimits", (33333, 33333))[0] / 1e6
        self._controls = {}  # the next start has those of the sensor, unless it is configured again
        self.started = True
        if state() == "sleepy" and self._loop is not None:
            (Path(os.environ["FAKE_CAMERA"]) / "state").write_text("ok")
        if self._loop is None:
            self._loop = threading.Thread(target=self._run, daemon=True)
            self._loop.start()

    def _run(self) -> None:
        while not self._over.wait(self._frame_s):
            gives = self.started and state() in ("ok", "frozen")
            with self.lock:
                if gives and self.buffers.acquire(blocking=False):
                    self._completed.append(CompletedRequest(self))
                while self._jobs and self._jobs[0].execute():
                    self._jobs.pop(0)
                while len(self._completed) > self._queue_len:
                    self._completed.pop(0).release()

    def _dispatch(self, functions: list[Function], wait: bool | float | None) -> Any:
        job = Job(functions)
        with self.lock:
            self._jobs.append(job)
        if wait is False:
            return job
        return job.get_result(None if wait in (None, True) else wait)

    def _take(self) -> tuple[bool, Any]:
        return (True, self._completed.pop(0)) if self._completed else (False, None)

    def capture_request(
        self, wait: bool | float | None = None, signal_function: None = None, flush: None = None
    ) -> Any:
        return self._dispatch([self._take], wait)

    @contextlib.contextmanager
    def captured_request(
        self, wait: bool | float | None = None, flush: None = None
    ) -> Iterator[CompletedRequest]:
        request = self.capture_request(wait=wait, flush=flush)
        try:
            yield request
        finally:
            request.release()

    def wait(self, job: Job, timeout: float | None = None) -> Any:
        return job.get_result(timeout=timeout)

    def cancel_all_and_flush(self) -> None:
        called("cancel_all_and_flush")
        with self.lock:
            for job in self._jobs:
                job.cancel()
            self._jobs = []

    def _stop(self) -> tuple[bool, Any]:
        self.started = False
        while self._completed:
            self._completed.pop(0).release()
        return True, None

    def stop(self) -> None:
        called("stop")
        while state() == "hangs":
            time.sleep(0.1)
        if self.started:
            self._dispatch([partial(self._stop)], wait=True)

    def close(self) -> None:
        called("close")
        atexit.unregister(self.close)
        if not self.is_open:
            return
        self.stop()
        self._over.set()
        self.is_open = False
        Picamera2.opened -= 1
