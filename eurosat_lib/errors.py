"""What goes wrong, in one line: the user's input, a notebook, the system, a stop by a signal."""

import difflib
import errno
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterable
from tempfile import gettempdir
from typing import NoReturn

STOPPED = "interrupted: what is finished is kept; the same command goes on from there"


class UserError(Exception):
    """The input is wrong: one line that says what, where, and what to do (exit code 2)."""

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows instead of a trace-back: the cause is not in the code."""
        return ["À corriger avant de continuer.", f"Détail : {self}"]


class NotebookFailed(Exception):
    """A cell failed by a bug, or its kernel died; one line, and a note where to look (code 1)."""


class Interrupted(KeyboardInterrupt):
    """A computation was stopped by hand; called again, it goes on from what was finished."""

    def _render_traceback_(self) -> list[str]:
        said = "Calcul arrêté. Ce qui était terminé est gardé : exécuter de nouveau cette cellule "
        return [f"{said}reprend là où il en était."]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``' (did you mean X?)'`` for the closest of ``known``, or an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def one_line(error: BaseException) -> str:
    """Return the kind of an error and what it says, at most 200 characters."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def of_system(error: OSError | MemoryError) -> UserError:
    """Say in one line what the system refuses, of which file, and what to do."""
    if isinstance(error, MemoryError):
        return UserError("memory ran out: close other programs, or take a smaller batch_size")
    place = error.filename2 or error.filename  # where a move was to
    todo = "mend this place, and give the same command again"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        todo = "make room there; the same command goes on from here"
        folders = filter(os.path.exists, ("reports", "artifacts", "runs", gettempdir()))
        fullest = min(folders, key=lambda folder: shutil.disk_usage(folder).free)
        place = place or f"{fullest}, or the output"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        todo = "give the rights to read and write there"
    elif error.errno in (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ELOOP, errno.ENOENT):
        todo = "move away what stands in this place"
    reason = error.strerror or str(error) or type(error).__name__
    return UserError(f"{place or 'memory or output'}: {reason}; {todo}")


def exit_code(command: Callable[[], bool | None]) -> int:
    """Run a command, say in a line what ended it, and return its exit code (docs/RERUNS.md).

    ``False`` from a command is a failure without an error.
    """
    try:
        if hasattr(sys.stdout, "reconfigure"):  # neither closed nor a notebook's
            sys.stdout.reconfigure(errors="replace", line_buffering=True)
        code, said = int(command() is False), ""
    except NotebookFailed as error:
        notes = [f"  {note}\n" for note in getattr(error, "__notes__", ())]
        code, said = 1, "".join([f"error: {error}\n", *notes])
    except (UserError, OSError, MemoryError) as error:
        own = error if isinstance(error, UserError) else of_system(error)
        code, said = 2, f"error: {' '.join(str(own).splitlines())}\n"
    except KeyboardInterrupt as stop:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        number = next((int(number) for number in stop.args if isinstance(number, int)), 2)
        code, said = 128 + number, f"{STOPPED}\n"
    for stream, text in ((sys.stdout, ""), (sys.stderr, said)):
        try:
            print(text, end="", file=stream, flush=True)
        except OSError:  # full, or closed: Python would say so once more at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return code


def stop_at_once() -> None:
    """Let Ctrl-C, unless it is ignored, or too little memory end the imports in a line."""

    def fail(kind: type[BaseException], error: BaseException, trace: object) -> None:
        """Say that memory ran out; anything else as Python says it."""
        if not issubclass(kind, MemoryError) and "failed to map" not in str(error):
            return sys.__excepthook__(kind, error, trace)
        os.write(2, f"error: {of_system(MemoryError())}\n".encode())
        os._exit(2)

    sys.excepthook = fail

    def stop(*_: object) -> None:
        """Say the line and end, whatever is being imported."""
        os.write(2, f"{STOPPED}\n".encode())
        os._exit(130)

    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, stop)


def hear_signals() -> None:
    """Make Ctrl-C, SIGTERM and SIGHUP interrupt a command, unless they are ignored.

    Called after the imports: an interruption within one is lost now and then, as those of numpy
    clear errors.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup sets it
            signal.signal(number, signal.default_int_handler if number == 2 else _stop)


def _stop(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt(number)
