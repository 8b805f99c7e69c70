"""Write the pages of docs/ that are made from the code: `make docs`. With `--check`, say which are out of date and exit 1."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any, get_args

import typer

from labctl.checks.base import BaseCheck
from labctl.checks.kinds import Check
from labctl.cli.app import app
from labctl.cohorts.spec import cohort_schema
from labctl.errors import LabFileError
from labctl.hub.board.api.document import openapi
from labctl.labs import catalog, curriculum
from labctl.labs.course_spec import Courses
from labctl.labs.lab import Lab, load_folder
from labctl.labs.schema import lab_schema

DOCS = Path(__file__).resolve().parent
HEADER = "<!-- Made by docs/generate.py from the code: change the docstrings there, then `make docs`. -->\n\n"


def main() -> int:
    pages = {
        "lab.schema.json": json.dumps(lab_schema(), indent=2, ensure_ascii=False) + "\n",
        "cohort.schema.json": json.dumps(cohort_schema(), indent=2, ensure_ascii=False) + "\n",
        "openapi.json": json.dumps(openapi(), indent=2, ensure_ascii=False) + "\n",
        "lab-file.md": lab_file_page(),
        "cohort-file.md": cohort_file_page(),
        "checks.md": checks_page(),
        "cli.md": cli_page(),
        "curriculum.md": curriculum_page(),
    }
    stale = [name for name, text in pages.items() if _read(DOCS / name) != text]
    if "--check" in sys.argv:
        for name in stale:
            print(f"docs/{name} is out of date; run `make docs`")
        return 1 if stale else 0
    for name in stale:
        (DOCS / name).write_text(pages[name], encoding="utf-8")
        print(f"wrote docs/{name}")
    return 0


def lab_file_page() -> str:
    """Every field of lab.yaml, a table a model."""
    schema = lab_schema()
    models = {name: definition for name, definition in schema["$defs"].items() if name in _LAB_MODELS}
    intro = (
        "# The lab file\n\n`labs/<id>/lab.yaml`. Names are Compose's where Compose has the thing. Every string may hold Jinja2 "
        "templates with these names: `profile`, `model`, `model_path`, `models.NAME` (the paths of the others), `vars.NAME`, `gpus` (how many the session has), `gpu_fraction` (its share of each, 1.0 of one of its own), `gpu_memory_mib` (the share in MiB), `workspace`, `lab_path`, `lab_folder` (the same folder where checks run), `listen`, `learner`, "
        "`session`, `url(SERVICE, PORT)`, and inside a service `port(NAME)`; in a service's or the workspace's environment, and in a service's command, "
        "`secret(NAME)` stands for a password that is made up for each session. `labctl lab validate` reports mistakes with line and "
        "column; editors can use [lab.schema.json](lab.schema.json).\n"
    )
    tables = [_table("The file", schema), *(_table(name, models[name]) for name in _LAB_MODELS)]
    courses = Courses.model_json_schema()["$defs"]
    tables += [
        "# Courses\n\n`courses.yaml` in a folder of labs: courses by name, shown by `labctl list --course NAME`.\n",
        *(_table(name, courses[name]) for name in ("Course", "CourseStep", "CourseReading")),
    ]
    return HEADER + intro + "\n" + "\n".join(tables)


_LAB_MODELS = (
    "Profile",
    "GpuNeed",
    "Workspace",
    "Service",
    "Healthcheck",
    "Dependency",
    "Criterion",
    "Read",
    "Proving",
)


def cohort_file_page() -> str:
    """Every field of cohort.yaml, a table a model; and what a list of people may look like."""
    schema = cohort_schema()
    intro = (
        "# The cohort file\n\n`cohort.yaml` says what a class gets: `labctl cohort new NAME` writes one with a list of people beside "
        "it, `labctl cohort plan FILE` reports mistakes with line and column and says how many fit at once. Only `roster` and `labs` "
        "(or `course`) must be given. Editors can use [cohort.schema.json](cohort.schema.json).\n"
    )
    tables = [_table("The file", schema), *(_table(name, schema["$defs"][name]) for name in _COHORT_MODELS)]
    return HEADER + intro + "\n" + "\n".join(tables) + "\n" + _ROSTER


_COHORT_MODELS = ("Window", "Sessions", "Limits", "Gpu", "Stagger", "Late", "Cost", "Webhook")
_ROSTER = """\
# The list of people

`roster:` names a CSV file with one person a line. It may come as it is from Moodle, Canvas, Blackboard, Brightspace or a spreadsheet:

- UTF-8, UTF-16, GB18030 or Windows-1252, with or without a byte order mark; what had to be guessed is said. Commas, semicolons, tabs or bars.
- Headings in many spellings, in English, German, French, Spanish and Chinese: a name (in one column or two), an email address, an ID or user
  name. Without headings columns are told by what is in them. Every other column is kept, for giving grades back.
- Blank lines, lines that begin with `# `, what stands above the headings, and the rows of a Canvas gradebook that are nobody, are passed over.
- A row that is no person is left out and named by line, and so is a second row with the same ID or email address; the others stay. Formulas
  are kept as text.

