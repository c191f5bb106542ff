"""The Python example of the README runs as pasted."""

from pathlib import Path
import re
import subprocess
import sys

import pytest

from robot_perception.viewer import write_picture
from robot_perception.world import render

README = Path(__file__).parents[1] / 'README.md'


@pytest.mark.slow
def test_the_python_example_runs_as_pasted(tmp_path):
    frame = render(900_000, (240, 320))
    write_picture(frame.image.rgb, tmp_path / 'photo.png')
    (code,) = re.findall(r'```python\n(.*?)```', README.read_text(encoding='utf-8'), re.DOTALL)
    subprocess.run([sys.executable, '-c', code], check=True, cwd=tmp_path)
