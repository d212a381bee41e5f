"""What the doctor says of packages that are missing, too old or broken, and of devices that do not compute."""

from __future__ import annotations

import configparser
import contextlib
import importlib.metadata
import json
import subprocess
import sys
import types
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from conftest import assert_one_clear_line
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.version import Version
from typer.testing import CliRunner

from ntkflow import _devices, _packages, cli, doctor
from ntkflow.interop import _torch_devices as torch_devices

MISSING = importlib.metadata.PackageNotFoundError


def run(*words):
    return CliRunner().invoke(cli.app, ["doctor", *words])


def installed(monkeypatch, **versions):
    """Some packages have another version than they have, None: they are missing."""
    real = importlib.metadata.version

    def version(name):
        found = versions.get(name.replace("-", "_"), real)
        if found is None:
            raise MISSING(name)
        return real(name) if found is real else found

    monkeypatch.setattr(importlib.metadata, "version", version)


# --- packages


def test_the_metadata_are_read_as_pip_reads_them():
    core, extras = _packages.requirements()
    groups = {"": core, **{extra.name: extra.packages for extra in extras}}
    found = {(extra, p.name, p.needed) for extra, packages in groups.items() for p in packages}
    lines = [Requirement(line) for line in importlib.metadata.requires("ntkflow")]
    names = importlib.metadata.metadata("ntkflow").get_all("Provides-Extra")
    environments = {name: default_environment() | {"extra": name} for name in ["", *names]}
    expected = {
        (extra, line.name, str(line.specifier))
        for extra, environment in environments.items()
        for line in lines
        if (line.marker is None) == (extra == "") and (line.marker is None or line.marker.evaluate(environment))
    }
    assert found == expected
    assert [extra.name for extra in extras] == names


def test_every_extra_says_what_it_adds():
    settings = configparser.ConfigParser()
    settings.read(Path(__file__).parents[1] / "setup.cfg", encoding="utf-8")
    assert set(settings["options.extras_require"]) <= set(_packages.ADDS)


VERSIONS = ["1", "1.0", "1.0.0", "1.0.1", "1.9", "1.10", "1.10.2", "2.0rc1", "2.0.dev3", "2.0a1", "2.0b2", "2", "2.0.1",
            "2.0.post1", "2.0+cpu", "2.13.0+cpu", "v3.1", "10.0", "2025.12"]  # fmt: skip


@pytest.mark.parametrize("found", VERSIONS)
def test_new_enough_is_what_pip_means(found):
    for bound in ("1", "1.0", "1.9", "1.10", "1.10.1", "2.0", "2.0.1", "2.13", "3", "2024.8"):
        assert _packages.fits(found, f">={bound}") == (Version(found) >= Version(bound)), bound
        assert _packages.fits(found, f">={bound},<99") == _packages.fits(found, f">={bound}")


def test_all_is_well_here():
    result = run()
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[0].endswith(": ready")
    for package in _packages.requirements()[0]:
        assert importlib.metadata.version(package.name) in result.stdout
        assert package.needed in result.stdout
    assert all(extra.adds in result.stdout for extra in _packages.requirements()[1])


PATIENTS = {
    "missing": ({"scipy": None}, "scipy is missing"),
    "too old": ({"networkx": "2.8.8"}, "networkx 2.8.8 is not >=3.2"),
    "before the release": ({"numpy": "2.0rc1"}, "numpy 2.0rc1 is not >=2.0"),
    "with a dash": ({"array_api_compat": None}, "array-api-compat is missing"),
    "two at once": ({"rich": None, "typer": "0.1"}, "typer 0.1 is not >=0.20, rich is missing"),
}


@pytest.mark.parametrize("case", PATIENTS)
def test_without_a_required_package_it_fails(case, monkeypatch):
    versions, says = PATIENTS[case]
    installed(monkeypatch, **versions)
    result = run()
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout.splitlines()[0].endswith(f": {says}")
    assert "Devices: not tried" in result.stdout


def test_a_missing_extra_is_no_failure(monkeypatch):
    installed(monkeypatch, slycot=None, pytest="1.0")
    result = run()
    assert result.exit_code == 0
    assert "slycot is missing" in result.stdout
    assert "pytest 1.0 is not >=8" in result.stdout


def test_run_from_a_folder(monkeypatch):
    def nothing(name):
        raise MISSING(name)

    monkeypatch.setattr(importlib.metadata, "metadata", nothing)
    result = run()
    assert result.exit_code == 1
    assert "ntkflow is not installed, only its folder is used: pip install ." in result.stdout


