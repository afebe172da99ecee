"""A SLURM of one node on this machine, on loopback, without systemd; started and stopped by the tests.

Everything it writes is in one folder. It runs as whoever runs the tests, two jobs at a time, with a partition whose
jobs push out those of the default one, and accounts.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = ("munged", "mariadbd", "mariadb-install-db", "slurmdbd", "slurmctld", "slurmd", "sbatch", "srun", "sacct")
DAEMONS = ("slurmd", "slurmctld", "slurmdbd", "mariadbd", "munged")
SOCKET = Path("/run/mysqld/mysqld.sock")
CONF = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={run}/munge.socket
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmctldPidFile={run}/slurmctld.pid
SlurmdPidFile={run}/slurmd.pid
SlurmctldLogFile={log}/slurmctld.log
SlurmdLogFile={log}/slurmd.log
StateSaveLocation={state}
SlurmdSpoolDir={spool}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={ports[2]}
AccountingStoragePass={run}/munge.socket
MailProg=/bin/true
MpiDefault=none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
{warning}
ReturnToService=2
KillWait=5
JobRequeue=1
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP PriorityTier=10 GraceTime=60
PartitionName=urgent Nodes={host} MaxTime=INFINITE State=UP PriorityTier=100 PreemptMode=OFF
"""
USER_SIGNAL = "SlurmctldParameters=preempt_send_user_signal"
"""A preempted job first gets the signal that it asked for; without this line it gets TERM."""
ACCOUNTS = """
AuthType=auth/munge
AuthInfo=socket={run}/munge.socket
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={ports[2]}
SlurmUser=root
PidFile={run}/slurmdbd.pid
LogFile={log}/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=accounts
"""


