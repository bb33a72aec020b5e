"""What the documentation shows works as it stands there."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import yaml
from omegaconf import OmegaConf

import kltransfer.envs.gym
from docs import claims
from kltransfer.envs.batch import BatchEnvironment
from kltransfer.evaluation.trained import Trained
from tests.conftest import Compose

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.slow
def test_the_code_of_the_page_on_agents_runs_from_top_to_bottom() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "agents.md").read_text(), re.S)
    assert len(blocks) == 4
    environment = {**os.environ, "MUJOCO_GL": "disable"}
    subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)], cwd=ROOT, env=environment, check=True, timeout=600
    )


@pytest.mark.slow
def test_the_code_of_the_page_on_agents_tells_an_agent_where_its_episodes_begin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told, true = [], []
    act, step = Trained.act, BatchEnvironment.step

    def telling_act(self: Trained, observation: Any, state: Any, first: Any) -> Any:
        told.append(np.full(len(observation), state is None) if first is None else first)
        return act(self, observation, state, first)

    def telling_step(self: BatchEnvironment, actions: Any) -> Any:
        after = step(self, actions)
        true.append(after.first)
        return after

    monkeypatch.setattr(Trained, "act", telling_act)
    monkeypatch.setattr(BatchEnvironment, "step", telling_step)
    monkeypatch.chdir(ROOT)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "agents.md").read_text(), re.S)
    (block,) = (block for block in blocks if "many.step" in block)
    exec(block, {"kltransfer": kltransfer, "gymnasium": gymnasium})
    assert len(told) == 1000 and np.array_equal(told, true[:1000])
    assert np.sum(told) > 100  # many an episode began


def test_the_code_of_the_readme_is_that_of_the_page_on_agents() -> None:
    readme, agents = ((ROOT / name).read_text() for name in ("README.md", "docs/agents.md"))
    blocks = re.findall(r"```python\n.*?```", readme, re.S)
    assert blocks
    assert all(block in agents for block in blocks)


RUN_NOTEBOOK = """
import sys
import nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], 4)
here = {"metadata": {"path": sys.argv[2]}}
NotebookClient(notebook, timeout=900, kernel_name="python3", resources=here).execute()
outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
print(sum("image/png" in output.get("data", {}) for output in outputs))
"""


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom_and_draws_its_three_pictures() -> None:
    # A process of its own: what Jupyter's packages warn of is theirs.
    command = [sys.executable, "-c", RUN_NOTEBOOK, str(ROOT / "docs" / "tour.ipynb"), str(ROOT / "docs")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2400)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "3"


def test_every_link_of_the_documentation_leads_to_a_file() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text())]
    assert len(links) > 5
    broken = [f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()]
    assert not broken


def test_no_comparison_of_the_kept_results_is_there_twice() -> None:
    files = [*(ROOT / "results").glob("*/improvement.csv")]
    assert len(files) > 5
    for file in files:
        with file.open(newline="") as lines:
            pairs = [(row["measure"], row["method"], row["than"]) for row in csv.DictReader(lines)]
        assert len(pairs) == len(set(pairs)), file.parent.name


def test_the_claims_of_the_results_are_what_the_files_of_their_panels_say() -> None:
    page = (ROOT / "RESULTS.md").read_text()
    assert claims.table() in page, "run make claims"
    panels = [comparison.panel for comparison in claims.comparisons()]
    assert all(f"\n## {panel['section']}\n" in page for panel in panels)


def test_the_page_on_the_paper_lists_all_that_scale_paper_changes(compose: Compose) -> None:
    rows = re.findall(r"^\| `(\S+)` \| (.+?) \| (.+?) \|", (ROOT / "docs" / "paper.md").read_text(), re.M)
    listed = {option: (yaml.safe_load(paper), yaml.safe_load(laptop)) for option, paper, laptop in rows}
    paper, laptop = (leaves(OmegaConf.to_container(compose(*words))) for words in (["scale=paper"], []))
    values = {option: (paper[option], laptop[option]) for option in laptop}
    changed = {option: pair for option, pair in values.items() if pair[0] != pair[1]}
    assert changed.keys() - listed.keys() == {"scale.name", "command"}
    assert all(changed[option] == pair for option, pair in listed.items())


def test_the_page_on_the_paper_says_that_with_boxes_scale_paper_changes_the_room(compose: Compose) -> None:
    page = (ROOT / "docs" / "paper.md").read_text()
    listed = set(re.findall(r"^\| `(\S+)` \|", page, re.M))
    paper, laptop = (
        leaves(OmegaConf.to_container(compose("task=move_box", *words))) for words in (["scale=paper"], [])
    )
    beyond = {option for option in laptop if paper[option] != laptop[option]} - listed
    room = {"cell_size", "wall_height", "target_size", "box_size", "box_mass"}
    names = {"scale.name", "command", "room.name", "batches.ant", "batches.quadruped"}
    assert beyond == names | {f"arena.{measure}" for measure in room}
    assert "With boxes, `scale=paper` also takes the room" in page


def leaves(value: object, name: str = "") -> dict[str, object]:
    if not isinstance(value, dict):
        return {name: value}
    parts = [leaves(entry, f"{name}.{key}" if name else key) for key, entry in value.items()]
    return {option: entry for part in parts for option, entry in part.items()}
