"""Command line of the report: ``python -m eurosat_lib.report build`` and the reruns."""

import signal
import sys

INTERRUPTED = (
    "interrupted: finished notebooks and stages are kept; the same command goes on from there"
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 130 if it was stopped, else as `commands.run`."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup sets it
            signal.signal(number, signal.default_int_handler)
    try:
        from eurosat_lib.report.commands import run  # takes a while

        return run(arguments)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print(INTERRUPTED, file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
