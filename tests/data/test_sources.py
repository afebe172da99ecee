"""Finding, downloading and caching, with a real server and real processes."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import os
import resource
import subprocess
import sys
import tarfile
import threading
from collections import Counter

import ase.io
import numpy as np
import pytest
from data.samples import molecule_frame

from scalarfid.data import load, named
from scalarfid.data.__main__ import main
from scalarfid.data.config import set_names
from scalarfid.data.download import download
from scalarfid.errors import ScalarFidError


class Server(http.server.ThreadingHTTPServer):
    """Serves ``files`` (bytes by path) and counts the requests; ``cut`` promises more bytes than it sends."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.requests, self.cut = {}, Counter(), 0
        self.address = f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests[self.path] += 1
        body = self.server.files.get(self.path)
        self.send_response(200 if body is not None else 404)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write((body or b"")[: len(body or b"") - self.server.cut])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with Server() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def xyz(count: int, start: int = 0) -> bytes:
    stream = io.StringIO()
    ase.io.write(stream, [molecule_frame(seed) for seed in range(start, start + count)], format="extxyz")
    return stream.getvalue().encode()


def published(server, body: bytes, **layout) -> dict:
    """Config of a set whose one file is on the server."""
    server.files["/set.xyz"] = body
    return {
        "name": "published",
        "layouts": [{"files": {"all": "set.xyz"}, "urls": {"set.xyz": f"{server.address}/set.xyz"}} | layout],
    }


