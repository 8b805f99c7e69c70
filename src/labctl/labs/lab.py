"""A lab: its folder, its checked file, and what its names for environments and models stand for."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from labctl.checks.base import Model, NonEmpty
from labctl.errors import LabFileError
from labctl.labs.catalog import LAB_FILE, builtin_folder, find
from labctl.labs.digest import folder_digest
from labctl.labs.source import Loc, Source, read_source
from labctl.labs.spec import Id, LabSpec, is_id

T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True, kw_only=True)
class Lab:
    """A lab that loaded without a mistake."""

    id: str
    path: Path
    spec: LabSpec
    source: Source

    @cached_property
    def digest(self) -> str:
        """sha256 over everything in the lab's folder: names and contents."""
        return folder_digest(self.path)

    def env(self, name: str) -> Env:
        """The Python environment `name`: beside the lab's folder first, then labctl's own. Raises LabFileError."""
        lock = self._beside(f"envs/{name}.txt") if is_id(name) else None
        if lock is None:
            known = sorted(path.stem for path in (builtin_folder() / "envs").glob("*.txt"))
            raise LabFileError(f"{self.id}: no environment named {name!r}", f"labs/envs/ has: {', '.join(known)}")
        return Env(name=name, lock=lock)

    def model(self, name: str) -> ModelBuild | None:
        """How the project builds the model `name` itself; None for a model hub's id."""
        file = self._beside(f"models/{name}/model.yaml") if is_id(name) else None
        if file is None:
            return None
        source = read_source(file)
        recipe = validate(Recipe, source, source.data)
        modules = [file.parent.parent / module for module in recipe.modules]
        for number, folder in enumerate(modules):
            if not folder.is_dir():
                _refuse([f"{source.at(('modules', number))}: modules[{number}]: there is no folder {folder}"])
        return ModelBuild(name=name, folder=file.parent, modules=tuple(modules), recipe=recipe)

    def _beside(self, relative: str) -> Path | None:
        places = (self.path.parent / relative, builtin_folder() / relative)
        return next((place for place in places if place.is_file()), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Env:
    """A Python environment as a pinned requirements file."""

    name: str
    lock: Path

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.lock.read_bytes()).hexdigest()


class Recipe(Model):
    """What labs/models/NAME/model.yaml holds."""

    description: NonEmpty
    env: Id
    command: list[NonEmpty]
    """Run in the model's folder; `{out}` stands for the folder to write into."""
    modules: list[Id] = []
    """Folders beside the model's own from which its programs may import, as PYTHONPATH has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelBuild:
    """A model that the project builds itself, once."""

    name: str
    folder: Path
    modules: tuple[Path, ...]
    recipe: Recipe

    @property
    def digest(self) -> str:
        """sha256 over the recipe's folder and those it imports from."""
        digests = [folder_digest(folder) for folder in (self.folder, *self.modules)]
        return hashlib.sha256("".join(digests).encode()).hexdigest()


def load(lab: str, more: Sequence[Path] = ()) -> Lab:
    """The lab with this id (or in this folder). Raises NotFoundError, or LabFileError naming every mistake in the file."""
    return load_folder(find(lab, more))


def load_folder(folder: Path) -> Lab:
    """The lab in `folder`. Raises LabFileError naming every mistake in the file with line, column and path."""
    if not is_id(folder.name):
        raise LabFileError(f"{folder}: {folder.name!r} is no lab id", "use lower-case words joined by single dashes")
    source = read_source(folder / LAB_FILE)
    lab = Lab(id=folder.name, path=folder, spec=validate(LabSpec, source, source.data), source=source)
    _names_resolve(lab)
    return lab


def validate(model: type[T], source: Source, data: Any) -> T:
    """`data` as `model`. Raises LabFileError with one line a mistake: file:line:column, path, value, what is accepted."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        lines = sorted({_line(source, model, detail) for detail in error.errors()})
        _refuse([text for _, text in lines])


def _names_resolve(lab: Lab) -> None:
    named: dict[Loc, str | None] = {("workspace", "env"): lab.spec.workspace.env}
    named |= {("services", name, "env"): service.env for name, service in lab.spec.services.items()}
    problems = []
    for loc, env in named.items():
        if env and "{{" not in env:
            try:
                lab.env(env)
            except LabFileError as error:
                problems.append(f"{lab.source.at(loc)}: {'.'.join(map(str, loc))}: {error.what}; {error.hint}")
    if problems:
        _refuse(problems)


def _refuse(lines: Sequence[str]) -> NoReturn:
    count = "1 mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
    raise LabFileError(
        "\n".join(lines), f"{count}; mend and run `labctl lab validate` again (docs/lab-file.md lists every field)"
    )


def _line(source: Source, model: type[BaseModel], detail: ErrorDetails) -> tuple[int, str]:
    loc = tuple(part for part in detail["loc"] if part != "[key]")
    place = source.place(loc)
    where = ".".join(map(str, loc)) or "the file"
    return place.line, f"{source.path}:{place.line}:{place.column}: {where}: {_what(model, detail)}"


def _what(model: type[BaseModel], detail: ErrorDetails) -> str:
    kind, value = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        return _unknown_key(model, detail)
    if kind == "missing":
        return "is missing"
    if kind == "union_tag_invalid":
        context = detail["ctx"]
        near = difflib.get_close_matches(
            str(context["tag"]), str(context["expected_tags"]).replace("'", "").split(", "), n=1
        )
        return f"no check kind {context['tag']!r}{f'; did you mean {near[0]!r}?' if near else ''} (accepted: {context['expected_tags']})"
    message = detail["msg"].removeprefix("Value error, ")
    shown = repr(value) if not isinstance(value, dict | list) else ""
    return message if not shown or shown in message else f"{message}; seen {shown[:120]}"


def _unknown_key(model: type[BaseModel], detail: ErrorDetails) -> str:
    key = str(detail["loc"][-1])
    known = _keys_at(model.model_json_schema(by_alias=True), detail["loc"][:-1])
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    accepted = f" (accepted: {', '.join(sorted(known))})" if known else ""
    return f"unknown key{f'; did you mean {near[0]!r}?' if near else ''}{accepted}"


def _keys_at(schema: dict[str, Any], loc: Sequence[str | int]) -> list[str]:
    """The keys that the JSON Schema knows at `loc`."""
    definitions = schema.get("$defs", {})
    at: list[dict[str, Any]] = [schema]
    for part in loc:
        at = [inner for place in at for inner in _inside(_resolved(place, definitions), part)]
    return sorted(
        {key for place in at for option in _resolved(place, definitions) for key in option.get("properties", {})}
        - {"kind"}
    )


def _resolved(schema: dict[str, Any], definitions: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in schema:
        return _resolved(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    options = schema.get("anyOf", schema.get("oneOf"))
    return [deep for option in options for deep in _resolved(option, definitions)] if options else [schema]


def _inside(options: list[dict[str, Any]], part: str | int) -> list[dict[str, Any]]:
    found = []
    for option in options:
        properties = option.get("properties", {})
        if properties.get("kind", {}).get("const") == part:  # a check's kind is a key of the file
            found.append(option)
        elif isinstance(part, int):
            found += [option["items"]] if "items" in option else []
        elif part in properties:
            found.append(properties[part])
        else:
            values = [*option.get("patternProperties", {}).values(), option.get("additionalProperties")]
            found += [value for value in values if isinstance(value, dict)]
    return found
