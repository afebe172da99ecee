"""Whether a trained potential is physically sane: questions with pictures, settings, and a reference beside them.

python -m scalarfid.diagnose model=runs/default/mace-pan+pgs-ethanol-s0-1a2b3c4d
python -m scalarfid.diagnose model=runs/default/mace-none-si_sw-s0-1a2b3c4d diagnostics=repulsion repulsion.points=400
python -m scalarfid.diagnose -m model=runs/ablation/* diagnostics=repulsion

Words are key=value:

model        run directory; with -m, a pattern for several, or comma-separated (required)
diagnostics  comma-separated, of those listed at the end, or all (all)
reference    in-process potential to compare with: ag_emt, si_sw, si_kumagai, lif_ion, xtb, none
             (the one that made the training labels, else none: only one level of theory is compared with itself)
dtype        float64 or float32 (float64)
device       auto, cpu, cuda, cuda:1 (cpu); the reference is always asked on the CPU
compile      true: molecular dynamics by compiled steps, equal to round-off; a minute or more for every size (false)
out          folder for the results (diagnostics/ in the run directory)
force        true: ask again what has been answered (false)
<name>.*     an option of a diagnostic; conf/physics/<name>.yaml has them and their defaults

Every answer is <name>.json (numbers with units, settings, faults, hash of the model, device and package versions),
<name>.npz and <name>.png. What has been answered with the same settings by the same model is not asked again, wherever
it was computed; long questions keep what they have in <name>-<hash>/ and go on there after an interruption. A question
that finds no answer, for want of a package or a file, is a line (a traceback where it is a surprise), and the others
are asked; the end names them all, and the exit status is then 2. The last line on stdout is the folder.
"""

from __future__ import annotations

import glob
import hashlib
import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from ase.data import chemical_symbols
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich import box
from rich.console import Console
from rich.table import Table

from scalarfid.caught import Caught
from scalarfid.config import CONFIG_FILE, conf_dir, stored_dataset
from scalarfid.config.messages import explain
from scalarfid.errors import ScalarFidError
from scalarfid.files import digest, read_json, writing
from scalarfid.log import log
from scalarfid.physics import Diagnostic, Surface, System, diagnostics, named, surface, system_of
from scalarfid.physics.options import Options
from scalarfid.physics.surface import ELEMENTS
from scalarfid.potential import MODEL_FILE, Potential, device_of, load
from scalarfid.training.provenance import code_version, versions
from scalarfid.words import command, options_of, show_path

DEFAULTS = {
    "model": None,
    "diagnostics": "all",
    "reference": None,
    "dtype": "float64",
    "device": "cpu",
    "compile": "false",
    "out": None,
    "force": "false",
}
COMPUTES = ("backbones", "data", "intervals.py", "potential", "probes", "physics", "sites.py")
"""Files and folders of the package that make the numbers of an answer."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Diagnose as the command line says; the exit status is 0, or 2 after bad input or a question without an answer."""
    return command(f"{__doc__}\n{_table()}", arguments, _diagnose)


def _table() -> str:
    """The diagnostics, one a line."""
    return "\n".join(["Diagnostics:", "", *(f"{name:<15}{question.about}" for name, question in diagnostics().items())])


def _diagnose(words: list[str], out: Console) -> None:
    several = bool({"-m", "--multirun"} & set(words))
    options, others = options_of([word for word in words if word not in ("-m", "--multirun")], DEFAULTS)
    _check(options)
    asked = named(options["diagnostics"])
    chosen = {question.name: options_for(question, others) for question in asked}
    _refuse_others(others, asked)
    lost = {}
    for path in _models(options["model"], several=several):
        with Caught() as caught:
            folder, unanswered = diagnose(path, asked, chosen, options, out)
        if caught.error is not None:
            if not several:
                raise caught.error
            log.warning("%s: %s", path, caught.text)
            lost[path.name] = ["everything"]
            continue
        lost |= {path.name: unanswered} if unanswered else {}
        show_path(out, folder)
    if lost:
        listed = "; ".join(f"{name}: {', '.join(questions)}" for name, questions in lost.items())
        raise ScalarFidError(f"Not answered, for the reasons above: {listed}.")