def sha256(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


ONE_OF_EIGHT = """
import sys
from pathlib import Path
from scalarfid.data.download import download
print(len(download(sys.argv[1], Path(sys.argv[2]), sys.argv[3]).read_bytes()))
"""
LOADING = """
import json, sys
from scalarfid.data import load
data = load(json.loads(sys.argv[1]), cutoff=4.0)
print(data.fingerprint, float(sum(graph.energy for graph in data.train)))
"""


def eight(code: str, *arguments: str) -> set[str]:
    """What eight processes that start together print; all must end well."""
    command = [sys.executable, "-c", code, *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(8)]
    outputs = {process.communicate(timeout=400)[0] for process in started}
    assert [process.returncode for process in started] == [0] * 8
    return outputs


def files_below(folder) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")


def test_eight_processes_download_once(server, tmp_path):
    body = server.files["/a.bin"] = os.urandom(20_000_000)
    outputs = eight(ONE_OF_EIGHT, f"{server.address}/a.bin", str(tmp_path / "a.bin"), sha256(body))
    assert outputs == {"20000000\n"}
    assert server.requests == {"/a.bin": 1}
    assert files_below(tmp_path) == ["a.bin"]


@pytest.mark.slow
def test_eight_processes_load_the_same_graphs_from_one_download(server, tmp_path):
    body = xyz(30)
    config = published(server, body, checksums={"set.xyz": sha256(body)}) | {"cache": str(tmp_path)}
    assert len(eight(LOADING, json.dumps(config))) == 1
    assert server.requests == {"/set.xyz": 1}
    assert [name.rpartition(".")[2] for name in files_below(tmp_path)] == ["safetensors", "xyz"]


def test_a_wrong_checksum_is_refused_and_nothing_stays(server, tmp_path):
    config = published(server, xyz(5), checksums={"set.xyz": "sha256:0123"}) | {"cache": str(tmp_path)}
    with pytest.raises(ScalarFidError, match=r"expected 0123…: it is damaged"):
        load(config, cutoff=4.0)
    assert not list(tmp_path.rglob("*.xyz")) + list(tmp_path.rglob("*.partial*"))


def test_a_broken_connection_is_refused_and_nothing_stays(server, tmp_path):
    server.files["/a"], server.cut = b"x" * 1000, 10
    with pytest.raises(ScalarFidError, match=r"no connection or a broken one .*; get the file by hand"):
        download(f"{server.address}/a", tmp_path / "a", None)
    assert [path.name for path in tmp_path.iterdir()] == ["a.lock"]
    server.cut = 0
    assert download(f"{server.address}/a", tmp_path / "a", None).read_bytes() == b"x" * 1000


def test_an_address_that_is_gone_is_one_line(server, tmp_path):
    with pytest.raises(ScalarFidError, match=r"cannot download .*/gone: HTTP 404; get the file by hand"):
        download(f"{server.address}/gone", tmp_path / "gone", None)


def test_a_file_without_published_checksum_is_taken_with_a_warning(server, tmp_path, caplog):
    load(published(server, xyz(20)) | {"cache": str(tmp_path)}, cutoff=4.0)
    assert "no checksum is published" in caplog.text


def archive_of_rmd17() -> bytes:
    """A bz2 archive as on figshare: frames of one molecule, and index files of a split."""
    rng = np.random.default_rng(0)
    coords, forces, energies = rng.normal(0, 1, (2500, 3, 3)), rng.normal(0, 1, (2500, 3, 3)), rng.normal(0, 1, 2500)
    forces -= forces.mean(1, keepdims=True)
    stream = io.BytesIO()
    np.savez(stream, nuclear_charges=[8, 1, 1], coords=coords, energies=energies, forces=forces)
    order = rng.permutation(2500)
    members = {"rmd17/npz_data/rmd17_ethanol.npz": stream.getvalue()}
    for part, rows in (("train", order[:1000]), ("test", order[1000:2000])):
        members[f"rmd17/splits/index_{part}_01.csv"] = "\n".join(map(str, rows)).encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:bz2") as tar:
        for name, body in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    return packed.getvalue()


def test_published_rmd17_is_unpacked_once_and_split_by_its_index_files(server, tmp_path, monkeypatch):
    monkeypatch.delenv("SCALARFID_DATA", raising=False)
    body = server.files["/rmd17.tar.bz2"] = archive_of_rmd17()
    config = named("rmd17", cache=str(tmp_path))
    config.layouts[1].urls = {"rmd17.tar.bz2": f"{server.address}/rmd17.tar.bz2"}
    config.layouts[1].checksums = {"rmd17.tar.bz2": sha256(body)[:19]}
    for _ in range(2):
        data = load(config, cutoff=4.0)
    assert server.requests == {"/rmd17.tar.bz2": 1}
    assert data.statistics.n_frames == {"train": 950, "val": 50, "test": 1000}
    rows = np.loadtxt(tmp_path / "sets" / "rmd17" / "splits" / "index_test_01.csv", dtype=int)
    assert [int(graph.frame) for graph in data.test["test"][:5]] == rows[:5].tolist()


def test_an_archive_the_user_downloaded_by_hand_is_used(tmp_path):
    (tmp_path / "root").mkdir()
    body = archive_of_rmd17()
    (tmp_path / "root" / "rmd17.tar.bz2").write_bytes(body)
    config = named("rmd17", root=str(tmp_path / "root"), cache=str(tmp_path / "cache"))
    config.layouts[1].urls = {"rmd17.tar.bz2": "http://127.0.0.1:9/never"}
    assert len(load(config, cutoff=4.0).train) == 950


def test_a_damaged_archive_is_refused(tmp_path):
    (tmp_path / "rmd17.tar.bz2").write_bytes(archive_of_rmd17()[:5000])
    with pytest.raises(ScalarFidError, match=r"rmd17.tar.bz2 is damaged .*; remove it to fetch it again"):
        load(named("rmd17", root=str(tmp_path), cache=str(tmp_path / "cache")), cutoff=4.0)
    assert not list((tmp_path / "cache").rglob("*.npz"))


def test_a_changed_file_below_the_root_is_refused(stand_in, tmp_path):
    (tmp_path / "acac").mkdir()
    for path in (stand_in / "acac").glob("*.xyz"):
        (tmp_path / "acac" / path.name).write_bytes(path.read_bytes())
    with (tmp_path / "acac" / "train_300K.xyz").open("ab") as file:
        file.write(b"\n")
    with pytest.raises(ScalarFidError, match=r"train_300K.xyz has sha256 .*, expected 8f5706d6902360"):
        load(named("acac", root=str(tmp_path), cache=str(tmp_path)), cutoff=4.0)


def test_a_set_that_is_nowhere_names_the_files_that_would_do(tmp_path, monkeypatch):
    monkeypatch.delenv("SCALARFID_DATA", raising=False)
    config = {"name": "mine", "cache": str(tmp_path), "layouts": [{"files": {"all": "a.xyz"}, "folders": ["mine"]}]}
    with pytest.raises(ScalarFidError, match=r"set dataset.root or \$SCALARFID_DATA to the folder with mine/a.xyz"):
        load(config, cutoff=4.0)


def test_a_root_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ScalarFidError, match=r"no folder /nowhere \(dataset.root"):
        load(named("ag", root="/nowhere", cache=str(tmp_path)), cutoff=4.0)


