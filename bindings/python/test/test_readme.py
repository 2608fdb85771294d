"""What the README and the users' page show, run as it stands there."""

import re
import sys
from pathlib import Path

import httpx

from apps import App, eventually
from fronts import PATIENCE, Process

ROOT = Path(__file__).resolve().parents[3]


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_readmes_application_behind_the_readmes_configuration(folder, tmp_path):
    (tmp_path / "app.py").write_text(blocks("README.md", "python")[0])
    configuration = tmp_path / "shop.json"
    configuration.write_text(next(b for b in blocks("README.md", "jsonc") if '"shop"' in b))
    app = App(folder / "run", "app:app", "shop", "--app-dir", tmp_path)
    front = Process(folder / "run", "run", "--config", configuration, "--urls", "http://127.0.0.1:0")
    try:
        app.ready()
        port = front.line_after("listening on http://127.0.0.1:")
        response = httpx.get(f"http://127.0.0.1:{port}/shop/hello", timeout=PATIENCE)
        assert response.json() == {"hello": "from the shop"}
    finally:
        front.stop()
        app.stop()


def test_a_program_of_ones_own(folder, queue, tmp_path, plain_web):
    program = next(b for b in blocks("docs/python.md", "python") if "ostler.Queue" in b)
    (tmp_path / "own.py").write_text(program.replace('"shop"', f'"{queue}"'))

    class Own(App):
        program = [sys.executable, tmp_path / "own.py"]

        def __init__(self):
            super(App, self).__init__(folder / "run")

    own = Own()
    try:
        # It says nothing when the queue is open.
        eventually(lambda: plain_web.get(f"/{queue}/").content == b"hello")
    finally:
        own.stop()