@pytest.mark.parametrize("words", [[], ["--json"], ["--format", "markdown"]])
@pytest.mark.parametrize("package", ["numpy", "rich", "sympy", "array_api_compat"])
def test_it_answers_where_the_package_cannot_be_imported(package, words):
    code = f"""
import importlib.metadata, sys
sys.modules[{package!r}] = None
real = importlib.metadata.version
def version(name):
    if name == {package.replace("_", "-")!r}:
        raise importlib.metadata.PackageNotFoundError(name)
    return real(name)
importlib.metadata.version = version
from ntkflow.cli import main; main()
"""
    found = subprocess.run([sys.executable, "-c", code, "doctor", *words], capture_output=True, text=True, timeout=120)
    assert (found.returncode, found.stderr) == (1, "")
    assert f"{package.replace('_', '-')} is missing" in found.stdout


def test_a_required_package_that_is_broken():
    code = """
import sys
sys.modules["numpy"] = None
from ntkflow.cli import main; main()
"""
    found = subprocess.run([sys.executable, "-c", code, "doctor"], capture_output=True, text=True, timeout=120)
    assert (found.returncode, found.stderr) == (1, "")
    assert "a required package does not load: " in found.stdout.splitlines()[0]


def test_asking_loads_nothing_before_it_is_asked():
    code = "import sys, ntkflow, ntkflow.doctor; print(sorted({'numpy', 'torch', 'cupy', 'rich'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_formats(tmp_path):
    found = asdict(doctor.examine())
    for words in (["--json"], ["--format", "json"]):
        record = json.loads(run(*words).stdout)
        assert record["doctor"] == json.loads(json.dumps(found))
    assert "| numpy | >=2.0 |" in run("--format", "markdown").stdout
    assert r"\begin{tabular}" in run("--format", "latex").stdout
    assert run("--json", "-o", str(tmp_path / "found.json")).exit_code == 0
    assert json.loads((tmp_path / "found.json").read_text())["doctor"]["ready"] is True
    refused = run("--format", "jsn")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "did you mean 'json'" in refused.stderr


# --- devices


def test_the_cpu_computes():
    device = _devices.cpu()
    assert device.usable
    assert device.facts["blas"] in device.says
    assert device.facts["threads"] == 1  # as the session's fixture has set it


