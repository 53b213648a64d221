"""One process at a time on a folder, whoever it belongs to and however it ends."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.base import locks
from bench.base.errors import BenchError
from bench.base.locks import locked

ROOT = Path(__file__).parents[2]
NOBODY = 65534
HOLD = """
import sys, time
from pathlib import Path
from bench.base.locks import locked
with locked(Path(sys.argv[1]), "it"):
    print("held", flush=True)
    time.sleep(60)
"""


def as_nobody(folder: Path) -> str:
    """What another user meets who locks the folder: the message, or nothing."""
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        with locked(folder, "it"):
            return ""
    except BenchError as error:
        return str(error)
    finally:
        os.seteuid(0)
        os.setegid(0)


def test_a_lock_that_is_waited_for_passes_on_once_and_leaves_no_file(tmp_path: Path) -> None:
    turns: list[int] = []

    def take(number: int) -> None:
        with locked(tmp_path / "state", "this run", wait=True):
            turns.append(number)
            time.sleep(0.1)
            turns.append(number)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(turns[::2]) == [0, 1, 2]
    assert turns[::2] == turns[1::2]  # one after another
    assert list((tmp_path / "state").iterdir()) == []


def test_a_lock_is_exclusive_and_names_its_holder(tmp_path: Path) -> None:
    with locked(tmp_path / "state", "this run"):
        with (
            pytest.raises(
                BenchError, match=rf"is working on this run \(process {os.getpid()} of \S+ on \S+\)"
            ),
            locked(tmp_path / "state", "this run"),
        ):
            pass
        command = ["flock", "--nonblock", str(tmp_path / "state" / ".lock"), "true"]
        assert subprocess.run(command, check=False).returncode == 1
    with locked(tmp_path / "state", "this run"):
        pass


def test_a_holder_that_is_killed_frees_its_lock(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BenchError, match=f"process {holder.pid} of"), locked(tmp_path, "it"):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert (tmp_path / ".lock").exists()
        with locked(tmp_path, "it") as waited:
            assert not waited
    assert not (tmp_path / ".lock").exists()


def test_a_user_without_a_name_is_told_by_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr("getpass.getuser", nameless)
    said = rf"of user {os.getuid()} on"
    with locked(tmp_path, "it"), pytest.raises(BenchError, match=said), locked(tmp_path, "it"):
        pass


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder like /tmp, below folders that anyone may enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o1777)
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may be another user")
def test_a_free_lock_of_another_user_does_not_block(shared: Path) -> None:
    (shared / ".lock").touch()
    (shared / ".lock").chmod(0o644)
    assert as_nobody(shared) == ""
    with locked(shared, "it"):
        assert f"another process is working on it (process {os.getpid()} of" in as_nobody(shared)
    (shared / ".lock").touch()
    (shared / ".lock").chmod(0o600)  # may not even be read
    assert "cannot write .lock: Permission denied" in as_nobody(shared)


def test_a_lock_that_cannot_be_written_is_locked_by_reading(tmp_path: Path) -> None:
    """As a user meets that of another one; to root it is a file like any other."""
    (tmp_path / ".lock").touch(0o444)
    with locked(tmp_path, "it"), pytest.raises(BenchError, match="another process"), locked(tmp_path, "it"):
        pass


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_the_file_may_be_locked_by_any_user(umask: int, tmp_path: Path) -> None:
    old = os.umask(umask)
    try:
        with locked(tmp_path, "it"):
            assert (tmp_path / ".lock").stat().st_mode & 0o777 == 0o666
    finally:
        os.umask(old)


def test_a_disk_without_locks_and_a_file_in_the_way_are_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "a", tmp_path / "file" / "deep" / "a"):
        with pytest.raises(BenchError, match=r"cannot write \.lock"), locked(path, "a run"):
            pass

    def refuse(*_: object, **__: object) -> bool:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(locks, "lock_descriptor", refuse)
    with (
        pytest.raises(BenchError, match="files cannot be locked on this disk") as caught,
        locked(tmp_path, "a run"),
    ):
        pass
    assert caught.value.where == tmp_path
