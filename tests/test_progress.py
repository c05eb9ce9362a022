"""Progress: what the file says, what a console shows, what tqdm is told."""

import ast
import io
import json
import os
import subprocess
import sys

import pytest
from settings import ROOT

from eurosat_lib.progress import FILE_VARIABLE, Display, Pace, announce, duration, progress
from eurosat_lib.progress.sinks import FileSink, JupyterSink
from eurosat_lib.progress.words import in_french


class Terminal(io.StringIO):
    def isatty(self):
        return True


def event(kind, time, key="1", label="grid", done=0, total=4, unit="trials", note=""):
    names = ("event", "time", "key", "label", "done", "total", "unit", "note")
    return dict(zip(names, (kind, time, key, label, done, total, unit, note), strict=True))


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "progress.jsonl"
    monkeypatch.setenv(FILE_VARIABLE, str(path))
    return path


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_file_tells_start_steps_and_end(file, capsys):
    announce("données synthétiques")
    with progress("grid", 2, "trials") as outer:
        with progress("training", 1, "epochs") as inner:
            inner.advance()
        outer.advance(2, note="val 81.2 %")
    events = read(file)
    kinds = [e["event"] for e in events]
    assert kinds == ["announce", "start", "start", "advance", "end", "advance", "end"]
    assert events[0]["text"] == "données synthétiques"
    assert (events[-1]["done"], events[-1]["total"], events[-1]["note"]) == (2, 2, "val 81.2 %")
    assert capsys.readouterr() == ("", "")


def test_file_ends_the_bar_of_work_that_fails(file):
    with pytest.raises(ZeroDivisionError), progress("grid", 2, "trials"):
        _ = 1 / 0
    assert [e["event"] for e in read(file)] == ["start", "end"]


def test_file_is_spared_many_quick_steps(tmp_path):
    sink = FileSink(str(tmp_path / "p.jsonl"))
    for i in range(1, 1001):
        sink.feed(event("advance", 100 + i / 1000, done=i, total=1000))
    events = read(tmp_path / "p.jsonl")
    assert 5 <= len(events) <= 7
    assert events[-1]["done"] == 1000


def test_file_that_cannot_be_written_does_not_stop_the_work(monkeypatch):
    monkeypatch.setenv(FILE_VARIABLE, "/nowhere/at/all")
    with progress("grid", 1, "trials") as bar:
        bar.advance()
    assert bar.done == 1


def test_log_gets_a_line_now_and_then_with_time_left():
    stream = io.StringIO()
    display = Display(stream, interval=10)
    display.feed(event("start", 100.0))
    display.feed(event("advance", 105.0, done=1))
    assert stream.getvalue() == ""
    display.feed(event("advance", 110.0, done=2, note="val 80 %"))
    assert stream.getvalue() == "grid 2/4 trials · 10 s · about 10 s left · val 80 %\n"
    display.refresh(125.0)
    assert stream.getvalue().splitlines()[1] == "grid 2/4 trials · 25 s · val 80 %"
    display.feed(event("end", 126.0, done=4, note="val 83 %"))
    assert stream.getvalue().splitlines()[2] == "grid 4/4 trials · took 26 s · val 83 %"


def test_time_left_counts_the_running_step():
    stream = io.StringIO()
    display = Display(stream, interval=10)
    display.feed(event("start", 0.0))
    display.feed(event("start", 0.0, key="2", label="training", total=5, unit="epochs"))
    inner = event(
        "advance", 10.0, "2", "training", done=2, total=5, unit="epochs", note="val 70 %"
    )
    display.feed(inner)  # 2/5 of a quarter: a tenth of all, in 10 s
    line = "grid 0/4 trials · 10 s · about 1 min 30 s left · training 2/5 epochs · val 70 %\n"
    assert stream.getvalue() == line


