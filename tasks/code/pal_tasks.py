"""Program-aided maths (PAL, Gao et al. 2022): the model writes a function, what it returns is the answer.

The form is PAL's: examples, each a question and a function `solution()`, then the question. The examples are our own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from assay.tasks.code import evalplus_tasks
from assay.tasks.code.evalplus_tasks import END, RESPONSE, Chat
from assay.tasks.types import Row

Dataset = Literal["gsm8k", "math"]

ENTRY_POINT = "solution"
HEAD = f"def {ENTRY_POINT}():\n"
"""How every prompt ends and every program begins."""
STOP = (*END, "\n\n\n", "\n# Question", "\nQ:", "\nclass ", "\ndef ", "\nassert ", "\n```")
MAX_NEW_TOKENS: Mapping[Dataset, int] = {"gsm8k": 512, "math": 768}
QUESTION: Mapping[Dataset, str] = {"gsm8k": "question", "math": "context"}
"""The column that asks."""
LIMIT_S = 10.0
"""Time a program may take: `time_out` of PAL's ProgramInterface.run."""

INSTRUCTION = (
    "Complete the last function of this Python program, so that it returns the answer to the question above it. "
    "Return a number as a number, anything else as a sympy object or in LaTeX. Give that function alone, in a markdown "
    "code block:"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A question, the body of a function that answers it, and the answer as the dataset would publish it."""

    question: str
    body: str
    answer: str


EXAMPLES: Mapping[Dataset, tuple[Example, ...]] = {
    "gsm8k": (
        Example(
            question="Nadia's greenhouse holds 14 trays with 12 seedlings each. Frost kills 30 seedlings, and she "
            "sells half of the rest. How many seedlings does she still have?",
            body="""\
    trays = 14
    seedlings_per_tray = 12
    killed_by_frost = 30
    alive = trays * seedlings_per_tray - killed_by_frost
    sold = alive / 2
    left = alive - sold
    return left
""",
            answer="69",
        ),
        Example(
            question="Two brothers share a phone bill of $72. Idris pays three times as much as Tomas, and Tomas also "
            "owes Idris $5 from last month. How many dollars does Tomas have to hand over in total?",
            body="""\
    bill = 72
    shares = 3 + 1
    share_of_tomas = bill / shares
    old_debt = 5
    total = share_of_tomas + old_debt
    return total
""",
            answer="23",
        ),
        Example(
            question="A jacket costs $80. The shop raises the price by 25%, and later takes 10% off the new price. How "
            "many dollars more than at first does the jacket cost now?",
            body="""\
    first_price = 80
    raised_price = first_price * (1 + 25 / 100)
    price_now = raised_price * (1 - 10 / 100)
    difference = price_now - first_price
    return difference
""",
            answer="10",
        ),
        Example(
            question="Lena reads 20 pages on Monday, and on each day after it 4 pages more than on the day before. Her "
            "book has 350 pages. How many pages are left after Saturday?",
            body="""\
    pages_in_book = 350
    pages_today = 20
    more_each_day = 4
    pages_read = 0
    for day in ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]:
        pages_read += pages_today
        pages_today += more_each_day
    pages_left = pages_in_book - pages_read
    return pages_left
""",
            answer="170",
        ),
        Example(
            question="A ferry takes 50 minutes to cross a strait and then waits 15 minutes before it goes back. It "
            "sets out at 8 o'clock. How many minutes after 8 o'clock does its sixth crossing end?",
            body="""\
    minutes_per_crossing = 50
    minutes_per_wait = 15
    crossings = 6
    waits = crossings - 1
    minutes = crossings * minutes_per_crossing + waits * minutes_per_wait
    return minutes
""",
            answer="375",
        ),
    ),
    "math": (
        Example(
            question="Add up the integers from $1$ to $100$ that are divisible by $7$ but not by $2$. What is the sum?",
            body="""\
    total = 0
    for n in range(1, 100):
        if n % 7 == 0 and n % 2 != 0:
            total += n
    return total
""",
            answer="343",
        ),
        Example(
            question="Find all solutions of $x^2 - 6x + 4 = 0$. Separate them by a comma.",
            body="""\
    from sympy import solve, symbols
    x = symbols("x")
    solutions = solve(x**2 - 6*x + 4, x)
    return solutions
""",
            answer="3 - \\sqrt{5}, 3 + \\sqrt{5}",
        ),
        Example(
            question="Three cards are drawn at random, without replacement, from ten cards that are numbered from $1$ "
            "to $10$. What is the probability that $8$ is the largest number drawn?",
            body="""\
    from math import comb
    from sympy import Rational
    ways_with_largest_8 = comb(7, 2)
    all_ways = comb(10, 3)
    probability = Rational(ways_with_largest_8, all_ways)
    return probability
""",
            answer="\\frac{7}{40}",
        ),
        Example(
            question="For which real numbers $t$ is $|2t - 3| < 7$? Express your answer in interval notation.",
            body="""\
    from sympy import Rational
    lower = Rational(3 - 7, 2)
    upper = Rational(3 + 7, 2)
    return f"({lower}, {upper})"
""",
            answer="(-2,5)",
        ),
    ),
}


ANSWER = "__answer__"
"""What is called, of `ADAPTED`."""

ADAPTED = f"""

def {ANSWER}():
    import numbers, sys
    def plain(value):
        if value is None or isinstance(value, (bool, str, complex)):
            return value
        if isinstance(value, (list, tuple, set, frozenset)):
            return [plain(item) for item in value]
        if isinstance(value, numbers.Integral):
            return int(value)
        if isinstance(value, numbers.Rational):
            return "%d/%d" % (value.numerator, value.denominator)
        if isinstance(value, numbers.Real):
            return float(value)
        if type(value).__module__ == "numpy":
            return plain(value.tolist())
        sympy = sys.modules.get("sympy")
        if sympy and isinstance(value, (sympy.Basic, sympy.MatrixBase)):
            return sympy.latex(value)
        return str(value)
    return plain({ENTRY_POINT}())
"""
"""What is put after a program, so that plain data comes back: numbers, text, lists; of sympy's objects their LaTeX.

It runs among the program, which can have it say anything; the right answer is nowhere near it.
"""


def prompt(dataset: Dataset, row: Row) -> str:
    """The text a base model goes on from."""
    shown = (_commented(e.question) + HEAD + e.body for e in EXAMPLES[dataset])
    return "\n\n".join([*shown, _commented(row[QUESTION[dataset]]) + HEAD])


def _commented(question: str) -> str:
    return "".join(f"# {line}".rstrip() + "\n" for line in f"Question: {question.strip()}".splitlines())


def chat_messages(dataset: Dataset, row: Row) -> Chat:
    """The same for a chat model, in the form of evalplus's; its answer goes on from the function's first line, too."""
    return Chat(user=f"{INSTRUCTION}\n```\n{prompt(dataset, row)}```\n", prefill=f"{RESPONSE}\n```python\n{HEAD}")


def solution(text: str) -> str:
    """The program that an answer amounts to, before it is sanitised."""
    return evalplus_tasks.solution(HEAD, text, STOP)


def gold(dataset: Dataset, row: Row) -> str:
    """The answer as published: GSM8K's number after the mark, MATH's LaTeX."""
    return str(row["answer"]).rpartition("####")[2].strip() if dataset == "gsm8k" else str(row["answer"])


def perfect(dataset: Dataset, row: Row) -> str:
    """A program that returns the right answer."""
    return f"{HEAD}    return {gold(dataset, row)!r}\n"
