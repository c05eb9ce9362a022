"""A TensorBoard of one's own, on the loopback address, for as long as it is needed."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from eurosat_lib.errors import UserError

START = 60.0  # seconds that TensorBoard may take to answer
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/")


@contextmanager
def tensorboard(folder: Path) -> Iterator[str]:
    """Start TensorBoard at a folder of runs, on a free port; stop it at the end.

    Yields:
        Its address, ``http://127.0.0.1:<port>/``.

    Raises:
        UserError: it ends before it answers, or does not answer within a minute.
    """
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder)]
    command += ["--host", "127.0.0.1", "--port", "0", "--load_fast", "false"]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace"
    )
    try:
        yield _address(process)
    finally:
        process.terminate()
        process.wait(timeout=10)


def _address(process: subprocess.Popen[str]) -> str:
    """Read what TensorBoard says until it names its address; keep its pipe empty afterwards."""
    said: list[str] = []
    found = threading.Event()
    threading.Thread(target=_listen, args=(process.stderr, said, found), daemon=True).start()
    found.wait(START)
    address = next((m[0] for line in said if (m := ADDRESS.search(line))), None)
    if address is None:
        reason = said[-1].strip() if said else f"no answer within {START:.0f} s"
        raise UserError(f"TensorBoard did not start: {reason}")
    return address


def _listen(pipe: IO[str], said: list[str], found: threading.Event) -> None:
    for line in pipe:
        said.append(line)
        if ADDRESS.search(line):
            found.set()
    found.set()
