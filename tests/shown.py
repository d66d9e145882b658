"""The Python that a page of the docs shows, run as it stands."""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]


def blocks(text: str) -> list[str]:
    """The page's blocks of Python."""
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def printed(shown: list[str], folder: pathlib.Path, where: pathlib.Path) -> str:
    """What the blocks print, in a process of their own started in `where`, warnings as errors."""
    program = folder / "shown.py"
    text = "\n".join(["import warnings", "warnings.simplefilter('error')", *shown])
    program.write_text(text, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, str(program)], cwd=where, capture_output=True, text=True, timeout=200,
        env={"PYTHONPATH": str(ROOT), "PATH": os.defpath, "HOME": str(folder),
             "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