def test_terminal_rewrites_one_line(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    terminal = Terminal()
    display = Display(terminal)
    display.feed(event("start", 100.0))
    display.feed(event("advance", 101.0, done=1, note="val 80 %"))
    display.say("a line of its own")
    assert terminal.getvalue() == "\r\x1b[2Kgrid 1/4 trials · 1\r\x1b[2Ka line of its own\n"


def test_jupyter_moves_a_tqdm_bar(monkeypatch):
    calls = []

    class Bar:
        def __init__(self, **options):
            calls.append(options)
            self.n = 0

        def update(self, n):
            self.n += n
            calls.append((n, self.told))

        def refresh(self):
            calls.append("refresh")

        def close(self):
            calls.append("close")

    monkeypatch.setattr("tqdm.auto.tqdm", Bar)
    sink = JupyterSink()
    sink.feed(event("start", 0.0, label="Final training", unit="images"))
    sink.feed(event("advance", 6.0, done=3, note="epoch 1, val 80.5%", unit="images"))
    sink.feed(event("end", 70.0, done=4, unit="images"))
    options = calls.pop(0)
    assert (options["total"], options["leave"]) == (4, True)
    assert options["desc"].split() == ["Entraînement", "final", ":"]
    (first, moved), (second, ended) = calls[:2]
    assert (first, second, calls[2:]) == (3, 1, ["refresh", "close"])
    words = "3 / 4 images · 6 s · encore environ 2 s · époque 1, val 80,5\u202f%"
    assert moved.replace("\N{NO-BREAK SPACE}", " ") == words
    assert ended.replace("\N{NO-BREAK SPACE}", " ") == "4 / 4 images · 1 min 10 s"


def test_steps_of_an_earlier_run_do_not_count_in_the_pace():
    pace, stream = Pace(event("start", 100.0)), io.StringIO()
    display = Display(stream, interval=10)
    display.feed(event("start", 100.0, total=10))
    resumed = event("advance", 100.2, done=4, total=10)
    pace.hear(resumed)
    display.feed(resumed)
    assert pace.left(resumed) is None
    later = event("advance", 110.2, done=6, total=10)
    pace.hear(later)
    display.feed(later)
    assert pace.left(later) == pytest.approx(20)  # two steps in ten seconds, four to go
    assert stream.getvalue() == "grid 6/10 trials · 10 s · about 20 s left\n"


def calls_of(*names):
    """List the first arguments, if written out, of the calls to functions of these names."""
    for path in (ROOT / "eurosat_lib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in names:
                words = [a for a in node.args[:1] if isinstance(a, ast.Constant)]
                yield from (word.value for word in words)


def test_every_label_is_said_in_french():
    labels = {*calls_of("progress", "train_all"), "Grid search", "Refined grid search"}
    assert len(labels) >= 9
    assert [label for label in sorted(labels) if in_french(label) == label] == []


@pytest.mark.parametrize(
    ("english", "french"),
    [
        ("going on after epoch 4 of 14", "Reprise après l’époque 4 sur 14."),
        ("3 of 8, epoch 2, val 5.4%", "3 sur 8, époque 2, val 5,4\u202f%"),
        ("3 of 8, val 65.4%", "3 sur 8, val 65,4\u202f%"),
        ("loss 0.0312", "perte 0,0312"),
        ("epoch", "époques"),
        ("unheard of", "unheard of"),
    ],
)
def test_notes_are_said_in_french(english, french):
    assert in_french(english) == french


def test_console_is_standard_error(tmp_path):
    code = "from eurosat_lib.progress import *\nwith progress('a', 1, 'b') as bar: bar.advance()"
    environment = {k: v for k, v in os.environ.items() if k != FILE_VARIABLE}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("", "a 1/1 b · took 0.0 s\n")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0.42, "0.4 s"),
        (3.27, "3.3 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (70, "1 min 10 s"),
        (7500, "2 h 05 min"),
        (9956, "2 h 46 min"),  # as the French report rounds it
        (7199, "2 h 00 min"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text
