"""The index over a store's run directories: what the site reads. SQLite beside the runs, PostgreSQL by URL."""

from __future__ import annotations

import functools
import json
import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from assay.harness import __version__, facts, fingerprint, indexing, store
from assay.harness import index_tables as t
from assay.tasks.registry import Registry
from assay.tasks.types import UserError

FILE = "index.sqlite"
WAIT_S = 30
"""How long a writer waits for another, in seconds."""


class IndexRefused(UserError):
    """The database did not take what was written, or is another store's; what the index had stays."""


class IndexMissing(UserError):
    """There is no index, or one that this version can't read; the message says how to make it."""


@dataclass(frozen=True, slots=True)
class Synced:
    """What `sync` did: ids of runs, and why those were left out that could not be read."""

    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    unchanged: int = 0
    left_out: dict[str, str] = field(default_factory=dict)


def url_of(store_path: Path, url: str | None = None) -> str:
    """Where a store's index is: `url`, else `$ASSAY_INDEX`, else SQLite in the store."""
    found = url or os.environ.get("ASSAY_INDEX") or _beside(store_path)
    return found.replace("postgresql://", "postgresql+psycopg://", 1)


def _beside(store_path: Path) -> str:
    return f"sqlite:///{store_path.resolve() / FILE}"


def connect(store_path: Path, url: str | None = None, *, write: bool = False) -> sa.Engine:
    """An engine for the index of a store.

    Raises:
        IndexMissing: `write` is not set and no file is there.
        UserError: the URL is none.
    """
    place = url_of(store_path, url)
    if not place.startswith("sqlite:///"):
        try:
            return _pooled(place)
        except (SQLAlchemyError, ImportError) as error:
            raise UserError(f"ASSAY_INDEX={sa_safe(place)}: no database URL that can be opened: {error}") from None
    path = Path(place.removeprefix("sqlite:///"))
    if not write and not path.is_file():
        raise IndexMissing(f"no index at {path}: make one with: assay reindex --store {store_path}")

    def opened() -> sqlite3.Connection:
        mode = "rwc" if write else "ro"
        return sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True, timeout=WAIT_S)

    return sa.create_engine("sqlite://", creator=opened, poolclass=sa.NullPool)


@functools.cache
def _pooled(place: str) -> sa.Engine:
    """One engine a server and process: it keeps its connections for whoever asks next."""
    return sa.create_engine(place, pool_pre_ping=True)


