"""The draws of PARITY B1.3, as CPython 3.11 made them for llm-foundry."""

from itertools import islice

import pytest

from assay.tasks.fewshot import draw

VECTORS = {
    (100, 10): [
        [99, 4, 74, 11, 10, 12, 14, 85, 56, 88],
        [98, 3, 2, 44, 45, 78, 79, 82, 61, 30],
        [64, 1, 59, 11, 14, 19, 23, 91, 62, 31],
    ],
    (230, 3): [[112, 29, 199], [149, 206, 23], [8, 177, 171]],
    (2376, 10): [
        [71, 969, 1452, 1805, 143, 371, 343, 403, 30, 478],
        [64, 608, 1417, 1898, 749, 468, 373, 59, 126, 1983],
        [2371, 264, 1993, 2216, 2060, 364, 1908, 280, 2109, 1023],
    ],
    (1000, 10): [
        [961, 451, 932, 965, 7, 92, 119, 826, 796, 989],
        [35, 100, 709, 363, 687, 784, 17, 242, 596, 85],
        [354, 807, 495, 16, 630, 663, 152, 474, 638, 31],
    ],
    (32, 10): [
        [1, 2, 3, 6, 18, 21, 22, 25, 28, 31],
        [0, 7, 11, 15, 19, 20, 22, 25, 28, 29],
        [0, 3, 4, 5, 7, 15, 16, 17, 22, 29],
    ],
    (10042, 10): [[9539, 122, 3879, 1612, 1485, 5810, 7220, 1914, 572, 1375]],
}


@pytest.mark.parametrize(("rows", "shots"), VECTORS)
def test_draws_equal_the_published_vectors_in_set_order(rows, shots):
    wanted = VECTORS[rows, shots]
    assert [list(d) for d in islice(draw(rows, shots, 1234), len(wanted))] == wanted


def test_a_row_is_never_its_own_example_and_gets_all_it_was_promised():
    for rows, shots in [(1, 5), (2, 5), (5, 4), (5, 10), (40, 10)]:
        for row, drawn in enumerate(draw(rows, shots, 7)):
            assert row not in drawn
            assert len(set(drawn)) == len(drawn) == min(rows - 1, shots)


def test_another_seed_draws_other_examples():
    assert list(draw(50, 5, 1)) != list(draw(50, 5, 2))
