"""A real SLURM of one node on this machine's loopback, in one folder, gone when it is stopped.

`python tests/sweep/slurm_cluster.py FOLDER` starts one by hand, says how to use it, and stops it on Ctrl-C.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel")
PACKAGES = "munge slurmctld slurmd slurm-client slurm-wlm-basic-plugins"
_SYSTEM_PATH = os.pathsep.join((os.environ["PATH"], "/usr/sbin", "/sbin"))

_CONFIG = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
# The credentials' life is also how long a requeued job waits.
AuthInfo=socket={folder}/munge.sock,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
# Listen on the loopback alone.
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
MpiDefault=none
MailProg=/bin/true
# No control groups: containers rarely allow them.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1,sched_min_interval=100000,batch_sched_delay=0,requeue_delay=1
KillWait=5
MinJobAge=300
ReturnToService=2
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=8000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> list[str]:
    """Return the programs of SLURM that are not installed."""
    return [program for program in PROGRAMS if shutil.which(program, path=_SYSTEM_PATH) is None]


class Cluster:
    """Start on entry, stop on exit; `SLURM_CONF` in the environment leads all of SLURM's commands here.

    Args:
        folder: where everything lies; a short path, for the sockets' sake.
        cpus: processors that jobs share; SLURM believes it.
    """

    def __init__(self, folder: Path, cpus: int = 4) -> None:
        self.folder, self.cpus = folder, cpus
        self.config = folder / "slurm.conf"
        self._daemons: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Cluster:
        for name in ("state", "spool"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        ports = _free_ports(2)
        self.config.write_text(
            _CONFIG.format(
                host=socket.gethostname().split(".")[0],
                port=ports[0],
                node_port=ports[1],
                user=getpass.getuser(),
                folder=self.folder,
                cpus=self.cpus,
            )
        )
        os.environ["SLURM_CONF"] = str(self.config)
        try:
            files = {
                "key": key,
                "socket": "munge.sock",
                "pid": "munged.pid",
                "log": "munged.log",
                "seed": "seed",
            }
            paths = {kind: self.folder / name for kind, name in files.items()}
            flags = [f"--{kind}{'' if kind == 'socket' else '-file'}={path}" for kind, path in paths.items()]
            self._start("munged", "--foreground", "--force", *flags)
            self._wait_for(lambda: (self.folder / "munge.sock").exists())
            self._start("slurmctld", "-D", "-f", str(self.config))
            self._start("slurmd", "-D", "-f", str(self.config))
            self._wait_for(lambda: "idle" in self.command("sinfo", "--noheader", "--format=%t"))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        # Jobs outlive the daemons, so they go first.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.command("scancel", "--user", getpass.getuser())
            end = time.monotonic() + 20
            while self.command("squeue", "--noheader") and time.monotonic() < end:
                time.sleep(0.2)
        for daemon in reversed(self._daemons):
            daemon.send_signal(signal.SIGTERM)
        for daemon in reversed(self._daemons):
            try:
                daemon.wait(timeout=15)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        os.environ.pop("SLURM_CONF", None)

    def command(self, *words: str) -> str:
        """Run one of SLURM's commands and return what it prints."""
        return subprocess.run(words, capture_output=True, text=True, timeout=30).stdout

    def _start(self, program: str, *arguments: str) -> None:
        path = shutil.which(program, path=_SYSTEM_PATH)
        assert path is not None
        with open(self.folder / f"{program}.out", "wb") as output:
            daemon = subprocess.Popen(
                [path, *arguments], stdout=output, stderr=output, start_new_session=True
            )
        self._daemons.append(daemon)

    def _wait_for(self, ready, seconds: float = 30.0) -> None:  # type: ignore[no-untyped-def]
        end = time.monotonic() + seconds
        while not ready():
            for daemon in self._daemons:
                if daemon.poll() is not None:
                    raise RuntimeError(f"{daemon.args} ended: see {self.folder}")
            if time.monotonic() > end:
                raise RuntimeError(f"SLURM does not start: see the logs in {self.folder}")
            time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    """Return ports of the loopback that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


if __name__ == "__main__":
    with Cluster(Path(sys.argv[1]).absolute(), cpus=os.cpu_count() or 1) as cluster:
        print(f"export SLURM_CONF={cluster.config}", flush=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