def test_the_cpu_without_threadpoolctl(monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    built = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    assert _devices.cpu().facts["blas"] == f"{built['name']} {built['version']}"


def test_a_cpu_that_does_not_compute(monkeypatch):
    monkeypatch.setattr(_devices, "svd", lambda A: (A, np.full(len(A), np.nan), A))
    result = run()
    assert result.exit_code == 1
    assert "NumPy does not compute: computes singular values wrongly" in result.stdout.splitlines()[0]


WRONG = {
    "products": lambda n: np.ones((n, n)) * (1 + 1e-9),
    "singular values": lambda n: np.ones((n, n)) + np.eye(n),
    "exponentials": lambda n: np.ones((n, n)) * 1.5,
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_answers_are_noticed(what):
    device = _devices.tried("CuPy", "GPU", "fine", {}, lambda: WRONG[what](_devices.SIZE))
    assert not device.usable
    assert what in device.says


class Runtime:
    """CUDA's runtime as far as it is asked; counting or describing may fail."""

    def __init__(self, count=1, no_count="", no_properties=""):
        self.count, self.no_count, self.no_properties = count, no_count, no_properties

    def getDeviceCount(self):
        if self.no_count:
            raise RuntimeError(self.no_count)
        return self.count

    def getDeviceProperties(self, index):
        if self.no_properties:
            raise RuntimeError(self.no_properties)
        return {"name": b"NVIDIA H100 80GB HBM3", "totalGlobalMem": 80 * 2**30, "major": 9, "minor": 0, "index": index}

    def driverGetVersion(self):
        return 12040

    def runtimeGetVersion(self):
        return 13010


class FakeCupy(types.ModuleType):
    """A CuPy whose arrays are NumPy's; ``ones`` is asked on which GPU it is."""

    __version__ = "13.9.9"
    ndarray = type("ndarray", (), {})  # what array_api_compat looks at

    def __init__(self, runtime, ones=lambda shape, gpu: np.ones(shape)):
        super().__init__("cupy")
        self.current = 0
        self.cuda = types.SimpleNamespace(runtime=runtime, Device=self.on)
        self.ones = lambda shape: ones(shape, self.current)

    @contextlib.contextmanager
    def on(self, index):
        self.current = index
        yield
        self.current = 0


INSUFFICIENT = "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version"
NO_GPU = {
    "no driver": (Runtime(no_count=INSUFFICIENT), INSUFFICIENT),
    "no GPU": (Runtime(no_count="cudaErrorNoDevice: no CUDA-capable device is detected"), "cudaErrorNoDevice: no CUDA"),
    "several lines": (Runtime(no_count="libcuda.so.1:\n  cannot open\n"), "libcuda.so.1: cannot open"),
    "a novel": (Runtime(no_count="so it began " * 99), "so it began so it began"),
    "none counted": (Runtime(0), "CuPy finds no GPU"),
    "no properties": (Runtime(no_properties="cudaErrorUnknown: unknown error"), "cudaErrorUnknown: unknown error"),
}


@pytest.mark.parametrize("case", NO_GPU)
def test_a_gpu_that_cannot_be_reached(case, monkeypatch):
    runtime, says = NO_GPU[case]
    monkeypatch.setitem(sys.modules, "cupy", FakeCupy(runtime))
    (device,) = _devices.gpus()
    assert not device.usable
    assert device.says.startswith(says)
    assert len(device.says.splitlines()[0]) == len(device.says) <= _devices.LONGEST
    result = run()
    assert (result.exit_code, device.says in result.stdout) == (0, True)  # ntkflow itself works
    assert_one_clear_line(lambda: doctor.place("cupy"), says)


def test_gpus_are_named_and_tried(monkeypatch):
    def ones(shape, gpu):
        if gpu == 1:
            raise RuntimeError("cudaErrorMemoryAllocation: out of memory")
        return np.ones(shape) * (3.0 if gpu == 2 else 1.0)

    monkeypatch.setitem(sys.modules, "cupy", FakeCupy(Runtime(3), ones))
    good, full, wrong = _devices.gpus()
    assert (good.usable, full.usable, wrong.usable) == (True, False, False)
    assert [gpu.name for gpu in (good, full, wrong)] == [f"{i}: NVIDIA H100 80GB HBM3" for i in range(3)]
    words = "80.0 GiB, compute capability 9.0, driver for CUDA 12.4, runtime 13.1, CuPy 13.9.9"
    assert good.says == words
    assert full.says == "cudaErrorMemoryAllocation: out of memory"
    assert wrong.says.startswith("computes products")
    assert words in run().stdout


def test_without_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    (device,) = _devices.gpus()
    assert device.says == "not installed: pip install 'ntkflow[cuda12]'"
    assert_one_clear_line(lambda: doctor.place("cupy"), "pip install 'ntkflow[cuda12]'")


def test_a_cupy_that_does_not_load(tmp_path, monkeypatch):
    """CuPy wraps what went wrong in a page of advice; the first cause is what helps."""
    (tmp_path / "cupy.py").write_text(
        "try:\n    raise OSError('libnvrtc.so.12: cannot open shared object file')\n"
        "except OSError as cause:\n    raise ImportError('Failed to import CuPy.\\n\\nAdvice') from cause\n"
    )
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    (device,) = _devices.gpus()
    assert device.says == "libnvrtc.so.12: cannot open shared object file"


def test_a_package_that_cupy_lacks(tmp_path, monkeypatch):
    (tmp_path / "cupy.py").write_text("import no_such_backend\n")
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    assert _devices.gpus()[0].says == "No module named 'no_such_backend'"


def test_without_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (device,) = torch_devices.devices()
    assert device.says == "not installed: pip install 'ntkflow[torch]'"
    assert_one_clear_line(lambda: doctor.place("torch"), "pip install 'ntkflow[torch]'")


class TestTorch:
    @pytest.fixture(autouse=True)
    def _torch(self):
        self.torch = pytest.importorskip("torch")

    def test_the_cpu(self):
        cpu, *_ = torch_devices.devices()
        assert (cpu.usable, cpu.name) == (True, "CPU")
        assert self.torch.__version__ in cpu.says

    def test_no_driver(self, monkeypatch):
        def init():
            raise RuntimeError("Found no NVIDIA driver on your system.\nPlease check")

        monkeypatch.setattr(self.torch.cuda, "init", init)
        _, gpu = torch_devices.devices()
        assert (gpu.usable, gpu.says) == (False, "Found no NVIDIA driver on your system. Please check")
        assert_one_clear_line(lambda: doctor.place("torch"), "Found no NVIDIA driver")

    def test_a_gpu_that_is_there_but_cannot_be_used(self, monkeypatch):
        found = types.SimpleNamespace(name="NVIDIA H100", total_memory=80 * 2**30, major=9, minor=0)
        monkeypatch.setattr(self.torch.cuda, "init", lambda: None)
        monkeypatch.setattr(self.torch.cuda, "device_count", lambda: 1)
        monkeypatch.setattr(self.torch.cuda, "get_device_properties", lambda index: found)
        _, gpu = torch_devices.devices()
        if not self.torch.cuda.is_available():  # its matrix cannot be made here
            assert not gpu.usable
            assert "\n" not in gpu.says
        assert (gpu.name, gpu.facts["memory_GiB"], gpu.facts["compute_capability"]) == ("0: NVIDIA H100", 80.0, "9.0")


# --- a namespace by its name


def test_numpy_by_name():
    xp, device = doctor.place("NumPy")
    assert (type(xp.asarray([1.0], device=device)), device) == (np.ndarray, "cpu")


def test_a_name_that_is_none():
    assert_one_clear_line(lambda: doctor.place("cuppy"), "did you mean 'cupy'")
    assert_one_clear_line(lambda: doctor.place(None), "library")
