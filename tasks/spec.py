"""TaskSpec: one row of the table of tasks, and what stands beside it; `loading` reads the tables."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Lt, MinLen
from pydantic import AfterValidator, StringConstraints

Kind = Literal["multiple_choice", "schema", "language_modeling", "generation", "code", "lm_eval"]
Seam = Literal["segments", "joint"]
Percent = Annotated[float, Ge(0), Lt(100)]
Count = Annotated[int, Ge(0)]
Name = Annotated[str, StringConstraints(pattern=r"^\w[\w.-]*$")]


def _regex(text: str) -> str:
    """Stop strings are regular expressions in the metric, so they must be valid ones."""
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What guessing scores, in percent, in DCLM's two versions of the table, and why."""

    v1: Percent
    v2: Percent
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """A copy that is known to differ from the original: its own git blob id, and how it differs."""

    git_blob: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Where a task's JSON Lines are and what they must hash to.

    Attributes:
        path: relative to the spec's folder, to a mirror, or to the cache; a mirror may hold `path` + ".gz".
        git_blob: `git hash-object` of the uncompressed JSON Lines.
        url: http(s):// or hf://datasets/OWNER/NAME@REVISION/PATH, pinned to a commit; "" when there is none.
        archive_sha256, member: for a task that is converted from a CSV inside a protected archive.
        protected: the authors ask that rows are not published: they are never shown, logged or stored.
    """

    path: str
    git_blob: str
    rows: Annotated[int, Gt(0)]
    url: str = ""
    archive_sha256: str = ""
    member: str = ""
    protected: bool = False
    rebuilt: Rebuilt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Samples whose `field` agrees (up to the first `until`, when given) are not independent."""

    field: str
    until: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What a code task asks for and how its answers are judged.

    Attributes:
        dataset: whose rules: evalplus's for two of them, bigcodebench's, PAL's for gsm8k, math-verify's for math.
        part: of the tests (`base`, `plus`), or which prompt (`complete`, `instruct`, `pal`).
        release: of the dataset, as its owners name it; shown with every number.
        only: a file that names, under `task_id`, the rows that belong to the task; all rows without it.
    """

    dataset: Literal["humaneval", "mbpp", "bigcodebench", "gsm8k", "math"]
    part: Literal["base", "plus", "complete", "instruct", "pal"]
    release: Annotated[str, MinLen(1)]
    only: Data | None = None

    @property
    def maths(self) -> Literal["gsm8k", "math"] | None:
        """The dataset, where the program only works out the answer to a question of it."""
        return self.dataset if self.dataset == "gsm8k" or self.dataset == "math" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class LmEval:
    """A task of lm-eval's, asked, filtered, scored and aggregated by lm-eval's own code.

    Attributes:
        task: its name there; `{category}` in it stands for each category of the data, an lm-eval task of its own.
        metric: `metric,filter` that is the task's number; "" takes the first that it has.
        max_tokens: of an answer; 0 is lm-eval's cap, which is 256 where its task names none.
        split: what lm-eval calls the split that `data` is.
        shots_from, shots_split: the file that examples come from, and its split.
        columns: (name there, its text made of our file's columns, as "{context} {continuation}").
        beside: a judge of ours whose number stands beside lm-eval's, never in its place.
        include: folders of the user's own lm-eval tasks.
        overrides: JSON of what a group of lm-eval's says of the task beyond its own file.
        text: a text file, or JSON Lines with a `text` each, that is the data.
    """

    task: Annotated[str, MinLen(1)]
    metric: str = ""
    max_tokens: Count = 0
    split: str = "test"
    shots_from: Data | None = None
    shots_split: str = ""
    columns: tuple[tuple[str, str], ...] = ()
    beside: Literal["", "number"] = ""
    include: tuple[str, ...] = ()
    overrides: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """How often and how a model is asked. Not in a table: `assay run` says it.

    Attributes:
        n: answers to each problem of code; more than one needs a temperature.
        temperature: for code; 0 takes the most likely token each time.
        plain: for code: never use the chat template, for base models whose tokenizer ships one.
        chat: ask tasks of lm-eval's in the model's chat template.
        turns: with `chat`, every example is a turn of its own.
        system: with `chat`, the system prompt.
    """

    n: int = 1
    temperature: float = 0.0
    top_p: float = 0.95
    seed: int = 0
    plain: bool = False
    chat: bool = False
    turns: bool = False
    system: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """One row of the table. Names follow DCLM's eval/heavy.yaml where it has one.

    Attributes:
        shots: examples before the question, drawn from the same file (and category).
        baseline: None where nobody says what guessing scores: then there is no centred score.
        seed: of the one random generator a file (and category) is drawn with.
        seam: `segments` tokenises examples, question and answer apart (llm-foundry); `joint` tokenises question
            and answer as one text (lm-eval).
        max_length: tokens of context and answer together; the left end is cut to fit.
        mean: over categories: of their means (`macro`), or over all samples (`micro`).
        split: what the rows were published as; answers to a test split are no training data.
        source: spec file and line, for messages; not part of what is measured.
    """

    name: Name
    kind: Kind
    skill: str
    shots: Count
    baseline: Baseline | None
    data: Data
    licence: str
    version: Annotated[int, Gt(0)] = 1
    seed: int = 1234
    prelimiter: str = ""
    example_delimiter: str = "\n"
    continuation_delimiter: str = " "
    cot_delimiter: str = ""
    stop: tuple[Annotated[str, MinLen(1), AfterValidator(_regex)], ...] = ()
    categories: bool = False
    seam: Seam = "segments"
    max_length: Annotated[int, Gt(0)] = 2048
    cluster: Cluster | None = None
    code: Code | None = None
    lm_eval: LmEval | None = None
    mean: Literal["macro", "micro"] = "macro"
    split: Literal["train", "test"] = "test"
    draws: Draws = Draws()
    source: str = field(default="", compare=False)

    @property
    def rows(self) -> int:
        """Documents that it has."""
        return self.code.only.rows if self.code and self.code.only else self.data.rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A named list of tasks."""

    name: Name
    description: str
    tasks: Annotated[tuple[str, ...], MinLen(1)]
    source: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Composite:
    """The mean centred score over every task of a suite, with one version of the baselines."""

    name: Name
    suite: str
    baseline: Literal["v1", "v2"]
    source: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecFile:
    """Everything one YAML file declares."""

    tasks: tuple[TaskSpec, ...] = ()
    suites: tuple[Suite, ...] = ()
    composites: tuple[Composite, ...] = ()