def sa_safe(url: str) -> str:
    """A database URL without its password."""
    try:
        return sa.make_url(url).render_as_string(hide_password=True)
    except SQLAlchemyError:
        return "(not a URL)"


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection to read by.

    Raises:
        IndexMissing: the index is gone, or what is there is none.
    """
    try:
        with engine.connect() as db:
            yield db
    except SQLAlchemyError as error:
        why = str(error.__cause__ or error).splitlines()[0]
        raise IndexMissing(f"the index can't be read ({why}): make it with: assay reindex") from None


def stamp(engine: sa.Engine) -> str:
    """Changes whenever the index does.

    Raises:
        IndexMissing: the index is gone, unreadable or of another version.
    """
    with reading(engine) as db:
        found = {row.key: row.value for row in db.execute(sa.select(t.meta))}
    if found.get("schema") != t.SCHEMA:
        raise IndexMissing(f"the index is of schema {found.get('schema')}, this is {t.SCHEMA}: assay reindex")
    return f"{found['stamp']} {found['built']}"


class Index:
    """The one writer. Many may write at once: each run is one transaction.

    Raises:
        UserError: the database can't be opened; names it, without its password.
    """

    def __init__(self, store_path: Path, registry: Registry, url: str | None = None) -> None:
        self._store, self._registry = store_path, registry
        store_path.mkdir(parents=True, exist_ok=True)
        self._engine = connect(store_path, url, write=True)
        self._known = facts.read(store_path)
        self._registry_rows = indexing.registry_rows(registry)
        self._registry_digest = fingerprint.digest(self._registry_rows)
        with self._friendly():
            self._prepare()

    @contextmanager
    def _friendly(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            place = sa_safe(url_of(self._store))
            raise IndexRefused(f"index {place}: {str(error.__cause__ or error).splitlines()[0]}") from None

    def _prepare(self) -> None:
        """Make the tables; an index of another version goes first. Another process may be doing the same."""
        for last in (False, False, True):
            try:
                if self._said("schema") not in (None, t.SCHEMA):
                    t.metadata.drop_all(self._engine)
                t.metadata.create_all(self._engine)
                break
            except SQLAlchemyError:
                if last:
                    raise
                time.sleep(0.2)
        if self._said("schema") is None:
            with self._engine.begin() as db:
                self._say(db, schema=t.SCHEMA, stamp=uuid.uuid4().hex, built=_now(), assay=__version__)

    def _said(self, key: str) -> str | None:
        if not sa.inspect(self._engine).has_table("meta"):
            return None
        with self._engine.connect() as db:
            return db.scalar(sa.select(t.meta.c.value).where(t.meta.c.key == key))

    def _say(self, db: sa.Connection, **said: str) -> None:
        for key, value in said.items():
            self._upsert(db, t.meta, {"key": key, "value": value})

    def _upsert(self, db: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> None:
        insert: Any = (postgresql if db.dialect.name == "postgresql" else sqlite).insert(table).values(**row)
        keys = [c.name for c in table.primary_key]
        db.execute(insert.on_conflict_do_update(index_elements=keys, set_=dict(row)))

    def record(self, run: store.Run) -> None:
        """Write one run, whatever was there of it."""
        self._record(run, self._digest(run.path))
        self._describe()

    def _record(self, run: store.Run, digest: str) -> None:
        said = facts.of(run.plan, self._known)
        rows = indexing.rows_of(run, said, self._registry)
        run_id = run.plan.run_id
        with self._friendly(), self._engine.begin() as db:  # a write comes first: it waits for other writers
            self._upsert(db, t.runs, rows.run | {"digest": digest})
            for table in (*t.OF_RUN, t.marks):
                db.execute(sa.delete(table).where(table.c.run_id == run_id))
            for table, found in ((t.results, rows.results), (t.composites, rows.composites)):
                if found:
                    db.execute(sa.insert(table), found)
            marked = [m for m in self._known.marks if _speaks_of(m, run_id, said.series, run.plan.checkpoint.label)]
            if marked:
                db.execute(sa.insert(t.marks), [indexing.plain(asdict(m) | {"run_id": run_id}) for m in marked])
            self._say(db, stamp=uuid.uuid4().hex)

    def sync(self, progress: Callable[[str], object] = lambda _: None) -> Synced:
        """Make the index equal to the store: read what is new or changed, forget what is gone."""
        done = Synced()
        with self._friendly(), self._engine.connect() as db:
            have = {row.run_id: row.digest for row in db.execute(sa.select(t.runs.c.run_id, t.runs.c.digest))}
        seen = set()
        for path in store.list_runs(self._store):
            digest = self._digest(path)
            if have.get(path.name) == digest:
                seen.add(path.name)
                continue
            progress(path.name)
            try:
                run = store.read_run(path)
                if run.plan.run_id != path.name:
                    raise UserError(f"its folder must bear its name, {run.plan.run_id}")
                self._record(run, digest)
            except IndexRefused:
                raise
            except Exception as error:  # one damaged run, which may be anybody's, must not hide the others
                done.left_out[path.name] = f"{type(error).__name__}: {error}"
                continue
            seen.add(run.plan.run_id)
            done.added.append(run.plan.run_id)
        gone = sorted(set(have) - seen)
        if gone and not seen and url_of(self._store) != _beside(self._store):
            raise IndexRefused(
                f"index {sa_safe(url_of(self._store))} holds {len(gone)} runs, none of which {self._store} has: is it "
                "another store's? Point ASSAY_INDEX to a database of its own, or drop that one's tables"
            )
        with self._friendly(), self._engine.begin() as db:
            for table in (t.runs, *t.OF_RUN, t.marks):
                for run_id in gone:
                    db.execute(sa.delete(table).where(table.c.run_id == run_id))
            self._say(db, stamp=uuid.uuid4().hex, built=_now(), assay=__version__)
        self._describe()
        done.removed.extend(g for g in gone if g not in done.left_out)
        return Synced(done.added, done.removed, len(seen) - len(done.added), done.left_out)

    def _describe(self) -> None:
        """The registry's tasks and suites, where they changed."""
        with self._friendly():
            if self._said("registry") == self._registry_digest:
                return
            with self._engine.begin() as db:
                self._say(db, registry=self._registry_digest)
                for table in t.OF_REGISTRY:
                    db.execute(sa.delete(table))
                    if rows := self._registry_rows[table.name]:
                        db.execute(sa.insert(table), rows)

    def _digest(self, path: Path) -> str:
        """Of all that an index keeps of a run: its files' seals, what board.yaml says, the composites' tasks."""
        seals = [
            fingerprint.file_sha256(path / name)
            for name in ("plan.json", "results.json", "manifest.json")
            if (path / name).is_file()
        ]
        return fingerprint.digest([seals, json.loads(json.dumps(asdict(self._known))), self._registry_digest])


def _speaks_of(mark: facts.Mark, *names: str) -> bool:
    return any(fnmatchcase(name, mark.model) for name in names)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