def missing() -> list[str]:
    """Programs that are not installed, ``root`` for a user who may not start them, a database socket that is free."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    absent += [] if os.geteuid() == 0 else ["root"]
    return absent + (["no other MariaDB here"] if SOCKET.exists() and not SOCKET.is_symlink() else [])


@dataclass
class Cluster:
    """A running SLURM; its clients are called through :meth:`ask`."""

    folder: Path
    host: str = field(default_factory=lambda: socket.gethostname().split(".")[0])

    def __post_init__(self) -> None:
        self.run, self.conf = self.folder / "run", self.folder / "slurm.conf"

    def ask(self, *words: str, check: bool = True) -> str:
        """Answer of a client."""
        done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False, env=self.environment())
        assert done.returncode == 0 or not check, f"{' '.join(words)}: {done.stderr}"
        return done.stdout.strip()

    def signal(self, job: str, name: str) -> None:
        """Send a signal to a job's processes.

        scancel sends again every five seconds while the controller calls the job "in transition", which one that was
        put back into the queue is; so it is not waited for.
        """
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(["scancel", f"--signal={name}", job], timeout=2, check=False, env=self.environment())

    def environment(self) -> dict[str, str]:
        """For a process that is to see this SLURM."""
        return os.environ | {"SLURM_CONF": str(self.conf)}

    def state(self, job: str) -> str:
        """State of a job in the queue, empty if it has left."""
        return self.ask("squeue", "--noheader", "--array", "--jobs", job, "--format", "%T", check=False)

    @contextlib.contextmanager
    def term_at_preemption(self):
        """Preempt as SLURM does where nothing else is configured, while the context is open: TERM, then the grace."""
        before = self.conf.read_text()
        self.conf.write_text(before.replace(USER_SIGNAL, ""))
        try:
            self._reconfigure(user_signal=False)
            yield
        finally:
            self.conf.write_text(before)
            self._reconfigure(user_signal=True)

    def _reconfigure(self, *, user_signal: bool) -> None:
        self.ask("scontrol", "reconfigure")
        asked = ("scontrol", "show", "config")
        wait_for(lambda: ("preempt_send_user_signal" in self.ask(*asked, check=False)) is user_signal, self._logs)

    def start(self) -> None:
        """Start the daemons and wait for the node."""
        for name in ("run", "log", "state", "spool"):
            (self.folder / name).mkdir(parents=True)
            (self.folder / name).chmod(0o755)
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        self._write_configuration()
        self._call("munged", "--force", f"--key-file={key}", f"--socket={self.run}/munge.socket",
                   f"--pid-file={self.run}/munged.pid", f"--log-file={self.folder}/log/munged.log",
                   f"--seed-file={self.folder}/state/munge.seed")  # fmt: skip
        self._start_accounts()
        self._call("slurmctld", "-c", "-f", str(self.conf))
        self._call("slurmd", "-f", str(self.conf), "-N", self.host)
        wait_for(lambda: self.ask("sinfo", "-h", "-o", "%T", check=False).startswith("idle"), self._logs)

    def _write_configuration(self) -> None:
        kilobytes = int(Path("/proc/meminfo").read_text().split("MemTotal:")[1].split()[0])
        facts = {
            "host": self.host, "cpus": os.cpu_count(), "memory": kilobytes // 1024 - 1024, "ports": free_ports(3),
            "warning": USER_SIGNAL,
            **{name: self.folder / name for name in ("run", "log", "state", "spool")},
        }  # fmt: skip
        self.port = facts["ports"][2]
        self.conf.write_text(CONF.format(**facts))
        (self.folder / "slurmdbd.conf").write_text(ACCOUNTS.format(**facts))
        (self.folder / "slurmdbd.conf").chmod(0o600)

    def _start_accounts(self) -> None:
        data, socket_file = self.folder / "mysql", self.run / "mysql.sock"
        self._call("mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={data}",
                   "--auth-root-authentication-method=socket", "--skip-test-db")  # fmt: skip
        command = ["mariadbd", "--no-defaults", "--user=root", f"--datadir={data}", f"--socket={socket_file}",
                   f"--pid-file={self.run}/mariadbd.pid", "--skip-networking", "--innodb-buffer-pool-size=64M",
                   "--innodb-lock-wait-timeout=900", "--innodb-flush-log-at-trx-commit=2"]  # fmt: skip
        with (self.folder / "log" / "mariadb.log").open("w") as log:
            self.database = subprocess.Popen(command, stdout=log, stderr=log)
        ping = ("mariadb-admin", "--no-defaults", "-S", str(socket_file), "-u", "root", "ping")
        wait_for(lambda: "alive" in self.ask(*ping, check=False), self._logs)
        # slurmdbd looks for the socket of 'localhost' where MariaDB's client does by default.
        SOCKET.parent.mkdir(exist_ok=True)
        SOCKET.unlink(missing_ok=True)  # a link that such a test left
        SOCKET.symlink_to(socket_file)
        self._call("slurmdbd", conf=self.folder / "slurmdbd.conf")
        wait_for(lambda: answers(self.port), self._logs)

    def _call(self, *words: str, conf: Path | None = None) -> None:
        environment = os.environ | {"SLURM_CONF": str(conf or self.conf)}
        with (self.folder / "log" / f"{words[0]}.out").open("w") as out:  # a daemon keeps what it inherits
            done = subprocess.run(words, stdout=out, stderr=out, timeout=60, check=False, env=environment)
        assert done.returncode == 0, f"{words[0]}: {self._logs()}"

    def _logs(self) -> str:
        return "\n".join(f"{p.name}: {p.read_text()[-1500:]}" for p in sorted((self.folder / "log").iterdir()))

    def stop(self) -> None:
        """End the jobs and the daemons, each by its process id."""
        self.ask("scancel", "--user", "root", check=False)
        wait_for(lambda: not self.ask("squeue", "-h", check=False), lambda: "jobs remain", seconds=15, strict=False)
        for name in DAEMONS:
            end(self.run / f"{name}.pid", name)
        if hasattr(self, "database"):
            self.database.wait(30)
        if SOCKET.is_symlink() and SOCKET.readlink().is_relative_to(self.folder):
            SOCKET.unlink()


def end(file: Path, name: str) -> None:
    """End the daemon of a pid file, if the process is that daemon."""
    if not file.is_file():
        return
    pid = int(file.read_text())
    comm = Path(f"/proc/{pid}/comm")
    for signum in (signal.SIGTERM, signal.SIGKILL):
        if comm.is_file() and comm.read_text().strip() == name:
            os.kill(pid, signum)
            wait_for(lambda: not comm.is_file() or _is_zombie(pid), lambda: name, seconds=10, strict=False)


def _is_zombie(pid: int) -> bool:
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def answers(port: int) -> bool:
    """Whether somebody listens."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition, reason, *, seconds: float = 60.0, strict: bool = True) -> bool:
    """Wait until something is so; fail with the reason if it never is."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.1)
    assert not strict, f"not within {seconds:g} s: {reason()}"
    return False
