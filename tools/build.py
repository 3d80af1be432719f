"""Builds sdist and wheel into dist/, and uses the wheel as somebody would who has nothing else of rnnlab; `make build`.

The wheel is installed in a new venv in a temporary folder, away from this repository. What it depends on is not
downloaded once more: a .pth file lends the new venv the site-packages of the Python that runs this. Python reads no
.pth file in a folder that is lent so, so that an editable install of rnnlab there is not in the way.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parent.parent
DIST = ROOT / "dist"
# What must be in the wheel beside the modules.
DATA = {"py.typed", "config/starter.yaml", "report/page/page.html", "report/page/page.css", "report/page/page.js"}
# What must be in the sdist: the tests can be run from it.
IN_SDIST = {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "Makefile", "constraints.txt"}
IN_SDIST |= {"tests/conftest.py", "configs/demo.yaml", "docs/generate.py", "benchmarks/run.py"}
IGNORED = {"__pycache__", ".DS_Store"}


def main() -> None:
    """Build, look at what was built, install it and use it; the first thing that is wrong ends it."""
    shutil.rmtree(DIST, ignore_errors=True)
    call(sys.executable, "-m", "build", "--no-isolation", "--outdir", DIST, ROOT)
    (sdist,), (wheel,) = DIST.glob("*.tar.gz"), DIST.glob("*.whl")
    check_sdist(sdist)
    check_wheel(wheel)
    with tempfile.TemporaryDirectory(prefix="rnnlab-") as temporary:
        folder = Path(temporary).resolve()
        use(install(wheel, folder / "venv"), folder)
    print(f"{wheel.relative_to(ROOT)} and {sdist.relative_to(ROOT)} are built, and the wheel works")


def check_sdist(sdist: Path) -> None:
    """The sdist has what is needed to build and to test."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    demand(names >= IN_SDIST, f"{sdist.name} lacks {sorted(IN_SDIST - names)}")


def check_wheel(wheel: Path) -> None:
    """The wheel has every file of the package, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = ROOT / "rnnlab"
    files = {path.relative_to(ROOT).as_posix() for path in package.rglob("*") if path.is_file()}
    files = {name for name in files if not IGNORED & set(name.split("/"))}
    files |= {f"rnnlab/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "configs").iterdir()}
    needed = {f"rnnlab/{name}" for name in DATA}
    demand(files >= needed, f"rnnlab/ lacks {sorted(needed - files)}")
    demand(names == files, f"{wheel.name} and rnnlab/ differ in {sorted(names ^ files)}")


def install(wheel: Path, venv: Path) -> Path:
    """Install the wheel in a new venv at this path; the folder of its commands."""
    call(sys.executable, "-m", "venv", venv)
    commands = venv / "bin"
    pip = (commands / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    call(*pip, "--no-index", "--no-deps", wheel)
    (packages,) = venv.glob("lib/python*/site-packages")
    lent = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    (packages / "lent.pth").write_text("".join(f"{path}\n" for path in sorted(lent)), encoding="utf-8")
    return commands


def use(commands: Path, folder: Path) -> None:
    """From `rnnlab --version` to a report, in this folder."""
    rnnlab = str(commands / "rnnlab")
    where = ask(commands / "python", "-c", "import rnnlab; print(rnnlab.__file__)", folder=folder)
    demand(where.startswith(f"{commands.parent}/"), f"rnnlab comes from {where}, not from the wheel")
    version = ask(
        commands / "python", "-c", "from importlib.metadata import version; print(version('rnnlab'))", folder=folder
    )
    said = ask(rnnlab, "--version", folder=folder)
    demand(version in said, f"rnnlab --version says {said!r}, the wheel's metadata {version}")
    demand("lstm" in ask(rnnlab, "list", folder=folder), "rnnlab list names no lstm")
    starter = ask(rnnlab, "new", "-", folder=folder)
    ask(rnnlab, "validate", "-", folder=folder, given=starter)
    demand("sweep_demo (sweep;" in ask(rnnlab, "configs", folder=folder), "rnnlab configs names no sweep_demo")
    ask(rnnlab, "new", "--from", "sweep_demo", folder=folder)
    ask(rnnlab, "sweep", "--config", "sweep_demo.yaml", "--dry-run", folder=folder)
    (folder / "experiment.yaml").write_text(starter, encoding="utf-8")
    small = [word for change in ("train.updates=5", "train.evaluate_size=8") for word in ("--set", change)]
    run = ask(rnnlab, "train", "--config", "experiment.yaml", *small, "--name", "smoke", "--json", folder=folder)
    demand(json.loads(run)["status"] == "completed", f"rnnlab train says {run}")
    report = ask(rnnlab, "report", "runs", folder=folder)
    demand("1 run" in report, f"rnnlab report says {report}")
    if all(find_spec(name) for name in ("jinja2", "plotly")):
        ask(rnnlab, "report", "runs", "--html", "report.html", folder=folder)
        page = (folder / "report.html").read_text(encoding="utf-8")
        demand("</html>" in page and "smoke" in page, "the page of the report has no run in it")
    else:
        print("the page of a report was not tried: the extra `report` is not installed", file=sys.stderr)


def ask(*command: str | Path, folder: Path, given: str = "") -> str:
    """What a command prints to stdout, run in this folder with nothing on PYTHONPATH."""
    print("$", " ".join(Path(word).name if Path(word).is_absolute() else str(word) for word in command), flush=True)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(
        command, cwd=folder, env=environment, input=given, stdout=subprocess.PIPE, encoding="utf-8", check=False
    )
    demand(done.returncode == 0, f"it ended with {done.returncode}")
    return done.stdout.strip()


def call(*command: str | Path) -> None:
    """Run a command, and end where it fails."""
    demand(subprocess.run(command, check=False).returncode == 0, f"{command} failed")


def demand(holds: bool, complaint: str) -> None:
    """End with this complaint where it does not hold."""
    if not holds:
        sys.exit(f"build: {complaint}")


if __name__ == "__main__":
    main()