@dataclass(frozen=True)
class Subject:
    """A model that is asked, and what it is asked with.

    Attributes:
        model: surface of the run's potential.
        reference: compared with, None if there is none.
        system: of its dataset.
        folder: for the answers.
        facts: what an earlier answer must have in common with one that would be given now.
        made: where and how it is computed, which is recorded beside the facts.
    """

    model: Surface
    reference: Surface | None
    system: System
    folder: Path
    facts: Mapping[str, Any]
    made: Mapping[str, Any]


def diagnose(
    path: Path, asked: Sequence[Diagnostic], chosen: Mapping[str, Options], options: Mapping[str, Any], out: Console
) -> tuple[Path, list[str]]:
    """Ask one model all questions, write and show the answers.

    Args:
        path: run directory.
        asked: the questions.
        chosen: options by question.
        options: of the command.
        out: console for the tables.

    Returns:
        The folder of the answers, and the questions that found none; why has then been logged.

    Raises:
        ScalarFidError: no run directory, no model in it, an unknown reference or device, options that do not fit the
            model, a folder that cannot be written.
    """
    subject, unanswered = _subject(path, options), []
    _prepare(subject, asked, chosen, force=options["force"] == "true")
    for question in asked:
        reason = question.applies(subject.reference, subject.system)
        if reason is not None:
            log.info("not asked: %s", reason)
            continue
        with Caught() as caught:
            record = _answer(subject, question, chosen[question.name], force=options["force"] == "true")
        if caught.error is None:
            _show(record, out)
        else:
            log.warning("%s, %s: not answered: %s", path.name, question.name, caught.text)
            unanswered.append(question.name)
    return subject.folder, unanswered


def _subject(path: Path, options: Mapping[str, Any]) -> Subject:
    potential, dataset = _run(path)
    device, compiled = device_of(options["device"]), options["compile"] == "true"
    system = system_of(dataset, potential.elements)
    model = surface(potential.to(device), dtype=options["dtype"], compile=compiled)
    model.name = path.name
    facts = {
        "model_sha256": digest(path / MODEL_FILE),
        "code": _code(),
        "dtype": options["dtype"],
        "system": system.name,
        "sources": system.sources,
    }
    folder = Path(options["out"]) / path.name if options["out"] else path / "diagnostics"
    made = {"device": str(device), "compile": compiled}
    return Subject(model, _reference(options["reference"], system), system, folder, facts, made)


def _prepare(subject: Subject, asked: Sequence[Diagnostic], chosen: Mapping[str, Options], *, force: bool) -> None:
    """Refuse what would come to nothing before anything is computed; make the folder if there is something to write."""
    asked = [question for question in asked if question.applies(subject.reference, subject.system) is None]
    for question in asked:
        chosen[question.name].check_for(subject.model, subject.system)
    if subject.folder.is_dir() and not force and all(_earlier(subject, one, chosen[one.name]) for one in asked):
        return
    with writing(subject.folder, "give another folder as out=…"):
        subject.folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=subject.folder).close()


def _answer(subject: Subject, question: Diagnostic, options: Options, *, force: bool) -> dict[str, Any]:
    """The record of an earlier answer, or of one that is given and written now."""
    record = None if force else _earlier(subject, question, options)
    if record is not None:
        return record
    facts = {**subject.facts, "options": asdict(options)}
    reference = subject.reference and subject.reference.name
    work = _work(subject.folder, question, {**facts, **subject.made, "reference": reference}, force=force)
    outcome = question.ask(subject.model, subject.reference, subject.system, options, work)
    return read_json(outcome.write(subject.folder, question.draw, **facts, **subject.made, versions=versions()))


def _run(path: Path) -> tuple[Potential, Mapping[str, Any]]:
    """Potential of a run directory, and the dataset that it was trained on."""
    lost = [name for name in (MODEL_FILE, CONFIG_FILE) if not (path / name).is_file()]
    if lost and (path / "summary.json").is_file():
        raise ScalarFidError(f"{path} was copied without its {lost[0]}; copy the whole run directory, or ask there.")
    if CONFIG_FILE in lost:
        raise ScalarFidError(f"{path} is not a run directory (it has no {CONFIG_FILE}); give one as model=….")
    return load(path), stored_dataset(path)


@cache
def _code() -> str:
    """Version of the code that answers, read once for all models."""
    return code_version(computes=COMPUTES)


def _earlier(subject: Subject, question: Diagnostic, options: Options) -> dict[str, Any] | None:
    """The record of an earlier answer of the same model to the same question, None if there is none."""
    before = read_json(subject.folder / f"{question.name}.json") or {}
    reference = subject.reference and subject.reference.name
    facts = {**subject.facts, "options": asdict(options), "reference": reference}
    return before if all(key in before and before[key] == value for key, value in facts.items()) else None


