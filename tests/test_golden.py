"""The part of the golden record that costs seconds: pixels, weights and figures, to the bit."""

import json
import os
from argparse import Namespace
from pathlib import Path

import golden
import pytest
from settings import ROOT

RECORD = json.loads((ROOT / "tests/golden.json").read_text(encoding="utf-8"))

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif("EUROSAT_DATA" not in os.environ, reason="EUROSAT_DATA is not set"),
]


@pytest.fixture(scope="module")
def options(tmp_path_factory) -> Namespace:
    """The cut of real images that the record was made on."""
    work = tmp_path_factory.mktemp("golden") / "work"
    data = Path(os.environ["EUROSAT_DATA"])
    if not list(data.glob("data/train-*.parquet")):
        pytest.skip("the record was made from the parquet files")
    golden.cut(data, work)
    return Namespace(work=work, code=ROOT, data=data, splits=work / "lists")


def test_pixels_labels_and_names_are_those_of_the_record(options):
    assert golden.compute(options, "main", "data", "", "") == as_stored("data, cut")


@pytest.mark.skipif(golden.machine() != RECORD["machine"], reason="bits differ between machines")
def test_a_training_is_that_of_the_record_to_the_bit(options):
    settings = f"{golden.TWO} {golden.FULL}"
    found = golden.compute(options, "main", "train", "history.csv best.ckpt", settings)
    found, stored = (golden.leaves(tree) for tree in (found, as_stored("train, 2 blocks")))
    assert {key: found.get(key) for key in stored} == stored


def as_stored(section: str) -> dict:
    """Return a section of the record."""
    return RECORD[section]
