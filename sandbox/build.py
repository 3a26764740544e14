"""Make the images that cells run: from Docker Hub's Python, or from Debian's archive where no registry answers."""

from __future__ import annotations

import hashlib
import io
import queue
import shutil
import subprocess
import tarfile
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias

from assay.sandbox.types import SandboxUnavailable

FOLDER = Path(__file__).parent / "images"
IMAGES = ("core", "bigcodebench")
CORPORA = ("bigcodebench",)  # their Dockerfiles copy NLTK's corpora
HUB = {"core": "python:3.11-slim-bookworm", "bigcodebench": "python:3.9-slim-bullseye"}
DEBIAN = {"core": "bookworm", "bigcodebench": "bullseye"}
CLASSIC = {"custom_context": True, "decode": True, "forcerm": True, "rm": True}
HUB_SILENCE_S = 20  # a registry that says nothing for so long does not answer

Base: TypeAlias = Literal["auto", "hub", "debian"]
Say: TypeAlias = Callable[[str], None]  # gets one line of progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """An image that is there.

    Attributes:
        digest: the image id, `sha256:` and 64 hexadecimal digits. It belongs in every fingerprint.
        created: as the engine says it, ISO 8601 in UTC.
        nltk: sha256 of the corpora inside; empty where there are none.
    """

    image: str
    tag: str
    digest: str
    created: str
    size_mib: float
    nltk: str


def context_hash(image: str, nltk_data: Path | None = None) -> str:
    """sha256 over what the image is built from: names and bytes. The CA bundle and the base are no part of it."""
    return _hash(_files(FOLDER / image) | _files(nltk_data, "nltk_data"))


def tag(image: str, nltk_data: Path | None = None) -> str:
    """The name of the image that these sources make: `assay-sandbox-IMAGE:<hash>`, `-nltk` at the end with corpora."""
    return f"assay-sandbox-{image}:{context_hash(image, nltk_data)[:12]}{'-nltk' if nltk_data else ''}"


def find(client: Any, image: str) -> Built:
    """The newest image made from the present Dockerfile and requirements, with corpora or without.

    Raises:
        SandboxUnavailable: there is none.
    """
    label = f"assay.context={context_hash(image)}"
    with _faults("cannot list the engine's images"):
        found = [_built(image, each) for each in client.images.list(filters={"label": label, "dangling": False})]
    if not found:
        raise SandboxUnavailable(f"the image {tag(image)} is not there: assay sandbox build {image}")
    return max(found, key=lambda built: (built.created, built.tag))


def build(
    client: Any,
    image: str,
    *,
    base: Base = "auto",
    ca_bundle: Path | None = None,
    network: str | None = None,
    nltk_data: Path | None = None,
    say: Say,
    force: bool = False,
) -> Built:
    """Make an image; nothing is done where it is there already.

    Args:
        client: from `assay.sandbox.docker.connect`.
        image: one of `IMAGES`. Its build stage, as large as itself, is removed afterwards.
        base: where Python comes from; `auto` asks the registry, then Debian's archive.
        ca_bundle: certificates (PEM) for pip, where a proxy inspects TLS. Used while building; not kept in the image.
        network: network of the build steps, such as `host`; None is the engine's default.
        nltk_data: a folder as NLTK_DATA names it; its files go into the image.
        say: gets one line of progress at a time.
        force: make it again.

    Raises:
        SandboxUnavailable: it can't be made; the message has the last lines and, where one is known, the remedy.
    """
    if nltk_data and (image not in CORPORA or not _files(nltk_data)):
        raise ValueError(f"corpora go into {', '.join(CORPORA)} only, from a folder with files, not {nltk_data}")
    name = tag(image, nltk_data)
    fault = f"building {name} failed"
    with _faults(fault):
        there = client.images.list(name=name)
        if there and not force:
            return _built(image, there[0])
        parent = _base(client, image, base, say)
        labels = {"assay.context": context_hash(image), "assay.base": f"{parent}@{client.images.get(parent).id}"}
        labels |= {"assay.nltk_data": _hash(_files(nltk_data, "nltk_data"))} if nltk_data else {}
        say(f"building {name} on {parent}")
        with _context(image, ca_bundle, nltk_data) as context:
            sources = {"fileobj": context, "buildargs": {"BASE": parent}, "network_mode": network, "nocache": force}
            _follow(client.api.build(tag=name, labels=labels, **sources, **CLASSIC), fault, say)
        client.images.prune(filters={"label": "assay.stage"})
        return _built(image, client.images.get(name))


def _base(client: Any, image: str, base: Base, say: Say) -> str:
    """The tag of a base image that is there, fetched or made if need be."""
    if base != "debian":
        try:
            return _hub(client, HUB[image], say)
        except Exception as error:  # whatever docker-py raises
            fault = f"cannot pull {HUB[image]} from the registry: {error}"
            if base == "hub":
                raise SandboxUnavailable(f"{fault}; try --base debian") from error
            say(f"{fault}; taking Debian's archive instead")
    return _debian(client, DEBIAN[image], say)


def _hub(client: Any, reference: str, say: Say) -> str:
    if not client.images.list(name=reference):
        say(f"pulling {reference}")
        repository, _, version = reference.rpartition(":")
        events = _within(lambda: client.api.pull(repository, tag=version, stream=True, decode=True), HUB_SILENCE_S)
        _follow(events, "the registry refused", lambda line: None)
    return reference


def _debian(client: Any, suite: str, say: Say) -> str:
    """A minimal Debian with its Python and pip, made by mmdebstrap; kept under a tag that hashes this recipe."""
    recipe = ["mmdebstrap", "--variant=minbase", "--include=ca-certificates,python-is-python3,python3,python3-pip"]
    name = f"assay-base-{suite}:{hashlib.sha256(' '.join([*recipe, suite]).encode()).hexdigest()[:12]}"
    fault = f"making {name} from Debian's archive failed"
    if client.images.list(name=name):
        return name
    if not shutil.which("mmdebstrap"):
        raise SandboxUnavailable(f"{fault}: mmdebstrap is missing: as root, apt-get install mmdebstrap")
    say(f"making {name} from Debian's archive")
    with tempfile.TemporaryDirectory(prefix="assay-base-") as folder:
        pipe, command = subprocess.PIPE, [*recipe, suite, f"{folder}/root.tar"]
        with subprocess.Popen(command, stdout=pipe, stderr=subprocess.STDOUT, text=True, errors="replace") as process:  # noqa: S603
            last = _follow(({"stream": line} for line in process.stdout or ()), fault, say)
        if process.returncode:
            raise SandboxUnavailable("\n".join([f"{fault}; the last lines:", *last]))
        client.api.import_image_from_file(command[-1], repository=name.split(":")[0], tag=name.split(":")[1])
        client.images.get(name)  # an import that failed says so in its answer only
    return name


@contextmanager
def _context(image: str, ca_bundle: Path | None, nltk_data: Path | None) -> Iterator[IO[bytes]]:
    """The build context as an archive: the image's folder, `ca-bundle.pem` (empty if None), `nltk_data/`."""
    files = _files(FOLDER / image) | _files(nltk_data, "nltk_data")
    bundle = ca_bundle.read_bytes() if ca_bundle else b""
    certificates, corpora = tarfile.TarInfo("ca-bundle.pem"), tarfile.TarInfo("nltk_data")
    certificates.size, corpora.type, corpora.mode = len(bundle), tarfile.DIRTYPE, 0o755
    with tempfile.TemporaryFile(prefix="assay-context-") as target:
        with tarfile.open(fileobj=target, mode="w", dereference=True) as archive:
            archive.addfile(corpora)
            archive.addfile(certificates, io.BytesIO(bundle))
            for name, path in sorted(files.items()):
                member = archive.gettarinfo(path, name)
                member.mode, member.mtime, member.uid, member.gid = 0o644, 0, 0, 0
                with path.open("rb") as source:
                    archive.addfile(member, source)
        target.seek(0)
        yield target


