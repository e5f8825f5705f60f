"""A real SLURM on this machine, for as long as a test needs it: controller and node of one machine.

It takes root and Debian's packages `slurm-wlm` and `munge`. Everything is in a folder of its own, except for
`/etc/slurm/slurm.conf` and two files beside it: a job starts further steps without the environment that
could name others. A configuration that is there already is left alone, and nothing is started then.

    python -m tests.cluster.single_node [GPUS]       start it, and stop it on Ctrl-C or SIGTERM
    python -m tests.cluster.single_node --check      say whether it could be started
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

CONFIGURATION = Path("/etc/slurm")
MARK = "# written by fusebench's tests/cluster\n"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel", "srun")
CPUS = 12
"""The node says that it has these, however many the machine has: jobs wait less, and run slower."""

SLURM_CONF = """\
ClusterName=fusebench
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,bf_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
MinJobAge=3600
KillWait=30
OverTimeLimit=0
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=200000 Gres=gpu:{gpus} State=UNKNOWN
PartitionName=normal Nodes={host} Default=YES PriorityTier=1 MaxTime=INFINITE State=UP
PartitionName=urgent Nodes={host} PriorityTier=2 PreemptMode=OFF MaxTime=INFINITE State=UP
"""


class Unavailable(Exception):
    """Why there can be no SLURM here, in one line."""


def check_machine() -> None:
    """Raise `Unavailable` where SLURM cannot be started on this machine."""
    search = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = [program for program in PROGRAMS if shutil.which(program, path=search) is None]
    if missing:
        raise Unavailable(
            f"SLURM is not installed ({', '.join(missing)} not found): apt-get install slurm-wlm munge"
        )
    if os.geteuid() != 0:
        raise Unavailable("SLURM's daemons need root: start the tests of a cluster as root")
    present = CONFIGURATION / "slurm.conf"
    if present.exists() and not present.read_text().startswith(MARK):
        raise Unavailable(f"{present} is there: this machine is part of a cluster, which is left alone")
    if (
        present.exists()
        and "UP" in subprocess.run(["scontrol", "ping"], capture_output=True, text=True).stdout
    ):
        raise Unavailable(f"another test's SLURM runs with {present}: wait until it ends")


@dataclass(frozen=True)
class SingleNode:
    """A SLURM that runs. `folder` holds its state and its logs."""

    folder: Path

    def call(self, *command: str) -> str:
        """What one of SLURM's commands prints."""
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def jobs(self, states: str = "PENDING,RUNNING") -> dict[str, str]:
        """States of the jobs that are in one of `states` (`all` for any), by their ids."""
        lines = self.call("squeue", "--noheader", f"--states={states}", "--format=%i|%T").splitlines()
        return dict(line.strip().split("|") for line in lines)

    def cancel_all(self) -> None:
        """Cancel what is left, and wait until it is gone."""
        left = sorted(self.jobs("PENDING,RUNNING,COMPLETING,SUSPENDED"))
        if left:
            subprocess.run(["scancel", *left], check=False)
            subprocess.run(["scancel", "--signal=KILL", *left], check=False, capture_output=True)
        wait_for(lambda: not self.jobs("PENDING,RUNNING,COMPLETING,SUSPENDED"), 90, "jobs to end")


def wait_for(condition, seconds: float, what: str) -> None:
    """Wait until `condition()` holds; `TimeoutError` after `seconds`."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(0.2)


@contextmanager
def single_node(gpus: int = 0) -> Iterator[SingleNode]:
    """Start SLURM, with so many GPUs that are none, and stop it again."""
    check_machine()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fusebench-slurm-")))
        folder.chmod(0o755)
        for name in ("state", "spool"):
            (folder / name).mkdir()
        stack.callback(_unconfigure)
        _configure(folder, gpus)
        (folder / "munge.key").write_bytes(os.urandom(128))
        (folder / "munge.key").chmod(0o600)
        files = [
            f"--{name}={folder}/munge.{name}" for name in ("socket", "pid-file", "log-file", "seed-file")
        ]
        _daemon(
            stack, folder, ["munged", "--foreground", "--force", f"--key-file={folder}/munge.key", *files]
        )
        wait_for((folder / "munge.socket").exists, 20, "munged")
        _daemon(stack, folder, ["slurmctld", "-D", "-c"])
        _daemon(stack, folder, ["slurmd", "-D"])
        node = SingleNode(folder)
        wait_for(_is_idle, 60, f"the node to be idle; see {folder}/slurmctld.log")
        stack.callback(node.cancel_all)
        yield node


def _configure(folder: Path, gpus: int) -> None:
    host = socket.gethostname().split(".")[0]
    controller_port, node_port = _free_ports(2)
    text = SLURM_CONF.format(
        host=host,
        folder=folder,
        cpus=CPUS,
        gpus=gpus,
        controller_port=controller_port,
        node_port=node_port,
    )
    if not gpus:
        text = text.replace("GresTypes=gpu\n", "").replace(" Gres=gpu:0", "")
    CONFIGURATION.mkdir(exist_ok=True)
    (CONFIGURATION / "slurm.conf").write_text(MARK + text)
    # Files that are there and that no program takes for a GPU.
    devices = f"NodeName={host} Name=gpu File={folder}/gpu[0-{gpus - 1}]\n" if gpus else ""
    for index in range(gpus):
        (folder / f"gpu{index}").touch()
    (CONFIGURATION / "gres.conf").write_text(MARK + devices)
    (CONFIGURATION / "cgroup.conf").write_text(MARK + "CgroupPlugin=autodetect\n")


def _unconfigure() -> None:
    for name in ("slurm.conf", "gres.conf", "cgroup.conf"):
        path = CONFIGURATION / name
        if path.exists() and path.read_text().startswith(MARK):
            path.unlink()


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _daemon(stack: ExitStack, folder: Path, command: Sequence[str]) -> None:
    """Start a daemon that stays a child of this process, and end it with the stack."""
    program = shutil.which(command[0], path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    assert program is not None
    with open(folder / f"{command[0]}.out", "w") as output:
        # A session of its own: Ctrl-C in the terminal is for the one who started it.
        child = subprocess.Popen(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def end() -> None:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    stack.callback(end)


def _is_idle() -> bool:
    done = subprocess.run(["sinfo", "--noheader", "--format=%T"], capture_output=True, text=True)
    return done.returncode == 0 and "idle" in done.stdout.split()


def main() -> None:
    """Start SLURM and wait."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        if "--check" in sys.argv:
            return check_machine()
        with single_node(gpus=int(sys.argv[1]) if len(sys.argv) > 1 else 0) as node:
            print(f"SLURM runs, with its logs in {node.folder}; Ctrl-C stops it", flush=True)
            signal.pause()
    except Unavailable as reason:
        print(f"error: {reason}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
