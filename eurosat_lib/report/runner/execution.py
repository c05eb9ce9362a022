"""Run one notebook with papermill, in a kernel that is this very interpreter."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from eurosat_lib.progress import FILE_VARIABLE
from eurosat_lib.report.runner.failures import explain
from eurosat_lib.report.runner.incremental import PACKAGE
from eurosat_lib.report.runner.parameters import Notebook

POLL = 0.2  # seconds between two looks at the progress
STOP = 15.0  # seconds given to papermill to notice that its kernel has been killed
# Silent: ipykernel warns about its local connection at each start, and of SIGINT when it stops.
KERNEL = ["-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=CRITICAL"]


def execute(
    notebook: Notebook,
    values: Mapping[str, Any],
    output: Path,
    root: Path,
    events: Path,
    tick: Callable[[], None],
) -> None:
    """Execute a notebook into ``output``; kill its kernel when interrupted.

    Args:
        notebook: the source.
        values: parameters to inject.
        output: written as cells are done, also when one fails.
        root: working directory of the kernel.
        events: file for the kernel's progress events.
        tick: called several times a second while the notebook runs.

    Raises:
        UserError: a cell raised one.
        NotebookFailed: a cell failed, or the kernel died.
    """
    job = _Job(notebook, values, output, root, events)
    job.start()
    try:
        while job.is_alive():
            job.join(POLL)
            tick()
    except BaseException:
        job.stop()
        raise
    tick()
    if job.error is not None:
        raise explain(job.error, notebook, output) from job.error


def publish(output: Path, target: Path, root: Path, record: Mapping[str, Any]) -> None:
    """Put an executed notebook in its place at once, with a record of what it was made from."""
    tree = json.loads(output.read_text(encoding="utf-8"))
    tree["metadata"]["eurosat"] = dict(record)
    papermill = tree["metadata"].get("papermill", {})
    for name, path in (("input_path", root / "notebooks" / target.name), ("output_path", target)):
        papermill[name] = os.path.relpath(path, root)
    output.write_text(json.dumps(tree, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    os.replace(output, target)


class _Job(threading.Thread):
    """The thread that papermill blocks, and the kernel it started."""

    def __init__(
        self,
        notebook: Notebook,
        values: Mapping[str, Any],
        output: Path,
        root: Path,
        events: Path,
    ):
        super().__init__(name=f"papermill {notebook.name}", daemon=True)
        self.notebook, self.values, self.output = notebook, dict(values), output
        self.root, self.events = root, events
        self.error: BaseException | None = None
        self.kernel: int | None = None  # process id, leader of its group
        self.stopped = False

    def run(self) -> None:
        """Execute the notebook in this thread; keep the error for whoever waits."""
        try:
            self._execute()
        except BaseException as error:
            self.error = error

    def stop(self) -> None:
        """Kill the kernel and what it started; wait until papermill has let go of its files."""
        self.stopped = True
        if self.kernel is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.kernel, signal.SIGKILL)
        self.join(STOP)

    def _execute(self) -> None:
        import papermill

        papermill.execute_notebook(
            str(self.notebook.path),
            str(self.output),
            parameters=self.values,
            kernel_name="python3",
            progress_bar=False,
            log_output=False,
            kernel_manager_class=_kernel_manager(self),
        )

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """Environment of the kernel: this library and no other, progress into the file."""
        paths = [str(PACKAGE.parent), inherited.get("PYTHONPATH", "")]
        return dict(inherited) | {
            FILE_VARIABLE: str(self.events),
            "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        }


def _kernel_manager(job: _Job) -> type:
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    class ThisInterpreter(AsyncKernelManager):
        """Starts ``sys.executable``, whatever the kernels named python3 on this machine are."""

        @property
        def kernel_spec(self) -> KernelSpec:
            argv = [sys.executable, *KERNEL]
            return KernelSpec(argv=argv, display_name="Python 3", language="python")

        async def _async_launch_kernel(self, kernel_cmd: list[str], **kw: Any) -> None:
            if job.stopped:
                raise RuntimeError("stopped before the kernel was started")
            kw["cwd"] = str(job.root)
            kw["env"] = job.environment(kw.get("env") or os.environ)
            await super()._async_launch_kernel(kernel_cmd, **kw)
            job.kernel = self.provisioner.pid

    return ThisInterpreter
