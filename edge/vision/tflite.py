"""Opens TFLite models with whichever runtime is installed."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.errors import ModelError
from edge.host import unload_mapped
from edge.native_log import quiet

Floats = npt.NDArray[np.float32]

RUNTIMES = {
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "tflite-runtime": "tflite_runtime.interpreter",
}
"""TFLite runtimes by preference: only ai-edge-litert runs int8 through XNNPACK."""


def read_model(model: Path) -> bytes:
    """The file's content. Raises ModelError if it is missing or not a TFLite file."""
    try:
        data = model.read_bytes()
    except OSError as error:
        raise ModelError(f"model {model}: cannot be read ({error.strerror})") from error
    # the identifier of a TFLite flatbuffer; the runtimes themselves may crash on other files
    if data[4:8] != b"TFL3":
        raise ModelError(f"model {model}: is not a TFLite file; make one with tools/quantize.py")
    return data


def open_interpreter(
    model: Path, runtime: str = "auto", threads: int = 1, *, xnnpack: bool = True
) -> tuple[Any, str]:
    """A TFLite interpreter with its tensors allocated, and the name of the runtime that made it.

    `auto` takes the first of `RUNTIMES` that is installed and works. Without `xnnpack` all of them
    use the same kernels and give the same outputs; with it, each its fastest. Raises ModelError.
    """
    names = list(RUNTIMES) if runtime == "auto" else [runtime]
    reasons: list[str] = []
    for name in names:
        try:
            # an import alone proves nothing: tflite-runtime with numpy 2 fails only here
            with quiet():
                return _interpreter(name, model, threads, xnnpack), name
        except ImportError as error:
            reasons.append(f"{name} is not installed ({error})")
        except (AttributeError, SystemError) as error:
            reasons.append(f"{name} does not work here ({error})")
        except (RuntimeError, ValueError) as error:
            # the model's fault; on some such files tflite-runtime would crash
            reasons.append(f"{name}: {' '.join(str(error).split())}")
            break
    raise ModelError(f"model {model}: no TFLite runtime can run it: {'; '.join(reasons)}")


def _interpreter(runtime: str, model: Path, threads: int, xnnpack: bool) -> Any:
    module = importlib.import_module(RUNTIMES[runtime])
    kernels = module.OpResolverType
    interpreter = module.Interpreter(
        model_path=str(model),
        num_threads=threads,
        experimental_op_resolver_type=kernels.AUTO
        if xnnpack
        else kernels.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    unload_mapped(model)  # XNNPACK has made its own copy of the weights
    return interpreter


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output of a model, and how its integers stand for real numbers."""

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: type[np.generic]
    scale: float
    zero_point: int

    @classmethod
    def of(cls, details: dict[str, Any]) -> "Tensor":
        scale, zero_point = details["quantization"]
        shape = tuple(int(n) for n in details["shape"])
        return cls(
            details["index"],
            details["name"],
            shape,
            details["dtype"],
            float(scale),
            int(zero_point),
        )

    def quantize(self, values: Floats) -> npt.NDArray[Any]:
        """Real numbers to the tensor's type; float tensors take them as they are."""
        if not np.issubdtype(self.dtype, np.integer):
            return values.astype(self.dtype)
        limits = np.iinfo(self.dtype)  # type: ignore[type-var]  # checked in the line above
        steps = np.rint(values / self.scale) + self.zero_point
        return np.asarray(np.clip(steps, limits.min, limits.max), self.dtype)

    def dequantize(self, values: npt.NDArray[Any]) -> Floats:
        """The tensor's values to real numbers, float32."""
        if not np.issubdtype(self.dtype, np.integer):
            return values.astype(np.float32)
        real = (values.astype(np.float32) - self.zero_point) * self.scale
        return np.asarray(real, np.float32)
