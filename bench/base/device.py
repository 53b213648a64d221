"""Where and how fast a run computes: device, threads, type of the products.

Torch is imported by the functions that use it, so that this room loads without it.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bench.base.errors import BenchError

if TYPE_CHECKING:
    import torch

Precision = Literal["auto", "float32", "bfloat16"]
BFLOAT16_SINCE = (8, 0)  # the compute capability of CUDA devices that multiply bfloat16 natively


def named_device(name: str) -> torch.device:
    """``auto`` takes CUDA if there is one. Raises :class:`BenchError` for a device that is not there."""
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise BenchError("no CUDA device", where=f"device {name}", allowed=["auto", "cpu"])
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise _unknown_device(name) from error


def choose_device(name: str) -> torch.device:
    """The device of that name, as :func:`named_device` finds it, ready for this process.

    All work of this process on a CUDA device goes to one stream, not its default one, which cannot be recorded.
    """
    import torch

    device = named_device(name)
    if device.type == "cuda":
        exact_float32()
        try:
            torch.cuda.set_stream(torch.cuda.Stream(device))
        except RuntimeError as error:
            raise _unknown_device(name) from error
    return device


def _unknown_device(name: str) -> BenchError:
    return BenchError(f"unknown device {name!r}", allowed=["auto", "cpu", "cuda", "cuda:N"])


def product_type(device: torch.device, precision: Precision, *, narrow: bool = True) -> torch.dtype:
    """The type of the products: for ``auto``, bfloat16 where the device multiplies it natively and may (``narrow``)."""
    import torch

    if precision == "auto" and not narrow:
        return torch.float32
    if precision == "auto":
        if device.type == "cuda":  # older ones have the type, but emulate its products
            native = torch.cuda.get_device_capability(device) >= BFLOAT16_SINCE
            return torch.bfloat16 if native else torch.float32
        return torch.bfloat16 if _cpu_has_bfloat16() else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def exact_float32() -> None:
    """Let products in float32 on CUDA keep all 24 bits of a number; the library would give cuDNN's only 11 (TF32)."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def out_of_memory(error: BaseException) -> bool:
    """Whether this is what the library raises when the device, or the machine, has no memory left."""
    import torch

    words = ("DefaultCPUAllocator: can't allocate memory", "CUDA error: out of memory", "ALLOC_FAILED")
    known = isinstance(error, (torch.OutOfMemoryError, MemoryError))
    return known or (isinstance(error, RuntimeError) and any(text in str(error) for text in words))


def _cpu_has_bfloat16() -> bool:
    info = Path("/proc/cpuinfo")
    return info.exists() and "avx512_bf16" in info.read_text(encoding="utf-8", errors="replace")


def prepare_process(threads: int | None) -> None:
    """Set the number of threads, and keep memory in use rather than hand it back and forth.

    The temporaries of a step are tens of megabytes; glibc would return them to the system and fault them in
    again at each step, a fifth of the time of a small model. The library of products keeps what it compiled for
    each of the last shapes, half a megabyte each: 512 are about those of one run, whose rows are filled up
    (``bench.models.precision.filled``).
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "512")
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        if hasattr(library, "mallopt"):
            trim_threshold, mmap_threshold = -1, -3
            library.mallopt(trim_threshold, 1 << 30)
            library.mallopt(mmap_threshold, 1 << 30)


def give_back_memory() -> None:
    """Hand memory that is free to the system, also what lies between pieces in use.

    Arrays whose sizes differ from batch to batch leave gaps, of which there are more the longer a process runs.
    """
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        if hasattr(library, "malloc_trim"):
            library.malloc_trim(0)