def _work(folder: Path, question: Diagnostic, facts: Mapping[str, Any], *, force: bool) -> Path:
    """Folder of unfinished work, another one for other facts; ``force`` empties it."""
    name = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]
    work = folder / f"{question.name}-{name}"
    if force:
        shutil.rmtree(work, ignore_errors=True)
    return work


def _show(record: Mapping[str, Any], out: Console) -> None:
    """Print the numbers and warn of the faults."""
    against = f" against {record['reference']}" if record["reference"] else ", no reference"
    table = Table(title=f"{record['question']}{against}", box=box.SIMPLE_HEAD, title_justify="left")
    for name, justify in (("", "left"), ("value", "right"), ("unit", "left")):
        table.add_column(name, justify=justify, overflow="fold")
    for name, number in record["numbers"].items():
        value = "–" if number["value"] is None else f"{number['value']:.4g}"
        interval = f" ({number['low']:.4g} … {number['high']:.4g})" if number.get("low") is not None else ""
        note = f" ({number['note']})" if "note" in number else ""
        table.add_row(name, value + interval, number["unit"] + note)
    out.print(table)
    for fault in record["findings"]:
        log.warning("%s", fault)


def _check(options: Mapping[str, Any]) -> None:
    if options["model"] is None:
        raise ScalarFidError("No model; give a run directory as model=….")
    switch = ("true", "false")
    for key, choices in (("dtype", ("float32", "float64")), ("compile", switch), ("force", switch)):
        if options[key] not in choices:
            raise ScalarFidError(f"{key}={options[key]} is not a choice; there are {', '.join(choices)}.")
    device_of(options["device"])


def _models(pattern: str, *, several: bool) -> list[Path]:
    """Run directories that the word ``model=`` names; unfinished ones of a pattern are passed over."""
    if not several:
        return [Path(pattern)]
    found = sorted({Path(place) for part in pattern.split(",") for place in glob.glob(part)})
    finished = [path for path in found if (path / MODEL_FILE).is_file()]
    if not finished:
        raise ScalarFidError(f"model={pattern}: no run directory with a model; give a pattern such as runs/ablation/*.")
    if len(finished) < len(found):
        log.info("%d of %d places have no model and are passed over", len(found) - len(finished), len(found))
    return finished


def _reference(name: str | None, system: System) -> Surface | None:
    """The surface asked for, else the one that made the labels.

    Raises:
        ScalarFidError: it is unknown, or does not know every element of the model.
    """
    name = name or system.reference
    if name in (None, "none"):
        return None
    found, wanted = surface(name), set(system.elements)
    if not wanted <= found.elements:
        able = [other for other, elements in ELEMENTS.items() if wanted <= elements]
        raise ScalarFidError(
            f"reference={name} knows {_symbols(found.elements)}, this model has {_symbols(wanted)}; "
            f"leave reference= out, or give one of {', '.join([*able, 'none'])}."
        )
    return found


def _symbols(elements: Iterable[int]) -> str:
    return ", ".join(chemical_symbols[z] for z in sorted(elements))


def options_for(question: Diagnostic, words: Sequence[str]) -> Options:
    """Options of a diagnostic: its file in ``conf/physics``, changed by the words that begin with its name.

    Raises:
        ScalarFidError: an unknown option, a value of the wrong kind or out of range.
    """
    changes = [word.removeprefix(f"{question.name}.") for word in words if word.startswith(f"{question.name}.")]
    try:
        config = OmegaConf.merge(
            OmegaConf.structured(question.options),
            OmegaConf.load(conf_dir() / "physics" / f"{question.name}.yaml"),
            OmegaConf.from_dotlist(changes),
        )
        options = OmegaConf.to_object(config)
    except OmegaConfBaseException as error:
        raise explain(error) from error
    options.check(question.name)
    return options


def _refuse_others(words: Sequence[str], asked: Sequence[Diagnostic]) -> None:
    names = [question.name for question in asked]
    for word in words:
        if "=" not in word or word.partition(".")[0] not in names:
            options = ", ".join(f"{name}.…" for name in names)
            raise ScalarFidError(f"Cannot use {word!r}: give {', '.join(DEFAULTS)}, {options} as key=value.")


if __name__ == "__main__":
    sys.exit(main())
