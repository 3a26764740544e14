import io
import re
import shutil
import tarfile
import threading
from pathlib import Path

import pytest

from assay.sandbox import build, docker
from assay.sandbox.types import SandboxUnavailable

TWO_STAGES = """ARG BASE
FROM ${BASE} AS build
LABEL assay.stage=build
COPY requirements.txt ca-bundle.pem /build/
FROM ${BASE}
COPY --from=build /build/requirements.txt /requirements.txt
COPY nltk_data /usr/share/nltk_data
"""


def silent(line: str) -> None:
    pass


@pytest.fixture
def sources(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "FOLDER", tmp_path / "images")
    for image in build.IMAGES:
        (tmp_path / "images" / image).mkdir(parents=True)
        (tmp_path / "images" / image / "Dockerfile").write_text(TWO_STAGES)
        (tmp_path / "images" / image / "requirements.txt").write_text(f"# {tmp_path}\n")
    return tmp_path / "images"


@pytest.fixture
def corpora(tmp_path):
    (tmp_path / "given" / "corpora").mkdir(parents=True)
    (tmp_path / "given" / "corpora" / "stopwords").write_text("the\n")
    return tmp_path / "given"


@pytest.fixture
def client():
    try:
        client = docker.connect(timeout_s=60)
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    yield client
    client.close()


@pytest.fixture
def empty_base(client, monkeypatch, request):
    name = f"assay-test-base:{abs(hash(request.node.name))}"
    archive = io.BytesIO()
    tarfile.open(fileobj=archive, mode="w").close()
    client.api.import_image_from_data(archive.getvalue(), *name.split(":"))
    monkeypatch.setattr(build, "HUB", dict.fromkeys(build.IMAGES, name))
    yield name
    client.images.remove(name)


@pytest.fixture
def made(client):
    tags: list[str] = []
    yield tags
    for tag in tags:
        client.images.remove(tag, force=True)


@pytest.mark.parametrize("image", build.IMAGES)
def test_hash_is_the_same_twice_and_names_the_tag(image):
    assert build.context_hash(image) == build.context_hash(image)
    assert build.tag(image) == f"assay-sandbox-{image}:{build.context_hash(image)[:12]}"


def test_hash_changes_with_a_byte_and_with_a_name(sources):
    before = build.context_hash("core")
    requirements = sources / "core" / "requirements.txt"
    requirements.rename(sources / "core" / "other.txt")
    renamed = build.context_hash("core")
    (sources / "core" / "other.txt").rename(requirements)
    assert build.context_hash("core") == before != renamed
    requirements.write_text("numpy==2\n")
    assert build.context_hash("core") not in (before, renamed)


def test_corpora_change_hash_and_tag(sources, corpora):
    with_corpora = build.context_hash("bigcodebench", corpora)
    assert with_corpora != build.context_hash("bigcodebench")
    assert build.tag("bigcodebench", corpora).endswith("-nltk")
    (corpora / "corpora" / "stopwords").write_text("a\n")
    assert build.context_hash("bigcodebench", corpora) != with_corpora


@pytest.mark.parametrize("image", build.IMAGES)
def test_every_requirement_is_pinned(image):
    lines = (build.FOLDER / image / "requirements.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines if not line.startswith("#"))


def test_corpora_go_only_where_a_dockerfile_copies_them():
    for image in build.IMAGES:
        text = (build.FOLDER / image / "Dockerfile").read_text()
        assert ("COPY nltk_data" in text) == (image in build.CORPORA)


def test_corpora_that_would_not_arrive_are_refused(corpora, tmp_path):
    with pytest.raises(ValueError, match="bigcodebench only"):
        build.build(None, "core", nltk_data=corpora, say=silent)
    with pytest.raises(ValueError, match=r"not .*/absent"):
        build.build(None, "bigcodebench", nltk_data=tmp_path / "absent", say=silent)


def test_a_registry_that_says_nothing_is_given_up():
    done = threading.Event()
    with pytest.raises(TimeoutError, match="no answer for"):
        list(build._within(lambda: ({"status": str(done.wait(10))} for _ in "a"), silence_s=0.05))
    done.set()


@pytest.mark.docker
def test_missing_image_names_the_remedy(client, sources):
    with pytest.raises(SandboxUnavailable, match="assay sandbox build core"):
        build.find(client, "core")


@pytest.mark.docker
def test_image_is_built_once_and_found(client, sources, corpora, empty_base, made):
    said: list[str] = []
    built = build.build(client, "bigcodebench", say=said.append)
    made.append(built.tag)
    assert (built.tag, built.nltk) == (build.tag("bigcodebench"), "")
    assert re.fullmatch("sha256:[0-9a-f]{64}", built.digest)
    assert said
    assert build.find(client, "bigcodebench") == built
    assert build.build(client, "bigcodebench", base="debian", say=pytest.fail) == built

    with_corpora = build.build(client, "bigcodebench", nltk_data=corpora, say=silent)
    made.append(with_corpora.tag)
    assert with_corpora.nltk
    assert with_corpora.digest != built.digest
    assert build.find(client, "bigcodebench") == with_corpora


@pytest.mark.docker
def test_failed_build_tells_the_engines_last_lines(client, sources, empty_base):
    (sources / "core" / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nCOPY absent /\n")
    with pytest.raises(SandboxUnavailable, match=r"(?s)building assay-sandbox-core:\w+ failed.*absent.*COPY absent"):
        build.build(client, "core", say=silent)


@pytest.mark.docker
def test_ca_bundle_that_is_absent_is_named(client, sources, empty_base):
    with pytest.raises(SandboxUnavailable, match=r"/no/bundle\.pem"):
        build.build(client, "core", ca_bundle=Path("/no/bundle.pem"), say=silent)


@pytest.mark.docker
def test_registry_that_refuses_points_to_debian(client, sources, monkeypatch):
    monkeypatch.setattr(build, "HUB", {"core": "localhost:1/python:3"})
    with pytest.raises(SandboxUnavailable, match="--base debian"):
        build.build(client, "core", base="hub", say=silent)


@pytest.mark.docker
def test_debian_without_mmdebstrap_names_the_package(client, sources, monkeypatch):
    monkeypatch.setattr(build, "DEBIAN", {"core": "no-such-suite"})
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SandboxUnavailable, match="apt-get install mmdebstrap"):
        build.build(client, "core", base="debian", say=silent)


@pytest.mark.docker
@pytest.mark.skipif(not shutil.which("mmdebstrap"), reason="needs mmdebstrap")
def test_debian_that_cannot_be_made_tells_mmdebstraps_last_lines(client, sources, monkeypatch):
    monkeypatch.setattr(build, "DEBIAN", {"core": "no-such-suite"})
    with pytest.raises(SandboxUnavailable, match=r"(?s)Debian's archive failed.*E: "):
        build.build(client, "core", base="debian", say=silent)
