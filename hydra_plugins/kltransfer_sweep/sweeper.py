"""The sweeper `hydra/sweeper=panel`: the methods of a panel, each with its own overrides, times seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, ListConfig

from kltransfer.errors import ConfigError


class PanelSweeper(BasicSweeper):
    """Expand methods times the product of all other lists; without methods, do what Hydra's sweeper does.

    Args:
        methods: overrides by the name of a method, which may sweep themselves.
        only: a name, or a list of names: leave out the others.
        params: sweeps that the command line may replace, as in Hydra's own sweeper.
    """

    def __init__(
        self,
        methods: DictConfig | Mapping[str, Sequence[str]] | None = None,
        only: ListConfig | Sequence[str] | str | None = None,
        params: DictConfig | dict[str, str] | None = None,
    ) -> None:
        for name, value in (("methods", methods), ("params", params)):
            if not isinstance(value, Mapping | DictConfig | None):
                raise ConfigError(f"hydra.sweeper.{name}={value} makes no sense: it must be a mapping.")
        super().__init__(max_batch_size=None, params=dict(params or {}))
        self.methods = {str(name): list(overrides) for name, overrides in (methods or {}).items()}
        chosen = [only] if isinstance(only, str) else list(only or self.methods)
        for name in chosen:
            if name not in self.methods:
                known = ", ".join(self.methods) or "the methods: there are none"
                raise ConfigError(f"hydra.sweeper.only={name} is none of {known}.")
        self.chosen = chosen

    def sweep(self, arguments: list[str]) -> Any:
        """Launch all jobs at once; the launcher checks all of them before it starts the first."""
        assert self.launcher is not None
        names = {name: [f"hydra.job.name={name}", *self.methods[name]] for name in self.chosen}
        per_method = [self._expand(overrides, arguments) for overrides in (names or {"": []}).values()]
        # Seed by seed, not method by method, so that half a panel shows all methods.
        rounds = zip_longest(*per_method)
        jobs = [job for around in rounds for job in around if job is not None]
        return [self.launcher.launch(jobs, initial_job_idx=0)]

    def _expand(self, overrides: Sequence[str], arguments: Sequence[str]) -> list[list[str]]:
        """Return the jobs of one method: later overrides replace earlier ones, the command line all."""
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        parsed = parser.parse_overrides([*self._parse_config(), *overrides, *arguments])
        try:
            return self.split_arguments(parsed, None)[0]
        except (ValueError, TypeError) as error:
            raise ConfigError(f"a list of this sweep cannot be made: {error}.") from error
