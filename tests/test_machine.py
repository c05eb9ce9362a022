import pytest

from eurosat_lib import stages
from eurosat_lib.stages import files
from eurosat_lib.stages.machine import processor

CPUINFO = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 17
model name\t: AMD EPYC
stepping\t: 1

processor\t: 1
vendor_id\t: AuthenticAMD
cpu family\t: 26
model\t\t: 2
"""


def test_a_processor_is_known_by_more_than_its_name(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text(CPUINFO)
    assert processor(path) == "AuthenticAMD family 25 model 17 stepping 1"


def test_without_cpuinfo_the_system_names_the_processor(tmp_path):
    assert processor(tmp_path / "none")


@pytest.mark.parametrize("entry", ["device", "precision", "processor"])
def test_times_compare_on_one_machine_only(on_blobs, entry):
    results = [stages.compute_baselines(on_blobs), stages.test_model(on_blobs)]
    assert stages.same_machine(on_blobs, *results, None)
    path = on_blobs.paths.artifacts / "results" / "test_model.json"
    tree = files.read_json(path)
    del tree["provenance"][entry]  # as an older version left it
    files.write_json(path, tree)
    assert not stages.same_machine(on_blobs, *results, None)
    assert stages.same_machine(on_blobs, results[0], None)
