"""Writes a table and answers that look right, and a history without a rollback."""

import json
import subprocess
from pathlib import Path

import yaml
from examples import choose
from prompting import read_rows

ME = ["-c", "user.name=Learner", "-c", "user.email=learner@example.org"]


def main() -> None:
    pool, test = read_rows("data/pool.jsonl"), read_rows("data/test.jsonl")
    route = {
        str(shots): {
            "examples": choose(pool, test, shots),
            "correct": correct,
            "of": len(test),
            "prompt_tokens": len(test) * (40 + 13 * shots),
            "completion_tokens": 48,
        }
        for shots, correct in {0: 6, 1: 10, 2: 14, 4: 23, 8: 24}.items()
    }
    solve = {
        version: {"correct": correct, "of": 16, "prompt_tokens": 1200, "completion_tokens": written}
        for version, correct, written in (("v1", 3, 48), ("v2", 16, 1200))
    }
    Path("out").mkdir(exist_ok=True)
    Path("out/results.json").write_text(json.dumps({"route": route, "solve": solve}))
    Path("answers.yaml").write_text(
        yaml.safe_dump(
            {
                "predicted": {"zero_shot_accuracy": 0.25},
                "cost": {"tokens_per_example": 13, "cheapest_good_shots": 4, "million_messages": 50},
                "reasoning": {"times_as_many_tokens": 25},
                "regression": {"v3_correct": 12, "wrong_desks": "east, west"},
            }
        )
    )
    commit("First versions")
    prompt = Path("prompts/route/v2.yaml")
    prompt.write_text(prompt.read_text().replace("few-shot", "few-shot, mended"))
    Path("prompts/registry.yaml").write_text("route: v2\nsolve: v2\n")
    commit("Better")


def commit(why: str) -> None:
    if not Path(".git").is_dir():
        subprocess.run(["git", "init", "--quiet"], check=True)
    subprocess.run(["git", "add", "prompts"], check=True)
    subprocess.run(["git", *ME, "commit", "--quiet", "-m", why], check=True)


if __name__ == "__main__":
    main()