def test_an_unknown_molecule_names_the_others(tmp_path):
    with pytest.raises(ScalarFidError, match=r"molecule='ethan' is not in rmd17; take one of aspirin, azobenzene"):
        load(named("rmd17", molecule="ethan", cache=str(tmp_path)), cutoff=4.0)


def test_a_cache_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ScalarFidError, match=r"Cannot write .*file: .*; free some space or set dataset.cache"):
        load(named("ethanol", cache=str(tmp_path / "file")), cutoff=4.0)


@pytest.fixture
def full_disk():
    """Every file is limited to 20 kB (the signal that comes with the limit is ignored by Python)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_cache_is_refused_and_leaves_no_half_written_file(full_disk, server, tmp_path):
    server.files["/a"] = b"x" * 100_000
    for fill in (
        lambda: load(named("ethanol", cache=str(tmp_path)), cutoff=4.0),
        lambda: download(f"{server.address}/a", tmp_path / "a", None),
    ):
        with pytest.raises(ScalarFidError, match=r"Cannot write .*[Ff]ile too large.*; free some space"):
            fill()
    assert files_below(tmp_path) == []
    full_disk()
    assert len(load(named("ethanol", cache=str(tmp_path)), cutoff=4.0).train) == 268


def test_a_graph_cache_can_be_read_by_whoever_can_read_other_files(tmp_path):
    (tmp_path / "set.xyz").write_bytes(xyz(20))
    load(named("file", path=str(tmp_path / "set.xyz"), cache=str(tmp_path)), cutoff=4.0)
    (path,) = (tmp_path / "graphs").glob("*.safetensors")
    assert path.stat().st_mode == (tmp_path / "set.xyz").stat().st_mode


@pytest.mark.parametrize("damage", ["cut", "flipped", "noise", "empty"])
def test_a_damaged_graph_cache_is_built_again(tmp_path, damage, caplog):
    (tmp_path / "set.xyz").write_bytes(xyz(20))
    config = named("file", path=str(tmp_path / "set.xyz"), cache=str(tmp_path))
    energy = load(config, cutoff=4.0).train[0].energy
    path = next((tmp_path / "graphs").glob("*.safetensors"))
    body = bytearray(path.read_bytes())
    if damage == "flipped":
        body[-50] ^= 1
    path.write_bytes({"cut": body[: len(body) // 2], "flipped": body, "noise": b"\xff" * 500, "empty": b""}[damage])
    assert load(config, cutoff=4.0).train[0].energy == energy
    assert "is damaged" in caplog.text
    caplog.clear()
    load(config, cutoff=4.0)
    assert "is damaged" not in caplog.text


def test_the_command_lists_the_sets(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("SCALARFID_DATA", raising=False)
    assert main([f"cache={tmp_path}"]) == 0
    shown = capsys.readouterr().out
    for word in (
        *set_names(),
        "in the package",
        "to download from figshare.com",
        "CC0",
        "made here in seconds",
        "statistics: ",
    ):
        assert word in shown


def test_no_path_is_cut_where_the_output_is_no_terminal(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    root = tmp_path / ("a" * 100)
    (root / "lif").mkdir(parents=True)
    (root / "lif" / "LiF-PBE.xyz").write_bytes(xyz(3))
    assert main([f"cache={tmp_path}", f"root={root}"]) == 0
    assert f"found: {root / 'lif'} " in capsys.readouterr().out


def test_the_command_shows_statistics_side_by_side(shared_cache, capsys):
    assert main(["ethanol", "ethanol", f"cache={shared_cache}", "dataset.n_test=7", "--cutoff", "4"]) == 0
    shown = capsys.readouterr().out
    for word in ("r_c = 4 Å", "train 268", "test 7", "H -10.7072", "neighbours per atom"):
        assert word in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["etanol"], "no dataset is called 'etanol'; there are 3bpa, acac"),
        (["ethanol", "n_trian=3"], "n_trian=3: Key 'n_trian' not in 'DatasetConfig'"),
        (["file"], "dataset=file needs dataset.path=…"),
        (["ethanol", "path=a.xyz"], "dataset.path is read by dataset=file only; say dataset=file"),
    ],
)
def test_the_command_answers_bad_input_with_one_line_and_status_2(words, message, capsys):
    assert main(words) == 2
    shown = capsys.readouterr().err.strip()
    assert message in shown
    assert "\n" not in shown
