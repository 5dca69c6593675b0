"""The wheel holds all of the package and its configuration, and works where no checkout is."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = {".py", ".yaml", ".csv", ".css", ".html", ".js", ".safetensors"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as site-packages is one, with nothing but the wheel's content."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def elsewhere(installed: Path, folder: Path, *arguments: str) -> str:
    """What ``python ARGUMENTS`` prints in ``folder``, with the installed package before the checkout."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_package_is_found_in_the_parent_folder_of_a_clone_that_has_its_name(tmp_path: Path) -> None:
    """An editable install is one path, so that the clone, which is no package, does not shadow what lies in it."""
    (tmp_path / "nave").symlink_to(ROOT)
    found = elsewhere(tmp_path / "nave", tmp_path, "-c", "import nave; from nave.config import CONF; print(CONF)")
    assert Path(found.strip()) == tmp_path / "nave" / "conf"


def test_the_wheel_holds_every_source_file(wheel: Path) -> None:
    in_wheel = {name for name in zipfile.ZipFile(wheel).namelist() if Path(name).suffix in SOURCES}
    package = {path.relative_to(ROOT).as_posix() for path in (ROOT / "nave").rglob("*") if path.suffix in SOURCES}
    conf = {
        f"nave/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "conf").rglob("*") if path.suffix in SOURCES
    }
    assert in_wheel == package | conf


def test_the_wheel_carries_the_licence(wheel: Path) -> None:
    (licence,) = (name for name in zipfile.ZipFile(wheel).namelist() if name.endswith("licenses/LICENSE"))
    assert zipfile.ZipFile(wheel).read(licence) == (ROOT / "LICENSE").read_bytes()


@pytest.mark.slow  # CI runs all of this file
def test_the_installed_package_composes_every_choice(installed: Path, tmp_path: Path) -> None:
    program = """
import itertools
from hydra import compose, initialize_config_module
from nave.config import CONF, register
register()
for config, groups in {"config": ("model", "data", "composite", "localization"), "train": ("model", "scheme")}.items():
    names = [[f"{group}={path.stem}" for path in sorted((CONF / group).glob("*.yaml"))] for group in groups]
    with initialize_config_module("nave.conf", version_base="1.3"):
        for row in itertools.zip_longest(*names):
            compose(config, overrides=[choice for choice in row if choice])
print(CONF)
"""
    assert Path(elsewhere(installed, tmp_path, "-c", program).strip()) == installed / "nave" / "conf"


@pytest.mark.slow  # CI runs all of this file
def test_an_own_folder_of_models_is_found(installed: Path, tmp_path: Path) -> None:
    model = (ROOT / "conf" / "model" / "resnet_tiny.yaml").read_text()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text(model.replace("name: resnet_tiny", "name: mine"))
    shown = elsewhere(installed, tmp_path, "-m", "nave.run", "--config-dir", ".", "model=mine", "--cfg", "job")
    assert "name: mine" in shown


@pytest.mark.slow
@pytest.mark.parametrize("command", ["nave.run", "nave.train"])
def test_help_and_sweeps_of_the_installed_package(installed: Path, tmp_path: Path, command: str) -> None:
    assert "vits14" in elsewhere(installed, tmp_path, "-m", command, "--help")
    if command == "nave.run":
        few = ["model=efficientnet_lite0", "training=random", "image_size=32", "loader.limit=1", "k=2,3"]
        elsewhere(installed, tmp_path, "-m", command, "-m", *few, f'hydra.sweep.dir="{tmp_path}/sweep"')
        assert len([*tmp_path.glob("sweep/*/k*/maps/*.png")]) == 2
