"""Which rows a limited run asks."""

from assay.tasks.selection import DocRange


def test_a_limit_is_a_sample_and_the_same_for_every_run():
    rows = list(DocRange(limit=16).rows(1000))
    assert rows == list(DocRange(limit=16).rows(1000))
    assert rows == sorted(set(rows))
    assert len(rows) == 16
    assert rows[-1] > 500, "the first rows of a file are no sample of it"


def test_a_smaller_limit_is_part_of_a_larger_one():
    few, many = (set(DocRange(limit=n).rows(1000, "law")) for n in (16, 64))
    assert few < many


def test_categories_are_sampled_apart_and_short_ones_are_taken_whole():
    assert list(DocRange(limit=16).rows(1000, "law")) != list(DocRange(limit=16).rows(1000, "virology"))
    assert list(DocRange(limit=16).rows(9)) == list(range(9))


def test_a_range_is_cut_to_what_there_is():
    assert list(DocRange(3, 9).rows(5)) == [3, 4]
    assert list(DocRange(7, 9).rows(5)) == []
    assert list(DocRange().rows(4)) == [0, 1, 2, 3]


def test_a_range_without_a_limit_keeps_the_fingerprints_that_runs_of_old_have():
    assert DocRange(0, 5).key == (0, 5)
    assert DocRange(limit=5).key == (0, None, 5)
