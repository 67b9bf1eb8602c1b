"""Putting a directory that is whole in its place, so that readers and crashes see the old one or the new.

What belongs here: temporary siblings, the switch, and what killed processes left. What does not: what stands
in the directory (``repository``).
"""

from __future__ import annotations

import ctypes
import errno
import glob
import os
import shutil
import sys
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.errors import InputError

_HERE = -100
"""AT_FDCWD: paths are relative to the working directory."""

_EXCHANGE = 2
"""RENAME_EXCHANGE of Linux, and RENAME_SWAP of macOS."""

_UNKNOWN = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)
"""What a kernel or file system answers that cannot exchange two names."""


def building_place(directory: Path) -> Path:
    """A new, empty sibling to build in; what killed processes left beside ``directory`` is cleared before."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(directory)
    building = directory.with_name(f".{directory.name}.partial-{os.getpid()}")
    building.mkdir()
    return building


def put_in_place(building: Path, directory: Path, *, replace: bool) -> None:
    """Bring ``building`` to the disk and give it its name; a standing directory goes, where ``replace``.

    Raises ``InputError`` where a directory with content has appeared meanwhile and may not be replaced.
    """
    _synchronise(building)
    if not (replace and directory.exists()):
        try:
            building.rename(directory)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            raise InputError(
                f"Exporting: {directory} was made by another process meanwhile; nothing was replaced; "
                "name another directory, or pass --overwrite."
            ) from error
    elif exchange(building, directory):
        shutil.rmtree(building)
    else:
        _step_aside(building, directory)


def exchange(one: Path, other: Path) -> bool:
    """Let two names change places in one instant; false where this system cannot.

    Linux: renameat2(2); macOS: renamex_np(2). Raises ``OSError`` as a rename does.
    """
    call = _exchanging()
    if call is None:
        return False
    if call(os.fsencode(one), os.fsencode(other)) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNKNOWN:
        return False
    raise OSError(code, os.strerror(code), str(one), None, str(other))


@cache
def _exchanging() -> Any:
    """The C library's call, or None."""
    library = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "darwin" and hasattr(library, "renamex_np"):
        return lambda one, other: library.renamex_np(one, other, ctypes.c_uint(_EXCHANGE))
    if sys.platform.startswith("linux") and hasattr(library, "renameat2"):
        return lambda one, other: library.renameat2(
            ctypes.c_int(_HERE), one, ctypes.c_int(_HERE), other, ctypes.c_uint(_EXCHANGE)
        )
    return None


def _step_aside(building: Path, directory: Path) -> None:
    """Two renames, for systems without an exchange: between them the name is free, and a process that is
    killed right there leaves the old directory beside it, from where the next export brings it back.
    """
    aside = directory.with_name(f".{directory.name}.replaced-{os.getpid()}")
    directory.rename(aside)
    building.rename(directory)
    shutil.rmtree(aside)


def _synchronise(building: Path) -> None:
    """Bring everything to the disk before it gets its name."""
    for path in [*building.rglob("*"), building, building.parent]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _clear_leftovers(directory: Path) -> None:
    """Remove what exports that were killed left behind; a directory that stepped aside returns where none
    stands.
    """
    for leftover in sorted(directory.parent.glob(f".{glob.escape(directory.name)}.*-*")):
        state, _, process = leftover.name.removeprefix(f".{directory.name}.").partition("-")
        if state not in ("partial", "replaced") or not process.isdigit() or _alive(int(process)):
            continue
        if state == "replaced" and not directory.exists():
            leftover.rename(directory)
        else:
            shutil.rmtree(leftover)


def _alive(process: int) -> bool:
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
