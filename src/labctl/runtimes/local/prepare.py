"""What must be on disk before services start: environments and models, made at the same time where they can be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from labctl.progress import Progress, Step, one_at_a_time
from labctl.runtimes.cache import Children, is_complete
from labctl.runtimes.local import envs, models

if TYPE_CHECKING:
    from labctl.plan import EnvStep, ModelStep, Plan


def prepare(plan: Plan, home: Path, progress: Progress) -> list[str]:
    """Make what is missing; the names of what was made. Raises PreflightError; Ctrl-C ends all that was started."""
    missing = [env for env in plan.envs if not is_complete(envs.folder(home, env))]
    unbuilt = [model for model in plan.models if not is_complete(Path(model.path))]
    if not missing and not unbuilt:
        for env in plan.envs:
            progress(Step(name=f"environment {env.name}", state="unchanged"))
        return []
    return _Preparing(plan, home, progress).run(missing, unbuilt)


class _Preparing:
    def __init__(self, plan: Plan, home: Path, progress: Progress) -> None:
        self._plan = plan
        self._home = home
        self._progress = one_at_a_time(progress)
        self._children = Children()

    def run(self, missing: list[EnvStep], unbuilt: list[ModelStep]) -> list[str]:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(len(missing) + len(unbuilt)) as pool:
            try:
                made_envs = {env.name: pool.submit(self._env, env) for env in missing}

                def model_after_env(model: ModelStep) -> bool:
                    if model.env in made_envs:
                        made_envs[model.env].result()
                    return self._model(model)

                made = {f"environment {name}": future for name, future in made_envs.items()}
                made |= {f"model {model.name}": pool.submit(model_after_env, model) for model in unbuilt}
                return [name for name, future in made.items() if future.result()]
            except BaseException:
                self._children.end()
                raise

    def _env(self, env: EnvStep) -> bool:
        cpu_only = self._plan.profile == "cpu"
        return envs.make(self._home, env, cpu_only=cpu_only, progress=self._progress, children=self._children)

    def _model(self, model: ModelStep) -> bool:
        venv = envs.folder(self._home, self._plan.env(model.env))
        return models.make(model, venv, progress=self._progress, children=self._children)