**Ids.** A learner's id, which stands in the names of sessions, is made from the row alone: from the ID where there is one (`S-1024` becomes
`s-1024`), else from the email address (`ada-cfe0`), else from the name (`gim-minjun-3112`; what has no Latin letters, `u-3a47328a`). Email
addresses and names get a checksum, so that nobody who joins later can change anybody's id. Reordering, adding or removing rows changes none.
"""


def checks_page() -> str:
    """Every kind of check with its settings."""
    intro = (
        "# Checks\n\nA criterion's `checks` is a list; each item is one key, the kind, with its settings below it. Every check also "
        "takes `timeout` (seconds one attempt may take, default 30s unless said otherwise) and `retry` (how long to keep trying).\n"
    )
    kinds = sorted(_kinds(), key=lambda model: str(model.model_fields["kind"].default))
    rows = [f"| [`{_kind(model)}`](#{_kind(model)}) | {_first_line(model.__doc__)} |" for model in kinds]
    overview = "\n| kind | what it looks at |\n|---|---|\n" + "\n".join(rows) + "\n"
    models = lab_schema()["$defs"]
    tables = [_table(_kind(model), models[model.__name__]) for model in kinds]
    known = {*(model.__name__ for model in kinds), *_LAB_MODELS}
    parts = [
        _table(name, model) for name, model in sorted(models.items()) if name not in known and "properties" in model
    ]
    return HEADER + intro + overview + "\n" + "\n".join([*tables, *parts])


def curriculum_page() -> str:
    """Which lab proves which row of the curriculum, and how."""
    folder = catalog.builtin_folder()
    rows, found = curriculum.load(folder), curriculum.proofs(_labs(folder))
    intro = (
        "# Curriculum\n\nWhat a learner can do at the end, row by row (`labs/curriculum.yaml`), and the criteria that prove it, with the "
        "kinds of their [checks](checks.md). A criterion names its row as `source`.\n"
    )
    parts = [HEADER + intro]
    for stage in sorted({row.stage for row in rows.rows}):
        lines = [
            f"| {row.id} | {_cell(row.text)} | {_proved_by(found.get(row.id, []))} |"
            for row in rows.rows
            if row.stage == stage
        ]
        planned = ", planned" if stage in rows.planned else ""
        head = "| row | a learner can | proved by |\n|---|---|---|\n"
        parts.append(f"## Stage {stage}{planned}\n\n{head}" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def _labs(folder: Path) -> list[Lab]:
    """Every lab without a mistake, in order; what is wrong with the others, `labctl lab validate` says."""
    found = []
    for row in catalog.summaries():
        if row.path.parent == folder:
            with contextlib.suppress(LabFileError):
                found.append(load_folder(row.path))
    return found


def _proved_by(proofs: list[curriculum.Proof]) -> str:
    by_lab: dict[str, list[str]] = {}
    for proof in proofs:
        by_lab.setdefault(proof.lab, []).append(f"`{proof.criterion}` ({', '.join(proof.kinds)})")
    return "<br>".join(f"**{lab}**: {', '.join(criteria)}" for lab, criteria in by_lab.items())


def cli_page() -> str:
    """`--help` of every verb."""
    command = typer.main.get_command(app)
    parts = [
        "# Command line\n\nExit codes: 0 done or all pass · 1 a criterion failed · 2 usage · 3 a criterion could not be looked at · "
    ]
    parts[0] += (
        "4 preflight refused · 5 not found · 6 engine · 7 a lab file is wrong · 8 a service is not healthy · 70 a bug · 130 interrupted.\n"
    )
    return HEADER + "\n".join(parts + [f"## {name}\n\n```\n{text}\n```\n" for name, text in _helps(command, "labctl")])


def _helps(command: Any, path: str) -> list[tuple[str, str]]:
    context = command.make_context(path, [], resilient_parsing=True, terminal_width=100)
    found = [(path, command.get_help(context).rstrip())]
    for name in command.list_commands(context) if hasattr(command, "list_commands") else ():
        found += _helps(command.get_command(context, name), f"{path} {name}")
    return found


def _kinds() -> list[type[BaseCheck]]:
    union = get_args(Check)[0]
    return list(get_args(union)) or [union]


def _kind(model: type[BaseCheck]) -> str:
    return str(model.model_fields["kind"].default)


def _first_line(text: str | None) -> str:
    return (text or "").strip().splitlines()[0]


def _table(title: str, schema: dict[str, Any]) -> str:
    description = schema.get("description", "").strip()
    required = set(schema.get("required", []))
    rows = [
        f"| `{name}` | {_type(field)} | {_default(field, name in required)} | {_cell(field.get('description', ''))} |"
        for name, field in schema.get("properties", {}).items()
    ]
    head = "| field | type | default | |\n|---|---|---|---|\n"
    return f"## {title}\n\n{description}\n\n{head}" + "\n".join(rows) + "\n"


def _type(field: dict[str, Any]) -> str:
    if "$ref" in field:
        return str(field["$ref"].rpartition("/")[2])
    if "const" in field or "enum" in field:
        return " \\| ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    if "anyOf" in field or "oneOf" in field:
        options = dict.fromkeys(_type(option) for option in field.get("anyOf") or field["oneOf"])
        return " or ".join(option for option in options if option != "null")
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}))}"
    if field.get("type") == "object" and isinstance(field.get("additionalProperties"), dict):
        return f"mapping to {_type(field['additionalProperties'])}"
    return str(field.get("type", "any"))


def _default(field: dict[str, Any], required: bool) -> str:
    if required:
        return "required"
    return f"`{json.dumps(field['default'])}`" if field.get("default") not in (None, "", [], {}) else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


if __name__ == "__main__":
    sys.exit(main())