def _files(folder: Path | None, prefix: str = "") -> dict[str, Path]:
    """Files by their names in the build context; none where there is no folder."""
    paths = (path for path in folder.rglob("*") if path.is_file()) if folder else ()
    return {(Path(prefix) / path.relative_to(folder or "")).as_posix(): path for path in paths}


def _hash(files: dict[str, Path]) -> str:
    total = hashlib.sha256()
    for name, path in sorted(files.items()):
        with path.open("rb") as source:
            total.update(f"{name}\0{hashlib.file_digest(source, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()


def _built(image: str, found: Any) -> Built:
    return Built(
        image=image,
        tag=min(found.tags, key=lambda name: (not name.startswith("assay-sandbox-"), name)),
        digest=found.id,
        created=found.attrs["Created"],
        size_mib=found.attrs["Size"] / 2**20,
        nltk=found.labels.get("assay.nltk_data", ""),
    )


def _follow(events: Iterable[dict[str, Any]], fault: str, say: Say) -> Iterable[str]:
    """Tell progress as it comes; an `error` in it becomes SandboxUnavailable. Returns the last lines."""
    last: deque[str] = deque(maxlen=15)
    for event in events:
        for line in filter(str.strip, str(event.get("stream") or event.get("status") or "").splitlines()):
            say(line.rstrip())
            last.append(line.rstrip())
        if "error" in event:
            raise SandboxUnavailable("\n".join([f"{fault}: {event['error']}", *last]))
    return last


def _within(start: Callable[[], Iterable[dict[str, Any]]], silence_s: float) -> Iterator[dict[str, Any]]:
    """The events of a pull; TimeoutError when none comes for `silence_s`, where docker-py would wait for ever."""
    came: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def read() -> None:
        try:
            for event in start():
                came.put(event)
        except Exception as error:  # told on the caller's thread
            came.put({"error": str(error)})
        came.put({})

    threading.Thread(target=read, daemon=True).start()
    try:
        while event := came.get(timeout=silence_s):
            yield event
    except queue.Empty:
        raise TimeoutError(f"no answer for {silence_s:g} s") from None


@contextmanager
def _faults(doing: str) -> Iterator[None]:
    """Whatever docker-py raises is the machine's fault."""
    try:
        yield
    except SandboxUnavailable:
        raise
    except Exception as error:
        raise SandboxUnavailable(f"{doing}: {error}") from error
