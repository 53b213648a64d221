"""On which device a job computes, where there are several, and whether others compute there meanwhile.

A job takes a place on a device, and gives it back when it ends. A device has one place, so that jobs take their turn
there, and many where several workers passed its self-check.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from bench.base.device import named_device
from bench.base.locks import locked_one
from bench.training.passed import WORKERS, is_checked, kept
from bench.training.self_check import ensured

MANY = 64  # places of a device that several may use at once


def workers_of(name: str) -> tuple[int, str]:
    """How many processes may compute at once on the devices of a ``name``, and why no more, or an empty text.

    A device without a kept self-check is checked first.
    """
    devices = devices_of(name)
    checked = [ensured(str(device)) for device in devices]
    against = [why for one in checked for why in one.why(WORKERS)]
    return (len(devices), "; ".join(dict.fromkeys(against))) if against else (MANY * len(devices), "")


def devices_of(name: str) -> list[torch.device]:
    """The devices that a name stands for: all CUDA devices that this process sees for ``cuda``, else the named one."""
    device = named_device(name)
    if device.type != "cuda" or device.index is not None:
        return [device]
    return [torch.device("cuda", number) for number in range(torch.cuda.device_count())]


@contextlib.contextmanager
def place_on(name: str) -> Iterator[str]:
    """The name of a device with a place for this process, as long as the body runs: of those that ``name`` stands for.

    Waits until there is one, and takes the least used. Places count the processes of one user on one machine. On
    devices that are not checked, as the CPU, there is room for all.
    """
    devices = devices_of(name)
    if not is_checked(devices[0]):
        yield str(devices[0])
        return
    folders = {str(device): _folder(device) for device in devices}

    def places() -> Iterator[Path]:
        shared = [device for device in devices if kept(device).allows(WORKERS)]
        for number in range(MANY):
            yield from (folders[str(one)] / str(number) for one in (shared if number else devices))

    with locked_one(places, f"device {name}") as place:
        yield next(device for device, folder in folders.items() if folder == place.parent)


def _folder(device: torch.device) -> Path:
    """Where the places of a device are: by what tells it from all others, whatever its number is in this process."""
    own = f"latent-text-bench-{os.getuid()}"
    return Path(tempfile.gettempdir()) / own / "places" / identifier(device)


def identifier(device: torch.device) -> str:
    """A name that no other device has."""
    return str(torch.cuda.get_device_properties(device).uuid)
