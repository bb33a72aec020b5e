"""The run that a transfer takes its modules from: its folder, and its config as the transfer froze it."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from kltransfer.config.fit import misfit
from kltransfer.config.frozen import frozen, read_yaml, resolved
from kltransfer.config.identity import config_hash
from kltransfer.config.names import method_name, pretrained_path
from kltransfer.config.validation import validate
from kltransfer.errors import ConfigError, RunFolderError
from kltransfer.run.status import is_finished, read_status


def source_folder(root: Path, config: DictConfig) -> Path:
    """Return the folder of a transfer's source, below `root`, the folder of all outputs.

    `config` is the source's. Its folder is in `pretrained/`. If that does not exist yet, but an experiment or
    another command has finished a run with the same options and seed, the folder of that run is returned, so
    that nothing is trained twice.
    """
    own = root / pretrained_path(config)
    if own.exists():
        return own
    runs = root.glob(f"*/{config.body.name}-{config.task.name}/{method_name(config)}*/seed={config.seed}")
    return next((folder for folder in sorted(runs) if _is_finished_run_of(folder, config)), own)


def _is_finished_run_of(folder: Path, config: DictConfig) -> bool:
    """Return whether a folder holds a finished run whose result is that of `config`."""
    try:
        theirs = _read(folder / "config.yaml")
        same = config_hash(theirs) == config_hash(config)
    except (ConfigError, OSError, ValueError, YAMLError):  # it is damaged, or of another version
        return False
    return same and is_finished(folder, read_status(folder))


def read_source(file: Path, config: DictConfig) -> DictConfig:
    """Read the frozen config of a run's source. Raises `RunFolderError` for one that makes no sense."""
    try:
        source = resolved(_read(file))
        validate(source)
        problem = misfit(source, config)
    except (ConfigError, OSError, ValueError, YAMLError) as error:
        raise RunFolderError(
            f"{file} is not the config of a source: {' '.join(str(error).split())}"
        ) from error
    if problem is not None:
        raise RunFolderError(f"{file} is not the config of this run's source: {problem}.")
    return source


def _read(file: Path) -> DictConfig:
    """Return a frozen config. Raises `ConfigError`, OSError, ValueError or YAMLError."""
    return frozen(OmegaConf.to_container(read_yaml(file)))
